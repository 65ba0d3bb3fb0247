"""Instants: timestamps in strings (RFC 3339, ISO 8601) and epoch numbers, compared by the time between them.

With p the primary's and c the candidate's instant::

    accepted iff  |c - p| <= within

A string is a timestamp if it reads `2026-11-20T10:11:12.5+01:00`: `T`, `t` or a space between date and time; seconds
optional; a fraction of at most 12 digits behind a point or a comma; then `Z`, `z`, `+01:00`, `+0100`, `+01`, or
nothing. So the spelling of an offset is free, and picoseconds count. A second of 60 is the first of the next minute
(RFC 3339 §5.7: leap seconds); days that do not exist and a date alone are no instants. `-00:00` is UTC (§4.3).

A timestamp without offset is *naive*: it names no instant, so nothing is accepted about it, unless `naive: utc` says
what was meant. One that is naive where the other is not is a difference of kind `type`.

With `epoch`, numbers are instants too, and so are strings of digits (a header has nothing else); without, numbers are
just numbers. An instant is from the years 1 to 9999. Whatever is no instant is compared exactly.

All arithmetic is in whole picoseconds, to which floats are rounded. The magnitude is in seconds. Cost: 6 µs for two
strings, 2 µs for two integers that differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import lru_cache
from math import isfinite
from typing import ClassVar, Final, Literal, NamedTuple

from comparators.comparator import Accepted, Context, Finding, Scope, Tree
from comparators.leaves import Exact, ExactSettings, unequal
from comparators.tolerance import Number
from comparators.verdict import Difference, Kind

Epoch = Literal["s", "ms", "us", "ns"]

SECOND_PS: Final = 10**12
FIRST_S: Final = -62_135_596_800
LAST_S: Final = 253_402_300_800

_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DURATION_UNITS_S: Final[dict[str, int | Fraction]] = {
    "ms": Fraction(1, 1_000),
    "s": 1,
    "m": 60,
    "h": 3_600,
    "d": 86_400,
}
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()

_duration: Final = re.compile(r"(\d{1,9}(?:\.\d{1,12})?)\s?(ms|s|m|h|d)", re.ASCII).fullmatch
_digits: Final = re.compile(r"-?\d{1,24}(?:\.\d{1,12})?", re.ASCII).fullmatch
_timestamp: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ]([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d|60)(?:[.,](\d{1,12}))?)?"
    r"([Zz]|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)?",
    re.ASCII,
).fullmatch


class Instant(NamedTuple):
    """A point in time: picoseconds since 1970 in UTC, or, if it is not `aware`, in a zone that nobody named."""

    since_epoch_ps: int
    aware: bool = True


@lru_cache(maxsize=256)
def parse_within(within: float | str) -> int:
    """Picoseconds from `2s`, `250ms`, `10m`, `2h`, `1d` or a number of seconds. Raises ValueError."""
    if isinstance(within, int | float):
        seconds = Fraction(str(within)) if within >= 0 and isfinite(within) else None
    else:
        found = _duration(within)
        seconds = Fraction(found[1]) * _DURATION_UNITS_S[found[2]] if found else None
    if seconds is None:
        raise ValueError(f"setting 'within' must be a duration such as 2s or 250ms, not {within!r}")
    return round(seconds * SECOND_PS)


@dataclass(frozen=True, slots=True)
class DatetimeSettings:
    """Settings of `datetime`.

    Attributes:
        within: largest accepted time between the two, as seconds or like `250ms`; 0 accepts other spellings only.
        epoch: numbers are this unit since 1970.
        naive: `utc` takes a timestamp without offset for UTC.
    """

    within: float | str = 2.0
    epoch: Epoch | None = None
    naive: Literal["error", "utc"] = "error"

    def __post_init__(self) -> None:
        parse_within(self.within)


class Datetime:
    """Instants close to each other; anything else is compared exactly."""

    name: ClassVar[str] = "datetime"
    Settings: ClassVar[type] = DatetimeSettings
    scope: ClassVar[Scope] = Scope.LEAF

    def compare(self, primary: Tree, candidate: Tree, settings: DatetimeSettings, at: Context) -> Finding:
        """Accept by the time between the two."""
        ours, theirs = _read(primary, settings), _read(candidate, settings)
        if ours is None or theirs is None or unequal(primary, candidate) is not Kind.VALUE:
            return Exact().compare(primary, candidate, ExactSettings(), at)
        if settings.naive == "error" and not (ours.aware and theirs.aware):
            kind = Kind.VALUE if ours.aware is theirs.aware else Kind.TYPE
            return [Difference(at.path, kind, primary, candidate)]
        distance_ps = abs(theirs.since_epoch_ps - ours.since_epoch_ps)
        seconds = distance_ps / SECOND_PS
        if distance_ps <= parse_within(settings.within):
            return Accepted(magnitude=seconds)
        return [Difference(at.path, Kind.VALUE, primary, candidate, seconds)]


def _read(value: Tree, settings: DatetimeSettings) -> Instant | None:
    """The instant that a value is, or None."""
    if isinstance(value, str):
        if settings.epoch is not None and _digits(value):
            return _since_epoch(Fraction(value), settings.epoch)
        return parse_timestamp(value)
    if settings.epoch is not None and type(value) in (int, float):
        return _since_epoch(value, settings.epoch)
    return None


def _since_epoch(number: Number | Fraction, unit: Epoch) -> Instant | None:
    per_second = _PER_SECOND[unit]
    if not FIRST_S * per_second <= number < LAST_S * per_second:
        return None
    scale = SECOND_PS // per_second
    return Instant(number * scale if isinstance(number, int) else round(Fraction(number) * scale))


def parse_timestamp(text: str) -> Instant | None:
    """The instant that a string is, or None."""
    found = _timestamp(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    seconds = ((days * 24 + int(hour)) * 60 + int(minute) - _offset_min(zone)) * 60 + int(second or 0)
    return Instant(seconds * SECOND_PS + int((fraction or "0").ljust(12, "0")), zone is not None)


def _offset_min(zone: str | None) -> int:
    """Minutes east of UTC."""
    if zone is None or zone in "Zz":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[3:].lstrip(":") or 0)
    return -minutes if zone[0] == "-" else minutes


DATETIMES: Final = (Datetime(),)
