from __future__ import annotations

from copy import deepcopy
from fractions import Fraction
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparators import (
    EQUAL,
    Accepted,
    Comparison,
    EndpointSettings,
    Finding,
    Kind,
    Limits,
    OverBudget,
    Tree,
    Verdict,
    compile_rules,
    with_custom,
)
from comparators.classification import CLASSIFICATIONS, Classification, ClassificationSettings, total_variation
from comparators.ledger import Ledger
from comparators.tree import Walk
from tests.unit.comparators.trees import NO_RULES, found, replaced, rule, trees, walk

KNOWN = with_custom(CLASSIFICATIONS, base={})
LABELLED: dict[str, Any] = {"label": "label", "probabilities": "p"}
WIDE: dict[str, Any] = {"top_abs": 1, "tv": 1}


def judged(primary: Tree, candidate: Tree, limits: Limits | None = None, **settings: Any) -> Comparison:
    rules = compile_rules(
        [rule("$.x", "classification", settings)],
        comparators=KNOWN,
        settings=EndpointSettings(limits=limits or Limits()),
    )
    return walk({"x": primary}, {"x": candidate}, rules)


def asked(primary: Tree, candidate: Tree, **settings: Any) -> Finding:
    return Classification().compare(primary, candidate, ClassificationSettings(**settings), Walk(NO_RULES, Ledger(1)))


def accepts(primary: Tree, candidate: Tree, **settings: Any) -> bool:
    return not isinstance(asked(primary, candidate, **settings), list)


def labelled(label: Tree, chances: Tree) -> Tree:
    return {"label": label, "p": chances}


@pytest.mark.parametrize(
    ("primary", "candidate", "accepted"),
    [
        ({"cat": 0.9, "dog": 0.1}, {"cat": 0.89, "dog": 0.11}, True),
        ({"cat": 0.9, "dog": 0.1}, {"dog": 0.11, "cat": 0.89}, True),
        ([0.9, 0.1], [0.89, 0.11], True),
        ([1, 0], [0.99, 0.01], True),
        ({"cat": 0.9, "dog": 0.1}, {"cat": 0.87, "dog": 0.13}, False),
        ([0.9, 0.1], [0.87, 0.13], False),
        ([0.75, 0.25], [0.735, 0.265], True),
        ([0.5, 0.25, 0.25], [0.5, 0.3, 0.2], True),
        ([0.5, 0.25, 0.25], [0.5, 0.32, 0.18], False),
    ],
)
def test_the_top_class_and_the_whole_must_be_close(primary: Tree, candidate: Tree, *, accepted: bool) -> None:
    comparison = judged(primary, candidate)
    assert comparison.verdict is (Verdict.TOLERATED if accepted else Verdict.MISMATCH)
    assert {kind for _, kind in found(comparison)} <= {Kind.VECTOR}


def test_bounds_are_inclusive() -> None:
    assert accepts([0.75, 0.25], [0.625, 0.375], top_abs=0.125, tv=0.125)
    assert not accepts([0.75, 0.25], [0.625, 0.375], top_abs=0.124, tv=0.125)
    assert not accepts([0.75, 0.25], [0.625, 0.375], top_abs=0.125, tv=0.124)


def test_the_magnitude_is_the_total_variation() -> None:
    (difference,) = judged(labelled("a", [0.75, 0.25]), labelled("a", [0.5, 0.5]), **LABELLED).differences
    assert difference == (("$", "x", "p"), Kind.VECTOR, [0.75, 0.25], [0.5, 0.5], 0.25)
    assert asked([0.75, 0.25], [0.5, 0.5], **WIDE) == Accepted(magnitude=0.25)
    (refused,) = judged([0.5, 0.25, 0.25], [0.5, 0.5, 0], tv=0).differences
    assert refused == (("$", "x"), Kind.VECTOR, [0.5, 0.25, 0.25], [0.5, 0.5, 0], 0.25)


def test_a_class_that_only_one_side_names_has_no_probability_on_the_other() -> None:
    assert asked({"cat": 1.0}, {"cat": 0.984375, "dog": 0.015625}) == Accepted(magnitude=0.015625)
    assert accepts({"cat": 0.99, "dog": 0.01}, {"cat": 1.0})
    assert accepts([0.99, 0.01], [0.99, 0.01, 0.0])
    assert not accepts({"cat": 1.0}, {"cat": 1.0, "dog": 0.5})
    assert not accepts({"cat": 1.0}, {"dog": 1.0}, near_tie=1, **WIDE)


@pytest.mark.parametrize(
    ("primary", "candidate"),
    [("cat", "dog"), ("cat", ""), (1, 2), (0.5, 0.25), (True, False), (2**53, 2**53 + 1)],
)
def test_another_label_is_a_difference_of_its_own_however_close_the_rest(primary: Tree, candidate: Tree) -> None:
    comparison = judged(labelled(primary, [0.75, 0.25]), labelled(candidate, [0.75, 0.25]), **LABELLED, **WIDE)
    assert comparison.differences == ((("$", "x", "label"), Kind.LABEL, primary, candidate, 1.0),)


