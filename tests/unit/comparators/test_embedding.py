from __future__ import annotations

from copy import deepcopy
from decimal import Decimal, localcontext
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
from comparators.embedding import EMBEDDINGS, Embedding, EmbeddingSettings, cosine, norm
from comparators.ledger import Ledger
from comparators.tree import Walk
from tests.unit.comparators.trees import NO_RULES, found, rule, trees, walk

KNOWN = with_custom(EMBEDDINGS, base={})
Vector = list[float]


def judged(primary: Tree, candidate: Tree, limits: Limits | None = None, **settings: Any) -> Comparison:
    rules = compile_rules(
        [rule("$.x", "embedding", settings)],
        comparators=KNOWN,
        settings=EndpointSettings(limits=limits or Limits()),
    )
    return walk({"x": primary}, {"x": candidate}, rules)


def asked(primary: Tree, candidate: Tree, **settings: Any) -> Finding:
    return Embedding().compare(primary, candidate, EmbeddingSettings(**settings), Walk(NO_RULES, Ledger(1)))


def accepts(primary: Tree, candidate: Tree, **settings: Any) -> bool:
    return not isinstance(asked(primary, candidate, **settings), list)


def magnitude(finding: Finding) -> float | None:
    if isinstance(finding, list):
        (difference,) = finding
        return difference.magnitude
    assert isinstance(finding, Accepted)
    return finding.magnitude


def measured(a: Vector, b: Vector) -> float:
    n, m = norm(a), norm(b)
    assert n is not None
    assert m is not None
    return cosine(a, b, n, m)


def exact(a: Vector, b: Vector) -> Decimal:
    """The cosine to fifty digits."""

    def dot(x: Vector, y: Vector) -> Decimal:
        total = sum((Fraction(one) * Fraction(other) for one, other in zip(x, y, strict=True)), Fraction(0))
        return Decimal(total.numerator) / Decimal(total.denominator)

    with localcontext() as context:
        context.prec = 50
        return dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())


SLIGHTLY_TURNED = [1.0, 0.04]
"""From [1, 0] by a cosine of 0.9992."""


def test_a_slight_turn_is_accepted_and_more_is_refused() -> None:
    assert judged([1.0, 0.0], SLIGHTLY_TURNED).verdict is Verdict.TOLERATED
    comparison = judged([1.0, 0.0], [1.0, 0.05])
    assert found(comparison) == {(("$", "x"), Kind.VECTOR)}
    assert (comparison.differences[0].primary, comparison.differences[0].candidate) == ([1.0, 0.0], [1.0, 0.05])
    assert comparison.differences[0].magnitude == pytest.approx(1 - 1 / 1.0025**0.5)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1, 0], [1, 0], 1.0),
        ([1, 0], [-1, 0], -1.0),
        ([1, 0], [0, 1], 0.0),
        ([1, 0], [1, 1], 0.5**0.5),
        ([3, 4], [4, 3], 24 / 25),
        ([1, 2, 3], [1000, 2000, 3000], 1.0),
        ([1, 2, 3], [-1e-9, -2e-9, -3e-9], -1.0),
        ([1e200, 1e200], [1e200, 0.0], 0.5**0.5),
        ([1e-200, 1e-200], [1e-200, 0.0], 0.5**0.5),
        ([1e-200, 1e-200], [1e200, 0.0], 0.5**0.5),
        ([1.5e308, 0.0], [-1.5e308, 0.0], -1.0),
        ([10**300, 0], [1, 1], 0.5**0.5),
    ],
)
def test_cosine_by_example(a: Vector, b: Vector, expected: float) -> None:
    assert measured(a, b) == measured(b, a) == pytest.approx(expected, abs=2e-15)


members = st.integers(-10_000, 10_000).map(lambda thousandths: thousandths / 1000)
vectors = st.integers(1, 12).flatmap(lambda size: st.lists(members, min_size=size, max_size=size).filter(any))
pairs = st.integers(1, 12).flatmap(
    lambda size: st.tuples(*[st.lists(members, min_size=size, max_size=size).filter(any)] * 2)
)
scales = st.sampled_from([1e-150, 1e-6, 0.3, 0.5, 0.9, 1.0, 1.7, 2.0, 2.1, 1e6, 1e150])


