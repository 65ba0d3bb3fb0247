"""Comparators for leaves: `exact`, `ignore`, `presence`, `type`, `format`, and the numeric pair."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, Final, Literal, get_args

from comparators.comparator import ACCEPTED, EQUAL, Accepted, Context, Finding, NoSettings, Scope, Tree, differs
from comparators.tolerance import Numeric, Probability
from comparators.verdict import Kind, Note

Class = Literal["uuid", "timestamp", "date", "hex", "base64", "url", "email", "number", "length"]

LONGEST_SUBJECT: Final = 4_096
"""Characters of a string that a pattern is tried on; a longer one is in no class but `length`."""

_NUMBERS: Final = (int, float)


def unequal(primary: Tree, candidate: Tree) -> Kind | None:
    """How two nodes differ by type and value; None if they do not. Of containers only the type is looked at.

    A bool is never a number. NaN equals NaN, -0.0 equals 0.0; 1 and 1.0 are `type_only`.
    """
    if type(primary) is type(candidate):
        same = primary == candidate or (primary != primary and candidate != candidate)  # noqa: PLR0124  NaN
        return None if same or isinstance(primary, dict | list) else Kind.VALUE
    if type(primary) in _NUMBERS and type(candidate) in _NUMBERS:
        return Kind.TYPE_ONLY if primary == candidate else Kind.VALUE
    return Kind.TYPE


@dataclass(frozen=True, slots=True)
class ExactSettings:
    """Settings of `exact`; `strict_types` makes 1 and 1.0 a difference of kind `type`."""

    strict_types: bool = False


class Exact:
    """Same type and value: the default, spelled out to overrule a wider rule."""

    name: ClassVar[str] = "exact"
    Settings: ClassVar[type] = ExactSettings
    scope: ClassVar[Scope] = Scope.LEAF

    def compare(self, primary: Tree, candidate: Tree, settings: ExactSettings, at: Context) -> Finding:
        """Accept nothing but another spelling of the same number."""
        kind = unequal(primary, candidate)
        if kind is None:
            return EQUAL
        if kind is not Kind.TYPE_ONLY:
            return differs(at, kind, primary, candidate)
        return differs(at, Kind.TYPE, primary, candidate) if settings.strict_types else Accepted(Note.TYPE_ONLY)


class Within:
    """Numbers within a tolerance (`comparators.tolerance`); anything else is compared exactly."""

    name: ClassVar[str] = "numeric"
    Settings: ClassVar[type] = Numeric
    scope: ClassVar[Scope] = Scope.LEAF

    def compare(self, primary: Tree, candidate: Tree, settings: Numeric, at: Context) -> Finding:
        """Accept by the leaf bounds; deltas and response bounds are the walk's business."""
        kind = unequal(primary, candidate)
        if kind is None:
            return EQUAL
        if kind is Kind.TYPE_ONLY:
            return Accepted(Note.TYPE_ONLY)
        if type(primary) in _NUMBERS and type(candidate) in _NUMBERS and settings.bounds().accepts(primary, candidate):
            return ACCEPTED
        return differs(at, kind, primary, candidate)


class WithinUnit(Within):
    """Probabilities within a tolerance."""

    name: ClassVar[str] = "probability"
    Settings: ClassVar[type] = Probability


class Ignore:
    """Anything goes here and below; what it hides is counted."""

    name: ClassVar[str] = "ignore"
    Settings: ClassVar[type] = NoSettings
    scope: ClassVar[Scope] = Scope.NODE

    def compare(self, _primary: Tree, _candidate: Tree, _settings: NoSettings, _at: Context) -> Finding:
        """Accept."""
        return ACCEPTED


@dataclass(frozen=True, slots=True)
class PresenceSettings:
    """Settings of `presence`; `null_ok` lets null stand for a value."""

    null_ok: bool = False


class Presence:
    """Both sides have something there; absence is found by the walk."""

    name: ClassVar[str] = "presence"
    Settings: ClassVar[type] = PresenceSettings
    scope: ClassVar[Scope] = Scope.NODE

    def compare(self, primary: Tree, candidate: Tree, settings: PresenceSettings, at: Context) -> Finding:
        """Accept unless exactly one side is null."""
        if (primary is None) is (candidate is None) or settings.null_ok:
            return ACCEPTED
        return differs(at, Kind.TYPE, primary, candidate)


