from __future__ import annotations

from typing import Any, ClassVar, cast

import pytest

from comparators import (
    ACCEPTED,
    BUILT_IN,
    EQUAL,
    Comparator,
    Comparison,
    Context,
    Difference,
    Finding,
    Kind,
    Limits,
    NoSettings,
    Reason,
    Response,
    RuleErrors,
    Scope,
    Tree,
    Verdict,
    compare,
    compile_rules,
    differs,
    with_custom,
)
from comparators.rules import EndpointSettings
from tests.unit.comparators.trees import JSON_HEADER, found, response, rule


class Custom:
    name: ClassVar[str] = "custom"
    Settings: ClassVar[type] = NoSettings
    scope: ClassVar[Scope] = Scope.NODE

    def compare(self, primary: Tree, candidate: Tree, _settings: NoSettings, at: Context) -> Finding:
        if primary == "raise":
            raise RuntimeError("on purpose")
        if primary == "rubbish":
            return cast("Finding", {"not": "a finding"})
        if primary == "loop":
            while True:
                at.spend()
        if primary == "where":
            return differs(at, Kind.TEXT, (at.path, at.endpoint, at.media_type), candidate)
        return EQUAL if str(primary).lower() == str(candidate).lower() else [Difference((*at.path, 0), Kind.TEXT, 1, 2)]


class Reversed:
    """Pairs up the items of two lists from the end."""

    name: ClassVar[str] = "reversed"
    Settings: ClassVar[type] = NoSettings
    scope: ClassVar[Scope] = Scope.MEMBERS

    def compare(self, primary: Tree, candidate: Tree, _settings: NoSettings, at: Context) -> Finding:
        if len(primary) != len(candidate):
            raise ValueError("lengths differ")
        before = at.path
        for index, (one, other) in enumerate(zip(primary, reversed(candidate), strict=True)):
            at.spend()
            at.descend(index, one, other)
            assert at.path == before
        return ACCEPTED


KNOWN = with_custom([Custom(), Reversed()])


def judged(primary: Tree, candidate: Tree, *rules: Any, **settings: Any) -> Comparison:
    compiled = compile_rules(rules, comparators=KNOWN, settings=EndpointSettings(endpoint="GET /x", **settings))
    return compare(response(primary), response(candidate), compiled)


CUSTOM = rule("$.a", "custom", id="c")


def test_a_custom_comparator_decides_about_its_node() -> None:
    assert judged({"a": "X"}, {"a": "x"}, CUSTOM).verdict is Verdict.MATCH
    assert found(judged({"a": ["X"]}, {"a": "y"}, CUSTOM)) == {(("$", "a", 0), Kind.TEXT)}


def test_it_is_never_asked_about_equal_nodes() -> None:
    assert judged({"a": "raise", "b": 1}, {"a": "raise", "b": 1.0}, CUSTOM).verdict is Verdict.TOLERATED


def test_it_knows_where_it_stands() -> None:
    (difference,) = judged({"a": "where"}, {"a": 1}, CUSTOM).differences
    assert difference.primary == (("$", "a"), "GET /x", "application/json")


@pytest.mark.parametrize("primary", ["raise", "rubbish"])
def test_a_broken_comparator_makes_the_pair_incomparable_and_is_named(primary: str) -> None:
    comparison = judged({"a": primary}, {"a": "x"}, CUSTOM)
    assert (comparison.verdict, comparison.reason) == (Verdict.INCOMPARABLE, Reason.COMPARATOR_ERROR)
    assert list(comparison.failed) == ["c"]
    assert judged({"a": primary, "b": 1}, {"a": "x", "b": 2}, CUSTOM).verdict is Verdict.MISMATCH


def test_an_endless_comparator_runs_out_of_budget() -> None:
    comparison = judged({"a": "loop"}, {"a": "x"}, CUSTOM, limits=Limits(leaves=1_000))
    assert (comparison.verdict, comparison.reason) == (Verdict.INCOMPARABLE, Reason.LEAVES)


