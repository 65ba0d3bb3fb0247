from __future__ import annotations

import copy
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparators import (
    Comparison,
    EndpointSettings,
    Kind,
    Limits,
    Note,
    Reason,
    Rule,
    RuleErrors,
    Tree,
    Verdict,
    compare,
    compile_rules,
    normalised_path,
    render,
    with_custom,
)
from comparators.keyed import PAIRED
from comparators.leaves import LEAVES
from tests.unit.comparators.trees import found, plain_trees, replaced, response, rule, trees, unlimited, walk

KNOWN = with_custom((*LEAVES, *PAIRED), base={})
EVERYWHERE = rule("$", "keyed", {"key": "a"}), rule("$..*", "keyed", {"key": "a"})


def judged(primary: Tree, candidate: Tree, *rules: Rule, **settings: Any) -> Comparison:
    limits = settings.pop("limits", unlimited())
    compiled = compile_rules(rules, comparators=KNOWN, settings=EndpointSettings(limits=limits, **settings))
    return walk(primary, candidate, compiled)


def by_id(primary: Tree, candidate: Tree, *rules: Rule, key: Any = "id", **settings: Any) -> Comparison:
    return judged(primary, candidate, rule("$", "keyed", {"key": key, **settings}, id="keyed"), *rules)


def records(*keys: Tree) -> list[Tree]:
    return [{"id": key, "value": f"of {key!r}"} for key in keys]


def test_the_order_of_items_is_free() -> None:
    comparison = by_id(records(1, 2, 3), records(3, 1, 2))
    assert (comparison.verdict, comparison.hits) == (Verdict.TOLERATED, {"keyed": 1})
    assert by_id(records(1, 2, 3), records(1, 2, 3)).verdict is Verdict.MATCH
    assert by_id([], []).verdict is Verdict.MATCH


def test_rules_below_judge_each_pair_and_deltas_pair_by_key() -> None:
    rules = (
        rule("$.segments", "keyed", {"key": "id"}),
        rule("$.segments[*].score", "probability", {"mean_below": 0.05, "max_below": 0.1}, id="scores"),
    )
    primary = {"segments": [{"id": "a", "score": 0.5}, {"id": "b", "score": 0.8}, {"id": "c", "score": 0.2}]}
    candidate = {"segments": [{"id": "c", "score": 0.2}, {"id": "b", "score": 0.8}, {"id": "a", "score": 0.52}]}
    comparison = judged(primary, candidate, *rules)
    assert comparison.verdict is Verdict.TOLERATED
    assert comparison.deltas == pytest.approx((0.04, 0, 0))
    candidate["segments"][0]["score"] = 0.3
    (difference,) = judged(primary, candidate, *rules).differences
    assert difference.kind is Kind.AGGREGATE
    assert difference.primary == {"$.segments[2].score": 0.2, "$.segments[0].score": 0.5}


def test_paths_have_the_primarys_index_and_an_extra_item_the_candidates() -> None:
    comparison = by_id(records(1, 2, 3), [{"id": 9}, {"id": 3, "value": "x"}, *records(1)])
    assert found(comparison) == {
        (("$", 2, "value"), Kind.VALUE),
        (("$", 1), Kind.MISSING),
        (("$", 0), Kind.EXTRA),
    }
    assert {normalised_path(each.path) for each in comparison.differences} == {"$[*].value", "$[*]"}


def test_a_missing_and_an_extra_item_are_shown_whole() -> None:
    missing, extra = by_id(records(1, 2), records(1, 3)).differences
    assert (missing.primary, missing.candidate) == ({"id": 2, "value": "of 2"}, None)
    assert (extra.primary, extra.candidate) == (None, {"id": 3, "value": "of 3"})


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        ({}, {Kind.MISSING, Kind.EXTRA}),
        ({"missing": "tolerate"}, {Kind.EXTRA}),
        ({"extra": "tolerate"}, {Kind.MISSING}),
        ({"missing": "tolerate", "extra": "tolerate"}, set()),
    ],
)
def test_items_of_one_side_may_be_tolerated(settings: dict[str, str], kinds: set[Kind]) -> None:
    comparison = by_id(records(1, 2), records(1, 3), **settings)
    assert {kind for _, kind in found(comparison)} == kinds
    assert comparison.verdict is (Verdict.MISMATCH if kinds else Verdict.TOLERATED)


def test_a_strict_order_is_that_of_the_common_items() -> None:
    (difference,) = by_id(records(1, 2, 3), records(1, 3, 2), order="strict").differences
    assert difference == (("$",), Kind.ORDER, 2, 3, None)
    tolerant = {"order": "strict", "missing": "tolerate", "extra": "tolerate"}
    assert by_id(records(1, 2, 3), records(9, 1, 3), **tolerant).verdict is Verdict.TOLERATED
    assert found(by_id(records(1, 2, 3), records(3, 9, 1), **tolerant)) == {(("$",), Kind.ORDER)}
    kinds = {Kind.MISSING, Kind.EXTRA, Kind.ORDER}
    assert {kind for _, kind in found(by_id(records(1, 2, 3), records(3, 9, 1), order="strict"))} == kinds


