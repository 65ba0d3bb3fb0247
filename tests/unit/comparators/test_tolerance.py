from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparators.tolerance import Bounds, Numeric, Probability, delta, exceeded, mean

SPECIAL = [0, 0.0, -0.0, 5e-324, 2.2e-308, 2.0**53, 2**53 - 1, 2**53 + 1, 10**400, -(10**400), 1e308, -1e308]
numbers = st.sampled_from([*SPECIAL, math.inf, -math.inf, math.nan]) | st.integers(-(2**70), 2**70) | st.floats()
finite = st.sampled_from(SPECIAL) | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
tolerances = st.sampled_from([0.0, 1e-9, 0.05, 1.0, 100.0]) | st.floats(0, 1e3)


def bounds(**settings: Any) -> Bounds:
    return Numeric(**settings).bounds()


def relative_gap(one: Fraction, other: Fraction) -> Fraction:
    return abs(one - other) / max(abs(one), abs(other), Fraction(1, 10**320))


@given(finite, finite, tolerances, tolerances)
def test_leaf_bounds_decide_as_exact_arithmetic_does(
    primary: float, candidate: float, absolute: float, relative: float
) -> None:
    p, c = Fraction(primary), Fraction(candidate)
    distance = abs(c - p)
    limits = [Fraction(absolute), Fraction(relative) * abs(p)]
    if distance and any(relative_gap(distance, limit) < Fraction(1, 2**50) for limit in limits):
        return  # on the bound doubles decide
    if distance > Fraction(2) ** 1023 and not isinstance(primary, int):
        return  # the distance of two doubles may overflow
    expected = distance == 0 or any(distance <= limit for limit in limits)
    assert bounds(abs=absolute, rel=relative).accepts(primary, candidate) is expected


@given(st.floats(), st.floats(), tolerances, tolerances)
def test_symmetric_bounds_decide_as_isclose_does(one: float, other: float, absolute: float, relative: float) -> None:
    symmetric = Numeric(abs=absolute, rel=relative, symmetric=True).bounds()
    if math.isnan(one) or math.isnan(other):
        assert symmetric.accepts(one, other) is (math.isnan(one) and math.isnan(other))
    elif not math.isinf(one - other) or math.isinf(one) or math.isinf(other):
        assert symmetric.accepts(one, other) is math.isclose(one, other, rel_tol=relative, abs_tol=absolute)
    assert symmetric.accepts(one, other) is symmetric.accepts(other, one)


@given(numbers, numbers, tolerances, tolerances, tolerances)
def test_a_larger_tolerance_never_refuses_what_a_smaller_one_accepts(
    primary: float, candidate: float, absolute: float, relative: float, more: float
) -> None:
    if bounds(abs=absolute, rel=relative).accepts(primary, candidate):
        assert bounds(abs=absolute + more, rel=relative).accepts(primary, candidate)
        assert bounds(abs=absolute, rel=relative + more).accepts(primary, candidate)


@pytest.mark.parametrize(
    ("primary", "candidate", "accepted"),
    [
        pytest.param(100, 105, True, id="the leaf bound is inclusive"),
        pytest.param(100, 105.00001, False, id="and no more"),
        pytest.param(1.0, 1.05, False, id="doubles decide: the distance is 0.050000000000000044"),
        pytest.param(20.0, 21.0, True, id="exactly on the bound"),
        pytest.param(0, 1e-300, False, id="nothing is relative to zero"),
        pytest.param(0.0, -0.0, True, id="zero has no sign"),
        pytest.param(math.nan, math.nan, True, id="NaN stands for NaN"),
        pytest.param(math.nan, 1.0, False, id="not for a number"),
        pytest.param(1.0, math.nan, False, id="nor a number for it"),
        pytest.param(math.inf, math.inf, True, id="the same infinity"),
        pytest.param(math.inf, 1e308, False, id="infinite times anything accepts nothing finite"),
        pytest.param(1e308, math.inf, False, id="nor the reverse"),
        pytest.param(math.inf, 10**400, False, id="not even what no double can hold"),
        pytest.param(10**400, 10**400 + 1, True, id="large integers within the bound"),
        pytest.param(10**400, 2 * 10**400, False, id="and beyond"),
        pytest.param(10**400, math.nan, False, id="a large integer is not NaN"),
        pytest.param(-1e308, 1e308, False, id="a distance that overflows"),
    ],
)
def test_five_percent_relative(primary: float, candidate: float, *, accepted: bool) -> None:
    assert bounds(rel=0.05).accepts(primary, candidate) is accepted


