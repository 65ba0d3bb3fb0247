"""Strings by pattern: both match it, or both are the same but for what matches it.

The pattern is in the language of Python's `re`, flags at its start (`(?i)`), and at most 200 characters long. It
matches the whole string, or, with `mask`, wherever it is found, left to right and without overlaps: what it finds
counts as one token, and tokens and what is between them must agree.

A pattern that could keep `re` busy is refused when the rules are loaded (`comparators.backtracking` says how that is
known); one that takes long only on long strings is warned about. Strings of more than 4,096 characters, or than such a
pattern bears, are `incomparable(text_cap)`.

Cost: 0.7 µs with the matching of short strings, 0.1 s at most.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final, NamedTuple

from comparators.backtracking import longest_subject
from comparators.comparator import ACCEPTED, EQUAL, Context, Finding, OverBudget, Scope, Tree, differs
from comparators.leaves import LONGEST_SUBJECT, Exact, ExactSettings
from comparators.verdict import Kind, Reason

LONGEST_PATTERN: Final = 200
SHORTEST_SUBJECT: Final = 64
"""A pattern that does not bear that many characters is of no use."""


class Prepared(NamedTuple):
    """A pattern ready for use."""

    expression: re.Pattern[str]
    longest: int


@lru_cache(maxsize=4_096)
def prepare(pattern: str, *, mask: bool) -> Prepared:
    """Compile a pattern and find the longest string it may be used on. Raises ValueError."""
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"setting 'pattern' may have {LONGEST_PATTERN} characters, not {len(pattern)}")
    try:
        expression = re.compile(pattern)
        longest = longest_subject(pattern, searched=mask, cap=LONGEST_SUBJECT)
    except (re.error, OverflowError, RecursionError, ValueError) as error:
        raise ValueError(f"setting 'pattern' cannot be used: {error}") from error
    if longest < SHORTEST_SUBJECT:
        raise ValueError(
            "setting 'pattern' could backtrack without end; in loops and next to each other, "
            "give repeats a length ({1,20} for +) or make them possessive (++ for +)"
        )
    return Prepared(expression, longest)


@dataclass(frozen=True, slots=True)
class RegexSettings:
    """Settings of `regex`.

    Attributes:
        pattern: a regular expression.
        mask: what it finds does not count, and the rest is compared; otherwise both strings are to match it fully.
    """

    pattern: str
    mask: bool = False

    def __post_init__(self) -> None:
        prepare(self.pattern, mask=self.mask)

    def warnings(self) -> tuple[str, ...]:
        """What is allowed but probably not meant."""
        longest = prepare(self.pattern, mask=self.mask).longest
        if longest == LONGEST_SUBJECT:
            return ()
        return (f"the pattern may backtrack for long, so strings of over {longest} characters are not compared",)


class Regex:
    """Strings that a pattern makes alike; what is no string is compared exactly."""

    name: ClassVar[str] = "regex"
    Settings: ClassVar[type] = RegexSettings
    scope: ClassVar[Scope] = Scope.LEAF

    def compare(self, primary: Tree, candidate: Tree, settings: RegexSettings, at: Context) -> Finding:
        """Accept two matches, or two strings that differ in matches only."""
        if type(primary) is not str or type(candidate) is not str:
            return Exact().compare(primary, candidate, ExactSettings(), at)
        if primary == candidate:
            return EQUAL
        expression, longest = prepare(settings.pattern, mask=settings.mask)
        if len(primary) > longest or len(candidate) > longest:
            raise OverBudget(Reason.TEXT_CAP)
        if settings.mask:
            alike = _unmasked(expression, primary) == _unmasked(expression, candidate)
            return ACCEPTED if alike else differs(at, Kind.VALUE, primary, candidate)
        if expression.fullmatch(primary) and expression.fullmatch(candidate):
            return ACCEPTED
        return differs(at, Kind.FORMAT, primary, candidate)


def _unmasked(expression: re.Pattern[str], text: str) -> list[str]:
    """What stands before, between and after the matches."""
    parts = []
    end = 0
    for found in expression.finditer(text):
        parts.append(text[end : found.start()])
        end = found.end()
    return [*parts, text[end:]]


REGEXES: Final = (Regex(),)
