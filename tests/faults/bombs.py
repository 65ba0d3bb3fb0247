"""Pairs of bodies made to cost a comparison too much, or to fool it. None of them is equal."""

import orjson

from comparators import Reason, Verdict

Found = Verdict | tuple[Verdict, Reason]
MISMATCH = Verdict.MISMATCH
JSON, TEXT = b"application/json", b"text/plain"
DEEP = 100_000


def keys(prefix: str, count: int) -> bytes:
    return orjson.dumps({f"{prefix}{number}": number for number in range(count)})


def items(numbers: range) -> bytes:
    return orjson.dumps([{"id": number, "name": "same"} for number in numbers])


BOMBS: dict[str, tuple[bytes, bytes, bytes, Found]] = {
    "100,000 levels": (
        JSON, b"[" * DEEP + b"1" + b"]" * DEEP, b"[" * DEEP + b"2" + b"]" * DEEP, (Verdict.INCOMPARABLE, Reason.DEPTH)
    ),
    "levels of objects": (
        JSON, b'{"a":' * DEEP + b"1" + b"}" * DEEP, b'{"a":' * DEEP + b"2" + b"}" * DEEP,
        (Verdict.INCOMPARABLE, Reason.DEPTH),
    ),
    "5,000 digits": (JSON, b"1" * 5000, b"1" * 4999 + b"2", (Verdict.INCOMPARABLE, Reason.UNPARSED_BOTH)),
    "5,000 digits on one side": (JSON, b"1", b"1" * 5000, MISMATCH),
    "integers over 64 bits, one apart": (JSON, b"18446744073709551617", b"18446744073709551616", MISMATCH),
    "the same as floats": (JSON, b"[18446744073709551616.0]", b"[18446744073709551617]", MISMATCH),
    "NaN and a number": (JSON, b"[NaN]", b"[1]", MISMATCH),
    "NaN and null": (JSON, b"[NaN]", b"[null]", MISMATCH),
    "NaN and Infinity": (JSON, b"[NaN]", b"[Infinity]", MISMATCH),
    "an overflow and the largest double": (JSON, b"[1e400]", b"[1.7976931348623157e308]", MISMATCH),
    "two overflows": (JSON, b"[1e400]", b"[1e401]", MISMATCH),
    "an overflow and Infinity": (JSON, b"[1e400]", b"[Infinity]", MISMATCH),
    "overflows of both signs": (JSON, b"[1e400]", b"[-1e400]", MISMATCH),
    "a duplicate key, the last differing": (JSON, b'{"a":1,"a":2}', b'{"a":2,"a":1}', MISMATCH),
    "lone surrogates": (JSON, b'["\\ud800"]', b'["\\ud801"]', MISMATCH),
    "100,000 keys, all differing": (JSON, keys("k", 100_000), keys("j", 100_000), MISMATCH),
    "10,000 items in another order": (JSON, items(range(10_000)), items(range(9_999, -1, -1)), MISMATCH),
    "1,500 repetitive lines": (TEXT, b"same\nlines\n" * 750, b"lines\nsame\n" * 750, MISMATCH),
    "what is no JSON": (JSON, b"\x1f\x8b\x08", b"\x1f\x8b\x08\x00", (Verdict.INCOMPARABLE, Reason.UNPARSED_BOTH)),
}  # fmt: skip
