from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from comparators import Kind, Note, Tree, Verdict, compare
from comparators.leaves import unequal
from comparators.tolerance import Bounds, Numeric, Probability, delta
from tests.unit.comparators.trees import found, response, rule, rule_set, unlimited, walk

SELECTOR = "$.segments[*].score"


def segments(*scores: Tree) -> Tree:
    return {"segments": [{"id": at, "score": score} for at, score in enumerate(scores)]}


def scores_rule(**settings: Any) -> Any:
    return rule_set(rule(SELECTOR, "probability", settings, id="scores"))


def test_mean_and_maximum_within_bounds_are_tolerated_and_every_delta_is_reported() -> None:
    comparison = walk(segments(0.5, 0.5, 0.2), segments(0.5, 0.52, 0.2), scores_rule(mean_below=0.05, max_below=0.1))
    assert comparison.verdict is Verdict.TOLERATED
    assert comparison.deltas == pytest.approx((0, 0.04, 0))
    assert comparison.hits == {"scores": 1}


def test_a_mean_on_the_bound_is_one_aggregate_difference_with_the_worst_three_leaves() -> None:
    primary, candidate = segments(0.5, 0.5, 0.5, 0.5), segments(0.75, 0.625, 0.875, 0.5)
    comparison = walk(primary, candidate, scores_rule(mean_below=0.375))
    assert comparison.count == 1
    (difference,) = comparison.differences
    assert (difference.path, difference.kind, difference.magnitude) == ((SELECTOR,), Kind.AGGREGATE, 0.375)
    assert difference.candidate == {
        "$.segments[2].score": 0.875,
        "$.segments[0].score": 0.75,
        "$.segments[1].score": 0.625,
    }


def test_the_worst_leaves_are_kept_whatever_their_order() -> None:
    primary, candidate = segments(*[0.5] * 40), segments(*[0.5 + (at * 7 % 40) / 100 for at in range(40)])
    (difference,) = walk(primary, candidate, scores_rule(max_below=0.1)).differences
    assert sorted(difference.candidate.values()) == pytest.approx([0.87, 0.88, 0.89])


def test_a_nan_is_worst_of_all() -> None:
    primary, candidate = [1.0] * 5, [1.1, 1.2, math.nan, 1.3, 1.4]
    rules = rule_set(rule("$[*]", "numeric", {"abs": 1.0, "max_below": 0.1}))
    (aggregate,) = [each for each in walk(primary, candidate, rules).differences if each.kind is Kind.AGGREGATE]
    assert list(aggregate.candidate) == ["$[2]", "$[4]", "$[3]"]


def test_leaf_bounds_hold_besides_response_bounds() -> None:
    comparison = walk(segments(0.5, 0.5), segments(0.5, 0.53), scores_rule(abs=0.01, mean_below=0.5))
    assert found(comparison) == {(("$", "segments", 1, "score"), Kind.VALUE)}


def test_equal_leaves_count_for_the_mean_even_in_equal_subtrees() -> None:
    many, one_off = [0.5] * 9, [0.5] * 8 + [0.6]
    assert walk(segments(*many), segments(*one_off), scores_rule(mean_below=0.03)).verdict is Verdict.TOLERATED


def test_a_leaf_that_is_missing_or_no_number_is_its_own_difference() -> None:
    primary = {"segments": [{"score": 0.5}, {"score": 0.5}, {"score": 0.5}]}
    candidate = {"segments": [{"score": 0.5}, {}, {"score": "0.5"}]}
    comparison = walk(primary, candidate, scores_rule(mean_below=0.1))
    assert found(comparison) == {
        (("$", "segments", 1, "score"), Kind.MISSING),
        (("$", "segments", 2, "score"), Kind.TYPE),
    }
    assert comparison.deltas == (0,)


