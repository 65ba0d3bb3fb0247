from __future__ import annotations

import copy
import itertools
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
    with_custom,
)
from comparators.comparator import OverBudget
from comparators.equality import identical
from comparators.leaves import LEAVES
from comparators.unordered import MULTISETS, canonical
from tests.unit.comparators.trees import found, response, rule, trees, unlimited, walk

KNOWN = with_custom((*LEAVES, *MULTISETS), base={})
BOTH = pytest.mark.parametrize("use", ["unordered", "set"])
ITEMS = "$[*]"


def judged(primary: Tree, candidate: Tree, *rules: Rule) -> Comparison:
    settings = EndpointSettings(limits=unlimited())
    return walk(primary, candidate, compile_rules(rules, comparators=KNOWN, settings=settings))


def free(primary: Tree, candidate: Tree, *rules: Rule, use: str = "unordered", **settings: Any) -> Comparison:
    return judged(primary, candidate, rule("$", use, settings, id="free"), *rules)


@BOTH
def test_the_order_of_items_is_free(use: str) -> None:
    comparison = free(["a", {"b": 1, "c": [2]}, 3], [3, "a", {"c": [2], "b": 1}], use=use)
    assert (comparison.verdict, comparison.hits) == (Verdict.TOLERATED, {"free": 1})
    assert free(["a", "b", "a"], ["a", "b", "a"], use=use).verdict is Verdict.MATCH
    assert free([], [], use=use).verdict is Verdict.MATCH


@pytest.mark.parametrize(
    ("primary", "candidate", "differences"),
    [
        (["a", "a", "b"], ["b", "a"], {(("$", 1), Kind.MISSING)}),
        (["a", "b"], ["a", "b", "b"], {(("$", 2), Kind.EXTRA)}),
        (["a", "a", "b"], ["a", "b", "b"], {(("$", 1), Kind.VALUE)}),
    ],
)
def test_how_often_an_item_occurs_counts_unless_the_lists_are_sets(
    primary: Tree, candidate: Tree, differences: set[Any]
) -> None:
    assert found(free(primary, candidate)) == differences
    as_sets = free(primary, candidate, use="set")
    assert (as_sets.verdict, as_sets.hits) == (Verdict.TOLERATED, {"free": 1})


def test_a_set_still_has_all_its_items() -> None:
    assert found(free(["a", "a", "b"], ["a"], use="set")) == {(("$", 2), Kind.MISSING)}
    assert found(free(["a"], ["b", "a", "b"], use="set")) == {(("$", 0), Kind.EXTRA)}
    assert found(free([], ["b", "b"], use="set")) == {(("$", 0), Kind.EXTRA)}


ODD: list[Tree] = [
    *(1, True, 1.0, "1", 0, False, 0.0, "", None, "null", math.nan, math.inf, -math.inf, "NaN"),
    *(10**22, 10**22 + 1, 1e22, 2**64, 2**53 + 1, 2.0**53, -0.5, 0.5, "\ud800", "\ud801", "\\ud800", "é", "e\u0301"),
    *([], {}, [[]], [None], [math.nan], [10**22], {"a": None}, {"a": math.nan}, {"\ud800": 1}, {"a": "-0.0"}),
]


@BOTH
def test_what_is_written_differently_has_different_equals(use: str) -> None:
    for shuffled in (ODD[::-1], ODD[7:] + ODD[:7]):
        comparison = free(ODD, copy.deepcopy(shuffled), use=use)
        assert (comparison.verdict, comparison.count, comparison.notes) == (Verdict.TOLERATED, 0, ())
    texts = [canonical(item) for item in ODD]
    assert len(set(texts)) == len(ODD)


@BOTH
@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        (1, True, Kind.TYPE),
        (0.0, False, Kind.TYPE),
        (math.nan, None, Kind.TYPE),
        (math.nan, 1.0, Kind.VALUE),
        (math.inf, -math.inf, Kind.VALUE),
        (10**22, 10**22 + 1, Kind.VALUE),
        ("\ud800", "\ud801", Kind.VALUE),
    ],
)
def test_edge_values_never_equal_another(use: str, one: Tree, other: Tree, kind: Kind) -> None:
    assert found(free(["x", one], [other, "x"], use=use)) == {(("$", 1), kind)}
    assert found(free(["x", [one]], [[other], "x"], use=use)) == {(("$", 1, 0), kind)}
    assert found(free(["x", {"a": one}], [{"a": other}, "x"], use=use)) == {(("$", 1, "a"), kind)}


