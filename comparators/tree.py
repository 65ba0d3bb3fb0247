"""The walk over two trees: finds every difference and asks the rules about it.

In: two decoded bodies and the compiled rules. Out: what it counts in the ledger. It is recursive over containers;
leaves are decided in the loops over their container, so an equal leaf makes no object, no call and no string. The
automaton's state travels along, and so does the place as a chain of steps; a path is built only when a difference
is recorded.

Equal subtrees are skipped where that cannot be seen: not where deltas are collected (a delta of 0 counts) or the order
of keys is compared, and only in the first levels, where a skip saves most (deeper, late differences would make the
tests add up to depth x size).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeGuard

from comparators.aggregate import Aggregate
from comparators.automaton import BoundRule, State
from comparators.comparator import ACCEPTED, EQUAL, Accepted, Equal, Finding, OverBudget, Scope, Tree
from comparators.equality import identical, same
from comparators.leaves import unequal
from comparators.ledger import Ledger
from comparators.path import WIDE, Path, Step, WideKey
from comparators.rules import RuleSet
from comparators.tolerance import Bounds, Number, delta
from comparators.verdict import Difference, Kind, Note, Reason

SHORTCUT_LEVELS: Final = 8
SHORTCUT_MEMBERS: Final = 4
"""A smaller container is walked faster than it is written twice; what it contains may still be skipped."""
DEFAULT_FLOOR: Final = 1e-9

_ABSENT: Final = object()
_INFINITE: Final = float("inf")


Place = tuple[Any, Step]
"""A node: its parent's `Place` (mypyc knows no recursive type), None above `$`, and the step from there."""


def path_to(place: Place | None) -> Path:
    """The place as a path."""
    steps: list[Step] = []
    while place is not None:
        place, step = place
        steps.append(step)
    return tuple(reversed(steps))


