"""The comparator `keyed`: members are paired by what they are known by, not by where they stand.

In: two lists of objects, and the field or fields whose values name an item. Out: every pair of items with one key
is handed back to the walk, and the rules below (`$.segments[*].score`) judge it; so deltas and response bounds pair
by key too. Items that only one side has are `missing` and `extra`; another order is accepted, or is `order`.

A pair's step is the primary's index, and so is a missing item's; an extra item has the candidate's. Thus paths lead
somewhere in an answer, and they group as `[*]`, like those of any list.

A key carries its type: 1, true and "1" are three keys. 1 and 1.0 are one number, hence one key; null is a key, and
so is NaN. Pairing is all or nothing: where a field is absent or holds a container, where an item is no object, or
has the key of an earlier one, the first such item of either side is a difference of kind `key` and nothing is
paired. Only lists that are identical are equal whatever their keys.

Objects are keyed by nature: members are paired by name, neither `key` nor `order` is looked at. All else that a
rule selects (numbers, texts, a list against an object) is compared as without it.

Cost: linear; one dict entry per item and side, one `descend` per pair.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, TypeVar

from comparators.comparator import ACCEPTED, EQUAL, Context, Finding, Scope, Tree
from comparators.equality import identical
from comparators.leaves import Exact, ExactSettings
from comparators.path import WIDE, Step, WideKey
from comparators.verdict import Difference, Kind

K = TypeVar("K", bound=Hashable)
Member = tuple[Step, Tree]
Members = dict[K, Member]
"""Members by what they are known by, in their order: each with the step that leads to it."""
Key = tuple[Hashable, ...]

_EXACT: Final = Exact()
_PLAIN: Final = ExactSettings()
_NO_KEY: Final[Tree] = {}  # what an absent field holds: no better a key than a container


def field_names(setting: str, given: object) -> tuple[str, ...]:
    """The member names that a setting lists, one or several; a ValueError if it is anything else."""
    names: tuple[Any, ...] = tuple(given) if isinstance(given, list | tuple) else (given,)
    if not names or not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise ValueError(f"{setting} must be the name of a member, or a list of different names, not {given!r}")
    return names


def named(node: dict[str, Tree]) -> Members[str]:
    """An object's members by name."""
    if len(node) > WIDE:
        return {name: (WideKey(name), value) for name, value in node.items()}
    return {name: (name, value) for name, value in node.items()}


def pair_up(ours: Members[K], theirs: Members[K], at: Context) -> tuple[Members[K], Members[K]]:
    """Hand back every pair of members with one key; what is left over on either side is returned."""
    at.spend(max(len(ours), len(theirs)))
    left: Members[K] = {}
    for key, member in ours.items():
        if key in theirs:
            step, value = member
            at.descend(step, value, theirs[key][1])
        else:
            left[key] = member
    return left, {key: member for key, member in theirs.items() if key not in ours}


def one_sided(missing: Iterable[Member], extra: Iterable[Member], at: Context) -> list[Difference]:
    """The differences that members of one side only are."""
    path = at.path
    return [
        *(Difference((*path, step), Kind.MISSING, value, None) for step, value in missing),
        *(Difference((*path, step), Kind.EXTRA, None, value) for step, value in extra),
    ]


def judged(ours: Members[K], theirs: Members[K], at: Context, tolerated: Collection[Kind] = ()) -> Finding:
    """Hand back the pairs; refuse what only one side has, unless that kind is tolerated."""
    left, right = pair_up(ours, theirs, at)
    if not (left or right):
        return EQUAL
    return [each for each in one_sided(left.values(), right.values(), at) if each.kind not in tolerated] or ACCEPTED


def unlisted(primary: Tree, candidate: Tree, at: Context, tolerated: Collection[Kind] = ()) -> Finding:
    """Two nodes that are not both lists: members of objects are paired by name, all else is compared exactly."""
    if isinstance(primary, dict) and isinstance(candidate, dict):
        return judged(named(primary), named(candidate), at, tolerated)
    return _EXACT.compare(primary, candidate, _PLAIN, at)


