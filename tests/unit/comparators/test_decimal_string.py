from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparators import Kind, RuleErrors, Tree
from comparators.decimal_string import DECIMAL_STRINGS, parse_decimal
from tests.unit.comparators.leaf_rule import LeafRule
from tests.unit.comparators.trees import trees

(COMPARATOR,) = DECIMAL_STRINGS


def leaf(**settings: Any) -> LeafRule:
    return LeafRule(COMPARATOR, **settings)


EXACT, CENT, SCALE = leaf(), leaf(abs="0.01"), leaf(scale=True)

decimals = st.from_regex(
    r"[+-]?([0-9]{1,30}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][+-]?[1-3]?[0-9]{1,2})?", fullmatch=True
)
strings = decimals | st.sampled_from(["NaN", "sNaN", "Infinity", "", " 1", "1_0", "१", "1e401", "1" * 65]) | st.text()
limits = st.decimals(0, 1_000, places=3).map(str)


@pytest.mark.parametrize(
    ("primary", "candidate"),
    [
        pytest.param("1.0", "1.00", id="trailing zeros"),
        pytest.param("1", "1.", id="a point without digits behind it"),
        pytest.param("0.5", ".5", id="or before it"),
        pytest.param("007", "+7", id="leading zeros and a plus"),
        pytest.param("0", "-0.0", id="zero has no sign"),
        pytest.param("100", "1e2", id="exponents"),
        pytest.param("1E-2", "0.01", id="negative ones"),
        pytest.param("1e400", "10e399", id="the widest exponent"),
    ],
)
def test_another_spelling_of_the_same_number_is_accepted(primary: str, candidate: str) -> None:
    assert EXACT.accepts(primary, candidate)


@pytest.mark.parametrize(
    ("primary", "candidate", "accepted"),
    [
        pytest.param("1.00", "1.01", True, id="the bound is inclusive"),
        pytest.param("1.01", "1.00", True, id="both ways"),
        pytest.param(
            "1.00", "1.0100000000000000000000000000000000000000000000000000000000001", False, id="and no more"
        ),
        pytest.param("1" * 60, "1" * 59 + "2", False, id="digits that no double holds"),
        pytest.param("1" * 60 + ".11", "1" * 60 + ".12", True, id="nor the context of the decimal module"),
        pytest.param("1e400", "1e-400", False, id="the largest against the smallest"),
        pytest.param("-0.005", "0.005", True, id="across zero"),
    ],
)
def test_the_distance_is_exact(primary: str, candidate: str, *, accepted: bool) -> None:
    assert CENT.accepts(primary, candidate) is accepted


@pytest.mark.parametrize(
    ("primary", "candidate", "accepted"),
    [
        ("1.0", "1.00", False),
        ("1e2", "100", False),
        ("1.00", "+01.00", True),
        ("1.0e1", "10", True),
        ("1.0", "1.1", False),
    ],
)
def test_scale_makes_trailing_zeros_count(primary: str, candidate: str, *, accepted: bool) -> None:
    assert SCALE.accepts(primary, candidate) is accepted


def test_scale_and_a_distance_both_have_to_hold() -> None:
    both = leaf(abs="0.05", scale=True)
    assert both.accepts("1.00", "1.04")
    assert not both.accepts("1.0", "1.04")
    assert not both.accepts("1.00", "1.06")


@pytest.mark.parametrize(
    "text",
    ["NaN", "nan", "sNaN", "Infinity", "-inf", "", "+", ".", "1e", "1,5", "1_000", " 1", "1\n", "0x1", "१", "1e401"],
)
def test_what_is_no_decimal_number_is_a_string(text: str) -> None:
    assert parse_decimal(text) is None
    assert leaf(abs="1000").kind(text, "1") is Kind.VALUE
    assert EXACT.accepts(text, text)


def test_a_number_has_at_most_64_characters() -> None:
    assert parse_decimal("1" * 64) == Decimal("1" * 64)
    assert parse_decimal("1" * 65) is None


@pytest.mark.parametrize(
    ("primary", "candidate", "kind"),
    [("1", 1, Kind.TYPE), (1.5, 1.6, Kind.VALUE), (True, False, Kind.VALUE), ("1", None, Kind.TYPE), (1, 1.0, None)],
)
def test_anything_but_strings_is_compared_exactly(primary: Tree, candidate: Tree, kind: Kind | None) -> None:
    assert leaf(abs="1000").kind(primary, candidate) is kind


def test_the_magnitude_is_the_relative_delta() -> None:
    assert EXACT.magnitude("100", "105") == 0.05
    assert EXACT.magnitude("0", "1") == 1e9
    assert EXACT.magnitude("0", "1e400") == inf
    assert EXACT.magnitude("a", "b") is None


@pytest.mark.parametrize("value", ["-1", "NaN", "", "a lot", 0.01, None])
def test_a_bound_that_is_no_decimal_string_is_refused(value: Any) -> None:
    with pytest.raises(RuleErrors, match="setting 'abs' must be"):
        leaf(abs=value)


@given(strings | trees, strings | trees, limits, st.booleans())
def test_it_is_sound(primary: Tree, candidate: Tree, limit: str, scale: bool) -> None:  # noqa: FBT001  drawn
    leaf(abs=limit, scale=scale).must_be_sound(primary, candidate)


@given(decimals, decimals, limits)
def test_it_decides_as_exact_arithmetic_does_whichever_side_is_which(one: str, other: str, limit: str) -> None:
    if parse_decimal(one) is None or parse_decimal(other) is None:
        return
    expected = abs(Fraction(one) - Fraction(other)) <= Fraction(limit)
    assert leaf(abs=limit).accepts(one, other) is expected
    assert leaf(abs=limit).accepts(other, one) is expected


@given(decimals, st.integers(-500, 500), limits, limits)
def test_a_wider_bound_accepts_what_a_narrower_one_does(one: str, steps: int, limit: str, more: str) -> None:
    number = parse_decimal(one)
    other = one if number is None or abs(number) > 10**9 else str(round(number, 3) + steps)
    if leaf(abs=limit).accepts(one, other):
        assert leaf(abs=str(Decimal(limit) + Decimal(more))).accepts(one, other)
