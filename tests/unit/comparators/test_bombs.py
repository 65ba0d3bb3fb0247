"""Answers made to hurt whoever compares them: the right verdict or `incomparable`, and never a false match."""

import gzip
import json
import random

import pytest

from comparators import Reason, Response, RuleSet, Verdict, compare, compile_rules

RULES: RuleSet = compile_rules()
JSON = b"Content-Type: application/json"
GZIP = JSON + b"\r\nContent-Encoding: gzip"
TEXT = b"Content-Type: text/plain"
DEEP = 100_000
MANY = 100_000
LINES = 1_500
ANSWER_BYTES = 1 << 20

MISMATCH, MATCH = (Verdict.MISMATCH, None), (Verdict.MATCH, None)


def incomparable(reason: Reason) -> tuple[Verdict, Reason]:
    return Verdict.INCOMPARABLE, reason


def judged(primary: bytes, candidate: bytes, fields: bytes = JSON) -> tuple[Verdict, Reason | None]:
    found = compare(Response(200, fields, primary), Response(200, fields, candidate), RULES)
    return found.verdict, found.reason


def keys(suffix: str = "") -> bytes:
    return json.dumps({f"{number}{suffix}": number for number in range(MANY)}).encode()


def shuffled(size: int) -> tuple[bytes, bytes]:
    items = [{"id": number} for number in range(size)]
    return json.dumps(items).encode(), json.dumps(random.Random(size).sample(items, size)).encode()


@pytest.mark.parametrize(
    ("primary", "candidate", "expected"),
    [
        pytest.param(
            b"[" * DEEP + b"]" * DEEP, b"[" * DEEP + b" " + b"]" * DEEP, incomparable(Reason.DEPTH), id="depth"
        ),
        pytest.param(b'{"a":' * DEEP, b'{"a": ' * DEEP, incomparable(Reason.DEPTH), id="depth, never closed"),
        pytest.param(b"9" * 5_000, b" " + b"9" * 5_000, incomparable(Reason.UNPARSED_BOTH), id="5,000 digits"),
        pytest.param(b"9" * 5_000, b"9" * 4_000, MISMATCH, id="5,000 digits of one side"),
        pytest.param(b"9" * 4_000, b" " + b"9" * 4_000, MATCH, id="4,000 digits"),
        pytest.param(b"9" * 4_000, b"9" * 3_999 + b"8", MISMATCH, id="4,000 digits, the last one differs"),
        pytest.param(b"18446744073709551617", b"18446744073709551616", MISMATCH, id="2^64+1"),
        pytest.param(b"[9007199254740993]", b"[9007199254740992]", MISMATCH, id="2^53+1"),
        pytest.param(b"[NaN]", b"[1]", MISMATCH, id="NaN of one side"),
        pytest.param(b"[NaN]", b"[ NaN]", MATCH, id="NaN of both"),
        pytest.param(b"[1e400]", b"[-1e400]", MISMATCH, id="1e400, another sign"),
        pytest.param(b"[1e400]", b"[1e308]", MISMATCH, id="1e400 and a number"),
        pytest.param(b'{"a":1,"a":2}', b'{"a":2,"a":1}', MISMATCH, id="duplicate keys"),
        pytest.param(rb'["\ud800"]', rb'["\ud801"]', MISMATCH, id="lone surrogates"),
        pytest.param(rb'["\ud800"]', b'["?"]', MISMATCH, id="a lone surrogate of one side"),
        pytest.param(keys(), keys() + b" ", MATCH, id="100,000 keys"),
        pytest.param(keys(), keys("x"), MISMATCH, id="100,000 other keys"),
        pytest.param(keys(), b"[%s]" % b",".join([b"0"] * MANY), MISMATCH, id="100,000 keys against a list"),
        pytest.param(*shuffled(10_000), MISMATCH, id="10,000 items in another order"),
        pytest.param(
            b"[%s]" % b",".join([b"[]"] * 250_000),
            b"[%s,[0]]" % b",".join([b"[]"] * 249_999),
            incomparable(Reason.LEAVES),
            id="more members than the walk may visit",
        ),
    ],
)
def test_json(primary: bytes, candidate: bytes, expected: tuple[Verdict, Reason | None]) -> None:
    assert judged(primary, candidate) == expected
    assert judged(candidate, primary) == expected


def test_huge_integers_that_all_differ_are_counted_to_the_last() -> None:
    integers = [(1 << 80) + number for number in range(20_001)]
    primary, candidate = (json.dumps(each).encode() for each in (integers[1:], integers[:-1]))
    found = compare(Response(200, JSON, primary), Response(200, JSON, candidate), RULES)
    assert (found.verdict, found.count) == (Verdict.MISMATCH, 20_000)
    assert all(difference.magnitude for difference in found.differences)


def test_repetitive_lines() -> None:
    lines = [b"the same line again", b"and again"] * (LINES // 2)
    assert judged(b"\n".join(lines), b"\n".join(lines[1:]), TEXT) == MISMATCH


@pytest.mark.parametrize("digits", [(b"1", b"2"), (b"1", b"1" * 2)], ids=["another digit", "another length"])
def test_what_decompresses_to_100_mb_is_not_decompressed(digits: tuple[bytes, bytes]) -> None:
    primary, candidate = (gzip.compress(digit * 100_000_000, mtime=0) for digit in digits)
    assert len(primary) < ANSWER_BYTES
    assert judged(primary, candidate, GZIP) == incomparable(Reason.DECODED_CAP)


def test_a_bomb_in_a_bomb_is_not_decompressed() -> None:
    twice = JSON + b"\r\nContent-Encoding: gzip, gzip"
    one, two = (gzip.compress(gzip.compress(digit * 100_000_000, mtime=0), mtime=0) for digit in (b"1", b"2"))
    assert judged(one, two, twice) == incomparable(Reason.DECODED_CAP)
