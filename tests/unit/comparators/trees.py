"""Random trees, mutations with known outcome, a naive reference walker, and short ways to compare."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import inf, isnan, nan
from typing import Any

from hypothesis import strategies as st

from comparators import Comparison, EndpointSettings, Kind, Limits, Path, Response, Rule, RuleSet, Tree, compile_rules
from comparators.automaton import BoundRule
from comparators.ledger import Ledger
from comparators.selectors import Segment
from comparators.tolerance import delta
from comparators.tree import Walk

JSON_HEADER = b"content-type: application/json\r\n"
NO_RULES = compile_rules()

names = st.sampled_from(["a", "b", "c", "items", "user-id", "0", "", "x y"]) | st.text(max_size=4)
numbers = (
    st.integers(-3, 3)
    | st.integers(2**63 - 2, 2**64 + 2)
    | st.sampled_from([0.0, -0.0, 1.0, 0.1, 2.0**53, 2**53 + 1, nan, inf, -inf, 1e308])
    | st.floats(-10, 10)
)
scalars = st.none() | st.booleans() | numbers | st.text(max_size=5)


def containers(leaf: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    return st.lists(leaf, max_size=4) | st.dictionaries(names, leaf, max_size=4)


trees = st.recursive(scalars, containers, max_leaves=20)
plain_scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-10, 10) | st.text("abc", max_size=3)
plain_trees = st.recursive(plain_scalars, containers, max_leaves=20)


def rule(path: str, use: str, settings: dict[str, Any] | None = None, **more: Any) -> Rule:
    return Rule(more.pop("id", f"{use} {path}"), path, use, settings or {}, "a reason", "ana", **more)


def rule_set(*rules: Rule, **settings: Any) -> RuleSet:
    return compile_rules(rules, settings=EndpointSettings(**settings))


def walk(primary: Tree, candidate: Tree, rules: RuleSet = NO_RULES, *, shortcut: bool = True) -> Comparison:
    ledger = Ledger(rules.settings.limits.recorded)
    Walk(rules, ledger, shortcut=shortcut).run(primary, candidate)
    return ledger.close()


def response(tree: Tree, fields: bytes = JSON_HEADER, **dump: Any) -> Response:
    return Response(200, fields, json.dumps(tree, **dump).encode())


def unlimited(**more: Any) -> Limits:
    return Limits(recorded=10**6, **more)


def found(comparison: Comparison) -> set[tuple[Path, Kind]]:
    return {(difference.path, difference.kind) for difference in comparison.differences}


def json_type(value: Tree) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return type(value).__name__


def equal_numbers(one: Tree, other: Tree) -> bool:
    return bool(one == other) or (isinstance(one, float) and isinstance(other, float) and isnan(one) and isnan(other))


def reference(primary: Tree, candidate: Tree, path: Path = ("$",)) -> Iterator[tuple[Path, Kind]]:  # noqa: C901  plain
    """Every difference there is at zero tolerance, in the plainest way."""
    if json_type(primary) != json_type(candidate):
        yield path, Kind.TYPE
    elif isinstance(primary, dict):
        for key in primary.keys() - candidate.keys():
            yield (*path, key), Kind.MISSING
        for key in candidate.keys() - primary.keys():
            yield (*path, key), Kind.EXTRA
        for key in primary.keys() & candidate.keys():
            yield from reference(primary[key], candidate[key], (*path, key))
    elif isinstance(primary, list):
        if len(primary) != len(candidate):
            yield path, Kind.LENGTH
        for index, (one, other) in enumerate(zip(primary, candidate, strict=False)):
            yield from reference(one, other, (*path, index))
    elif not equal_numbers(primary, candidate):
        yield path, Kind.VALUE
    elif type(primary) is not type(candidate):
        yield path, Kind.TYPE_ONLY


class Judged:
    """What rules make of two trees, in the plainest way: no automaton, no shortcut, a new selector match per node.

    For rules that are numeric without response bounds, `exact`, or `ignore` of members, not of items.
    """

    def __init__(self, primary: Tree, candidate: Tree, rules: RuleSet) -> None:
        self._rules = sorted(rules.rules, key=lambda rule: rule.rank, reverse=True)
        self.differences: set[tuple[Path, Kind]] = set()
        self.hits: dict[str, int] = {}
        self.deltas: list[float] = []
        self._pair(("$",), primary, candidate)

    def _rule(self, path: Path) -> BoundRule | None:
        rule = next((rule for rule in self._rules if _selects(rule.selector.segments, path[1:])), None)
        if rule is not None:
            self.hits.setdefault(rule.id, 0)
        return rule

    def _found(self, path: Path, kind: Kind, rule: BoundRule | None, *, accepted: bool) -> None:
        if rule is not None and accepted:
            self.hits[rule.id] += 1
        else:
            self.differences.add((path, kind))

    def _pair(self, path: Path, primary: Tree, candidate: Tree) -> None:
        rule = self._rule(path)
        if rule is not None and rule.ignores:
            self.hits[rule.id] += bool(list(reference(primary, candidate)))
        elif json_type(primary) != json_type(candidate):
            self.differences.add((path, Kind.TYPE))
        elif isinstance(primary, dict):
            for key in primary | candidate:
                self._member((*path, key), primary.get(key, nothing), candidate.get(key, nothing))
        elif isinstance(primary, list):
            if len(primary) != len(candidate):
                self.differences.add((path, Kind.LENGTH))
            for index, (one, other) in enumerate(zip(primary, candidate, strict=False)):
                self._pair((*path, index), one, other)
        else:
            self._leaf(path, primary, candidate, rule)

    def _member(self, path: Path, primary: Tree, candidate: Tree) -> None:
        if primary is nothing or candidate is nothing:
            rule = self._rule(path)
            kind = Kind.MISSING if candidate is nothing else Kind.EXTRA
            self._found(path, kind, rule, accepted=rule is not None and rule.ignores)
        else:
            self._pair(path, primary, candidate)

    def _leaf(self, path: Path, primary: Tree, candidate: Tree, rule: BoundRule | None) -> None:
        bounds = rule.bounds if rule is not None else None
        if bounds is not None and json_type(primary) == "number":
            self.deltas.append(delta(primary, candidate, bounds.floor))
        if type(primary) is not type(candidate) and primary == candidate:  # a note; `exact` counts what it is asked
            if rule is not None and bounds is None:
                self.hits[rule.id] += 1
        elif not equal_numbers(primary, candidate):
            close = bounds is not None and json_type(primary) == "number" and bounds.accepts(primary, candidate)
            self._found(path, Kind.VALUE, rule, accepted=close)


nothing = object()


def _selects(segments: tuple[Segment, ...], steps: Path) -> bool:
    """Whether a selector's segments lead along these steps, each taking one, a descending one any before it."""
    if not segments or not steps:
        return not segments and not steps
    first, *rest = segments
    taken = first.takes(steps[0]) and _selects(tuple(rest), steps[1:])
    return taken or (first.descends and _selects(segments, steps[1:]))


def leaves(tree: Tree, path: Path = ("$",)) -> Iterator[Path]:
    """Paths of all leaves; empty containers are none."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from leaves(value, (*path, index))
    else:
        yield path


def at(tree: Tree, path: Path) -> Tree:
    for step in path[1:]:
        tree = tree[step]
    return tree


def replaced(tree: Tree, path: Path, value: Tree) -> Tree:
    """A copy of the tree with another value at the path."""
    if len(path) == 1:
        return value
    step, rest = path[1], ("$", *path[2:])
    if isinstance(tree, dict):
        return {key: replaced(old, rest, value) if key == step else old for key, old in tree.items()}
    return [replaced(old, rest, value) if index == step else old for index, old in enumerate(tree)]
