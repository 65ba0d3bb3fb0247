"""The words a comparison answers in: verdict, reason, kind, note, hint, difference.

Every enum here is closed and is the label set of a metric; paths and values never are.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from comparators.path import Path


class Verdict(StrEnum):
    """Exactly one per compared exchange, decided in the order of `comparators.pair`."""

    MATCH = "match"
    TOLERATED = "tolerated"
    MISMATCH = "mismatch"
    CANDIDATE_ERROR = "candidate_error"
    PRIMARY_ERROR = "primary_error"
    BOTH_ERROR = "both_error"
    INCOMPARABLE = "incomparable"


class Reason(StrEnum):
    """Why a pair was `incomparable`."""

    CAPTURE_CAP = "capture_cap"
    DECODED_CAP = "decoded_cap"
    DEPTH = "depth"
    LEAVES = "leaves"
    TEXT_CAP = "text_cap"
    UNPARSED_BOTH = "unparsed_both"
    UNMATCHED_ITEMS = "unmatched_items"
    DTD = "dtd"
    CHARSET = "charset"
    COMPARATOR_ERROR = "comparator_error"
    QUARANTINED = "quarantined"


class Kind(StrEnum):
    """What sort of difference it is."""

    STATUS = "status"
    HEADER = "header"
    MEDIA = "media"
    PARSE = "parse"
    DIGEST = "digest"
    MISSING = "missing"
    EXTRA = "extra"
    TYPE = "type"
    VALUE = "value"
    TYPE_ONLY = "type_only"
    LENGTH = "length"
    ORDER = "order"
    KEY = "key"
    LABEL = "label"
    VECTOR = "vector"
    RANK = "rank"
    TEXT = "text"
    FORMAT = "format"
    AGGREGATE = "aggregate"
    STREAM = "stream"


class Note(StrEnum):
    """Something a built-in tolerance let pass, or that a reader should know."""

    TYPE_ONLY = "type_only"
    NONSTANDARD = "nonstandard"
    CHARSET = "charset"
    CONTENT_ENCODING = "content_encoding"


class Hint(StrEnum):
    """A likely cause outside the candidate's code; shown and counted, never part of the verdict."""

    CREDENTIALS = "credentials"
    RATE_LIMIT = "rate_limit"


class Difference(NamedTuple):
    """One place where the two answers differ.

    Attributes:
        path: where; see `comparators.path`.
        kind: what sort.
        primary: the primary's value there, None if it has none.
        candidate: likewise.
        magnitude: how much, in the unit of the kind (relative delta for numbers, items for lengths), or None.
    """

    path: Path
    kind: Kind
    primary: Any
    candidate: Any
    magnitude: float | None = None


NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Comparison(NamedTuple):
    """What came of comparing one pair. A NamedTuple: far cheaper to make than a frozen dataclass.

    Attributes:
        verdict: the answer.
        reason: why it is `incomparable`, else None.
        error: what made a `*_error` one: the failure's kind or `status_503`, the candidate's if both; else None.
        differences: the first of those no rule accepts, in document order (`Limits.recorded`).
        count: how many there are in all.
        accepted: how many were accepted by a rule or a built-in tolerance.
        deltas: relative delta of every leaf pair of numbers that a `numeric` or `probability` rule decided, zeros
            included; empty when equal bytes made parsing unnecessary.
        hits: rule id → differences it accepted; a rule that matched a node and accepted nothing is there with 0.
        hints: likely causes outside the candidate's code.
        notes: what a built-in tolerance let pass.
        walked: every node that a rule may match was visited; else a rule's absence from `hits` proves nothing.
        failed: rule id → what its comparator raised or wrongly returned.
    """

    verdict: Verdict
    reason: Reason | None = None
    error: str | None = None
    differences: tuple[Difference, ...] = ()
    count: int = 0  # type: ignore[assignment]  # hides tuple.count, which has no use here
    accepted: int = 0
    deltas: tuple[float, ...] = ()
    hits: Mapping[str, int] = NOTHING
    hints: tuple[Hint, ...] = ()
    notes: tuple[Note, ...] = ()
    walked: bool = False
    failed: Mapping[str, str] = NOTHING


MATCH: Final = Comparison(Verdict.MATCH)
"""The answer for a pair that needed no parsing."""
