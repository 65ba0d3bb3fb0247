from __future__ import annotations

import copy
from collections.abc import Callable
from functools import reduce
from operator import getitem
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparators import (
    ACCEPTED,
    BUILT_IN,
    EQUAL,
    Comparators,
    Context,
    Finding,
    Kind,
    NoSettings,
    Path,
    Rule,
    RuleErrors,
    RuleSet,
    Scope,
    Tree,
    Verdict,
    compile_rules,
)
from comparators.rules import EndpointSettings
from comparators.superset import Superset
from tests.unit.comparators.trees import found, reference, rule, trees, unlimited, walk


class Zipped:
    """Hands the items of two lists back, pair by pair."""

    name: ClassVar[str] = "zipped"
    Settings: ClassVar[type] = NoSettings
    scope: ClassVar[Scope] = Scope.MEMBERS

    def compare(self, primary: Tree, candidate: Tree, _settings: NoSettings, at: Context) -> Finding:
        for index, (one, other) in enumerate(zip(primary, candidate, strict=False)):
            at.descend(index, one, other)
        return ACCEPTED


KNOWN: Comparators = {**BUILT_IN, "superset": Superset(), "zipped": Zipped()}


def compiled(*rules: Rule, service_rules: tuple[Rule, ...] = (), **settings: Any) -> RuleSet:
    return compile_rules(rules, service_rules=service_rules, settings=EndpointSettings(**settings), comparators=KNOWN)


def superset(path: str = "$", **more: Any) -> Rule:
    return rule(path, "superset", id=more.pop("id", path), **more)


EVERYWHERE = compiled(superset(id="s"), limits=unlimited(), strict_types=True)
EXACT = compiled(limits=unlimited(), strict_types=True)


def test_a_member_that_only_the_candidate_has_is_tolerated_and_is_a_hit() -> None:
    comparison = walk({"a": 1}, {"a": 1, "b": {"c": [1, 2]}, "d": None}, EVERYWHERE)
    assert (comparison.verdict, comparison.accepted, comparison.hits) == (Verdict.TOLERATED, 2, {"s": 2})


def test_it_is_off_by_default() -> None:
    assert found(walk({"a": 1}, {"a": 1, "b": 2})) == {(("$", "b"), Kind.EXTRA)}


def test_a_member_that_only_the_primary_has_is_missing() -> None:
    assert found(walk({"a": {"b": 1}}, {"a": {"c": 1}}, EVERYWHERE)) == {(("$", "a", "b"), Kind.MISSING)}


def test_what_both_have_is_compared_by_its_own_rules() -> None:
    rules = compiled(superset(), rule("$..score", "numeric", {"abs": 1}, id="n"), rule("$.x", "exact"))
    primary, candidate = {"score": 1, "x": "a"}, {"score": 1.5, "x": "b", "new": 1}
    comparison = walk(primary, candidate, rules)
    assert found(comparison) == {(("$", "x"), Kind.VALUE)}
    assert comparison.hits == {"n": 1, "$": 1, "exact $.x": 0}
    assert found(walk({"a": [1, True]}, {"a": [True, 1], "b": 0}, rules)) == {
        (("$", "a", 0), Kind.TYPE),
        (("$", "a", 1), Kind.TYPE),
    }


def test_lists_stay_strict_and_the_objects_in_them_may_grow() -> None:
    primary, candidate = {"items": [{"id": 1}, {"id": 2}]}, {"items": [{"id": 1, "new": True}, {"id": 2}]}
    assert walk(primary, candidate, EVERYWHERE).hits == {"s": 1}
    for longer in ([1, 2, 3], [1, 2, {}]):
        assert found(walk([1, 2], longer, EVERYWHERE)) == {(("$",), Kind.LENGTH)}
    assert found(walk([1], [1, 2], compiled(superset("$[*]")))) == {(("$",), Kind.LENGTH)}