@given(pairs, scales)
def test_cosine_is_exact_to_a_few_units_in_the_last_place(pair: tuple[Vector, Vector], scale: float) -> None:
    a, b = pair[0], [each * scale for each in pair[1]]
    assert measured(a, b) == pytest.approx(float(exact(a, b)), abs=4e-15)


@given(vectors, st.integers(-1_000, 1_000), scales)
def test_cosine_of_near_neighbours_is_exact_too(a: Vector, nudge: int, scale: float) -> None:
    b = [a[0] + nudge * 1e-9, *a[1:]]
    assert measured(a, b) == pytest.approx(float(exact(a, b)), abs=1e-15)
    assert measured(a, [each * scale for each in a]) == pytest.approx(1, abs=1e-15)


def test_an_embedding_of_usual_size() -> None:
    a = [((7919 * place) % 1009 - 504) / 8192 for place in range(1_536)]
    b = [each + ((104_729 * place) % 11 - 5) * 1e-5 for place, each in enumerate(a)]
    assert measured(a, b) == pytest.approx(float(exact(a, b)), abs=1e-15)
    assert accepts(a, b, norm_rel=0.001)
    assert not accepts(a, [-each for each in a])


def test_bounds_are_inclusive() -> None:
    assert accepts([3, 4], [4, 3], min_cosine=measured([3, 4], [4, 3]))
    assert not accepts([3, 4], [4, 3], min_cosine=measured([3, 4], [4, 3]) + 1e-15)
    assert accepts([1, 0], [-1, 0], min_cosine=-1)
    assert accepts([4.0], [3.0], norm_rel=0.25)
    assert not accepts([4.0], [3.0], norm_rel=0.2499)


def test_norms_matter_only_if_asked_for() -> None:
    assert magnitude(asked([1.0, 2.0], [3.0, 6.0])) == pytest.approx(0, abs=1e-15)
    refused = judged([1.0, 2.0], [4.0, 8.0], norm_rel=0.5)
    assert found(refused) == {(("$", "x"), Kind.VECTOR)}
    assert refused.differences[0].magnitude == pytest.approx(0.75)
    assert magnitude(asked([1.0, 0.0], [0.0, 8.0], norm_rel=0.5)) == pytest.approx(1)


def test_the_same_numbers_spelled_otherwise_are_accepted_by_the_strictest_bounds() -> None:
    assert asked([1, 2, 3], [1.0, 2, 3.0], min_cosine=1, norm_rel=0) == Accepted(magnitude=0.0)


def test_rounding_makes_no_cosine_larger_than_one() -> None:
    assert asked([-0.3], [-0.51], min_cosine=1) == Accepted(magnitude=0.0)


@pytest.mark.parametrize("zero", [[0.0, 0.0], [0, 0], [-0.0, 0]], ids=str)
def test_a_zero_vector_is_like_no_other(zero: Vector) -> None:
    comparison = judged(zero, [1e-300, 0.0], min_cosine=-1)
    assert found(comparison) == {(("$", "x"), Kind.VECTOR)}
    assert comparison.differences[0].magnitude == 1
    assert found(judged([1.0, 0.0], zero, min_cosine=-1, norm_rel=10)) == {(("$", "x"), Kind.VECTOR)}


def test_two_zero_vectors_are_alike() -> None:
    assert asked([0.0, 0.0], [-0.0, 0.0]) is EQUAL
    assert asked([0.0, 0.0], [0, 0], min_cosine=1, norm_rel=0) == Accepted(magnitude=0.0)
    assert asked([], []) is EQUAL


@pytest.mark.parametrize(
    ("primary", "candidate"), [([1.0], [1.0, 0.0]), ([0.0], []), ([], [1.0, 2.0]), ([1.0] * 5, [1.0] * 4)], ids=str
)
def test_another_dimension_is_a_difference_of_length(primary: Vector, candidate: Vector) -> None:
    size, other = len(primary), len(candidate)
    comparison = judged(primary, candidate, min_cosine=-1)
    assert comparison.differences == ((("$", "x"), Kind.LENGTH, size, other, float(abs(size - other))),)


NO_VECTORS: list[Tree] = [None, 1.0, "1", True, {}, {"0": 1.0}, [nan], [inf], [-inf], [10**400], [True], ["1"], [None]]
NO_VECTORS += [[[1.0]], [1.0, nan], [nan, inf], [1.5e308, 1.5e308], [1.0, False]]


