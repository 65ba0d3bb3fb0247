from __future__ import annotations

import copy
import math
from typing import Any

import pytest
from deepdiff import DeepDiff
from hypothesis import given
from hypothesis import strategies as st

from comparators import Kind, Limits, Note, Tree, Verdict, render
from comparators.comparator import OverBudget
from comparators.equality import identical, same
from tests.unit.comparators.trees import (
    NO_RULES,
    Judged,
    at,
    found,
    leaves,
    plain_trees,
    reference,
    replaced,
    rule,
    rule_set,
    trees,
    unlimited,
    walk,
)

UNLIMITED = rule_set(limits=unlimited())
STRICT = rule_set(limits=unlimited(), strict_types=True)


def strict_reference(primary: Tree, candidate: Tree) -> set[tuple[Any, Kind]]:
    return {(path, Kind.TYPE if kind is Kind.TYPE_ONLY else kind) for path, kind in reference(primary, candidate)}


@pytest.mark.parametrize(
    ("primary", "candidate", "kind"),
    [
        pytest.param(True, 1, Kind.TYPE, id="true is not 1"),
        pytest.param(False, 0.0, Kind.TYPE, id="false is not 0.0"),
        pytest.param(1, "1", Kind.TYPE, id="a number is not its text"),
        pytest.param(2**53 + 1, 2.0**53, Kind.VALUE, id="2**53 + 1 is not the double beside it"),
        pytest.param(10**22, 10**22 + 1, Kind.VALUE, id="large integers are exact"),
        pytest.param(10**400, 10**400 + 1, Kind.VALUE, id="beyond the range of doubles too"),
        pytest.param(10**400, 1e308, Kind.VALUE, id="an integer no double can hold"),
        pytest.param(math.nan, 1.0, Kind.VALUE, id="NaN is no number"),
        pytest.param(1.0, math.nan, Kind.VALUE, id="nor is a number NaN"),
        pytest.param(math.inf, 1e308, Kind.VALUE, id="infinite is not large"),
        pytest.param(math.inf, -math.inf, Kind.VALUE, id="infinities have a sign"),
        pytest.param(None, False, Kind.TYPE, id="null is not false"),
        pytest.param({}, [], Kind.TYPE, id="an object is not a list"),
        pytest.param({}, None, Kind.TYPE, id="an empty object is not null"),
        pytest.param("é", "e\u0301", Kind.VALUE, id="strings by code point"),
    ],
)
def test_edge_values_that_differ(primary: Tree, candidate: Tree, kind: Kind) -> None:
    for deeper in (lambda x: x, lambda x: [x], lambda x: {"a": [{"b": x}]}):
        for one, other in ((primary, candidate), (candidate, primary)):
            comparison = walk(deeper(one), deeper(other))
            assert comparison.verdict is Verdict.MISMATCH
            assert [difference.kind for difference in comparison.differences] == [kind]


@pytest.mark.parametrize(
    ("primary", "candidate"),
    [
        pytest.param(math.nan, float("nan"), id="NaN equals NaN"),
        pytest.param(math.inf, math.inf, id="infinity equals itself"),
        pytest.param(-0.0, 0.0, id="zero has no sign"),
        pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, id="key order never matters"),
        pytest.param("\ud800", "\ud800", id="lone surrogates"),
        pytest.param(10**400, 10**400, id="integers no double can hold"),
    ],
)
def test_edge_values_that_are_equal(primary: Tree, candidate: Tree) -> None:
    for deeper in (lambda x: x, lambda x: [x], lambda x: {"a": [{"b": x}]}):
        assert walk(deeper(primary), deeper(candidate)).verdict is Verdict.MATCH
        assert walk(deeper(primary), deeper(candidate), shortcut=False).verdict is Verdict.MATCH


def test_another_spelling_of_a_number_is_tolerated_with_a_note() -> None:
    comparison = walk({"n": [1]}, {"n": [1.0]})
    assert (comparison.verdict, comparison.accepted, comparison.notes) == (Verdict.TOLERATED, 1, (Note.TYPE_ONLY,))