@BOTH
def test_zero_has_no_sign(use: str) -> None:
    zeros = [[0.0, "-0.0", at, {"n": -0.0, "m": -0.05}] for at in range(100)]
    other = [[-0.0, "-0.0", at, {"m": -0.05, "n": 0.0}] for at in range(100)]
    assert free(zeros, other, use=use).verdict is Verdict.MATCH
    assert free(zeros, other[::-1], use=use).verdict is Verdict.TOLERATED
    assert found(free(["0.0", -0.5], ["-0.0", 0.5], use=use)) == {(("$", 0), Kind.VALUE), (("$", 1), Kind.VALUE)}


@BOTH
def test_another_spelling_of_a_number_is_tolerated_with_a_note(use: str) -> None:
    comparison = free([1, 2, {"a": 3}], [{"a": 3.0}, 1.0, 2], use=use)
    assert (comparison.count, comparison.notes) == (0, (Note.TYPE_ONLY,))


@BOTH
def test_what_has_no_equal_is_matched_in_sorted_order_and_judged_by_the_rules_below(use: str) -> None:
    close = rule(ITEMS, "numeric", {"abs": 0.1}, id="close")
    comparison = free([9.98, 5.0, 1.0, -3.0], [5.0, -3.05, 10.02, 1.01], close, use=use)
    assert (comparison.verdict, comparison.hits["close"]) == (Verdict.TOLERATED, 3)
    comparison = free([9.98, 5.0, 2.0, -3.0], [5.0, -3.05, 11.0, 2.01], close, use=use)
    assert found(comparison) == {(("$", 0), Kind.VALUE)}


def test_an_order_that_differs_counts_as_accepted_also_where_matches_are_not_equal() -> None:
    close = rule(ITEMS, "numeric", {"abs": 0.1}, id="close")
    assert free([1.0, 2.0, 3.0], [2.01, 1.01, 3.0], close).hits == {"free": 1, "close": 2}
    assert free([1.0, 2.0, 3.0], [1.01, 2.01, 3.0], close).hits == {"free": 0, "close": 2}


def test_the_remainder_is_sorted_by_the_named_fields_first() -> None:
    close = rule("$[*].score", "numeric", {"abs": 0.01})
    primary = [{"score": 0.50, "tag": "b"}, {"score": 0.505, "tag": "a"}, {"score": 0.1, "tag": "c"}]
    candidate = [{"score": 0.1, "tag": "c"}, {"score": 0.507, "tag": "b"}, {"score": 0.499, "tag": "a"}]
    assert free(primary, candidate, close, by="tag").verdict is Verdict.TOLERATED
    assert free(primary, candidate, close, by=["none has it", "tag"]).verdict is Verdict.TOLERATED
    assert {path for path, _ in found(free(primary, candidate, close))} == {("$", 0, "tag"), ("$", 1, "tag")}


def test_items_without_the_named_field_come_last() -> None:
    primary = [{"v": 1}, "z", {"by": 2, "v": 1}, 7]
    candidate = [8, {"by": 2, "v": 2}, {"v": 2}, "y"]
    assert found(free(primary, candidate, by="by")) == {
        (("$", 0, "v"), Kind.VALUE),
        (("$", 1), Kind.VALUE),
        (("$", 2, "v"), Kind.VALUE),
        (("$", 3), Kind.VALUE),
    }


def test_what_one_side_has_more_of_stands_alone_where_the_named_fields_say_so() -> None:
    primary = [{"by": at, "v": 0} for at in (3, 1, 5, 2)]
    candidate = [{"by": at, "v": 1} for at in (2, 5)]
    changed = {(("$", 2, "v"), Kind.VALUE), (("$", 3, "v"), Kind.VALUE)}
    assert found(free(primary, candidate, by="by")) == changed | {(("$", 0), Kind.MISSING), (("$", 1), Kind.MISSING)}
    changed = {(("$", 0, "v"), Kind.VALUE), (("$", 1, "v"), Kind.VALUE)}
    assert found(free(candidate, primary, by="by")) == changed | {(("$", 0), Kind.EXTRA), (("$", 1), Kind.EXTRA)}
    assert found(free(primary[:1], [])) == {(("$", 0), Kind.MISSING)}


def test_no_more_stands_alone_than_one_side_has_more() -> None:
    two, one = [{"by": 1}, {"by": 2}], [{"by": 3}]
    assert found(free(two, one, by="by")) == {(("$", 0), Kind.MISSING), (("$", 1, "by"), Kind.VALUE)}
    assert found(free(one, two, by="by")) == {(("$", 0), Kind.EXTRA), (("$", 0, "by"), Kind.VALUE)}


def test_all_kinds_of_items_have_one_order() -> None:
    changed = [
        *(item for item in ODD if type(item) not in (list, dict)),
        {"a": [1, None]},
        {"a": [1, "x"]},
        [1],
        [1, 2],
    ]
    assert free([[item, "old"] for item in changed], [[item, "new"] for item in changed[::-1]]).count == len(changed)