@pytest.mark.parametrize("node", NO_VECTORS, ids=lambda node: str(node)[:30])
def test_what_is_no_vector_is_a_difference_of_type(node: Tree) -> None:
    good = [1.0] * len(node) if isinstance(node, list) else [1.0]
    assert found(judged(good, node, min_cosine=-1)) == {(("$", "x"), Kind.TYPE)}
    assert found(judged(node, good, min_cosine=-1)) == {(("$", "x"), Kind.TYPE)}
    assert judged(node, deepcopy(node)).verdict is Verdict.MATCH


def test_more_dimensions_than_the_budget_are_not_looked_at() -> None:
    with pytest.raises(OverBudget, match="leaves"):
        judged([1.0] * 100, [2.0] * 99, Limits(leaves=100))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_cosine": 1.1}, "min_cosine must be from -1 to 1, not 1.1"),
        ({"min_cosine": nan}, "min_cosine must be from -1 to 1, not nan"),
        ({"norm_rel": -0.1}, "norm_rel must be finite and not negative, not -0.1"),
        ({"norm_rel": inf}, "norm_rel must be finite and not negative, not inf"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judged([], [], **settings)


def test_settings_that_accept_almost_anything_warn() -> None:
    (warning,) = compile_rules([rule("$.x", "embedding", {"min_cosine": 0.4})], comparators=KNOWN).warnings
    assert "min_cosine below 0.5" in warning
    assert compile_rules([rule("$.x", "embedding")], comparators=KNOWN).warnings == ()


cosines, ratios = st.floats(-1, 1), st.none() | st.floats(0, 2)


@given(pairs, cosines, ratios, scales)
def test_neither_side_is_the_reference(
    pair: tuple[Vector, Vector], min_cosine: float, norm_rel: float | None, scale: float
) -> None:
    a, b = pair[0], [each * scale for each in pair[1]]
    there = asked(a, b, min_cosine=min_cosine, norm_rel=norm_rel)
    back = asked(b, a, min_cosine=min_cosine, norm_rel=norm_rel)
    assert type(there) is type(back)
    assert there is EQUAL or magnitude(there) == magnitude(back)


@given(pairs, cosines, ratios, cosines, ratios)
def test_a_wider_tolerance_never_refuses_more(
    pair: tuple[Vector, Vector], min_cosine: float, norm_rel: float | None, lower: float, wider: float | None
) -> None:
    if accepts(*pair, min_cosine=min_cosine, norm_rel=norm_rel):
        assert accepts(*pair, min_cosine=min(min_cosine, lower), norm_rel=norm_rel)
        if norm_rel is None or wider is None or wider >= norm_rel:
            assert accepts(*pair, min_cosine=min_cosine, norm_rel=None if norm_rel is None else wider)


@given(vectors, st.data())
def test_a_member_turned_around_is_found(vector: Vector, data: st.DataObject) -> None:
    place = data.draw(st.sampled_from([place for place, each in enumerate(vector) if each]))
    mutated = [-each if at == place else each for at, each in enumerate(vector)]
    bound = (float(exact(vector, mutated)) + 1) / 2
    assert found(judged(vector, mutated, min_cosine=bound)) == {(("$", "x"), Kind.VECTOR)}


@given(trees)
def test_identity_is_never_a_difference(tree: Tree) -> None:
    assert asked(tree, deepcopy(tree), min_cosine=1, norm_rel=0) is EQUAL


numbers = st.lists(st.floats() | st.integers() | st.just(10**400), max_size=4)


@given(trees | numbers, trees | numbers, ratios)
def test_any_trees_get_an_answer_twice_the_same_and_stay_as_they_are(
    primary: Tree, candidate: Tree, norm_rel: float | None
) -> None:
    before = repr((primary, candidate))
    first, second = (asked(primary, candidate, min_cosine=0.5, norm_rel=norm_rel) for _ in range(2))
    assert repr(first) == repr(second)
    assert repr((primary, candidate)) == before
    if isinstance(first, list):
        assert {difference.kind for difference in first} <= {Kind.VECTOR, Kind.LENGTH, Kind.TYPE}
    if not isinstance(first, list) and first is not EQUAL:
        assert 0 <= (magnitude(first) or 0) <= 0.5
