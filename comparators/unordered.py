"""The comparators `unordered` and `set`: lists whose items may stand anywhere.

Equal items are matched first: an item's canonical text (`canonical`) says which are equal, so a list of n items
costs 2n texts and dict entries, never n² comparisons. Where every item has its equal, the two are the same multiset,
and that is accepted whatever the order. `set` also accepts that an item occurs more often on one side.

The remainder, 64 items a side at most, may still be the same within a tolerance. It is matched in sorted order: by
the fields that `by` names, then by the whole item (numbers by size, texts by code point, objects member by member,
different types apart), so that the matching does not depend on where items stood. For plain numbers, sorted order is
the matching with the smallest largest distance. Each match is handed back to the walk, and the rules below
(`$.tags[*].score`) judge it. They judge matches, they do not make them: an item that has its equal is matched with
that, though with another partner more items might be within tolerance; and lists in lists are matched as they are
written, whatever is said about their order.

Where one side has more items than the other, as many as it has more stand alone: those first whose `by` the other
side has passed over. They are `missing` (with the primary's index) or `extra` (the candidate's). A larger remainder is
a `length` if it proves that the sides differ, having more items on one of them; else it makes the pair
`incomparable(unmatched_items)`.

Matched items have the primary's index as step, as in `keyed`. Objects are paired by name; all else that a rule
selects is compared as without it. Equal items are handed back like others, since numeric rules count deltas of 0.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

from orjson import OPT_SORT_KEYS, dumps, loads

from comparators.comparator import ACCEPTED, EQUAL, Context, Finding, OverBudget, Scope, Tree
from comparators.keyed import Member, Members, field_names, one_sided, pair_up, unlisted
from comparators.limits import KIB
from comparators.verdict import Difference, Kind, Reason

LARGEST_REMAINDER: Final = 64
"""Items a side that may be left to be matched in sorted order."""

Written = tuple[bytes, int]
"""What an item is known by: its canonical text, and how many items before it have the same."""
Order = tuple[Any, ...]

_LAST: Final[Order] = (9,)


@dataclass(frozen=True, slots=True)
class UnorderedSettings:
    """Settings of `unordered` and `set`; `by`: a field, or a list of fields, to sort by what has no equal item."""

    by: str | list[str] | None = None

    def __post_init__(self) -> None:
        if self.by is not None:
            field_names("by", self.by)

    @property
    def fields(self) -> tuple[str, ...]:
        """What to sort by before the whole item."""
        return () if self.by is None else field_names("by", self.by)


class Unordered:
    """Lists as multisets."""

    name: ClassVar[str] = "unordered"
    Settings: ClassVar[type] = UnorderedSettings
    scope: ClassVar[Scope] = Scope.MEMBERS
    twins_count: ClassVar[bool] = True

    def compare(self, primary: Tree, candidate: Tree, settings: UnorderedSettings, at: Context) -> Finding:
        """Accept lists that can be matched item by item; what unequal matches are worth is up to the rules below."""
        if isinstance(primary, list) and isinstance(candidate, list):
            return self._lists(_written(primary, at), _written(candidate, at), settings.fields, at)
        return unlisted(primary, candidate, at)

    def _lists(self, ours: Members[Written], theirs: Members[Written], fields: Sequence[str], at: Context) -> Finding:
        lost, added = pair_up(ours, theirs, at)
        left, right = self._counted(lost), self._counted(added)
        if len(left) > LARGEST_REMAINDER or len(right) > LARGEST_REMAINDER:
            if len(left) == len(right):
                raise OverBudget(Reason.UNMATCHED_ITEMS)
            sizes = len(self._counted(ours)), len(self._counted(theirs))
            return [Difference(at.path, Kind.LENGTH, *sizes, magnitude=float(abs(sizes[0] - sizes[1])))]
        matches, missing, extra = _matched(_sorted(left, fields, at), _sorted(right, fields, at))
        for (step, one), (_, other) in matches:
            at.descend(step, one, other)
        if missing or extra:
            return one_sided(missing, extra, at)
        as_listed = len(lost) == len(left) and len(added) == len(right) and not _is_moved(ours, theirs)
        return EQUAL if as_listed and all(one[0] == other[0] for one, other in matches) else ACCEPTED

    def _counted(self, members: Members[Written]) -> Members[Written]:
        """Members without those that do not count."""
        return members if self.twins_count else {known: member for known, member in members.items() if not known[1]}


class AsSet(Unordered):
    """Lists as sets: how often an item occurs does not count."""

    name: ClassVar[str] = "set"
    twins_count: ClassVar[bool] = False


def canonical(tree: Tree) -> bytes:
    """The tree as a text that identical trees share and others do not: members by name, True and 1 and 1.0 apart.

    orjson writes NaN and infinities as null and refuses integers over 64 bits, lone surrogates and more than 254
    levels; what it cannot write, the standard library does. Zero loses its sign, since it does not matter. A tree
    too deep to be written is over the budget of depth.
    """
    try:
        text = _text(tree)
        return _text(_unsigned(tree)) if b"-0.0" in text else text
    except RecursionError:
        raise OverBudget(Reason.DEPTH) from None


def _text(tree: Tree) -> bytes:
    try:
        text = dumps(tree, option=OPT_SORT_KEYS)
    except TypeError:
        return json.dumps(tree, sort_keys=True).encode()
    if b"null" in text and loads(text) != tree:
        return json.dumps(tree, sort_keys=True).encode()
    return text


def _unsigned(tree: Tree) -> Tree:
    """A copy in which no zero is negative."""
    if isinstance(tree, dict):
        return {name: _unsigned(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_unsigned(item) for item in tree]
    return (tree or 0.0) if isinstance(tree, float) else tree


def _written(items: list[Tree], at: Context) -> Members[Written]:
    """Items by what they are known by; a KiB of text costs as much of the budget as a member."""
    texts = [canonical(item) for item in items]
    at.spend(sum(map(len, texts)) // KIB)
    times: defaultdict[bytes, int] = defaultdict(int)
    members: Members[Written] = {}
    for place, text in enumerate(texts):
        members[text, times[text]] = place, items[place]
        times[text] += 1
    return members


def _is_moved(ours: Members[Written], theirs: Members[Written]) -> bool:
    """Whether an item and its equal have different positions."""
    return any(known in theirs and theirs[known][0] != step for known, (step, _) in ours.items())


class Loose(NamedTuple):
    """An item without an equal one on the other side; a tuple, since it sorts by its parts in turn."""

    by: Order
    whole: Order
    text: bytes
    member: Member


def _sorted(members: Members[Written], fields: Sequence[str], at: Context) -> deque[Loose]:
    """A remainder in the order that matches it. An only item needs no place among its like."""
    several = len(members) > 1
    try:
        loose = [
            Loose(_order_by(member[1], fields, at), _order(member[1], at) if several else (), text, member)
            for (text, _), member in members.items()
        ]
        return deque(sorted(loose))
    except RecursionError:
        raise OverBudget(Reason.DEPTH) from None


def _order_by(item: Tree, fields: Sequence[str], at: Context) -> Order:
    """The fields to sort by; items that lack one come last."""
    known = item if isinstance(item, dict) else {}
    return tuple(_order(known[field], at) if field in known else _LAST for field in fields)


def _order(tree: Tree, at: Context) -> Order:
    """What puts all trees in one order: type, then value; 1 and 1.0 are one."""
    if tree is None:
        return (0,)
    if isinstance(tree, bool):
        return 1, tree
    if isinstance(tree, int | float):
        return (2, tree) if tree == tree else (3,)  # noqa: PLR0124  NaN
    if isinstance(tree, str):
        return 4, tree
    at.spend(len(tree))
    if isinstance(tree, list):
        return (5, *(_order(item, at) for item in tree))
    return (6, *((name, _order(tree[name], at)) for name in sorted(tree)))


def _matched(
    ours: deque[Loose], theirs: deque[Loose]
) -> tuple[list[tuple[Member, Member]], list[Member], list[Member]]:
    """Matches of two sorted remainders, and what stands alone on either side: its surplus, the first that fit."""
    spare = len(ours) - len(theirs)
    matches: list[tuple[Member, Member]] = []
    missing: list[Member] = []
    extra: list[Member] = []
    while ours and theirs:
        if spare > 0 and ours[0].by < theirs[0].by:
            missing.append(ours.popleft().member)
            spare -= 1
        elif spare < 0 and theirs[0].by < ours[0].by:
            extra.append(theirs.popleft().member)
            spare += 1
        else:
            matches.append((ours.popleft().member, theirs.popleft().member))
    missing += [each.member for each in ours]
    extra += [each.member for each in theirs]
    return matches, missing, extra


MULTISETS: Final = (Unordered(), AsSet())