def test_strict_types_makes_the_spelling_a_difference() -> None:
    assert found(walk([1], [1.0], rule_set(strict_types=True))) == {(("$", 0), Kind.TYPE)}
    assert found(walk([1], [1.0], rule_set(rule("$[0]", "exact", {"strict_types": True})))) == {(("$", 0), Kind.TYPE)}


def test_null_is_not_absence_unless_the_endpoint_says_so() -> None:
    assert found(walk({"a": None}, {})) == {(("$", "a"), Kind.MISSING)}
    assert found(walk({}, {"a": None})) == {(("$", "a"), Kind.EXTRA)}
    lenient = rule_set(null_equals_missing=True)
    assert walk({"a": None}, {"b": None}, lenient).verdict is Verdict.TOLERATED
    assert walk({"a": 0}, {}, lenient).verdict is Verdict.MISMATCH


def test_null_stands_for_absence_where_a_rule_says_so() -> None:
    lenient = rule_set(rule("$.a", "exact", id="r", null_equals_missing=True))
    assert walk({"a": None}, {}, lenient).hits == {"r": 1}
    assert walk({}, {"a": None}, lenient).hits == {"r": 1}
    assert found(walk({"b": None}, {}, lenient)) == {(("$", "b"), Kind.MISSING)}
    assert found(walk({"a": 0}, {}, lenient)) == {(("$", "a"), Kind.MISSING)}
    assert found(walk({"a": None}, {"a": 0}, lenient)) == {(("$", "a"), Kind.TYPE)}


ORDERED = rule_set(key_order=True, limits=unlimited())


def test_key_order_is_compared_where_the_endpoint_says_so() -> None:
    (difference,) = walk({"a": 1, "b": 2, "c": 3}, {"a": 1, "c": 3, "b": 2}, ORDERED).differences
    assert difference == (("$",), Kind.ORDER, "b", "c", None)
    below = [{"deep": {"a": [1], "b": [2], "c": [3], "d": [4]}}]
    turned = [{"deep": dict(reversed(below[0]["deep"].items()))}]
    assert walk(below, turned).verdict is Verdict.MATCH
    assert found(walk(below, turned, ORDERED)) == {(("$", 0, "deep"), Kind.ORDER)}


def test_a_key_of_one_side_does_not_disturb_the_order_of_the_others() -> None:
    assert found(walk({"x": 0, "a": 1, "b": 2}, {"a": 1, "y": 0, "b": 2}, ORDERED)) == {
        (("$", "x"), Kind.MISSING),
        (("$", "y"), Kind.EXTRA),
    }


def test_the_order_of_ignored_keys_is_hidden() -> None:
    rules = rule_set(rule("$.meta", "ignore", id="m"), key_order=True)
    assert walk({"meta": {"a": 1, "b": 2}}, {"meta": {"b": 2, "a": 1}}, rules).verdict is Verdict.MATCH


@given(trees, trees)
def test_key_order_adds_differences_of_order_and_no_others(primary: Tree, candidate: Tree) -> None:
    with_order, without = found(walk(primary, candidate, ORDERED)), found(walk(primary, candidate, UNLIMITED))
    assert {each for each in with_order if each[1] is not Kind.ORDER} == without
    assert walk(primary, copy.deepcopy(primary), ORDERED).verdict is Verdict.MATCH


@given(st.dictionaries(st.text("abcd", max_size=2), trees, min_size=2))
def test_an_object_turned_round_is_out_of_order(tree: dict[str, Tree]) -> None:
    turned = dict(reversed(tree.items()))
    assert found(walk(tree, turned, ORDERED)) == {(("$",), Kind.ORDER)}


def test_bools_and_numbers_swapped_are_found_though_python_calls_the_trees_equal() -> None:
    primary, candidate = {"a": [1, True]}, {"a": [True, 1]}
    assert primary == candidate
    assert not same(primary, candidate)
    assert found(walk(primary, candidate)) == {(("$", "a", 0), Kind.TYPE), (("$", "a", 1), Kind.TYPE)}


