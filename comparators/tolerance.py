"""Tolerance: when a number is close enough, and how far off it is.

One leaf. With p the primary's number and c the candidate's::

    p == c            accepted: covers equal infinities and 0 against -0.0
    p or c is NaN     accepted only if both are
    otherwise         d = |c - p|, base = |p|            (symmetric: base = max(|p|, |c|))
                      accepted iff  d <= abs  or  (d <= rel * base and d is finite)

The primary is the reference. `abs` and `rel` are alternatives, the wider one wins; both are inclusive. The test is
written as "accepted if", so a NaN, which fails every comparison, cannot slip through; an infinity is close to
nothing but itself, although rel * Inf = Inf. There is no hidden epsilon.

Response bounds look at the relative deltas of all leaves that one rule decided in one response::

    delta = |c - p| / max(|p|, floor)                    both zero: 0; floor 0 and p = 0: infinite
    accepted iff  mean(delta) < mean_below  and  max(delta) < max_below      (strict; a NaN or infinite delta fails)

Doubles decide: (1.05 - 1.0) / 1.0 is 0.050000000000000044, so `rel: 0.05` refuses 1.05 for 1.0. Only where a double
cannot hold an integer exactly does `fractions.Fraction` take over, so integers are exact at any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import fsum, inf, isfinite, isinf, nan
from typing import ClassVar, Final

Number = int | float

EXACT_INTEGERS: Final = 2**53
UNIT_SLACK: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a numeric rule allows, ready for use: nothing optional is left but the response bounds.

    `abs` and `rel` are -1 if only the other one is given, and infinite if neither is (only response bounds count).
    A candidate outside [low, high] is refused however close it is.
    """

    abs: float
    rel: float
    floor: float
    symmetric: bool = False
    low: float = -inf
    high: float = inf
    mean_below: float | None = None
    max_below: float | None = None
    required: bool = False

    @property
    def whole(self) -> bool:
        """Whether something is asked of the response as a whole."""
        return self.mean_below is not None or self.max_below is not None or self.required

    @property
    def plain(self) -> bool:
        """Whether `base` is |p| and the floor a divisor, so that a loop may do the sums for two floats in place."""
        return not self.symmetric and self.floor > 0

    def accepts(self, primary: Number, candidate: Number) -> bool:
        """Whether one number stands for the other."""
        if primary == candidate or (primary != primary and candidate != candidate):  # noqa: PLR0124  NaN
            return True
        if not self.low <= candidate <= self.high:
            return False
        if _needs_fractions(primary, candidate):
            return self._accepts_exactly(primary, candidate)
        distance = abs(candidate - primary)
        base = max(abs(primary), abs(candidate)) if self.symmetric else abs(primary)
        return distance <= self.abs or (distance <= self.rel * base and distance < inf)

    def _accepts_exactly(self, primary: Number, candidate: Number) -> bool:
        if not (isfinite_number(primary) and isfinite_number(candidate)):
            return self.abs == inf and primary == primary and candidate == candidate  # noqa: PLR0124  NaN
        distance = abs(Fraction(candidate) - Fraction(primary))
        base = max(abs(primary), abs(candidate)) if self.symmetric else abs(primary)
        return distance <= self.abs or (self.rel != inf and distance <= Fraction(self.rel) * Fraction(base))


def isfinite_number(number: Number) -> bool:
    """`math.isfinite` for integers of any size too."""
    return isinstance(number, int) or isfinite(number)


def delta(primary: Number, candidate: Number, floor: float) -> float:
    """The relative delta, 0 or larger; infinite or NaN where the formula is."""
    if primary == candidate or (primary != primary and candidate != candidate):  # noqa: PLR0124  NaN
        return 0.0
    if _needs_fractions(primary, candidate):
        return _exact_delta(primary, candidate, floor)
    base = max(abs(primary), floor)
    if base == 0:
        return inf
    distance = abs(candidate - primary)
    return inf if isinf(distance) else distance / base


