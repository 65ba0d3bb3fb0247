from __future__ import annotations

import gzip
import json
import math
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparators import Limits, Reason
from comparators.decode import (
    MALFORMED,
    TOO_LARGE,
    UNREADABLE,
    holds_big_integer,
    parse_json,
    parse_json_pair,
    read_text,
    undo_codings,
)

PLAIN = b'{"a": [1, 2, 3]}' * 5
GZIP = gzip.compress(PLAIN, mtime=0)


def bare_deflate(plain: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(plain) + packer.flush()


@pytest.mark.parametrize(
    ("body", "codings"),
    [
        pytest.param(PLAIN, (), id="none"),
        pytest.param(GZIP, ("gzip",), id="gzip"),
        pytest.param(GZIP, ("x-gzip",), id="x-gzip"),
        pytest.param(gzip.compress(PLAIN[:7]) + gzip.compress(PLAIN[7:]), ("gzip",), id="two gzip members"),
        pytest.param(zlib.compress(PLAIN), ("deflate",), id="deflate, as the standard says"),
        pytest.param(bare_deflate(PLAIN), ("deflate",), id="deflate, as many servers do"),
        pytest.param(gzip.compress(zlib.compress(PLAIN)), ("deflate", "gzip"), id="stacked"),
    ],
)
def test_content_codings_are_undone(body: bytes, codings: tuple[str, ...]) -> None:
    assert undo_codings(body, codings, Limits()) == PLAIN


def test_an_empty_body_has_no_coding() -> None:
    assert undo_codings(b"", ("gzip",), Limits()) == b""


@pytest.mark.parametrize("body", [b"x", GZIP[:-1], GZIP + b"x", GZIP[:10]])
def test_broken_codings_are_malformed(body: bytes) -> None:
    assert undo_codings(body, ("gzip",), Limits()) == MALFORMED


def test_output_is_bounded_by_size_and_by_ratio() -> None:
    assert undo_codings(GZIP, ("gzip",), Limits(decoded_cap=len(PLAIN) - 1)) == TOO_LARGE
    assert undo_codings(GZIP, ("gzip",), Limits(decoded_cap=len(PLAIN))) == PLAIN
    assert undo_codings(gzip.compress(b"0" * 10**6), ("gzip",), Limits()) == TOO_LARGE
    assert undo_codings(PLAIN, (), Limits(decoded_cap=10)) == TOO_LARGE


@given(st.binary(max_size=60), st.sampled_from([("gzip",), ("deflate",), ("gzip", "deflate")]))
def test_any_bytes_are_undone_or_refused(body: bytes, codings: tuple[str, ...]) -> None:
    assert isinstance(undo_codings(body, codings, Limits()), bytes | tuple)


@pytest.mark.parametrize(
    ("raw", "big"),
    [
        (b"1" * 18, False),
        (b"1" * 19, True),
        (b"-" + b"1" * 19, True),
        (b'{"a":9223372036854775808}', True),
        (b"[1, 9223372036854775808]", True),
        (b"0.0015847499555259326", False),
        (b"[0.0015847499555259326,\n18446744073709551616]", True),
        (b"[18446744073709551616,0.0015847499555259326]", True),
        (b'"12345678901234567890"', False),
        (b"12345678901234567890.5", True),
    ],
)
def test_big_integers_are_spotted(raw: bytes, *, big: bool) -> None:
    assert holds_big_integer(raw) is big


json_values = st.recursive(
    st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("0123456789.-", max_size=30),
    lambda leaf: st.lists(leaf, max_size=4) | st.dictionaries(st.text("0123456789a", max_size=25), leaf, max_size=3),
)


@given(json_values, st.sampled_from([None, 1]))
def test_every_integer_comes_out_exact(value: object, indent: int | None) -> None:
    raw = json.dumps(value, indent=indent).encode()
    first, second, _ = parse_json_pair(raw, raw + b" ")
    assert repr(first) == repr(second) == repr(value)


@pytest.mark.parametrize(
    ("literal", "value"),
    [(b"1e400", 10**400), (b"-1.5E+309", -15 * 10**308), (b"1e308", 1e308), (b"1.5", 1.5), (b"Infinity", math.inf)],
)
def test_numbers_beyond_any_float_are_exact(literal: bytes, value: float) -> None:
    assert parse_json(b"[%b]" % literal) == [value]


@pytest.mark.parametrize("literal", [b"1e4300", b"-1e99999999", b"1" + b"0" * 4300])
def test_numbers_of_too_many_digits_do_not_parse(literal: bytes) -> None:
    assert parse_json(literal) is MALFORMED


def test_both_sides_are_read_by_the_same_parser() -> None:
    first, *others = parse_json_pair(b"[1e400, 1.5]", b"[18446744073709551617]")
    assert (first, others) == ([10**400, 1.5], [[18446744073709551617], False])
    assert parse_json_pair(b"[NaN]", b"[]")[2]
    assert not parse_json_pair(b"[NaN]", b"[")[2]


@pytest.mark.parametrize("raw", [b"", b"{", b"[1,]", b"nul", b"\xff", b"1 2", b"1" * 5_000])
def test_malformed_json(raw: bytes) -> None:
    assert parse_json(raw) == MALFORMED


def test_duplicate_keys_leave_the_last() -> None:
    assert parse_json_pair(b'{"a": 1, "a": 2}', b'{"a": NaN, "a": 2}')[:2] == ({"a": 2}, {"a": 2})


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        (b"gr\xc3\xbcn", "", "grün"),
        (b"gr\xfcn", "iso-8859-1", "grün"),
        (b"gr\xfcn", "windows-1252", "grün"),
        (b"gr\xfcn", "", UNREADABLE),
        (b"abc", "us-ascii", "abc"),
        (b"abc", "Shift_JIS", "abc"),
        (b"abc", "ISO_8859-15", "abc"),
        (b"\xff\xfea\0", "utf-16", "a"),
        (b"abc", "no-such-charset", UNREADABLE),
        (b"abc", "idna", UNREADABLE),
        (b"abc", "zlib", UNREADABLE),
        (b"abc", "a\0b", UNREADABLE),
    ],
)
def test_text_is_read_in_its_charset_or_not_at_all(raw: bytes, charset: str, text: object) -> None:
    assert read_text(raw, charset) == text


def test_reasons_of_what_could_not_be_read() -> None:
    assert (MALFORMED.reason, TOO_LARGE.reason, UNREADABLE.reason) == (None, Reason.DECODED_CAP, Reason.CHARSET)
    assert parse_json(b"[" * 100_000).reason is Reason.DEPTH
