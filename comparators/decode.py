"""From received bytes to what can be compared: undo content codings, then read a tree.

Nothing here guesses. What cannot be read comes back as `Undecoded`, with a reason if a budget or a declared limit
was the cause and without one if the bytes are malformed.
"""

from __future__ import annotations

import json
import zlib
from decimal import Decimal
from encodings.aliases import aliases
from math import isinf
from typing import Final, NamedTuple

import orjson

from comparators.comparator import Tree
from comparators.limits import Limits
from comparators.verdict import Reason


class Undecoded(NamedTuple):
    """Bytes that could not be read; `reason` None means malformed."""

    reason: Reason | None = None


MALFORMED: Final = Undecoded()
TOO_DEEP: Final = Undecoded(Reason.DEPTH)
TOO_LARGE: Final = Undecoded(Reason.DECODED_CAP)
UNREADABLE: Final = Undecoded(Reason.CHARSET)

CODINGS: Final = frozenset({"gzip", "x-gzip", "deflate"})
"""Content codings that can be undone; a body in another one is compared as opaque bytes."""

TEXT_CODECS: Final = frozenset(
    {
        *("ascii", "latin_1", "utf_8", "utf_16", "utf_16_le", "utf_16_be", "utf_32"),
        *("shift_jis", "euc_jp", "euc_kr", "gb2312", "gbk", "gb18030", "big5", "koi8_r"),
        *(f"iso8859_{part}" for part in range(2, 17)),
        *(f"cp{page}" for page in range(1250, 1259)),
    }
)
"""Codecs a charset parameter may name; some others of Python's take quadratic time, or decode no text at all."""

_MOST_DIGITS: Final = 4300
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
_LONG_RUN: Final = b"0" * 19
_RUNS: Final = bytes(ord("0") if byte in b"0123456789" else ord(" ") for byte in range(256))
_BEFORE_NUMBER: Final = b"[,:- \t\r\n"


def undo_codings(body: bytes, codings: tuple[str, ...], limits: Limits) -> bytes | Undecoded:
    """The body without its content codings, all of which are in `CODINGS`; never more than the decoded cap."""
    cap = min(limits.decoded_cap, limits.decoded_ratio * len(body))
    for coding in reversed(codings):
        if not body:
            break
        plain = _inflate(body, cap, raw=coding == "deflate" and not _is_zlib(body))
        if isinstance(plain, Undecoded):
            return plain
        body = plain
    return TOO_LARGE if len(body) > limits.decoded_cap else body


def _is_zlib(body: bytes) -> bool:
    """Whether it starts as RFC 1950 asks; many servers send bare RFC 1951 data as `deflate`."""
    return len(body) > 1 and body[0] & 0x0F == zlib.DEFLATED and int.from_bytes(body[:2], "big") % 31 == 0


def _inflate(body: bytes, cap: int, *, raw: bool) -> bytes | Undecoded:
    """Inflate one coding; several gzip members in a row are one body (RFC 1952 §2.2)."""
    parts, size = [], 0
    while body:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS if raw else _GZIP_OR_ZLIB)
        try:
            part = inflater.decompress(body, cap - size + 1)
        except zlib.error:
            return MALFORMED
        parts.append(part)
        size += len(part)
        if size > cap:
            return TOO_LARGE
        if not inflater.eof:
            return MALFORMED
        body = inflater.unused_data
    return b"".join(parts)


def parse_json_pair(primary: bytes, candidate: bytes) -> tuple[Tree | Undecoded, Tree | Undecoded, bool]:
    """Both trees, read by the same parser, and whether it took more than RFC 8259 allows.

    `orjson` reads both, unless it refuses one, or one holds an integer outside [-2**63, 2**64): it reads such as
    floats, so two that differ would look equal. Then the standard library reads both; it also
    takes NaN, Infinity, 1e400, a BOM and lone surrogates.
    """
    big = holds_big_integer(primary) or holds_big_integer(candidate)
    if not big:
        try:
            return orjson.loads(primary), orjson.loads(candidate), False
        except orjson.JSONDecodeError:
            pass
    trees = parse_json(primary), parse_json(candidate)
    readable = not any(isinstance(tree, Undecoded) for tree in trees)
    return *trees, readable and not big


def parse_json(raw: bytes) -> Tree | Undecoded:
    """A tree by the standard library's parser; integers are exact, and of over 4,300 digits do not parse."""
    try:
        return json.loads(raw, parse_float=_float)
    except RecursionError:
        return TOO_DEEP
    except ValueError:
        return MALFORMED


def _float(literal: str) -> float | int:
    """What a number with a fraction or an exponent says; exactly, where it is beyond any float. ValueError as above."""
    value = float(literal)
    if not isinf(value):
        return value
    exact = Decimal(literal)
    if exact.adjusted() >= _MOST_DIGITS:
        raise ValueError
    return int(exact)


def holds_big_integer(raw: bytes) -> bool:
    """Whether some number starts with 19 digits, as every integer outside [-2**63, 2**64) does.

    The digits of a fraction do not count (a small double has many), nor do those right behind a quote; other digits
    in strings do, which costs time and nothing else.
    """
    runs = raw.translate(_RUNS)
    end = len(runs)
    while (at := runs.rfind(_LONG_RUN, 0, end)) >= 0:
        start = runs.rfind(b" ", 0, at) + 1
        if start == 0 or raw[start - 1] in _BEFORE_NUMBER:
            return True
        end = start
    return False


def read_text(raw: bytes, charset: str) -> str | Undecoded:
    """Text in a charset, UTF-8 if none is named; no replacement characters.

    The name is looked up here and not by Python, which imports a module for it and remembers every unknown one.
    """
    name = charset.lower().replace("-", "_") or "utf_8"
    codec = aliases.get(name, name)
    try:
        return raw.decode(codec) if codec in TEXT_CODECS else UNREADABLE
    except UnicodeDecodeError:
        return UNREADABLE