@given(trees, trees)
def test_shortcut_walk_plain_walk_and_reference_agree(primary: Tree, candidate: Tree) -> None:
    expected = strict_reference(primary, candidate)
    assert found(walk(primary, candidate, STRICT)) == expected
    assert found(walk(primary, candidate, STRICT, shortcut=False)) == expected


@given(trees, st.data())
def test_shortcut_walk_agrees_with_reference_on_near_copies(tree: Tree, data: st.DataObject) -> None:
    places = list(leaves(tree))
    changed = copy.deepcopy(tree)
    for place in data.draw(st.lists(st.sampled_from(places), max_size=3) if places else st.just([])):
        changed = replaced(changed, place, data.draw(st.sampled_from([True, 1, 1.0, 0, False, None, "a", -0.0])))
    expected = strict_reference(tree, changed)
    assert found(walk(tree, changed, STRICT)) == expected
    assert found(walk(tree, changed, STRICT, shortcut=False)) == expected
    assert identical(tree, changed) is not bool(list(reference(tree, changed)))


numeric = st.builds(
    lambda abs_, rel, floor, symmetric: ("numeric", {"abs": abs_, "rel": rel, "floor": floor, "symmetric": symmetric}),
    st.sampled_from([0, 0.25, 0.5]),
    st.sampled_from([0, 0.25, 1e300]),
    st.sampled_from([0, 2**-20, 1, 4]),
    st.booleans(),
)
probability = st.sampled_from([("probability", {"abs": 0.25}), ("probability", {"rel": 0.5, "floor": 0.5})])
uses: st.SearchStrategy[tuple[str, dict[str, Any]]] = numeric | probability | st.just(("exact", {}))
anywhere = st.sampled_from(["$.*", "$..*", "$[*]", "$[0]", "$.a", "$..a", "$.a.b", "$.a.*", "$..a[1]", "$.b[*].a"])
ruled: st.SearchStrategy[Any] = st.tuples(anywhere, uses) | st.tuples(
    st.sampled_from(["$.a", "$..b"]), st.just(("ignore", {}))
)
near_numbers = st.sampled_from(
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, -0.25, 5e-324, 1e308, -1e308, math.inf, math.nan, 0, 1]
)
number_trees = st.recursive(
    near_numbers | st.sampled_from([True, "x"]),
    lambda leaf: st.dictionaries(st.sampled_from("abc"), leaf) | st.lists(leaf, max_size=3),
    max_leaves=12,
)


@given(number_trees, st.lists(ruled, max_size=4), st.data())
def test_walk_by_rules_agrees_with_the_plainest_way(tree: Tree, chosen: list[Any], data: st.DataObject) -> None:
    changed = copy.deepcopy(tree)
    for place in leaves(tree):
        if data.draw(st.booleans()):
            changed = replaced(changed, place, data.draw(near_numbers | number_trees))
    rules = rule_set(
        *(rule(path, use, given, id=str(number)) for number, (path, (use, given)) in enumerate(chosen)),
        limits=unlimited(),
    )
    expected = Judged(tree, changed, rules)
    plain, skipping = walk(tree, changed, rules, shortcut=False), walk(tree, changed, rules)
    assert found(plain) == found(skipping) == expected.differences
    assert sorted(map(repr, plain.deltas)) == sorted(map(repr, skipping.deltas)) == sorted(map(repr, expected.deltas))
    assert plain.hits == expected.hits
    assert skipping.hits == expected.hits or not skipping.walked


def test_a_list_of_another_length_is_told_before_its_items() -> None:
    primary, candidate = {"a": [[1], 2]}, {"a": [[2, 3], 3, 4]}
    assert [(render(each.path), each.kind) for each in walk(primary, candidate).differences] == [
        ("$.a", Kind.LENGTH),
        ("$.a[0]", Kind.LENGTH),
        ("$.a[0][0]", Kind.VALUE),
        ("$.a[1]", Kind.VALUE),
    ]


