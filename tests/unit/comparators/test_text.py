from __future__ import annotations

import re
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparators import BUILT_IN, Kind, Limits, Reason, RuleErrors, Tree, Verdict, compile_rules
from comparators.rules import EndpointSettings
from comparators.text import SCORED, TEXT_CAP, TEXTS
from tests.unit.comparators.leaf_rule import LeafRule, judged
from tests.unit.comparators.trees import rule, trees

(COMPARATOR,) = TEXTS
TWENTY = "abcdefghijklmnopqrst"

strings = (
    st.text("ab \n", max_size=12) | st.text(max_size=12) | st.text(st.characters(categories=["Cs", "Mn"]), max_size=6)
)
scores = st.sampled_from([0.001, 0.5, 0.8, 0.95, 1.0]) | st.floats(0.001, 1)
choices = st.lists(st.sampled_from(["nfc", "space", "case"]), unique=True)
units = st.sampled_from(["char", "word"])


def leaf(**settings: Any) -> LeafRule:
    return LeafRule(COMPARATOR, **settings)


def distance(one: str | list[str], other: str | list[str]) -> int:
    """Levenshtein's, by the textbook."""
    row = list(range(len(other) + 1))
    for index, a in enumerate(one, 1):
        before, row[0] = row[0], index
        for at, b in enumerate(other, 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (a != b))
    return row[-1]


@pytest.mark.parametrize(
    ("least", "candidate", "accepted"),
    [
        pytest.param(0.95, TWENTY[:-1], True, id="the bound is inclusive"),
        pytest.param(0.951, TWENTY[:-1], False, id="and no more"),
        pytest.param(0.95, TWENTY[:-2], False, id="two of twenty"),
        pytest.param(0.9, TWENTY[:-2] + "XY", True, id="substitutions"),
        pytest.param(0.9, "X" + TWENTY + "Y", True, id="insertions count against the longer one"),
        pytest.param(1, TWENTY + "X", False, id="one accepts nothing"),
        pytest.param(0.001, "", False, id="nothing is like something"),
    ],
)
def test_texts_are_alike_by_edit_distance(least: float, candidate: str, *, accepted: bool) -> None:
    assert leaf(min=least).kind(TWENTY, candidate) is (None if accepted else Kind.TEXT)


def test_the_default_is_95_percent_of_the_characters() -> None:
    assert leaf().accepts(TWENTY, TWENTY[1:])
    assert not leaf().accepts(TWENTY, TWENTY[2:])
    assert not leaf().accepts(TWENTY, TWENTY.upper())


def test_words_may_be_counted_instead() -> None:
    words = leaf(unit="word", min=0.75)
    assert words.accepts("the quick brown fox", "the quick  brown\nelephant")
    assert not words.accepts("the quick brown fox", "a quick brown elephant")
    assert not leaf(min=0.75).accepts("the quick brown fox", "the quick brown elephant")


@pytest.mark.parametrize(
    ("step", "primary", "candidate"),
    [
        ("nfc", "caf\xe9", "cafe\u0301"),
        ("space", " a \n\tb\xa0c", "a b c "),
        ("case", "STRASSE", "straße"),
    ],
)
def test_what_does_not_count_may_be_taken_out(step: str, primary: str, candidate: str) -> None:
    assert leaf(min=1, normalise=[step]).accepts(primary, candidate)
    assert not leaf(min=1).accepts(primary, candidate)


def test_all_of_it_in_any_order() -> None:
    primary, candidate = "  CAFE\u0301\n", "caf\xe9"
    assert leaf(min=1, normalise=["space", "nfc", "case"]).accepts(primary, candidate)
    assert leaf(min=1, normalise=["case", "nfc", "space"]).accepts(primary, candidate)
    assert not leaf(min=1, normalise=["case", "nfc"]).accepts(primary, candidate)


def test_texts_of_which_nothing_is_left_are_alike() -> None:
    assert leaf(min=1, normalise=["space"]).accepts(" ", "\n")
    assert leaf(min=1, unit="word").accepts(" ", "")


@pytest.mark.parametrize(
    ("primary", "candidate", "kind"),
    [("a", 1, Kind.TYPE), (1, 2, Kind.VALUE), (True, False, Kind.VALUE), ("a", None, Kind.TYPE), (1, 1.0, None)],
)
def test_anything_but_strings_is_compared_exactly(primary: Tree, candidate: Tree, kind: Kind | None) -> None:
    assert leaf(min=0.001).kind(primary, candidate) is kind