def test_a_bool_is_no_number_in_that_order() -> None:
    primary, candidate = [{"a": True, "n": 1.0}, {"a": 1, "n": 1.05}], [{"a": True, "n": 1.1}, {"a": 1, "n": 1.04}]
    assert free(primary, candidate, rule("$[*].n", "numeric", {"abs": 0.11})).verdict is Verdict.TOLERATED


def test_numbers_of_equal_items_count_for_the_mean() -> None:
    mean = rule(ITEMS, "numeric", {"mean_below": 0.02}, id="mean")
    comparison = free([4.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.2], mean)
    assert comparison.deltas == pytest.approx((0, 0, 0, 0.05))
    assert comparison.verdict is Verdict.TOLERATED
    assert free([1.0, 1.0], [1.0, 1.0], mean).deltas == (0, 0)


@BOTH
def test_the_largest_remainder_is_matched_and_a_larger_one_is_incomparable(use: str) -> None:
    close = rule(ITEMS, "numeric", {"abs": 0.1})
    numbers = [float(at) for at in range(65)]
    moved = [number + 0.01 for number in reversed(numbers)]
    assert free(numbers[1:], moved[:-1], close, use=use).verdict is Verdict.TOLERATED
    with pytest.raises(OverBudget) as over:
        free(numbers, moved, close, use=use)
    assert over.value.reason is Reason.UNMATCHED_ITEMS


def test_a_large_remainder_hides_other_differences_but_undoes_none() -> None:
    compiled = compile_rules([rule("$.list", "unordered")], comparators=KNOWN)
    many, others = list(range(100)), list(range(1_000, 1_100))

    def verdict(primary: Tree, candidate: Tree) -> tuple[Verdict, Reason | None, int]:
        comparison = compare(response(primary), response(candidate), compiled)
        return comparison.verdict, comparison.reason, comparison.count

    assert verdict({"list": many}, {"list": others}) == (Verdict.INCOMPARABLE, Reason.UNMATCHED_ITEMS, 0)
    assert verdict({"a": 1, "list": many}, {"a": 2, "list": others}) == (Verdict.MISMATCH, None, 1)


@BOTH
def test_lists_that_cannot_be_matched_one_to_one_differ_however_large_the_remainder(use: str) -> None:
    many = list(range(100))
    (difference,) = free(many, [*many, *range(1_000, 1_080)], use=use).differences
    assert difference == (("$",), Kind.LENGTH, 100, 180, 80.0)
    (difference,) = free(many, [], use=use).differences
    assert difference == (("$",), Kind.LENGTH, 100, 0, 100.0)


def test_sets_have_the_length_of_what_is_different_in_them() -> None:
    (difference,) = free([1, 1, 1], [1, *range(100), *range(100)], use="set").differences
    assert difference == (("$",), Kind.LENGTH, 1, 100, 99.0)


@BOTH
def test_objects_are_paired_by_name_and_all_else_is_compared_as_without_the_rule(use: str) -> None:
    everywhere = rule("$", use), rule("$..*", use)
    primary = {"a": 1, "b": [{"x": [1, 2]}, 2.5], "c": "x", "d": {}}
    candidate = {"c": "y", "b": [2.5, {"x": [1, 2]}], "a": 1.0, "e": {}}
    comparison = judged(primary, candidate, *everywhere)
    assert found(comparison) == {(("$", "c"), Kind.VALUE), (("$", "d"), Kind.MISSING), (("$", "e"), Kind.EXTRA)}
    assert comparison.notes == (Note.TYPE_ONLY,)
    assert found(judged([1], {"a": 1}, *everywhere)) == {(("$",), Kind.TYPE)}


def test_lists_in_lists_are_matched_as_they_are_written_and_then_judged_as_the_rules_say() -> None:
    inner = rule(ITEMS, "unordered", id="inner")
    assert free([[1, 2], [5]], [[5], [2, 1]], inner).hits == {"free": 1, "inner": 1}


@BOTH
def test_a_tree_too_deep_to_write_is_over_budget(use: str) -> None:
    deep: Tree = 1
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(OverBudget, match="depth"):
        free([deep], [2], use=use)


def reason(primary: Tree, candidate: Tree, *rules: Rule) -> Reason | None:
    settings = EndpointSettings(limits=Limits(leaves=30))
    compiled = compile_rules([rule("$", "unordered"), *rules], comparators=KNOWN, settings=settings)
    return compare(response(primary), response(candidate), compiled).reason


def test_items_and_their_text_count() -> None:
    assert reason([1, 2], [2, 1]) is None
    assert reason(list(range(31)), list(range(31))[::-1]) is Reason.LEAVES
    assert reason(["a" * 20_000, 1], [1, "a" * 20_000]) is Reason.LEAVES