@given(trees)
def test_every_tree_matches_its_copy_and_is_left_alone(tree: Tree) -> None:
    original, twin = copy.deepcopy(tree), copy.deepcopy(tree)
    rules = rule_set(rule("$..*", "numeric", {"rel": 0.1, "mean_below": 0.1}), rule("$.a", "format", {"as": "uuid"}))
    assert walk(tree, twin).verdict is Verdict.MATCH
    assert walk(tree, twin, rules).verdict is Verdict.MATCH
    assert repr(tree) == repr(original)


@given(trees)
def test_same_is_never_true_of_trees_that_the_reference_tells_apart(tree: Tree) -> None:
    for place in leaves(tree):
        for value in (True, 1, 1.0, math.nan):
            changed = replaced(tree, place, value)
            assert not (same(tree, changed) and list(reference(tree, changed)))


@given(plain_trees, st.data())
def test_k_changed_leaves_give_k_differences(tree: Tree, data: st.DataObject) -> None:
    places = list(leaves(tree))
    chosen = data.draw(st.sets(st.sampled_from(places))) if places else set()
    changed = tree
    for place in chosen:
        changed = replaced(changed, place, "another value than any there")
    comparison = walk(tree, changed, UNLIMITED)
    assert comparison.count == len(chosen)
    assert {path for path, _ in found(comparison)} == chosen


def test_counting_goes_on_beyond_the_recorded_differences() -> None:
    comparison = walk(list(range(120)), list(range(1, 121)))
    assert (comparison.count, len(comparison.differences)) == (120, 50)


@given(plain_trees, plain_trees)
def test_missing_and_extra_swap_with_the_sides(primary: Tree, candidate: Tree) -> None:
    swap = {Kind.MISSING: Kind.EXTRA, Kind.EXTRA: Kind.MISSING}
    there = found(walk(primary, candidate, UNLIMITED))
    back = found(walk(candidate, primary, UNLIMITED))
    assert {(path, swap.get(kind, kind)) for path, kind in there} == back


def deepdiff_paths(primary: Tree, candidate: Tree) -> set[tuple[Any, ...]]:
    result = DeepDiff(
        primary,
        candidate,
        view="tree",
        zip_ordered_iterables=True,
        ignore_private_variables=False,
        threshold_to_diff_deeper=0,
    )
    return {("$", *level.path(output_format="list")) for levels in result.values() for level in levels}


@given(plain_trees, st.data())
def test_changed_paths_are_those_of_deepdiff(tree: Tree, data: st.DataObject) -> None:
    places = list(leaves(tree))
    changed = copy.deepcopy(tree)
    for place in data.draw(st.lists(st.sampled_from(places), max_size=3)) if places else ():
        changed = replaced(changed, place, data.draw(plain_trees))
    ours: set[tuple[Any, ...]] = set()
    for path, kind in found(walk(tree, changed, STRICT)):
        if kind is Kind.LENGTH:
            short, long = sorted((len(at(tree, path)), len(at(changed, path))))
            ours |= {(*path, index) for index in range(short, long)}
        else:
            ours.add(path)
    assert ours == deepdiff_paths(tree, changed)


@given(plain_trees, plain_trees, st.integers(0, 6), st.integers(0, 12))
def test_a_budget_never_turns_a_mismatch_into_agreement(
    primary: Tree, candidate: Tree, depth: int, members: int
) -> None:
    tight = rule_set(limits=unlimited(depth=depth, leaves=members))
    try:
        verdict = walk(primary, candidate, tight).verdict
    except OverBudget:
        return
    assert verdict is walk(primary, candidate).verdict


def test_a_tree_deeper_than_the_budget_is_not_walked() -> None:
    primary: Tree = 1
    candidate: Tree = 2
    for _ in range(300):
        primary, candidate = [primary], [candidate]
    with pytest.raises(OverBudget, match="depth"):
        walk(primary, candidate)