def _needs_fractions(primary: Number, candidate: Number) -> bool:
    """Whether one of the two is an integer that a double may not hold."""
    return (type(primary) is int and not -EXACT_INTEGERS <= primary <= EXACT_INTEGERS) or (
        type(candidate) is int and not -EXACT_INTEGERS <= candidate <= EXACT_INTEGERS
    )


def _exact_delta(primary: Number, candidate: Number, floor: float) -> float:
    if primary != primary or candidate != candidate:  # noqa: PLR0124  NaN
        return nan
    if not (isfinite_number(primary) and isfinite_number(candidate)):
        return inf
    base = max(abs(Fraction(primary)), Fraction(floor))
    try:
        return float(abs(Fraction(candidate) - Fraction(primary)) / base)
    except (OverflowError, ZeroDivisionError):
        return inf


def mean(deltas: Sequence[float]) -> float:
    """Arithmetic mean of one or more deltas; infinite if their sum is."""
    try:
        return fsum(deltas) / len(deltas)
    except OverflowError:
        return inf


def exceeded(deltas: Sequence[float], bounds: Bounds) -> float | None:
    """The first statistic that a response bound refuses, mean before maximum; None if all hold.

    The set must not be empty. A NaN in it fails both bounds.
    """
    if bounds.mean_below is not None and not (average := mean(deltas)) < bounds.mean_below:
        return average
    if bounds.max_below is not None:
        largest = max(deltas)
        if not largest < bounds.max_below or any(each != each for each in deltas):  # noqa: PLR0124  NaN
            return largest
    return None


@dataclass(frozen=True, slots=True)
class Numeric:
    """Settings of `numeric`: numbers within a tolerance.

    Attributes:
        abs: largest accepted distance.
        rel: largest accepted distance as a share of the primary's number.
        floor: smallest divisor in a relative delta.
        symmetric: `rel` refers to the larger of the two numbers.
        mean_below: the response's mean relative delta must be smaller.
        max_below: the response's largest relative delta must be smaller.
        required: a response where the rule decided no pair of numbers lacks something.
    """

    abs: float | None = None
    rel: float | None = None
    floor: float = 1e-9
    symmetric: bool = False
    mean_below: float | None = None
    max_below: float | None = None
    required: bool = False

    default_abs: ClassVar[float | None] = None
    low: ClassVar[float] = -inf
    high: ClassVar[float] = inf

    def __post_init__(self) -> None:
        for name in ("abs", "rel", "floor", "mean_below", "max_below"):
            value = getattr(self, name)
            if value is not None and not (value >= 0 and isfinite(value)):
                raise ValueError(f"{name} must be finite and not negative, not {value}")
        if self.default_abs is None and not self._bounded:
            raise ValueError("give at least one of abs, rel, mean_below, max_below")

    @property
    def _bounded(self) -> bool:
        return any(bound is not None for bound in (self.abs, self.rel, self.mean_below, self.max_below))

    def warnings(self) -> tuple[str, ...]:
        """What is allowed but probably not meant."""
        return ("rel above 0.5 accepts almost anything",) if self.rel is not None and self.rel > 0.5 else ()  # noqa: PLR2004  the text says it

    def bounds(self) -> Bounds:
        """The settings ready for use."""
        absolute = self.abs if self._bounded else self.default_abs
        free = absolute is None and self.rel is None
        return Bounds(
            abs=inf if free else -1.0 if absolute is None else float(absolute),
            rel=-1.0 if self.rel is None else float(self.rel),
            floor=float(self.floor),
            symmetric=self.symmetric,
            low=self.low,
            high=self.high,
            mean_below=self.mean_below,
            max_below=self.max_below,
            required=self.required,
        )


@dataclass(frozen=True, slots=True)
class Probability(Numeric):
    """Settings of `probability`: as `numeric`, with a floor of 0.01, within 0.01 unless a bound is given, in [0, 1]."""

    floor: float = 0.01

    default_abs: ClassVar[float | None] = 0.01
    low: ClassVar[float] = -UNIT_SLACK
    high: ClassVar[float] = 1 + UNIT_SLACK
