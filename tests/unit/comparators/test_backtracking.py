from __future__ import annotations

import re
from collections.abc import Iterator
from re import _compiler, _parser  # type: ignore[attr-defined]  # as in the code under test
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from comparators.backtracking import STEPS, longest_subject, most_steps

CAP = 4_096
FAR = 10_000


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+b",
        r"(a*)*b",
        r"(a|a)*b",
        r"(a|ab)*c",
        r"(a|aa)+$",
        r"(?:a?){30}a{30}",
        "a?" * 40 + "a" * 40,
        r"(x+x+)+y",
        r"(.*a){20}",
        r"^(\s*\w+)*$",
        r"(\w+\s?)*\.",
        r"([a-zA-Z0-9]+[._]?)+@",
        r"(?:(?:a{1,9}){1,9}){1,9}",
        r"(?i)([^K]*k)*x",
        r"(?:[^a]*A)*x",
        r"(?:){4000000000}",
        r"(?:a*b?){3000}",
    ],
)
@pytest.mark.parametrize("searched", [False, True])
def test_what_backtracks_exponentially_bears_no_string(pattern: str, *, searched: bool) -> None:
    assert longest_subject(pattern, searched=searched, cap=CAP) < 64


@pytest.mark.parametrize(
    "pattern",
    [
        r"",
        r"abc",
        r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}",
        r"v\d+\.\d+\.\d+",
        r"v?\d+(?:\.\d+)*",
        r"req-[0-9a-z]+-\d+-\d+",
        r"\w+(?:-\w+)*",
        r"(?:\w+,)+;",
        r"(\d{1,3}\.){3}\d{1,3}",
        r"(?P<user>[^@\s]+)@(?P<host>[^.]+(?:\.[^.]+)+)",
        r"(?:GET|POST|PUT) /\S*",
        r"(?:foo|bar){0,9}",
        r".*error.*",
        r"(?i)bearer [a-z0-9._-]+",
        r"(?:\w++\s?+)*\.",
        r"(?s).*",
        r"\d+h\d+m\d+s",
        r"a{5000}",
    ],
)
def test_what_does_not_may_be_used_on_any(pattern: str) -> None:
    assert longest_subject(pattern, searched=False, cap=CAP) == CAP


@pytest.mark.parametrize(
    "pattern",
    [r"\d+", r"\d+ms", r'"[^"]*"', r"<[^>]*>", r"id=[^&]*", r"[0-9a-f]{8}-[0-9a-f]{4}", r"\bx\w*"],
)
def test_what_may_be_searched_for_in_any(pattern: str) -> None:
    assert longest_subject(pattern, searched=True, cap=CAP) == CAP


@pytest.mark.parametrize(
    "pattern", [r".*a.*b.*", r"A*(?i:a)A*(?i:a)A*(?i:a)-", r"\w+\d+\w+\d+", r"(?:\w+\.)+\w+\w+\w+"]
)
def test_polynomial_backtracking_shortens_the_strings(pattern: str) -> None:
    whole = longest_subject(pattern, searched=False, cap=CAP)
    assert 64 <= whole < CAP
    assert longest_subject(pattern, searched=True, cap=CAP) < whole


@pytest.mark.parametrize("pattern", [r"(?i)(?:ab)*(?:AB)*-", r"(?i:(?:ab)*(?:AB)*)-", r"(?:ab)*(?i:(?:AB)*)-"])
def test_letters_are_told_apart_by_their_case_only_where_it_counts(pattern: str) -> None:
    assert most_steps(pattern, CAP) > 100 * most_steps(r"(?:ab)*(?:AB)*-", CAP)


@pytest.mark.parametrize(
    "pattern", [r"a(?=b)", r"a(?!b)", r"(?<=a)b", r"(?<!a)b", r"(a)\1", r"(a)?(?(1)b|c)", r"(?>a)"]
)
def test_what_cannot_be_bounded_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="not supported"):
        longest_subject(pattern, searched=False, cap=CAP)