def test_what_must_be_sorted_counts_too() -> None:
    close = rule("$[*][*]", "numeric", {"abs": 1})
    assert reason([[*range(25)]], [[*range(24), 25]], close) is None
    assert reason([[*range(10)], [*range(9)]], [[*range(9), 10], [*range(8), 9]], close) is Reason.LEAVES


@BOTH
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"by": ""}, "by must be the name of a member, or a list of different names, not ''"),
        ({"by": []}, r"not \[\]"),
        ({"by": 1}, "not 1"),
        ({"key": "id"}, "there is no setting 'key'"),
    ],
)
def test_settings_are_checked_when_rules_are_compiled(use: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RuleErrors, match=message):
        compile_rules([rule("$", use, settings)], comparators=KNOWN)


lists = st.lists(trees, max_size=6)
alike = st.sampled_from([0, 1, 1.0, True, False, 0.0, -0.0, math.nan, None, math.inf, "a", [1], [True], {"a": 1.0}])
records = alike | st.builds(lambda one, other: {"a": one, "b": other}, alike, alike)
few = st.lists(records, max_size=4)
uses = st.sampled_from(["unordered", "set"])


@given(lists, uses, st.data())
def test_a_permutation_is_never_a_difference(items: list[Tree], use: str, data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(items))
    comparison = free(items, shuffled, use=use)
    assert (comparison.count, comparison.notes) == (0, ())
    assert comparison.verdict is (Verdict.MATCH if identical(items, shuffled) else Verdict.TOLERATED)


@given(few, few)
def test_lists_are_accepted_if_and_only_if_some_permutation_is(primary: list[Tree], candidate: list[Tree]) -> None:
    expected = any(not judged(primary, list(each)).count for each in itertools.permutations(candidate))
    assert (not free(primary, candidate).count) is expected


@given(few, few, uses, st.data())
def test_the_verdict_does_not_depend_on_where_items_stand(
    primary: list[Tree], candidate: list[Tree], use: str, data: st.DataObject
) -> None:
    first = free(primary, candidate, use=use)
    moved = free(data.draw(st.permutations(primary)), data.draw(st.permutations(candidate)), use=use)
    assert first.count == moved.count


@given(few, few, uses)
def test_sides_may_be_exchanged(primary: list[Tree], candidate: list[Tree], use: str) -> None:
    forth, back = free(primary, candidate, use=use), free(candidate, primary, use=use)
    swapped = {Kind.MISSING: Kind.EXTRA, Kind.EXTRA: Kind.MISSING}
    kinds = [swapped.get(each.kind, each.kind) for each in forth.differences]
    assert sorted(kinds) == sorted(each.kind for each in back.differences)


@given(few.filter(bool), few, st.data())
def test_more_of_the_same_changes_no_set(primary: list[Tree], candidate: list[Tree], data: st.DataObject) -> None:
    more = [*primary, data.draw(st.sampled_from(primary))]
    assert free(more, candidate, use="set").count == free(primary, candidate, use="set").count


@given(lists.filter(bool), uses, st.data())
def test_one_changed_item_is_found_and_no_other(items: list[Tree], use: str, data: st.DataObject) -> None:
    distinct = list({canonical(item): item for item in items}.values())
    at = data.draw(st.integers(0, len(distinct) - 1))
    changed = [*distinct[:at], "not in trees", *distinct[at + 1 :]]
    comparison = free(distinct, data.draw(st.permutations(changed)), use=use)
    assert [(each.path, each.candidate) for each in comparison.differences] == [(("$", at), "not in trees")]


@given(
    st.lists(st.floats(-100, 100), max_size=8),
    st.lists(st.floats(-3, 3), min_size=8, max_size=8),
    st.tuples(st.floats(0, 3), st.floats(0, 3)).map(sorted),
)
def test_a_wider_tolerance_never_refuses_more(numbers: list[float], shifts: list[float], bounds: list[float]) -> None:
    candidate = [number + shift for number, shift in zip(numbers, shifts, strict=False)]
    narrow, wide = (free(numbers, candidate, rule(ITEMS, "numeric", {"abs": bound})).count for bound in bounds)
    assert wide <= narrow


@given(trees, uses)
def test_a_tree_matches_itself(tree: Tree, use: str) -> None:
    comparison = judged(tree, copy.deepcopy(tree), rule("$", use), rule("$..*", use))
    assert (comparison.verdict, comparison.failed) == (Verdict.MATCH, {})


@given(trees, trees, uses)
def test_any_two_trees_have_a_verdict_and_stay_as_they_are(primary: Tree, candidate: Tree, use: str) -> None:
    rules = rule("$", use), rule("$..*", use)
    before = repr((primary, candidate))
    comparison = judged(primary, candidate, *rules)
    assert comparison.failed == {}
    assert repr(comparison) == repr(judged(primary, candidate, *rules))
    assert repr((primary, candidate)) == before