@pytest.mark.parametrize(
    ("path", "tolerated", "refused"),
    [
        ("$.user", "user user.new user.a.new", "new x.user"),
        ("$.user.*", "user.new user.a.new", "user x.new"),
        ("$.user.new", "user.new", "new user user.a.new"),
        ("$..user", "user x.user user.a.new", "new x.new"),
    ],
)
def test_it_holds_at_and_below_its_path_and_nowhere_else(path: str, tolerated: str, refused: str) -> None:
    rules = compiled(superset(path))
    for place in f"{tolerated} {refused}".split():
        candidate: dict[str, Any] = {"user": {"a": {"b": 1}}, "x": {"b": 1}}
        primary = copy.deepcopy(candidate)
        *above, last = place.split(".")
        if place == "user":
            del primary["user"]
        else:
            reduce(getitem, above, candidate)[last] = 2
        expected = {(("$", *above, last), Kind.EXTRA)} if place in refused.split() else set()
        assert found(walk(primary, candidate, rules)) == expected


def test_of_several_that_hold_the_one_with_precedence_gets_the_hit() -> None:
    primary: Tree = {"a": {"b": {}}, "c": {}}
    candidate: Tree = {"a": {"b": {"x": 1}}, "c": {"x": 1}}
    assert walk(primary, candidate, compiled(superset("$"), superset("$.a"))).hits == {"$": 1, "$.a": 1}
    service = (superset("$.a.b"),)
    assert walk(primary, candidate, compiled(superset("$"), service_rules=service)).hits == {"$": 2}


def test_what_is_ignored_is_the_hit_of_ignore() -> None:
    rules = compiled(superset(), rule("$.debug", "ignore", id="i"))
    assert walk({}, {"debug": 1, "new": 1}, rules).hits == {"i": 1, "$": 1}
    assert walk({"debug": {}}, {"debug": {"new": 1}}, rules).hits == {"i": 1, "$": 0}


def test_a_null_that_is_added_is_its_hit_unless_the_members_own_rule_accepts_it() -> None:
    own = rule("$.a", "exact", null_equals_missing=True, id="own")
    rules = compiled(superset(), own, null_equals_missing=True)
    assert walk({}, {"a": None, "b": None}, rules).hits == {"own": 1, "$": 1}


def test_it_goes_on_below_a_comparator_of_members() -> None:
    rules = compiled(superset(), rule("$.list", "zipped", id="z"))
    comparison = walk({"list": [{"a": 1}]}, {"list": [{"a": 1, "b": 1}]}, rules)
    assert (comparison.verdict, comparison.hits) == (Verdict.TOLERATED, {"z": 1, "$": 1})


def test_an_added_number_is_not_in_the_set_of_a_response_bound() -> None:
    rules = compiled(superset(), rule("$..score", "numeric", {"mean_below": 0.1}, id="n"))
    comparison = walk({"a": {"score": 1.0}, "b": {}}, {"a": {"score": 1.0}, "b": {"score": 9.0}}, rules)
    assert (comparison.verdict, comparison.deltas) == (Verdict.TOLERATED, (0.0,))


def test_a_rule_that_found_its_node_and_accepted_nothing_is_there_with_0() -> None:
    assert walk({"a": {}, "b": 1}, {"a": {}, "b": 2}, compiled(superset("$.a"))).hits == {"$.a": 0}
    assert walk({"b": 1}, {"b": 2}, compiled(superset("$.a"))).hits == {}


def test_a_response_is_not_walked_if_an_equal_subtree_hid_the_node() -> None:
    same = {"b": {}, "c": 1, "d": 2, "e": 3}
    rules = compiled(superset("$.a.b"))
    hidden = walk({"a": same, "x": 1}, {"a": dict(same), "x": 2}, rules)
    assert (hidden.walked, hidden.hits) == (False, {})
    below = walk({"a": {"b": same}, "x": 1}, {"a": {"b": dict(same)}, "x": 2}, rules)
    assert below.hits == {"$.a.b": 0}


def test_one_that_can_never_decide_anything_is_warned_about() -> None:
    def warned(*rules: Rule) -> list[str]:
        return [warning.partition(":")[0] for warning in compiled(*rules).warnings]

    assert warned(superset("$.a.b"), rule("$.a", "ignore", id="i")) == ["$.a.b"]
    assert warned(superset("$"), superset("$..a")) == ["$..a"]
    assert warned(superset("$"), rule("$.a", "exact", id="e"), superset("$.a")) == []


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (superset("header:x-new"), "'superset' compares members of a body; a header has none"),
        (superset("status"), "a status takes exact or ignore, not 'superset'"),
        (rule("$", "superset", {"deep": True}), "there is no setting 'deep'"),
        (superset("$.a", null_equals_missing=True), "null_equals_missing is for rules that compare a member of a body"),
    ],
)
def test_where_it_makes_no_sense_it_is_refused(broken: Rule, message: str) -> None:
    with pytest.raises(RuleErrors, match=message):
        compiled(broken)


