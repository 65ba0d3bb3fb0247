"""Decimal numbers written as strings, such as amounts of money: compared as numbers, exactly.

With p the primary's and c the candidate's number::

    accepted iff  |c - p| <= abs  and  (scale: both are written with as many digits behind the point)

No double is involved, and no rounding: both numbers are read as they are written, and 1,000 digits hold the
difference of any two. A string is a decimal number if it has at most 64 characters, all of them ASCII: a sign, digits,
a point with digits before or behind it, an exponent from -400 to 400. What is none (`NaN`, `Infinity`, `1_000`,
`1,5`, spaces around) is compared as the string it is; so is a number that is no string.

The magnitude of a difference is the relative delta of `comparators.tolerance`, with a floor of 1e-9.
Cost: 3 µs for two strings that differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Context as Arithmetic
from decimal import Decimal, Inexact
from typing import ClassVar, Final

from comparators.comparator import EQUAL, Accepted, Context, Finding, Scope, Tree
from comparators.leaves import Exact, ExactSettings
from comparators.verdict import Difference, Kind

LONGEST: Final = 64
WIDEST_EXPONENT: Final = 400
FLOOR: Final = Decimal("1e-9")

_decimal: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d{1,3}))?", re.ASCII).fullmatch
_exactly: Final = Arithmetic(prec=1_000, traps=[Inexact])
_roughly: Final = Arithmetic(prec=17)


def parse_decimal(text: str) -> Decimal | None:
    """The number that a string is, or None."""
    found = _decimal(text) if len(text) <= LONGEST else None
    if found is None or abs(int(found[1] or 0)) > WIDEST_EXPONENT:
        return None
    return Decimal(text)


@dataclass(frozen=True, slots=True)
class DecimalStringSettings:
    """Settings of `decimal_string`.

    Attributes:
        abs: largest accepted distance, itself a decimal number in a string; "0" accepts other spellings only.
        scale: trailing zeros count: `1.0` and `1.00` differ, as do `1e2` and `100`.
    """

    abs: str = "0"
    scale: bool = False

    def __post_init__(self) -> None:
        limit = parse_decimal(self.abs)
        if limit is None or limit < 0:
            raise ValueError(f"setting 'abs' must be a decimal number such as '0.01', not negative, not {self.abs!r}")


class DecimalString:
    """Decimal numbers in strings within a distance; anything else is compared exactly."""

    name: ClassVar[str] = "decimal_string"
    Settings: ClassVar[type] = DecimalStringSettings
    scope: ClassVar[Scope] = Scope.LEAF

    def compare(self, primary: Tree, candidate: Tree, settings: DecimalStringSettings, at: Context) -> Finding:
        """Accept by the distance, and by the scale if it counts."""
        if type(primary) is not str or type(candidate) is not str:
            return Exact().compare(primary, candidate, ExactSettings(), at)
        if primary == candidate:
            return EQUAL
        ours, theirs = parse_decimal(primary), parse_decimal(candidate)
        if ours is None or theirs is None:
            return [Difference(at.path, Kind.VALUE, primary, candidate)]
        distance = _exactly.subtract(theirs, ours).copy_abs()
        off = _delta(distance, ours)
        if distance <= Decimal(settings.abs) and (ours.same_quantum(theirs) or not settings.scale):
            return Accepted(magnitude=off)
        return [Difference(at.path, Kind.VALUE, primary, candidate, off)]


def _delta(distance: Decimal, primary: Decimal) -> float:
    """The distance as a share of the primary's number; infinite where no double can hold it."""
    return float(_roughly.divide(distance, max(primary.copy_abs(), FLOOR)))


DECIMAL_STRINGS: Final = (DecimalString(),)
