"""Limits of the request head."""

import pytest

from tests.wire.forms import Form, refuses, relays
from tests.wire.rig import Rig, request

LIMITS = {"request_line": 100, "header_bytes": 400, "header_count": 5}


def line(size: int) -> bytes:
    """A request of a request line of so many bytes."""
    return b"GET /".ljust(size - len(b" HTTP/1.1"), b"x")


def head(size: int) -> bytes:
    """The field that makes a head this long."""
    return b"X: ".ljust(3 + size - len(request(b"GET /", b"X: ")), b"x")


AT_THE_LIMIT = {
    "request_line": (line(100), ()),
    "header_bytes": (b"GET /", (head(400),)),
    "header_count": (b"GET /", (b"X: 1",) * 4),
}
OVER_IT = {
    "request_line": (414, request(line(101))),
    "header_bytes": (431, request(b"GET /", head(401))),
    "header_count": (431, request(b"GET /", *(b"X: 1",) * 5)),
}


@pytest.mark.parametrize("limit", AT_THE_LIMIT)
async def test_a14_a_head_at_a_limit_is_served(rig: Rig, transmission: Form, limit: str) -> None:
    start, fields = AT_THE_LIMIT[limit]
    await relays(
        rig,
        transmission,
        sent=transmission.request(start, *fields),
        forwarded=transmission.forwarded(start, *fields),
        limits=LIMITS,
    )


@pytest.mark.parametrize("limit", OVER_IT)
async def test_a14_a_head_over_a_limit_is_refused(rig: Rig, transmission: Form, limit: str) -> None:
    await rig.start(limits=LIMITS)
    status, sent = OVER_IT[limit]
    await refuses(rig, transmission, sent, status, limit)


@pytest.mark.parametrize(
    ("sent", "status", "limit"),
    [
        (b"x" * 101, 414, "request_line"),
        (b"GET / HTTP/1.1\r\n" + b"x" * 400, 431, "header_bytes"),
        (b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 70, 431, "header_bytes"),
    ],
    ids=["line", "field", "fields"],
)
async def test_a14_a_head_that_never_ends_is_refused_at_its_limit(
    rig: Rig, transmission: Form, sent: bytes, status: int, limit: str
) -> None:
    await rig.start(limits=LIMITS)
    await refuses(rig, transmission, sent, status, limit)


@pytest.mark.parametrize("size", [8_000, 16_384])
async def test_a14_a_long_request_line_is_served_by_default(rig: Rig, form: Form, size: int) -> None:
    if form.bytewise:
        pytest.skip("what matters here is the size")
    await relays(
        rig,
        form,
        sent=form.request(line(size)),
        forwarded=form.forwarded(line(size)),
    )