class Counter:
    """A backtracking matcher in the plainest way, over the same tree: tries all that `re` may try, in `most` steps."""

    def __init__(self, pattern: str, text: str, most: float) -> None:
        self._items = _parser.parse(pattern)
        self._text = text
        self._left = most

    def match(self, start: int, *, whole: bool) -> int | None:
        """Where the first match from `start` ends."""
        return next((end for end in self._ends(self._items, start) if end == len(self._text) or not whole), None)

    def _ends(self, items: Any, at: int) -> Iterator[int]:
        self._left -= 1
        assert self._left >= 0
        if not items:
            yield at
            return
        for end in self._item(items[0], at):
            yield from self._ends(items[1:], end)

    def _item(self, item: tuple[Any, Any], at: int) -> Iterator[int]:
        operator, operand = item
        if operator is _parser.SUBPATTERN:
            yield from self._ends(operand[-1], at)
        elif operator is _parser.BRANCH:
            for each in operand[1]:
                yield from self._ends(each, at)
        elif operator is _parser.POSSESSIVE_REPEAT:
            yield from [end] if (end := self._last(operand, at)) is not None else []
        elif operator in (_parser.MAX_REPEAT, _parser.MIN_REPEAT):
            yield from self._rounds(operand, 0, at, lazy=operator is _parser.MIN_REPEAT)
        elif at < len(self._text) and self._takes(item, self._text[at]):
            yield at + 1

    def _takes(self, item: tuple[Any, Any], character: str) -> bool:
        alone = _parser.SubPattern(self._items.state, [item])
        return _compiler.compile(alone).match(character) is not None

    def _last(self, operand: tuple[int, int, Any], at: int) -> int | None:
        low, high, body = operand
        done = 0
        while done < high:
            end = next(self._ends(body, at), None)
            if end is None or (end == at and done >= low):
                break
            at, done = end, done + 1
        return at if done >= low else None

    def _rounds(self, operand: tuple[int, int, Any], done: int, at: int, *, lazy: bool) -> Iterator[int]:
        low, high, body = operand
        if lazy and done >= low:
            yield at
        if done < high:
            for end in self._ends(body, at):
                if end > at or done < low:
                    yield from self._rounds(operand, done + 1, end, lazy=lazy)
        if not lazy and done >= low:
            yield at


def loops(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    quantifiers = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "+?", "*+", "++", "?+"])
    grouped = inner.map("(?:{})".format) | inner.map("({})".format)
    repeated = st.builds("{}{}".format, grouped | characters, quantifiers)
    return repeated | st.lists(inner | repeated, max_size=3).map("".join) | st.builds("{}|{}".format, inner, inner)


characters = st.sampled_from(["a", "b", "-", ".", "[ab]", "[a-]", "[^-]", "[^a]", r"\w", r"\W", "-"])
patterns = st.recursive(characters, loops, max_leaves=6)
failing = patterns.map("(?:{})c".format)
subjects = st.text("ab-", max_size=12) | st.sampled_from(["a" * 30, "-" * 30, "a-" * 15, "ab" * 15, "-a" * 15])


@given(failing | patterns, subjects)
@example(r"(?:\w+-)+\w+", "a-" * 20)
@example(r"(?:[^-]+-)*[^-]*b", "a-" * 20)
@example(r"\w+(?:-\w+)*", "a-" * 20)
@example(r"(?:\w*+-?+)*b", "a-" * 20)
@example(r"[a-]+-[a-]+-[a-]+-b", "-" * 40)
@example(r"(?:a[b-]+)*-[b-]*-[b-]*-c", "a" + "-" * 39)
@example(r"(?:-a)*(?:-a)*(?:-a)*(?:-a)*b", "-a" * 20)
def test_no_match_takes_more_steps_than_said(pattern: str, subject: str) -> None:
    said = most_steps(pattern, len(subject))
    if said > FAR:
        return
    expected = re.fullmatch(pattern, subject)
    assert (Counter(pattern, subject, 2 * said).match(0, whole=True) is None) is (expected is None)
    for start in range(len(subject) + 1):
        Counter(pattern, subject, 2 * said).match(start, whole=False)


@given(patterns, st.integers(0, 200), st.booleans())
def test_a_longer_string_never_costs_less(pattern: str, cap: int, searched: bool) -> None:  # noqa: FBT001  drawn
    longest = longest_subject(pattern, searched=searched, cap=cap)
    assert longest == min(cap, longest_subject(pattern, searched=searched, cap=cap + 50))
    assert most_steps(pattern, max(longest, 0)) <= STEPS