class SameType:
    """Same JSON type, whatever is inside; integers and floats are one type, number."""

    name: ClassVar[str] = "type"
    Settings: ClassVar[type] = NoSettings
    scope: ClassVar[Scope] = Scope.NODE

    def compare(self, primary: Tree, candidate: Tree, _settings: NoSettings, at: Context) -> Finding:
        """Accept by type."""
        if type(primary) is type(candidate) or (type(primary) in _NUMBERS and type(candidate) in _NUMBERS):
            return ACCEPTED
        return differs(at, Kind.TYPE, primary, candidate)


@dataclass(frozen=True, slots=True)
class FormatSettings:
    """Settings of `format`; `as` names the class both values must be in."""

    as_: Class


class Format:
    """Values of one class: fresh ids, clocks, digests. `length`: strings whose lengths have as many binary digits."""

    name: ClassVar[str] = "format"
    Settings: ClassVar[type] = FormatSettings
    scope: ClassVar[Scope] = Scope.LEAF

    def compare(self, primary: Tree, candidate: Tree, settings: FormatSettings, at: Context) -> Finding:
        """Accept two members of the class, written alike where there is more than one way."""
        classify = _CLASSES[settings.as_]
        mark = classify(primary)
        if mark and mark == classify(candidate):
            return ACCEPTED
        return differs(at, Kind.FORMAT, primary, candidate)


def _pattern(expression: str) -> Callable[[Any], object]:
    """A class by pattern: whether a value is a string in it."""
    match = re.compile(expression, re.ASCII).fullmatch

    def classify(value: Any) -> object:
        return type(value) is str and len(value) <= LONGEST_SUBJECT and match(value) is not None

    return classify


_timestamp_text: Final = _pattern(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt ](?:[01]\d|2[0-3]):[0-5]\d(?::(?:[0-5]\d|60))?"
    r"(?:[.,]\d{1,12})?(?:[Zz]|[+-](?:[01]\d|2[0-3]):?[0-5]\d)?"
)
_number_text: Final = _pattern(r"[+-]?(?:\d{1,400}(?:\.\d{0,400})?|\.\d{1,400})(?:[eE][+-]?\d{1,3})?")

_EPOCH_UNITS: Final = (("s", 1), ("ms", 1_000), ("us", 1_000_000), ("ns", 1_000_000_000))
_YEAR_2000_S: Final = 946_684_800
_YEAR_2100_S: Final = 4_102_444_800


def _timestamp(value: Any) -> object:
    """True for a date with a time; for a number the unit in which it is an instant of this century."""
    if isinstance(value, str):
        return _timestamp_text(value)
    if type(value) in _NUMBERS:
        for unit, scale in _EPOCH_UNITS:
            if _YEAR_2000_S * scale <= value < _YEAR_2100_S * scale:
                return unit
    return None


def _date(value: Any) -> object:
    try:
        return isinstance(value, str) and len(value) == len("2026-01-31") and bool(date.fromisoformat(value))
    except ValueError:
        return None


def _number(value: Any) -> object:
    return "number" if type(value) in _NUMBERS else _number_text(value)


def _length(value: Any) -> object:
    return len(value).bit_length() or "empty" if isinstance(value, str) else None


_CLASSES: Final[dict[str, Callable[[Any], object]]] = {  # what one makes of a value: falsy if it is not in it
    "uuid": _pattern(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"),
    "timestamp": _timestamp,
    "date": _date,
    "hex": _pattern(r"(?:0[xX])?[0-9A-Fa-f]+"),
    "base64": _pattern(r"(?:[A-Za-z0-9+/_-]{4})*(?:[A-Za-z0-9+/_-]{2}(?:==)?|[A-Za-z0-9+/_-]{3}=?|[A-Za-z0-9+/_-]{4})"),
    "url": _pattern(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s/?#]+[^\s]*"),
    "email": _pattern(r"[^\s@]{1,64}@[^\s@.]+(?:\.[^\s@.]+)+"),
    "number": _number,
    "length": _length,
}
assert tuple(_CLASSES) == get_args(Class)

LEAVES: Final = (Exact(), Within(), WithinUnit(), Ignore(), Presence(), SameType(), Format())
