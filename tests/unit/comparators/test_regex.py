from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparators import Kind, Reason, RuleErrors, Tree
from comparators.regex import REGEXES
from tests.unit.comparators.leaf_rule import LeafRule
from tests.unit.comparators.trees import trees

(COMPARATOR,) = REGEXES
PATTERNS = [r"\d+", r"[a-f]*", r"(?:a|bc)?", r"", r"(?s).*", r"req-(\w+)-\d{1,3}", r"(?i)A+b"]

strings = st.text("abc-0 1", max_size=12) | st.from_regex(r"req-[ab]{1,3}-[0-9]", fullmatch=True) | st.text()


def leaf(pattern: str, **settings: Any) -> LeafRule:
    return LeafRule(COMPARATOR, pattern=pattern, **settings)


@pytest.mark.parametrize(
    ("pattern", "primary", "candidate", "accepted"),
    [
        (r"req-\d+", "req-1", "req-22", True),
        (r"req-\d+", "req-1", "req-", False),
        (r"req-\d+", "req-", "req-1", False),
        (r"req-\d+", "no", "none", False),
        (r"\d+", "1", "2x", False),
        (r"\d+", "1\n", "2", False),
        (r"(?i)ok|done", "OK", "Done", True),
        (r"(?a)\d+", "1", "१", False),
        (r".*", "a", "", True),
        (r".*", "a", "a\nb", False),
    ],
)
def test_both_strings_match_as_a_whole(pattern: str, primary: str, candidate: str, *, accepted: bool) -> None:
    assert leaf(pattern).kind(primary, candidate) is (None if accepted else Kind.FORMAT)


def test_equal_strings_are_equal_whatever_the_pattern() -> None:
    assert leaf(r"\d+").accepts("no number", "no number")


@pytest.mark.parametrize(
    ("pattern", "primary", "candidate", "accepted"),
    [
        pytest.param(r"\d+", "took 12 ms", "took 345 ms", True, id="what matches does not count"),
        pytest.param(r"\d+", "took 12 ms", "took 12 s", False, id="the rest does"),
        pytest.param(r"\d+", "took 12 ms", "took ms", False, id="nor may the match be absent"),
        pytest.param(r"\d+", "1,2", "3,4", True, id="every match"),
        pytest.param(r"\d+", "1,2", "3", False, id="as many as there are"),
        pytest.param(r"id=(\w+)", "id=a;", "id=b;", True, id="a group is no more than its match"),
        pytest.param(r"\d*", "a1b", "a22b", True, id="empty matches do no harm"),
        pytest.param(r"x", "a", "b", False, id="no match at all"),
        pytest.param(r"\d", "\0", "1", False, id="no character stands for a match"),
    ],
)
def test_a_mask_hides_what_matches(pattern: str, primary: str, candidate: str, *, accepted: bool) -> None:
    assert leaf(pattern, mask=True).kind(primary, candidate) is (None if accepted else Kind.VALUE)


@pytest.mark.parametrize(
    ("primary", "candidate", "kind"),
    [("1", 1, Kind.TYPE), (1, 2, Kind.VALUE), (True, False, Kind.VALUE), ("1", None, Kind.TYPE), (1, 1.0, None)],
)
def test_anything_but_strings_is_compared_exactly(primary: Tree, candidate: Tree, kind: Kind | None) -> None:
    assert leaf(".*").kind(primary, candidate) is kind


@pytest.mark.parametrize("mask", [False, True])
def test_strings_have_at_most_4096_characters(*, mask: bool) -> None:
    capped = leaf("[ab]*", mask=mask)
    assert capped.accepts("a" * 4_096, "b" * 4_096)
    assert capped.reason("a" * 4_097, "b") is Reason.TEXT_CAP
    assert capped.reason("a", "b" * 4_097) is Reason.TEXT_CAP
    assert capped.accepts("a" * 5_000, "a" * 5_000)


def test_a_pattern_that_may_take_long_is_for_shorter_strings_and_says_so() -> None:
    slow = leaf(r".*a.*b.*")
    (warning,) = slow.rules.warnings
    found = re.search(r"strings of over (\d+) characters are not compared", warning)
    assert found is not None
    longest = int(found[1])
    assert slow.accepts("ab" * (longest // 2), "ab")
    assert slow.reason("x" * (longest + 1), "ab") is Reason.TEXT_CAP
    assert leaf(r"\d+").rules.warnings == ()


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "cannot be used: missing"),
        ("a{99999999999}", "cannot be used: the repetition number is too large"),
        ("(a+)+b", "could backtrack without end"),
        (r"(a)\1", "backreferences, conditions and atomic groups are not supported"),
        ("a" * 201, "may have 200 characters, not 201"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_when_rules_are_loaded(pattern: str, message: str) -> None:
    with pytest.raises(RuleErrors, match="setting 'pattern'.*" + re.escape(message)):
        leaf(pattern)


def test_a_pattern_of_200_characters_may_be_used() -> None:
    assert leaf("a" * 198 + "b?").accepts("a" * 198, "a" * 198 + "b")


def test_a_pattern_is_required() -> None:
    with pytest.raises(RuleErrors, match="missing, possibly 'pattern'"):
        LeafRule(COMPARATOR)


@given(st.sampled_from(PATTERNS), st.booleans(), strings | trees, strings | trees)
def test_it_is_sound(pattern: str, mask: bool, primary: Tree, candidate: Tree) -> None:  # noqa: FBT001  drawn
    leaf(pattern, mask=mask).must_be_sound(primary, candidate)


@given(st.sampled_from(PATTERNS), st.booleans(), strings, strings)
def test_it_does_not_matter_which_side_is_which(pattern: str, mask: bool, one: str, other: str) -> None:  # noqa: FBT001  drawn
    assert leaf(pattern, mask=mask).accepts(one, other) is leaf(pattern, mask=mask).accepts(other, one)


@given(st.sampled_from(PATTERNS), strings, strings)
def test_it_decides_as_re_does(pattern: str, one: str, other: str) -> None:
    expected = one == other or bool(re.fullmatch(pattern, one) and re.fullmatch(pattern, other))
    assert leaf(pattern).accepts(one, other) is expected
    token = "\ue000"
    if token not in one + other:
        assert leaf(pattern, mask=True).accepts(one, other) is (
            re.sub(pattern, token, one) == re.sub(pattern, token, other)
        )