def test_a_flip_is_one_difference_however_far_the_rest() -> None:
    comparison = judged(labelled("cat", [1, 0]), labelled("dog", [0, 1]), **LABELLED)
    assert found(comparison) == {(("$", "x", "label"), Kind.LABEL)}


@pytest.mark.parametrize(("primary", "candidate"), [(True, 1), ("1", 1), (0, False)])
def test_labels_of_two_types_differ_in_type(primary: Tree, candidate: Tree) -> None:
    comparison = judged(labelled(primary, [1]), labelled(candidate, [1]), **LABELLED, near_tie=1)
    assert found(comparison) == {(("$", "x", "label"), Kind.TYPE)}


def test_one_number_spelled_in_two_ways_is_one_label() -> None:
    assert accepts(labelled(1, [0, 1]), labelled(1.0, [0, 1]), **LABELLED)


def test_without_a_label_the_most_probable_class_is_it() -> None:
    comparison = judged({"cat": 0.51, "dog": 0.49}, {"cat": 0.49, "dog": 0.51})
    assert comparison.differences == ((("$", "x"), Kind.LABEL, "cat", "dog", 1.0),)
    comparison = judged({"p": [0.49, 0.51]}, {"p": [0.51, 0.49]}, probabilities="p")
    assert comparison.differences == ((("$", "x", "p"), Kind.LABEL, 1, 0, 1.0),)


def test_of_equally_probable_classes_the_first_by_name_is_the_label() -> None:
    assert not accepts({"b": 0.5625, "a": 0.4375}, {"b": 0.5, "a": 0.5}, **WIDE)
    assert accepts({"a": 0.5625, "b": 0.4375}, {"b": 0.5, "a": 0.5}, **WIDE)
    assert accepts([0.5625, 0.4375], [0.5, 0.5], **WIDE)


def test_a_label_may_flip_where_the_primary_was_near_a_tie() -> None:
    primary, candidate = {"cat": 0.5078125, "dog": 0.4921875}, {"cat": 0.4921875, "dog": 0.5078125}
    assert not accepts(primary, candidate)
    assert not accepts(primary, candidate, near_tie=0.015)
    assert accepts(primary, candidate, near_tie=0.015625)
    assert accepts(labelled("cat", primary), labelled("dog", candidate), **LABELLED, near_tie=0.02)


def test_a_tie_of_the_primary_is_near_enough_by_default() -> None:
    assert accepts(labelled("cat", [0.5, 0.5]), labelled("dog", [0.5, 0.5]), **LABELLED)
    assert not accepts(labelled("cat", [0.51, 0.49]), labelled("dog", [0.5, 0.5]), **LABELLED)


def test_a_flip_near_a_tie_must_keep_the_probabilities_close() -> None:
    comparison = judged({"cat": 0.5, "dog": 0.5}, {"cat": 0.25, "dog": 0.75})
    assert found(comparison) == {(("$", "x"), Kind.VECTOR)}


def test_one_class_alone_is_near_no_tie() -> None:
    assert found(judged({"cat": 1}, {"dog": 1}, near_tie=1)) == {(("$", "x"), Kind.LABEL)}


def test_nothing_else_in_the_node_counts() -> None:
    primary = labelled("cat", [0.75, 0.25])
    assert asked(primary, primary | {"took_ms": 3}, **LABELLED) == Accepted(magnitude=0.0)
    assert judged(primary, deepcopy(primary), **LABELLED).verdict is Verdict.MATCH


NO_CHANCES: list[Tree] = [None, "cat", 0.5, True, {}, [], [True], ["0.5"], [None], [[0.5]], {"cat": False}]
NO_CHANCES += [[nan], [inf], [-inf], [1.1], [-0.1], {"cat": 10**400}, {"cat": 0.5, "dog": nan}]


@pytest.mark.parametrize("chances", NO_CHANCES, ids=lambda chances: str(chances)[:30])
def test_what_is_no_probabilities_is_a_difference_of_type(chances: Tree) -> None:
    good: Tree = {"cat": 1.0} if isinstance(chances, dict) else [1.0]
    anything: dict[str, Any] = {"near_tie": 1, **WIDE}
    for primary, candidate in ((good, chances), (chances, good)):
        assert found(judged(primary, candidate, **anything)) == {(("$", "x"), Kind.TYPE)}
        one, other = labelled("cat", primary), labelled("cat", candidate)
        assert found(judged(one, other, **anything, **LABELLED)) == {(("$", "x"), Kind.TYPE)}
    assert judged(chances, deepcopy(chances)).verdict is Verdict.MATCH


@pytest.mark.parametrize(
    "node",
    [None, "cat", [1.0], {}, {"p": [1.0]}, {"label": "cat"}, labelled(None, [1.0]), labelled(["cat"], [1.0])],
    ids=str,
)
def test_what_is_no_prediction_is_a_difference_of_type(node: Tree) -> None:
    good = labelled("cat", [1.0])
    assert found(judged(good, node, **LABELLED)) == {(("$", "x"), Kind.TYPE)}
    assert found(judged(node, good, **LABELLED)) == {(("$", "x"), Kind.TYPE)}