def test_another_order_does_not_hide_items_of_one_side() -> None:
    assert found(by_id(records(1, 2, 3), records(2, 1))) == {(("$", 2), Kind.MISSING)}


def test_keys_carry_their_type() -> None:
    keys = [1, True, "1", None, 0, False, "", "None", "True", "nan", math.nan, math.inf]
    assert by_id(records(*keys), records(*reversed(keys))).verdict is Verdict.TOLERATED
    assert by_id(records(math.nan), [{"id": float("nan"), "value": "of nan"}]).verdict is Verdict.MATCH
    for one in keys:
        for other in keys:
            same = by_id([{"id": one}], [{"id": other}]).verdict is Verdict.MATCH
            assert same is (one is other)


def test_a_number_spelled_otherwise_is_the_same_key() -> None:
    comparison = by_id([{"id": 1}, {"id": 2}], [{"id": 2.0}, {"id": 1}])
    assert (comparison.verdict, comparison.notes) == (Verdict.TOLERATED, (Note.TYPE_ONLY,))
    comparison = by_id([{"id": 2**53 + 1}], [{"id": 2.0**53}])
    assert {kind for _, kind in found(comparison)} == {Kind.MISSING, Kind.EXTRA}


def test_several_fields_make_one_key() -> None:
    primary = [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}]
    assert by_id(primary, primary[::-1], key=["a", "b"]).verdict is Verdict.TOLERATED
    assert found(by_id(primary, primary[::-1], key="a")) == {(("$", 1), Kind.KEY), (("$", 2), Kind.KEY)}
    (difference,) = by_id(primary, primary[::-1], key=["a", "b"], order="strict").differences
    assert (difference.primary, difference.candidate) == ([1, "x"], [2, "x"])


@pytest.mark.parametrize(
    ("bad", "at"),
    [
        pytest.param(records(1, 2, 1), 2, id="duplicate"),
        pytest.param(records(1, 1.0), 1, id="duplicate in another spelling"),
        pytest.param(records(None, None), 1, id="two nulls"),
        pytest.param(records(math.nan, math.nan), 1, id="two NaN"),
        pytest.param([{"id": 1}, {"name": 2}], 1, id="absent"),
        pytest.param([{"id": [1]}], 0, id="list"),
        pytest.param([{"id": {}}], 0, id="object"),
        pytest.param([{"id": 1}, None], 1, id="not an object"),
        pytest.param([[{"id": 1}]], 0, id="a list as item"),
        pytest.param(["id"], 0, id="a text as item"),
    ],
)
def test_an_item_without_a_key_of_its_own_is_a_key_difference(bad: list[Tree], at: int) -> None:
    (difference,) = by_id(bad, records(7)).differences
    assert difference == (("$", at), Kind.KEY, bad[at], None, None)
    (difference,) = by_id(records(7), bad).differences
    assert difference == (("$", at), Kind.KEY, None, bad[at], None)


def test_without_keys_nothing_is_paired_and_each_side_says_where() -> None:
    comparison = by_id(records(1, 1, 2), [*records(1, 3), {}])
    assert found(comparison) == {(("$", 1), Kind.KEY), (("$", 2), Kind.KEY)}


def test_identical_lists_are_equal_whatever_their_keys_and_their_numbers_count() -> None:
    items = [{"id": 1, "n": 1.5}, {"id": 1, "n": 2.5}, "x"]
    comparison = by_id(items, copy.deepcopy(items), rule("$[*].n", "numeric", {"rel": 0.1}))
    assert (comparison.verdict, comparison.deltas) == (Verdict.MATCH, (0, 0))


def test_objects_are_paired_by_name() -> None:
    assert by_id({"a": {"x": 1}, "b": 2}, {"b": 2, "a": {"x": 1}}, order="strict").verdict is Verdict.MATCH
    comparison = by_id({"a": 1, "b": 2, "c": 3}, {"c": 4, "b": 2, "d": 5})
    assert found(comparison) == {
        (("$", "a"), Kind.MISSING),
        (("$", "c"), Kind.VALUE),
        (("$", "d"), Kind.EXTRA),
    }
    assert by_id({"a": 1, "b": 2}, {"b": 2, "c": 3}, missing="tolerate", extra="tolerate").hits == {"keyed": 1}


def test_the_names_of_a_wide_object_are_data() -> None:
    wide = {f"k{at}": at for at in range(60)}
    (difference,) = by_id(wide, wide | {"k3": "x"}).differences
    assert (render(difference.path), normalised_path(difference.path)) == ("$.k3", "$.{*}")
    (missing,) = by_id(wide, {name: value for name, value in wide.items() if value}).differences
    assert normalised_path(missing.path) == "$.{*}"


@pytest.mark.parametrize(
    ("primary", "candidate", "kind"),
    [
        (records(1), {"id": 1}, Kind.TYPE),
        ({"id": 1}, None, Kind.TYPE),
        ([], "", Kind.TYPE),
        (1, 2, Kind.VALUE),
        (1, True, Kind.TYPE),
    ],
)
def test_all_else_is_compared_as_without_the_rule(primary: Tree, candidate: Tree, kind: Kind) -> None:
    assert found(by_id(primary, candidate)) == {(("$",), kind)}