def strict_reference(primary: Tree, candidate: Tree) -> set[tuple[Path, Kind]]:
    return {(path, Kind.TYPE if kind is Kind.TYPE_ONLY else kind) for path, kind in reference(primary, candidate)}


@given(trees, trees)
def test_it_accepts_exactly_what_is_extra(primary: Tree, candidate: Tree) -> None:
    expected = strict_reference(primary, candidate)
    extra = {each for each in expected if each[1] is Kind.EXTRA}
    for shortcut in (True, False):
        comparison = walk(primary, candidate, EVERYWHERE, shortcut=shortcut)
        assert (found(comparison), comparison.hits.get("s", 0)) == (expected - extra, len(extra))


covers: st.SearchStrategy[tuple[str, Callable[[Path], bool]]] = st.sampled_from(
    [
        ("$.a", lambda path: path[1:2] == ("a",)),
        ("$..b", lambda path: "b" in path[1:]),
        ("$.a.*", lambda path: path[1:2] == ("a",) and len(path) > 2),
        ("$[0]", lambda path: path[1:2] == (0,)),
        ("$..*", lambda path: len(path) > 1),
        ("$.items[*].a", lambda path: path[1:2] == ("items",) and path[3:4] == ("a",)),
    ]
)


@given(trees, trees, covers)
def test_a_selector_bounds_what_is_accepted(
    primary: Tree, candidate: Tree, chosen: tuple[str, Callable[[Path], bool]]
) -> None:
    path, covered = chosen
    rules = compiled(superset(path), limits=unlimited(), strict_types=True)
    expected = strict_reference(primary, candidate)
    accepted = {each for each in expected if each[1] is Kind.EXTRA and covered(each[0])}
    for shortcut in (True, False):
        comparison = walk(primary, candidate, rules, shortcut=shortcut)
        assert (found(comparison), comparison.hits.get(path, 0)) == (expected - accepted, len(accepted))


@given(trees, trees)
def test_only_the_candidate_may_have_more(primary: Tree, candidate: Tree) -> None:
    assert found(walk(primary, candidate, EVERYWHERE)) <= found(walk(primary, candidate, EXACT))
    one_way, other_way = walk(primary, candidate, EVERYWHERE), walk(candidate, primary, EVERYWHERE)
    missing = {path for path, kind in found(other_way) if kind is Kind.MISSING}
    assert len(missing) == one_way.hits.get("s", 0)


@given(trees)
def test_every_tree_matches_its_copy_and_is_left_alone(tree: Tree) -> None:
    twin, original = copy.deepcopy(tree), repr(tree)
    for rules in (EVERYWHERE, compiled(superset("$..a"))):
        assert walk(tree, twin, rules).verdict is Verdict.MATCH
    assert (repr(tree), repr(twin)) == (original, original)


@given(trees, trees)
def test_by_itself_it_takes_nothing_for_equal_but_identical_nodes(primary: Tree, candidate: Tree) -> None:
    at: Any = SimpleNamespace(path=("$",))
    differences = list(reference(primary, candidate))
    assert Superset().compare(primary, copy.deepcopy(primary), NoSettings(), at) is EQUAL
    assert (Superset().compare(primary, candidate, NoSettings(), at) is EQUAL) is not bool(differences)


def test_the_automaton_carries_it_down_until_nothing_is_walked() -> None:
    start = compiled(superset("$.a"), rule("$.a.b", "ignore", id="i"), rule("$.a.c", "exact", id="e")).start
    assert (start.superset, start.inert) == (None, False)
    holding = start.after("a")
    assert holding.superset is not None
    assert (holding.rule, holding.superset.id) == (None, "$.a")
    assert holding.after("x").after(3).superset is holding.superset
    assert holding.after("x").inert
    assert [holding.after(step).superset for step in "bc"] == [holding.superset] * 2
    assert holding.after("b").after("x").superset is None