def test_equal_chains_deeper_than_the_shortcut_can_write_are_walked() -> None:
    primary: Tree = 1
    candidate: Tree = 1
    for _ in range(190):
        primary, candidate = {"a": [0] * 3, "b": primary}, {"a": [0] * 3, "b": candidate}
    assert walk(primary, candidate).verdict is Verdict.MATCH


def test_ignore_hides_what_is_below_and_counts_it() -> None:
    rules = rule_set(rule("$.meta", "ignore", id="meta"))
    comparison = walk({"meta": {"a": 1, "b": [1]}, "x": 1}, {"meta": [], "x": 1}, rules)
    assert (comparison.verdict, comparison.accepted, comparison.hits) == (Verdict.TOLERATED, 1, {"meta": 1})
    assert walk({"meta": 1}, {}, rules).verdict is Verdict.TOLERATED
    assert walk({}, {"meta": 1}, rules).verdict is Verdict.TOLERATED
    assert walk({"meta": True}, {"meta": 1}, rules).accepted == 1
    assert walk({"meta": [True, 1]}, {"meta": [1, True]}, rules).accepted == 1


@given(plain_trees, plain_trees, st.sampled_from(["a", "b", "items"]))
def test_ignoring_a_path_hides_exactly_the_differences_at_and_below_it(
    primary: Tree, candidate: Tree, name: str
) -> None:
    everything = walk(primary, candidate, UNLIMITED)
    ignoring = walk(primary, candidate, rule_set(rule(f"$.{name}", "ignore"), limits=unlimited()))
    assert found(ignoring) == {each for each in found(everything) if each[0][:2] != ("$", name)}


@given(plain_trees, plain_trees)
def test_a_rule_that_matches_nothing_changes_nothing(primary: Tree, candidate: Tree) -> None:
    dead = rule_set(rule("$.nowhere.to.be.found", "numeric", {"rel": 9.0}), limits=unlimited())
    assert walk(primary, candidate, dead)._replace(walked=True) == walk(primary, candidate, UNLIMITED)._replace(
        walked=True
    )


def test_extra_items_of_a_list_are_accepted_if_all_of_them_are_ignored() -> None:
    rules = rule_set(rule("$.warnings[*]", "ignore", id="w"))
    assert walk({"warnings": []}, {"warnings": ["deprecated"]}, rules).hits == {"w": 1}
    assert found(walk([1], [1, 2, 3])) == {(("$",), Kind.LENGTH)}
    assert walk([1], [1, 2, 3]).differences[0].magnitude == 2


def test_extra_items_that_only_some_rules_ignore_count() -> None:
    some = rule_set(rule("$[1]", "ignore"))
    assert walk([1], [1, 2], some).verdict is Verdict.TOLERATED
    assert walk([1], [1, 2, 3], some).verdict is Verdict.MISMATCH


def test_a_depth_that_the_interpreters_stack_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="depth may be 200 at most, not 201"):
        Limits(depth=201)


def test_a_response_is_walked_unless_an_equal_subtree_hid_nodes_from_a_rule() -> None:
    rules = rule_set(rule("$.a.b", "ignore"))
    below = {"b": [1, 2], "c": 3, "d": 4, "e": 5}
    same_below, other = {"a": below, "c": 1}, {"a": below, "c": 2}
    assert not walk(same_below, other, rules).walked
    assert walk(same_below, other, rules, shortcut=False).hits == {"ignore $.a.b": 0}
    assert walk(same_below, other, NO_RULES).walked


def test_keys_of_wide_objects_are_marked_for_normalising() -> None:
    wide = {f"user{number}": [1] for number in range(60)}
    (difference,) = walk(wide, wide | {"user7": [2]}).differences
    assert render(difference.path) == "$.user7[0]"
    assert type(difference.path[1]).__name__ == "WideKey"
    (difference,) = walk({"a": 1}, wide | {"a": 1}).differences[:1]
    assert type(difference.path[1]).__name__ == "WideKey"


def test_numbers_that_differ_carry_their_relative_delta() -> None:
    assert walk([100], [105]).differences[0].magnitude == pytest.approx(0.05)
    assert walk(["100"], ["105"]).differences[0].magnitude is None
