"""All body selectors of an endpoint as one deterministic automaton.

A state of the nondeterministic automaton is (rule, position): that many segments of the rule's selector are
consumed. A deterministic state is a set of those, built by subset construction when rules are compiled. It holds a
table `{member name or index: state}` and the one state for every other child. So a step costs one dict lookup
however many rules there are, and nothing is remembered per concrete key: objects keyed by user id cannot make it
grow. What a walk wants to know at a node is decided in advance and stands in the state: the rule that wins there,
whether anything below matters, whether an equal subtree may be skipped. A `superset` rule wins nowhere, since it says
nothing about values: it goes on from the node it selects to every node below, beside the rules that win there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from comparators.comparator import Ask, Comparator, Scope
from comparators.limits import MAX_STATES
from comparators.path import Step
from comparators.selectors import Selector
from comparators.tolerance import Bounds

Items = frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class BoundRule:
    """A rule ready for use: selector parsed, comparator found, settings built.

    Attributes:
        index: its place in its `RuleSet`.
        ask: its comparator's `compare`, under whatever guard it was put.
        rank: larger wins where several rules select one node.
        bounds: of a rule whose settings are numeric ones.
        plain_bounds: the same, if they are plain.
        whole: its comparator is asked about whole nodes, containers too.
        ignores: it accepts anything, absence included.
        broad: its author allowed it to hide more than usual.
        null_equals_missing: null stands for an absent member here.
        superset: it lets the candidate add members, here and below.
    """

    index: int
    id: str
    selector: Selector
    comparator: Comparator
    settings: Any
    ask: Ask
    rank: tuple[int, ...]
    bounds: Bounds | None
    plain_bounds: Bounds | None = None
    whole: bool = False
    ignores: bool = False
    broad: bool = False
    null_equals_missing: bool = False
    superset: bool = False


class State:
    """What the automaton knows at a node.

    Attributes:
        literals: next state by member name or list index, where it is not `other`.
        other: next state for any other child.
        rule: the rule that wins at the node.
        superset: the rule by which the candidate alone may have the node, and members below it.
        prune: nothing below is walked.
        aggregate_below: a numeric rule can win here or below; its deltas of 0 count, so no subtree is skipped.
        inert: no rule selects anything here or below.
    """

    __slots__ = ("aggregate_below", "inert", "literals", "other", "prune", "rule", "superset")

    def __init__(self, rule: BoundRule | None, superset: BoundRule | None = None, *, inert: bool = True) -> None:
        self.rule = rule
        self.superset = superset
        self.prune = rule is not None and rule.comparator.scope is Scope.NODE
        self.literals: dict[Step, State] = {}
        self.other = self
        self.aggregate_below = rule is not None and rule.bounds is not None
        self.inert = inert

    def after(self, step: Step) -> State:
        """The state of a child."""
        return self.literals.get(step, self.other)


INERT: Final = State(None)
"""The state where no rule applies, and none ever will."""


class TooManyStatesError(ValueError):
    """The selectors multiply; `culprits` are the rules with `..`, which cause it."""

    def __init__(self, culprits: Sequence[BoundRule]) -> None:
        texts = ", ".join(f"{rule.id} ({rule.selector.text})" for rule in culprits)
        super().__init__(
            f"together these selectors need more than {MAX_STATES} states; name paths instead of '..': {texts}"
        )
        self.culprits = tuple(culprits)


def build(rules: Sequence[BoundRule], max_states: int = MAX_STATES) -> tuple[State, frozenset[int]]:
    """The start state for these body rules, and the indices of those that decide something at some node."""
    states: dict[Items, State] = {frozenset(): INERT}
    start: Items = frozenset((place, 0) for place in range(len(rules)))
    pending = [start] if rules else []
    while pending:
        items = pending.pop()
        if items in states:
            continue
        if len(states) >= max_states:
            raise TooManyStatesError([rule for rule in rules if rule.selector.specificity[0] < 0])
        states[items] = state = _state(items, rules)
        if not state.prune:
            pending += [target for _, target in _moves(items, rules)]
    _connect(states, rules)
    _propagate(list(states.values()))
    holding = [rule for state in states.values() for rule in (state.rule, state.superset)]
    return states[start], frozenset(rule.index for rule in holding if rule is not None)


def _state(items: Items, rules: Sequence[BoundRule]) -> State:
    selecting = [rules[place] for place, at in items if at == len(rules[place].selector.segments)]
    winner = max((rule for rule in selecting if not rule.superset), key=lambda rule: rule.rank, default=None)
    superset = next((rules[place] for place, _ in _superset(items, rules)), None)
    return State(winner, superset, inert=not selecting)


def _superset(items: Items, rules: Sequence[BoundRule]) -> Items:
    """The best of the `superset` rules that selected the node or one above it, as the item its children have."""
    ends = {place: len(rules[place].selector.segments) for place, _ in items if rules[place].superset}
    holding = [place for place, at in items if place in ends and at >= ends[place]]
    best = max(holding, key=lambda place: rules[place].rank, default=None)
    return frozenset() if best is None else frozenset({(best, ends[best] + 1)})


def _moves(items: Items, rules: Sequence[BoundRule]) -> Iterator[tuple[Step | None, Items]]:
    """Where each literal leads, and (None) where every other child leads."""
    expecting = [
        (place, at, rules[place].selector.segments[at])
        for place, at in items
        if at < len(rules[place].selector.segments)
    ]
    literals = {segment.name for *_, segment in expecting} | {segment.index for *_, segment in expecting} | {None}
    kept = _superset(items, rules)
    for literal in literals:
        passed = {(place, at + 1) for place, at, segment in expecting if segment.takes(literal)}
        stayed = {(place, at) for place, at, segment in expecting if segment.descends}
        yield literal, kept.union(passed, stayed)


def _connect(states: dict[Items, State], rules: Sequence[BoundRule]) -> None:
    for items, state in states.items():
        if state.prune:
            state.other = INERT
            continue
        for literal, target in _moves(items, rules):
            if literal is None:
                state.other = states[target]
            else:
                state.literals[literal] = states[target]


def _propagate(states: Sequence[State]) -> None:
    """Let a state know what its children know, until nothing changes."""
    changed = True
    while changed:
        changed = False
        for state in states:
            children = (*state.literals.values(), state.other)
            if not state.aggregate_below and any(child.aggregate_below for child in children):
                state.aggregate_below = changed = True
            if state.inert and not all(child.inert for child in children):
                state.inert, changed = False, True