@dataclass(frozen=True, slots=True)
class KeyedSettings:
    """Settings of `keyed`.

    Attributes:
        key: the field that names an item, or a list of fields that do so together.
        order: whether items in another order are accepted (`ignore`) or a difference (`strict`). Only items that
            both sides have count.
        missing: whether items that only the primary has are a `mismatch` or accepted (`tolerate`).
        extra: the same for items that only the candidate has.
    """

    key: str | list[str]
    order: Literal["ignore", "strict"] = "ignore"
    missing: Literal["mismatch", "tolerate"] = "mismatch"
    extra: Literal["mismatch", "tolerate"] = "mismatch"

    def __post_init__(self) -> None:
        field_names("key", self.key)

    @property
    def fields(self) -> tuple[str, ...]:
        """The key as fields."""
        return field_names("key", self.key)

    @property
    def tolerated(self) -> tuple[Kind, ...]:
        """Kinds of difference that are none here."""
        said = (Kind.MISSING, self.missing), (Kind.EXTRA, self.extra)
        return tuple(kind for kind, word in said if word == "tolerate")


class Keyed:
    """Items are paired by key."""

    name: ClassVar[str] = "keyed"
    Settings: ClassVar[type] = KeyedSettings
    scope: ClassVar[Scope] = Scope.MEMBERS

    def compare(self, primary: Tree, candidate: Tree, settings: KeyedSettings, at: Context) -> Finding:
        """Accept equal sets of keys; what the pairs are worth is up to the rules below."""
        if isinstance(primary, list) and isinstance(candidate, list):
            return _lists(primary, candidate, settings, at)
        return unlisted(primary, candidate, at, settings.tolerated)


def _lists(primary: list[Tree], candidate: list[Tree], settings: KeyedSettings, at: Context) -> Finding:
    fields = settings.fields
    ours, theirs = _indexed(primary, fields), _indexed(candidate, fields)
    keyless = _keyless(primary, ours, candidate, theirs, at)
    if keyless:
        return judged(_placed(primary), _placed(candidate), at) if identical(primary, candidate) else keyless
    finding = judged(ours, theirs, at, settings.tolerated)
    parted = _parted(ours, theirs)
    if parted is None:
        return finding
    refused = finding if isinstance(finding, list) else []
    if settings.order == "strict":
        one, other = parted
        refused = [*refused, Difference(at.path, Kind.ORDER, _shown(one, fields), _shown(other, fields))]
    return refused or ACCEPTED


def _indexed(items: list[Tree], fields: Sequence[str]) -> Members[Key]:
    """Items by key, up to the first that has none of its own."""
    members: Members[Key] = {}
    for place, item in enumerate(items):
        key = _key(item, fields)
        if key is None or key in members:
            break
        members[key] = place, item
    return members


def _key(item: Tree, fields: Sequence[str]) -> Key | None:
    """What an item is known by; None if it lacks a field, or has a container there."""
    if not isinstance(item, dict):
        return None
    key: list[Hashable] = []
    for field in fields:
        value = item.get(field, _NO_KEY)
        kind = type(value)
        if kind is str or kind is int:
            key.append(value)
        elif kind is dict or kind is list:
            return None
        elif kind is bool or value != value:  # noqa: PLR0124  NaN
            key.append((kind, str(value)))
        else:
            key.append(value)
    return tuple(key)


def _keyless(
    primary: list[Tree], ours: Members[Key], candidate: list[Tree], theirs: Members[Key], at: Context
) -> list[Difference]:
    """The first item of either side that has no key of its own."""
    found: list[Difference] = []
    if len(ours) < len(primary):
        found.append(Difference((*at.path, len(ours)), Kind.KEY, primary[len(ours)], None))
    if len(theirs) < len(candidate):
        found.append(Difference((*at.path, len(theirs)), Kind.KEY, None, candidate[len(theirs)]))
    return found


def _placed(items: list[Tree]) -> Members[int]:
    """Items by position."""
    return {place: (place, item) for place, item in enumerate(items)}


def _parted(ours: Members[Key], theirs: Members[Key]) -> tuple[Tree, Tree] | None:
    """The first two items that stand in each other's place; None if the common keys have one order."""
    common = zip((key for key in ours if key in theirs), (key for key in theirs if key in ours), strict=True)
    return next(((ours[one][1], theirs[other][1]) for one, other in common if one != other), None)


def _shown(item: Tree, fields: Sequence[str]) -> Tree:
    """An item's key for people: a value, or a list of them."""
    values = [item[field] for field in fields]
    return values if len(values) > 1 else values[0]


PAIRED: Final = (Keyed(),)