def test_an_object_is_no_list() -> None:
    assert found(judged([1.0], {"0": 1.0}, **WIDE)) == {(("$", "x"), Kind.TYPE)}
    one, other = labelled("cat", [1.0]), labelled("cat", {"0": 1.0})
    assert found(judged(one, other, **LABELLED, **WIDE)) == {(("$", "x"), Kind.TYPE)}


def test_rounding_past_the_ends_is_a_probability() -> None:
    assert accepts([1.0, 0.0], [1.0000001, -0.0000001])


def test_more_classes_than_the_budget_are_not_looked_at() -> None:
    with pytest.raises(OverBudget, match="leaves"):
        judged([0.01] * 100, [0.01] * 99, Limits(leaves=100))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tv": -0.1}, "tv must be finite and not negative, not -0.1"),
        ({"top_abs": nan}, "top_abs must be finite and not negative, not nan"),
        ({"near_tie": inf}, "near_tie must be finite and not negative, not inf"),
        ({"label": "label"}, "label needs probabilities"),
        ({"label": "x", "probabilities": "x"}, "two members, not one"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judged([], [], **settings)


def test_settings_that_accept_almost_anything_warn() -> None:
    (warning,) = compile_rules([rule("$.x", "classification", {"tv": 0.6})], comparators=KNOWN).warnings
    assert "tv above 0.5" in warning
    assert compile_rules([rule("$.x", "classification")], comparators=KNOWN).warnings == ()


chances = st.floats(0, 1) | st.sampled_from([0, 1])
distributions = st.dictionaries(st.sampled_from("abcdef"), chances, min_size=1, max_size=6)


@given(distributions, distributions)
def test_total_variation_is_exact_symmetric_and_of_no_order(ours: dict[str, float], theirs: dict[str, float]) -> None:
    gaps = [Fraction(abs(ours.get(each, 0) - theirs.get(each, 0))) for each in "abcdef"]
    assert total_variation(ours, theirs) == float(sum(gaps) / 2) == total_variation(theirs, ours)
    assert total_variation(dict(reversed(ours.items())), theirs) == total_variation(ours, theirs)


@given(distributions, distributions, st.floats(0, 1))
def test_with_one_label_total_variation_takes_no_side(ours: Tree, theirs: Tree, tv: float) -> None:
    there = accepts(labelled("a", ours), labelled("a", theirs), **LABELLED, top_abs=1, tv=tv)
    assert there is accepts(labelled("a", theirs), labelled("a", ours), **LABELLED, top_abs=1, tv=tv)


tolerances = st.fixed_dictionaries({name: st.floats(0, 1) for name in ("top_abs", "tv", "near_tie")})


@given(distributions, distributions, tolerances, st.sampled_from(["top_abs", "tv", "near_tie"]), st.floats(0, 1))
def test_a_wider_tolerance_never_refuses_more(
    ours: Tree, theirs: Tree, settings: dict[str, Any], name: str, wider: float
) -> None:
    if wider >= settings[name] and accepts(ours, theirs, **settings):
        assert accepts(ours, theirs, **{**settings, name: wider})


@given(distributions, tolerances, st.data())
def test_a_probability_beyond_the_bound_is_found(ours: Tree, settings: dict[str, Any], data: st.DataObject) -> None:
    mutated = data.draw(st.sampled_from(sorted(ours)))
    moved = 1.0 if ours[mutated] < 0.5 else 0.0
    theirs = replaced(ours, ("$", mutated), moved)
    tight = {**settings, "tv": abs(moved - ours[mutated]) * 0.49}
    (difference,) = judged(labelled("a", ours), labelled("a", theirs), **LABELLED, **tight).differences
    assert (difference.path, difference.kind) == (("$", "x", "p"), Kind.VECTOR)


SHAPES: list[dict[str, Any]] = [{}, {"probabilities": "a"}, {"label": "b", "probabilities": "a"}]


@given(trees, st.sampled_from(SHAPES))
def test_identity_is_never_a_difference(tree: Tree, settings: dict[str, Any]) -> None:
    assert asked(tree, deepcopy(tree), **settings) is EQUAL


predictions = st.fixed_dictionaries({"a": distributions | st.lists(chances, max_size=4) | trees, "b": trees})


@given(trees | predictions, trees | predictions, st.sampled_from(SHAPES))
def test_any_trees_get_an_answer_twice_the_same_and_stay_as_they_are(
    primary: Tree, candidate: Tree, settings: dict[str, Any]
) -> None:
    before = repr((primary, candidate))
    first, second = asked(primary, candidate, **settings), asked(primary, candidate, **settings)
    assert repr(first) == repr(second)
    assert repr((primary, candidate)) == before
    if isinstance(first, list):
        assert {difference.kind for difference in first} <= {Kind.LABEL, Kind.VECTOR, Kind.TYPE}