def test_leaves_it_selects_keep_the_built_in_tolerances() -> None:
    comparison = by_id(1, 1.0)
    assert (comparison.verdict, comparison.notes) == (Verdict.TOLERATED, (Note.TYPE_ONLY,))
    assert by_id(-0.0, 0.0).verdict is Verdict.MATCH
    assert by_id(math.nan, math.nan).verdict is Verdict.MATCH


def test_keyed_lists_may_hold_keyed_lists() -> None:
    rules = rule("$", "keyed", {"key": "id"}), rule("$[*].parts", "keyed", {"key": "n"})
    primary = [{"id": 1, "parts": [{"n": "a", "v": 1}, {"n": "b", "v": 2}]}, {"id": 2, "parts": []}]
    candidate = [{"id": 2, "parts": []}, {"id": 1, "parts": [{"n": "b", "v": 2}, {"n": "a", "v": 9}]}]
    assert found(judged(primary, candidate, *rules)) == {(("$", 0, "parts", 0, "v"), Kind.VALUE)}


def test_items_looked_at_count() -> None:
    compiled = compile_rules(
        [rule("$", "keyed", {"key": "id"})],
        comparators=KNOWN,
        settings=EndpointSettings(limits=Limits(leaves=30)),
    )
    comparison = compare(response(records(*range(10))), response(records(*range(40))), compiled)
    assert (comparison.verdict, comparison.reason) == (Verdict.INCOMPARABLE, Reason.LEAVES)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "settings are missing, possibly 'key'"),
        ({"key": ""}, "key must be the name of a member, or a list of different names, not ''"),
        ({"key": 3}, "not 3"),
        ({"key": []}, r"not \[\]"),
        ({"key": ["a", "a"]}, r"not \['a', 'a'\]"),
        ({"key": ["a", ["b"]]}, r"not \['a', \['b'\]\]"),
        ({"key": "id", "order": "free"}, "'order' must be one of ignore, strict"),
        ({"key": "id", "extra": "ignore"}, "'extra' must be one of mismatch, tolerate"),
    ],
)
def test_settings_are_checked_when_rules_are_compiled(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RuleErrors, match=message):
        compile_rules([rule("$", "keyed", settings)], comparators=KNOWN)


keys = st.integers(-3, 3) | st.text("ab1", max_size=2) | st.booleans() | st.none() | st.floats(-1, 1)
keyed_items = st.lists(
    st.fixed_dictionaries({"id": keys, "value": plain_trees}),
    max_size=6,
    unique_by=lambda item: (type(item["id"]) is bool, item["id"]),
)


@given(keyed_items, st.data())
def test_a_permutation_is_never_a_difference(items: list[Tree], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(items))
    comparison = by_id(items, shuffled)
    assert (comparison.count, comparison.notes) == (0, ())
    assert (comparison.verdict is Verdict.MATCH) is (repr(shuffled) == repr(items))


@given(keyed_items, st.data())
def test_pairing_by_key_is_pairing_by_position_once_both_are_in_one_order(
    items: list[Tree], data: st.DataObject
) -> None:
    changed = [{**item, "value": data.draw(st.just(item["value"]) | plain_trees)} for item in items]
    by_position = judged(items, changed)
    by_key = by_id(items, data.draw(st.permutations(changed)))
    assert found(by_key) == found(by_position)
    assert (by_key.count, by_key.notes) == (by_position.count, by_position.notes)


@given(keyed_items.filter(bool), st.data())
def test_one_changed_item_is_found_and_no_other(items: list[Tree], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(items) - 1))
    changed = replaced(items, ("$", at, "value"), "changed")
    comparison = by_id(items, data.draw(st.permutations(changed)))
    assert [difference.path for difference in comparison.differences] == [("$", at, "value")]


@given(keyed_items, st.data())
def test_missing_and_extra_swap_with_the_sides(items: list[Tree], data: st.DataObject) -> None:
    some = st.lists(st.sampled_from(items), unique_by=id) if items else st.just([])
    one, other = data.draw(some), data.draw(some)
    forth, back = by_id(one, other), by_id(other, one)
    swapped = {Kind.MISSING: Kind.EXTRA, Kind.EXTRA: Kind.MISSING}
    assert found(back) == {(path, swapped[kind]) for path, kind in found(forth)}
    assert forth.count == len(set(map(repr, one)) ^ set(map(repr, other)))


@given(trees)
def test_a_tree_matches_itself(tree: Tree) -> None:
    comparison = judged(tree, copy.deepcopy(tree), *EVERYWHERE)
    assert (comparison.verdict, comparison.failed) == (Verdict.MATCH, {})


@given(trees, trees)
def test_any_two_trees_have_a_verdict_and_stay_as_they_are(primary: Tree, candidate: Tree) -> None:
    before = repr(primary), repr(candidate)
    comparison = judged(primary, candidate, *EVERYWHERE)
    assert comparison.failed == {}
    assert repr(comparison) == repr(judged(primary, candidate, *EVERYWHERE))
    assert (repr(primary), repr(candidate)) == before