def test_the_magnitude_is_what_the_score_lacks() -> None:
    assert leaf().magnitude("abcd", "abXX") == 0.5
    assert leaf(unit="word").magnitude("a b c d", "a x y z") == 0.75
    assert leaf().magnitude("a" * SCORED, "b") == 1


def test_long_texts_that_are_refused_have_no_magnitude() -> None:
    assert leaf().magnitude("a" * (SCORED + 1), "b") is None


def test_texts_have_at_most_100000_characters() -> None:
    assert leaf().accepts("a" * TEXT_CAP, "a" * (TEXT_CAP - 1))
    assert leaf().reason("a" * (TEXT_CAP + 1), "a" * TEXT_CAP) is Reason.TEXT_CAP
    assert leaf().reason("b", "a" * (TEXT_CAP + 1)) is Reason.TEXT_CAP
    assert leaf().accepts("a" * (TEXT_CAP + 1), "a" * (TEXT_CAP + 1))


def test_the_distance_is_work() -> None:
    assert leaf(min=0.1).reason("ab" * 50_000, "ba" * 50_000) is Reason.LEAVES
    few = EndpointSettings(limits=Limits(leaves=20))
    rules = compile_rules([rule("$.*", "text")], comparators={**BUILT_IN, "text": COMPARATOR}, settings=few)
    assert judged({"x": "a" * 100}, {"x": "a" * 99}, rules).verdict is Verdict.TOLERATED
    ours = {str(index): "a" * 1_000 for index in range(5)}
    theirs = {str(index): "a" * 999 for index in range(5)}
    assert judged(ours, theirs, rules).reason is Reason.LEAVES


@pytest.mark.parametrize("least", [0, -0.1, 1.1, float("nan"), "most"])
def test_a_score_out_of_range_is_refused(least: Any) -> None:
    with pytest.raises(RuleErrors, match="setting 'min' must be"):
        leaf(min=least)


@pytest.mark.parametrize("steps", ["nfc", ["nfd"], [1], [["nfc"]], {"nfc": True}, 1])
def test_steps_that_are_unknown_are_refused(steps: Any) -> None:
    with pytest.raises(RuleErrors, match="setting 'normalise' must be a list of nfc, space, case"):
        leaf(normalise=steps)


def test_a_low_score_is_warned_about() -> None:
    assert "little in common" in leaf(min=0.4).rules.warnings[0]
    assert leaf(min=0.5).rules.warnings == ()


@given(strings | trees, strings | trees, scores, units, choices)
def test_it_is_sound(primary: Tree, candidate: Tree, least: float, unit: str, steps: list[str]) -> None:
    leaf(min=least, unit=unit, normalise=steps).must_be_sound(primary, candidate)


@given(strings, strings, st.integers(1, 100), units)
def test_it_decides_as_the_textbook_does(one: str, other: str, percent: int, unit: str) -> None:
    ours, theirs = (text.split() if unit == "word" else text for text in (one, other))
    longest = max(len(ours), len(theirs))
    expected = one == other or 100 * (longest - distance(ours, theirs)) >= percent * longest
    assert leaf(min=percent / 100, unit=unit).accepts(one, other) is expected
    assert leaf(min=percent / 100, unit=unit).accepts(other, one) is expected


@given(strings, strings, st.tuples(scores, scores), units, choices)
def test_a_lower_score_accepts_what_a_higher_one_does(
    one: str, other: str, bounds: tuple[float, float], unit: str, steps: list[str]
) -> None:
    low, high = sorted(bounds)
    if leaf(min=high, unit=unit, normalise=steps).accepts(one, other):
        assert leaf(min=low, unit=unit, normalise=steps).accepts(one, other)


def test_marks_in_a_row_are_composed_up_to_a_bound() -> None:
    composed = leaf(min=1, normalise=["nfc"])
    assert composed.accepts("a" + "\u0301\u0327" * 49, "a" + "\u0327\u0301" * 49)
    assert composed.accepts("a\u0301\u0327", "a\u0327\u0301")
    assert composed.reason("a" + "\u0301\u0327" * 50, "a") is Reason.TEXT_CAP
    assert composed.accepts("=" * 200, "=" * 200 + " ") is False
    assert leaf(normalise=["space"]).accepts("a" + "\u0301\u0327" * 50, "a" + "\u0301\u0327" * 50 + " ")


def test_every_combining_mark_may_be_in_a_run() -> None:
    marks = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.combining(chr(code))]
    assert not [mark for mark in marks if re.match(r"\w", mark)]