class Walk:
    """One walk; it is the `Context` of the comparators it asks. Without `shortcut` the result is the same, later."""

    __slots__ = (
        "_aggregates",
        "_deepest",
        "_depth",
        "_left",
        "_place",
        "_shape",
        "_shortcut_levels",
        "_state",
        "ledger",
        "media_type",
        "rules",
    )

    def __init__(self, rules: RuleSet, ledger: Ledger, *, shortcut: bool = True) -> None:
        limits = rules.settings.limits
        self.rules = rules
        self.ledger = ledger
        self.media_type = ""
        self._place: Place | None = None
        self._state, self._depth = rules.start, 0
        self._left = limits.leaves
        self._deepest = limits.depth
        self._shape = rules.shape
        skips = shortcut and not (self._shape and rules.settings.key_order)
        self._shortcut_levels = SHORTCUT_LEVELS if skips else 0
        self._aggregates: dict[int, Aggregate] = {}

    @property
    def path(self) -> Path:
        """The path of the pair being judged."""
        return path_to(self._place)

    @property
    def endpoint(self) -> str:
        """The endpoint whose rules these are."""
        return self.rules.settings.endpoint

    def spend(self, units: int = 1) -> None:
        """Count members looked at; raises `OverBudget` when there were too many."""
        self._left -= units
        if self._left < 0:
            raise OverBudget(Reason.LEAVES)

    def descend(self, step: Step, primary: Tree, candidate: Tree) -> None:
        """Judge a pair of members of the node being judged, by the rules for `step`."""
        place, state, depth = self._place, self._state, self._depth
        try:
            self._pair((place, step), primary, candidate, state.after(step), depth + 1)
        finally:
            self._place, self._state, self._depth = place, state, depth

    def judge(self, rule: BoundRule, path: Path, primary: Tree, candidate: Tree) -> Finding | None:
        """What the rule's comparator finds about two values outside the trees; see `_ask`."""
        place: Place | None = None
        for step in path:
            place = place, step
        self._place = place
        return self._ask(rule, primary, candidate)

    def _ask(self, rule: BoundRule, primary: Tree, candidate: Tree) -> Finding | None:
        """What the rule's comparator finds about two nodes that differ; None, and a stopped ledger, if it broke."""
        try:
            finding: object = rule.ask(primary, candidate, rule.settings, self)
        except OverBudget:
            raise
        except Exception as error:  # noqa: BLE001  a custom comparator may do anything; the pair is its own edge
            self.ledger.fail(rule, f"{type(error).__name__}: {error}")
            return None
        if finding is ACCEPTED or finding is EQUAL or _is_finding(finding):
            return finding
        self.ledger.fail(rule, f"returned {type(finding).__name__}, not a finding")
        return None

    def run(self, primary: Tree, candidate: Tree) -> None:
        """Walk both trees and check the response bounds; raises `OverBudget`."""
        ledger, rules = self.ledger, self.rules
        ledger.walked = True
        if not rules.bounded:
            self._pair((None, "$"), primary, candidate, rules.start, 0)
            return
        self._aggregates = {rule.index: Aggregate(rule, bounds) for rule, bounds in rules.bounded}
        before = ledger.count + ledger.accepted
        self._pair((None, "$"), primary, candidate, rules.start, 0)
        differed = ledger.count + ledger.accepted > before
        for aggregate in self._aggregates.values():
            difference = aggregate.difference(differed=differed)
            if difference is not None:
                ledger.differ(*difference)

    def _pair(self, place: Place, primary: Tree, candidate: Tree, state: State, depth: int) -> None:
        """Judge any two nodes."""
        self._place = place
        rule = state.rule
        kind = type(primary)
        if rule is not None:
            self.ledger.hits.setdefault(rule.id, 0)
        if rule is not None and rule.whole:
            self._whole(rule, primary, candidate, state, depth)
        elif kind is not type(candidate):
            self._leaf(primary, candidate, rule)
        elif kind is dict or kind is list:
            self._container(place, primary, candidate, state, depth)
        elif rule is None or rule.bounds is not None:
            self._leaf(primary, candidate, rule)
        elif primary != candidate and (kind is not float or unequal(primary, candidate)):
            self._consult(rule, primary, candidate)

    def _container(self, place: Place, primary: Any, candidate: Any, state: State, depth: int) -> None:  # noqa: C901, PLR0912, PLR0915  hot
        """Two objects or two lists, member by member.

        Decided in place, since a call per leaf would double the time: equal leaves, floats that a numeric rule accepts
        (the same sums as `Bounds.accepts` and `delta`), and strings with a rule. All else goes to `_pair`.
        """
        size = len(primary)
        if self._shape:
            self._look(place, primary, candidate, state)
        if (
            size >= SHORTCUT_MEMBERS
            and not state.aggregate_below
            and self._is_skipped(primary, candidate, state, depth)
        ):
            return
        self._left -= size
        if self._left < 0 or depth >= self._deepest:
            raise OverBudget(Reason.LEAVES if self._left < 0 else Reason.DEPTH)
        listed = type(primary) is list
        wide = size > WIDE and not listed
        missing = 0
        literals = state.literals
        below = other = state.other
        rule = other.rule
        members: Iterable[tuple[Any, Tree]] = enumerate(primary) if listed else primary.items()
        if listed and len(candidate) != size:
            self._length(place, primary, candidate, state)
            members = enumerate(primary[: len(candidate)])
        for step, a in members:
            if literals:
                below = literals[step] if step in literals else other  # noqa: SIM401  a call
                rule = below.rule
            try:
                b: Tree = candidate[step]
            except KeyError:
                missing += 1
                self._one_sided((place, WideKey(step) if wide else step), Kind.MISSING, a, below)
                continue
            kind = type(a)
            if rule is None:
                if kind is str:
                    if a == b:
                        continue
                elif kind is not type(b):
                    pass
                elif kind is dict or kind is list:
                    self._container((place, WideKey(step) if wide else step), a, b, below, depth + 1)
                    continue
                elif a == b:
                    continue
            elif kind is not type(b) or kind is dict or kind is list:
                pass
            elif a == b:
                self._equal(rule, kind)
                continue
            elif kind is float and (bounds := rule.plain_bounds) is not None and bounds.low <= b <= bounds.high:
                distance = b - a if b > a else a - b
                base = a if a > 0 else -a
                if distance <= bounds.abs or (distance <= bounds.rel * base and distance < _INFINITE):
                    ledger = self.ledger
                    off = distance / (base if base > bounds.floor else bounds.floor)  # noqa: FURB136  a call
                    ledger.deltas.append(off)
                    hits = ledger.hits
                    hits[rule.id] = hits[rule.id] + 1 if rule.id in hits else 1
                    if self._aggregates and rule.index in self._aggregates:
                        self._aggregates[rule.index].add(off, path_to((place, step)), a, b)
                    continue
            elif kind is str and rule.bounds is None and not rule.whole:
                self._place = place, WideKey(step) if wide else step
                self._consult(rule, a, b)
                continue
            self._pair((place, WideKey(step) if wide else step), a, b, below, depth + 1)
        if len(candidate) + missing > size and not listed:
            wide = len(candidate) > WIDE
            for key, b in candidate.items():
                if key not in primary:
                    self._one_sided((place, WideKey(key) if wide else key), Kind.EXTRA, b, state.after(key))

    def _look(self, place: Place, primary: Any, candidate: Any, state: State) -> None:
        """A container as such: that a `superset` rule covers it, and the order of its keys if that matters."""
        if state.superset is not None:
            self.ledger.match(state.superset)
        out_of_order = _out_of_order(primary, candidate) if self.rules.settings.key_order else None
        if out_of_order is not None:
            self.ledger.differ(path_to(place), Kind.ORDER, *out_of_order)

    def _is_skipped(self, primary: Tree, candidate: Tree, state: State, depth: int) -> bool:
        """Whether two containers are the same for sure, so that there is no need to walk them."""
        if depth < self._shortcut_levels and same(primary, candidate):
            self.ledger.walked &= state.inert
            return True
        return False

    def _equal(self, rule: BoundRule, kind: type) -> None:
        """A leaf that is the same on both sides: what a numeric rule decides counts with a delta of 0."""
        ledger = self.ledger
        ledger.hits.setdefault(rule.id, 0)
        if rule.bounds is not None and (kind is float or kind is int):
            ledger.deltas.append(0.0)
            if rule.index in self._aggregates:
                self._aggregates[rule.index].deltas.append(0.0)

    def _length(self, place: Place, primary: list[Tree], candidate: list[Tree], state: State) -> None:
        """Lists of different lengths: accepted if every item that only one side has is ignored."""
        short, long = sorted((len(primary), len(candidate)))
        states = [each for at, each in state.literals.items() if isinstance(at, int) and short <= at < long]
        if len(states) < long - short:
            states.append(state.other)
        rule = states[0].rule
        if rule is not None and all(each.rule is not None and each.rule.ignores for each in states):
            self.ledger.accept(rule)
        else:
            self.ledger.differ(path_to(place), Kind.LENGTH, len(primary), len(candidate), float(long - short))

    def _one_sided(self, place: Place, kind: Kind, value: Tree, state: State) -> None:
        """A member that only one side has."""
        ledger, settings, rule = self.ledger, self.rules.settings, state.rule
        if rule is not None:
            ledger.match(rule)
        if rule is not None and (rule.ignores or (value is None and rule.null_equals_missing)):
            ledger.accept(rule)
        elif kind is Kind.EXTRA and (state.superset is not None or settings.contract == "superset"):
            ledger.accept(state.superset)
        elif value is None and settings.null_equals_missing:
            ledger.accept()
        else:
            values = (value, None) if kind is Kind.MISSING else (None, value)
            ledger.differ(path_to(place), kind, *values)

    def _whole(self, rule: BoundRule, primary: Tree, candidate: Tree, state: State, depth: int) -> None:
        """A node whose rule judges it with everything below."""
        if rule.comparator.scope is Scope.NODE and identical(primary, candidate):
            return
        if rule.ignores:
            self.ledger.accept(rule)
            return
        self._state, self._depth = state, depth
        self._consult(rule, primary, candidate)

    def _leaf(self, primary: Tree, candidate: Tree, rule: BoundRule | None) -> None:
        """Two nodes that are not containers of one type."""
        kind = unequal(primary, candidate)
        if rule is not None and rule.bounds is not None and kind is not Kind.TYPE and type(primary) in (int, float):
            self._measure(kind, primary, candidate, rule, rule.bounds)
        elif kind is None:
            return
        elif rule is None or rule.bounds is not None or kind is Kind.TYPE:
            self._unequal(kind, primary, candidate)
        else:
            self._consult(rule, primary, candidate)

    def _unequal(self, kind: Kind, primary: Tree, candidate: Tree) -> None:
        """Leaves that differ where no rule helps."""
        if kind is Kind.TYPE_ONLY:
            if not self.rules.settings.strict_types:
                self.ledger.accept(note=Note.TYPE_ONLY)
                return
            kind = Kind.TYPE
        numbers = kind is Kind.VALUE and type(primary) in (int, float)
        shown = self.ledger.count < self.ledger.recorded  # a delta of huge integers costs far more than the walk
        magnitude = delta(primary, candidate, DEFAULT_FLOOR) if numbers and shown else None
        self.ledger.differ(self.path, kind, primary, candidate, magnitude)

    def _measure(self, kind: Kind | None, primary: Number, candidate: Number, rule: BoundRule, bounds: Bounds) -> None:
        """Two numbers under a numeric rule; `kind` says how they differ by the book."""
        ledger = self.ledger
        off = delta(primary, candidate, bounds.floor)
        ledger.deltas.append(off)
        if rule.index in self._aggregates:
            self._aggregates[rule.index].add(off, self.path, primary, candidate)
        if kind is Kind.TYPE_ONLY:
            ledger.accept(note=Note.TYPE_ONLY)
        elif kind is not None and bounds.accepts(primary, candidate):
            ledger.accept(rule)
        elif kind is not None:
            ledger.differ(self.path, kind, primary, candidate, off)

    def _consult(self, rule: BoundRule, primary: Tree, candidate: Tree) -> None:
        """Ask a rule's comparator about two nodes that differ and count what it finds."""
        finding = self._ask(rule, primary, candidate)
        if finding is ACCEPTED:
            self.ledger.accept(rule)
            return
        self.ledger.match(rule)
        if isinstance(finding, Accepted):
            self.ledger.accept(rule, finding.note)
        elif isinstance(finding, list):
            for difference in finding:
                self.ledger.differ(*difference)


def _out_of_order(primary: Any, candidate: Any) -> tuple[Any, Any] | None:
    """Where the keys that both objects have first come in another order: the primary's there and the candidate's."""
    if type(primary) is not dict:
        return None
    ours = [key for key in primary if key in candidate]
    theirs = [key for key in candidate if key in primary]
    return next(((a, b) for a, b in zip(ours, theirs, strict=True) if a != b), None)


def _is_finding(answer: object) -> TypeGuard[Finding]:
    if isinstance(answer, list):
        return all(isinstance(each, Difference) for each in answer)
    return isinstance(answer, Equal | Accepted)
