r"""How long `re` may take over a pattern: an upper bound, read off the pattern, so that none can hang.

`re` backtracks and has no timeout: `(a+)+b` takes 2^n steps to find that it does not match n times "a". So before a
pattern is used, its cost on the worst subject of n characters is computed from the tree that `re` parses it to:

    steps   what visiting a node may cost
    ways    in how many ways it may end, hence how often what follows may be visited

    a character, ^ $ \b      steps 1                                  ways 1
    ab                       steps(a) + ways(a) * steps(b)            ways(a) * ways(b)
    a|b                      steps(a) + steps(b) + 2                  ways(a) + ways(b)
    x{lo,hi}                 steps 2 hi + 1                           ways hi - lo + 1
    (…){lo,hi}, w = ways(…)  w = 1: linear in n, see `_linear_loop`   ways hi - lo + 1
                             else steps(…) * 2 w^hi                   ways 2 w^hi

with hi at most n. This is polynomial for sequences of repeats (`.*,.*,.*`), exponential for loops over something that
may end in several ways. It would be far too strict for `\d+\.\d+\.\d+`, but there backtracking leads nowhere: given
back, a digit cannot be the point that has to follow. So a repeat counts as ways 1 if what it repeats cannot begin with
any character that may follow it, as far as those are known literals; at the end of the pattern none may. The same goes
for the possessive `x++`, which gives nothing back by definition.

Lookarounds, backreferences, conditions and atomic groups are beyond this arithmetic, and refused.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from math import inf, log2
from re import _compiler, _parser  # type: ignore[attr-defined]  # no public way to see a pattern as `re` does
from typing import Any, Final, NamedTuple

STEPS: Final = 70e6
"""What one match may cost at most: 0.1 s, as a step takes 0.02 to 1.6 ns."""
ROUND: Final = 32
"""Steps that a round of a loop over a group costs beside what is in it: it is that much slower than a character."""

Items = Any
"""A sequence of nodes (operator, operand) of a parsed pattern."""
Literals = frozenset[int]
"""Code points."""

_CHARACTERS: Final = (_parser.LITERAL, _parser.NOT_LITERAL, _parser.IN, _parser.ANY)
_LOOPS: Final = (_parser.MAX_REPEAT, _parser.MIN_REPEAT, _parser.POSSESSIVE_REPEAT)
_LARGEST_EXPONENT: Final = 1_000
_AT_THE_END: Final[Literals] = frozenset()

_may_fold: Final = re.compile(r"\(\?[a-zA-Z-]*i").search


class Cost(NamedTuple):
    """What a node may cost; see above."""

    steps: float
    ways: float


def longest_subject(pattern: str, *, searched: bool, cap: int) -> int:
    """Characters, up to `cap`, of the longest subject that the pattern is done with in `STEPS`; negative if none is.

    `searched`: all its matches in the subject are looked for, not one match of the whole. The pattern must compile.
    Raises ValueError if it contains what cannot be bounded.
    """

    def steps(size: int) -> float:
        return most_steps(pattern, size) * (size + 1 if searched else 1)

    return bisect_right(range(cap + 1), STEPS, key=steps) - 1


def most_steps(pattern: str, size: int) -> float:
    """What one attempt at a subject of that many characters may cost. Raises ValueError if it cannot be bounded."""
    attempt = _Attempt(size, folds=_may_fold(pattern) is not None)
    return attempt.sequence(_parser.parse(pattern), _AT_THE_END).steps


class _Attempt:
    """Matching a pattern at one place of a subject of a certain size; `folds`: some of it may ignore case."""

    def __init__(self, size: int, *, folds: bool) -> None:
        self._size = size
        self._folds = folds

    def sequence(self, items: Items, after: Literals | None) -> Cost:
        """A sequence, the end of which is a step of its own. `after`: what may follow it; None if not known."""
        steps, ways = 1.0, 1.0
        for index in reversed(range(len(items))):
            cost = self._item(items[index], _openings(items[index + 1 :], after))
            steps = cost.steps + cost.ways * steps
            ways *= cost.ways
        return Cost(steps, ways)

    def _item(self, item: tuple[Any, Any], after: Literals | None) -> Cost:
        operator, operand = item
        if operator in _CHARACTERS or operator is _parser.AT:
            return Cost(1, 1)
        if operator is _parser.SUBPATTERN:
            return self.sequence(operand[-1], after)
        if operator is _parser.BRANCH:
            costs = [self.sequence(each, after) for each in operand[1]]
            return Cost(sum(cost.steps + 1 for cost in costs), sum(cost.ways for cost in costs))
        if operator in _LOOPS:
            return self._loop(operand, after, possessive=operator is _parser.POSSESSIVE_REPEAT)
        raise ValueError("lookarounds, backreferences, conditions and atomic groups are not supported")

    def _loop(self, operand: tuple[int, int, Items], after: Literals | None, *, possessive: bool) -> Cost:
        low, high, body = operand
        high = min(high, self._size)
        if len(body) == 1 and body[0][0] in _CHARACTERS:
            settled = possessive or low >= high or self._excludes(body, after)
            return Cost(2 * high + 1, 1 if settled else high - low + 1)
        rounds = max(low, high)
        again = _openings(body, after)
        inner = self.sequence(body, _union(again, after))
        if inner.ways > 1:
            total = 2 * _power(inner.ways, rounds)
            return Cost((ROUND + inner.steps) * total, total)
        settled = possessive or low >= high or self._apart(again, after)
        return Cost(self._linear_loop(body, inner, rounds), 1 if settled else rounds - low + 1)

    def _linear_loop(self, body: Items, inner: Cost, rounds: int) -> float:
        """Steps of a loop over what can end in one way only: a round that succeeds takes as long as what it consumes.

        The one that fails is the last. A body that may match nothing consumes nothing, so its rounds simply add up.
        """
        apiece = (rounds + 1) * (ROUND + inner.steps)
        narrowest, _ = body.getwidth()
        return min(apiece, (ROUND + len(body)) * (self._size + 1) + inner.steps) if narrowest else apiece

    def _excludes(self, body: Items, after: Literals | None) -> bool:
        """Whether a character class matches none of these characters, for sure."""
        if after is None or not self._plain(after):
            return False
        takes = _compiler.compile(body, re.DOTALL).match
        return not any(takes(chr(code)) for code in after)

    def _apart(self, one: Literals | None, other: Literals | None) -> bool:
        """Whether nothing is among both, for sure."""
        return one is not None and other is not None and self._plain(one | other) and one.isdisjoint(other)

    def _plain(self, literals: Literals) -> bool:
        """Whether these match themselves and nothing else, and flags within the pattern make no difference."""
        return all(code < 128 and not (self._folds and chr(code).isalpha()) for code in literals)  # noqa: PLR2004  ASCII


def _power(ways: float, rounds: int) -> float:
    return inf if rounds * log2(ways) > _LARGEST_EXPONENT else ways**rounds


def _openings(items: Items, after: Literals | None) -> Literals | None:
    """The characters that a sequence, or what comes after it, may begin with; None if they are not known."""
    if not items:
        return after
    operator, operand = items[0]
    if operator is _parser.LITERAL:
        return frozenset({operand})
    if operator is _parser.IN and all(kind is _parser.LITERAL for kind, _ in operand):
        return frozenset(code for _, code in operand)
    if operator is _parser.SUBPATTERN:
        return _openings(operand[-1], _openings(items[1:], after))
    if operator in _LOOPS:
        low, _, body = operand
        rest = _openings(items[1:], after)
        inside = _openings(body, rest)
        return inside if low else _union(inside, rest)
    return None


def _union(one: Literals | None, other: Literals | None) -> Literals | None:
    return None if one is None or other is None else one | other