def test_integers_no_double_can_hold_are_told_apart() -> None:
    assert not bounds(abs=0).accepts(2**53 + 1, 2.0**53)
    assert not bounds(abs=0, rel=0).accepts(2**63, 2**63 + 1)
    assert bounds(abs=1).accepts(2**63, 2**63 + 1)


def test_without_a_leaf_bound_any_finite_number_passes_the_leaf() -> None:
    free = bounds(mean_below=0.05)
    assert free.accepts(1, 1e300)
    assert free.accepts(10**400, 1)
    assert not free.accepts(1, math.nan)
    assert not free.accepts(10**400, math.nan)


def test_probabilities_stay_within_one_hundredth_and_in_the_unit_interval() -> None:
    probability = Probability().bounds()
    assert probability.accepts(0.5, 0.509)
    assert not probability.accepts(0.5, 0.52)
    assert probability.accepts(1.0, 1.0000005)
    assert not probability.accepts(1.0, 1.00001)
    assert not Probability(abs=5).bounds().accepts(0.0, -0.1)
    assert Probability(mean_below=0.1).bounds().accepts(0.1, 0.9)


@pytest.mark.parametrize(
    ("primary", "candidate", "floor", "expected"),
    [
        (100, 105, 1e-9, 0.05),
        (0, 0, 0.0, 0.0),
        (0.0, 1.0, 0.0, math.inf),
        (0.0, 0.001, 0.01, 0.1),
        (1, math.inf, 1e-9, math.inf),
        (math.inf, 1, 1e-9, math.inf),
        (math.nan, math.nan, 1e-9, 0.0),
        (10**400, 2 * 10**400, 1e-9, 1.0),
        (0, 10**400, 1e-9, math.inf),
        (10**400, math.inf, 1e-9, math.inf),
        (0, 10**20, 0.0, math.inf),
    ],
)
def test_relative_delta(primary: float, candidate: float, floor: float, expected: float) -> None:
    assert delta(primary, candidate, floor) == pytest.approx(expected)


@given(numbers, numbers, st.sampled_from([0.0, 1e-9, 0.01]))
def test_delta_is_zero_for_equal_numbers_and_never_negative(primary: float, candidate: float, floor: float) -> None:
    assert delta(primary, primary, floor) == 0
    assert not delta(primary, candidate, floor) < 0
    if (primary != primary) is not (candidate != candidate):  # noqa: PLR0124  NaN
        assert not math.isfinite(delta(primary, candidate, floor))


def test_response_bounds_are_strict() -> None:
    both = bounds(mean_below=0.05, max_below=0.10)
    assert exceeded([0.0, 0.0998], both) is None
    assert exceeded([0.05, 0.05], both) == 0.05
    assert exceeded([0.0, 0.0, 0.10], both) == 0.10
    assert exceeded([0.0] * 9 + [0.10], bounds(max_below=0.10)) == 0.10


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_delta_that_is_no_number_fails_every_response_bound(bad: float) -> None:
    for settings in ({"mean_below": 10.0}, {"max_below": 10.0}):
        for deltas in ([bad, 0.0], [0.0, bad]):
            assert exceeded(deltas, bounds(**settings)) is not None


def test_a_mean_that_overflows_is_infinite() -> None:
    assert mean([1e308, 1e308, 1e308]) == math.inf


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give at least one of"),
        ({"abs": -1.0}, "abs must be finite and not negative"),
        ({"rel": math.nan}, "rel must be finite"),
        ({"abs": 1.0, "floor": math.inf}, "floor must be finite"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bounds(**settings)


def test_a_very_wide_relative_bound_is_warned_about() -> None:
    assert Numeric(rel=0.6).warnings()
    assert not Numeric(rel=0.5).warnings()