def test_the_same_for_header_rules() -> None:
    compiled = compile_rules([rule("header:x", "custom", id="c")], comparators=KNOWN)

    def verdict(value: str) -> Comparison:
        ours, theirs = (
            Response(200, JSON_HEADER + b"x: " + value.encode() + b"\r\n", b"{}"),
            Response(200, JSON_HEADER + b"x: X\r\n", b"{}"),
        )
        return compare(ours, theirs, compiled)

    assert verdict("x").verdict is Verdict.MATCH
    assert verdict("y").differences[0].path == ("header:x",)
    assert verdict("raise").reason is Reason.COMPARATOR_ERROR
    assert verdict("loop").reason is Reason.LEAVES


def test_a_comparator_of_members_hands_pairs_back_to_the_rules_below() -> None:
    rules = rule("$.list", "reversed"), rule("$.list[*].n", "numeric", {"abs": 1})
    primary = {"list": [{"n": 1, "s": "a"}, {"n": 2, "s": "b"}]}
    comparison = judged(primary, {"list": [{"n": 2.5, "s": "b"}, {"n": 1.5, "s": "x"}]}, *rules)
    assert found(comparison) == {(("$", "list", 0, "s"), Kind.VALUE)}
    assert comparison.deltas == (0.5, 0.25)


def test_a_comparator_that_fails_half_way_leaves_later_paths_right() -> None:
    comparison = judged({"list": [1], "z": 1}, {"list": [], "z": 2}, rule("$.list", "reversed"))
    assert found(comparison) == {(("$", "z"), Kind.VALUE)}
    assert comparison.failed == {"reversed $.list": "ValueError: lengths differ"}


class Unequal:
    """Breaks while the walk is looking at it."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("on purpose")

    __hash__ = None  # type: ignore[assignment]  # what Python itself does to a class with __eq__


class Inventing(Reversed):
    name: ClassVar[str] = "inventing"

    def compare(self, _primary: Tree, _candidate: Tree, _settings: NoSettings, at: Context) -> Finding:
        at.descend("made", {"up": Unequal()}, {"up": Unequal()})
        return ACCEPTED


def test_a_comparator_that_makes_the_walk_fail_leaves_later_paths_right_too() -> None:
    compiled = compile_rules([rule("$.a", "inventing", id="i")], comparators=with_custom([Inventing()]))
    comparison = compare(response({"a": 1, "z": 1}), response({"a": 2, "z": 2}), compiled)
    assert found(comparison) == {(("$", "z"), Kind.VALUE)}
    assert comparison.failed == {"i": "RuntimeError: on purpose"}


def test_a_comparator_of_members_has_no_business_at_a_header() -> None:
    with pytest.raises(RuleErrors, match="a header has none"):
        compile_rules([rule("header:x", "reversed")], comparators=KNOWN)


def test_names_are_checked() -> None:
    class Shadow(Custom):
        name: ClassVar[str] = "exact"

    class Odd(Custom):
        name: ClassVar[str] = "My-Own"

    with pytest.raises(ValueError, match="already is a comparator 'exact'"):
        with_custom([Shadow()])
    with pytest.raises(ValueError, match="made of a-z"):
        with_custom([Odd()])


@pytest.mark.parametrize("comparator", list(KNOWN.values()), ids=list(KNOWN))
def test_every_comparator_has_the_documented_shape(comparator: Comparator) -> None:
    assert KNOWN[comparator.name] is comparator
    assert isinstance(comparator.scope, Scope)


def test_the_built_in_names() -> None:
    leaves = {"exact", "format", "ignore", "numeric", "presence", "probability", "type"}
    written = {"datetime", "decimal_string", "regex", "text", "url"}
    learned = {"classification", "embedding", "ranking"}
    assert set(BUILT_IN) == leaves | written | learned | {"keyed", "set", "superset", "unordered"}