def test_an_empty_set_says_nothing_unless_required() -> None:
    primary, candidate = {"segments": [], "x": 1}, {"segments": [], "x": 1.0}
    assert walk(primary, candidate, scores_rule(mean_below=0.1)).verdict is Verdict.TOLERATED
    required = scores_rule(mean_below=0.1, required=True)
    assert found(walk(primary, candidate, required)) == {((SELECTOR,), Kind.MISSING)}
    assert walk(primary, dict(primary), required).verdict is Verdict.MATCH


@pytest.mark.parametrize("instead", [{"segments": []}, {"segments": [{"id": 0}]}, {}, segments("0.5"), segments(None)])
def test_required_asks_for_one_pair_of_numbers_at_least(instead: Tree) -> None:
    required = scores_rule(mean_below=0.1, required=True)
    for one, other in ((segments(0.5), instead), (instead, segments(0.5))):
        comparison = walk(one, other, required)
        assert ((SELECTOR,), Kind.MISSING) in found(comparison)
        assert comparison.count > 1
    assert found(walk(segments(0.5, 0.5), segments(0.5), required)) == {(("$", "segments"), Kind.LENGTH)}


def test_required_needs_no_response_bound() -> None:
    rules = rule_set(rule("$.score", "numeric", {"abs": 1, "required": True}))
    assert found(walk({"a": 1}, {"a": 1.0}, rules)) == {(("$.score",), Kind.MISSING)}


def test_what_is_required_is_not_missed_in_another_spelling_of_the_same_answer() -> None:
    required = scores_rule(mean_below=0.1, required=True)
    assert compare(response(segments()), response(segments(), indent=1), required).verdict is Verdict.MATCH


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_infinite_and_nan_leaves_fail_the_bound(bad: float) -> None:
    rules = rule_set(rule("$[*]", "numeric", {"max_below": 1e300}))
    assert Kind.AGGREGATE in {kind for _, kind in found(walk([1.0, 2.0], [1.0, bad], rules))}


def test_another_spelling_of_an_equal_number_counts_as_zero() -> None:
    comparison = walk([1], [1.0], rule_set(rule("$[*]", "numeric", {"abs": 1})))
    assert (comparison.deltas, comparison.notes) == ((0,), (Note.TYPE_ONLY,))


settings: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "abs": st.sampled_from([0.0, 0.01, 1.0]),
        "rel": st.sampled_from([0.0, 0.05, 0.6]),
        "symmetric": st.booleans(),
        "floor": st.sampled_from([0.0, 1e-9, 0.01]),
    }
)
floats = st.sampled_from([0.0, -0.0, 0.5, 0.505, 1.0, -1.0, math.nan, math.inf, 1e308, -1e308, 5e-324]) | st.floats()


@example([(-1e308, 1e308)], {"rel": 1e3}, "numeric")
@example([(0.9, 1.2), (0.1, -0.1)], {"abs": 1.0}, "probability")
@example([(math.inf, 1.0), (1.0, math.inf)], {"rel": 1e3}, "numeric")
@example([(0.015, 0.02), (0.5, 0.505), (0.005, -0.002)], {"abs": 1.0, "floor": 0.01}, "numeric")
@given(st.lists(st.tuples(floats, floats), max_size=5), settings, st.sampled_from(["numeric", "probability"]))
def test_the_loop_decides_as_the_formula_does(
    pairs: list[tuple[float, float]], chosen: dict[str, Any], name: str
) -> None:
    rules = rule_set(rule("$[*]", name, chosen), limits=unlimited())
    bounds: Bounds = {"numeric": Numeric, "probability": Probability}[name](**chosen).bounds()
    comparison = walk([p for p, _ in pairs], [c for _, c in pairs], rules)
    refused = [at for at, (p, c) in enumerate(pairs) if not bounds.accepts(p, c)]
    assert found(comparison) == {(("$", at), Kind.VALUE) for at in refused}
    assert list(map(repr, comparison.deltas)) == [repr(delta(p, c, bounds.floor)) for p, c in pairs]
    accepted = sum(unequal(p, c) is not None for p, c in pairs) - len(refused)
    assert comparison.hits == ({f"{name} $[*]": accepted} if pairs else {})
