"""The limits of bodies: what is at one passes, what is over it does not, in requests and in responses."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.wire.chunked import CHUNKED, TAKES_TRAILERS, chunks
from tests.wire.faults import is_aborted, is_refused
from tests.wire.forms import DATE, Form, joined, relays
from tests.wire.rig import FORWARDED, GET, Rig, request, response

POSTED = {"mirror": {"methods": ["GET", "POST"]}}


@dataclass(frozen=True, slots=True)
class Limit:
    """A chunked body at a limit and one over it, and how a request over it is refused."""

    limits: dict[str, Any]
    at: bytes
    over: bytes
    status: int
    reason: str
    trailers: tuple[bytes, ...] = ()

    def __str__(self) -> str:
        return "-".join(self.limits)

    def forwarded(self) -> bytes:
        return chunks(b"hello", 5, *self.trailers)


def chunked(size_line: bytes, *trailers: bytes) -> bytes:
    return size_line + chunks(b"hello", 5, *trailers)[1:]


LIMITS = [
    Limit(
        {"trailer_bytes": len(b"X: 1\r\nY: 23\r\n")},
        at=chunked(b"5", b"X: 1", b"Y: 23"),
        over=chunked(b"5", b"X: 1", b"Y: 234"),
        status=431,
        reason="trailers",
        trailers=(b"X: 1", b"Y: 23"),
    ),
    Limit(
        {"trailer_count": 2},
        at=chunked(b"5", b"X: 1", b"X: 2"),
        over=chunked(b"5", b"X: 1", b"X: 2", b"X: 3"),
        status=431,
        reason="trailers",
        trailers=(b"X: 1", b"X: 2"),
    ),
    Limit(
        {"chunk_overhead": 4},  # above the 16 bytes that are free for every size line
        at=chunked(b"5;" + b"x" * 16),
        over=chunked(b"5;" + b"x" * 17),
        status=400,
        reason="chunk_overhead",
    ),
    Limit(
        {"chunk_overhead": 4},  # and, for all lines together, twice the data that has come
        at=b"1;" + b"x" * 16 + b"\r\nh\r\n4;" + b"x" * 14 + b"\r\nello\r\n0\r\n\r\n",
        over=b"1;" + b"x" * 16 + b"\r\nh\r\n4;" + b"x" * 15 + b"\r\nello\r\n0\r\n\r\n",
        status=400,
        reason="chunk_overhead",
    ),
    Limit(
        {"chunk_overhead": 4},  # but not for a single one
        at=b"5\r\nhello\r\n0;" + b"x" * 16 + b"\r\n\r\n",
        over=b"5\r\nhello\r\n0;" + b"x" * 17 + b"\r\n\r\n",
        status=400,
        reason="chunk_overhead",
    ),
]


@pytest.mark.parametrize("limit", LIMITS, ids=str)
async def test_a_chunked_body_at_a_limit_passes_both_ways(rig: Rig, transmission: Form, limit: Limit) -> None:
    await relays(
        rig,
        transmission,
        sent=request(b"POST /x", CHUNKED, TAKES_TRAILERS, body=limit.at),
        forwarded=request(b"POST /x", CHUNKED, TAKES_TRAILERS, b"Connection: TE", *FORWARDED, body=limit.forwarded()),
        answered=response(DATE, CHUNKED, body=limit.at),
        relayed=response(DATE, CHUNKED, body=limit.forwarded()),
        limits=limit.limits,
    )


@pytest.mark.parametrize("limit", LIMITS, ids=str)
async def test_a_request_whose_chunked_body_is_over_a_limit_is_refused(
    rig: Rig, transmission: Form, limit: Limit
) -> None:
    await rig.start(service=POSTED, limits=limit.limits)
    client = await rig.client()
    await transmission.send(client, request(b"POST /x", CHUNKED, body=limit.over) + GET)
    await is_refused(rig, client, limit.status, limit.reason)


@pytest.mark.parametrize("limit", LIMITS, ids=str)
async def test_a_response_whose_chunked_body_is_over_a_limit_is_aborted(
    rig: Rig, transmission: Form, limit: Limit
) -> None:
    await rig.start(transmission.reply(response(DATE, CHUNKED, body=limit.over)), limits=limit.limits)
    client = await rig.client()
    await transmission.send(client, request(b"GET /x", TAKES_TRAILERS))
    assert not (await is_aborted(rig, client)).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (chunked(b"5", b"X: " + b"x" * (8 << 10)), 431, "trailers"),
        (chunked(b"5", *[b"X: 1"] * 33), 431, "trailers"),
        (chunked(b"5;" + b"x" * (16 << 10) + b"x" * 16), 400, "chunk_overhead"),
    ],
    ids=["trailer_bytes", "trailer_count", "chunk_overhead"],
)
async def test_nobody_has_to_set_them(rig: Rig, body: bytes, status: int, reason: str) -> None:
    await rig.start(service=POSTED)
    client = await rig.client()
    await client.send(request(b"POST /x", CHUNKED, body=body))
    await is_refused(rig, client, status, reason)


# --- body_bytes


async def test_a_request_body_of_the_largest_size_is_served(rig: Rig, form: Form) -> None:
    await relays(
        rig,
        form,
        sent=form.request(b"POST /x", body=b"hello"),
        forwarded=form.forwarded(b"POST /x", body=b"hello"),
        answered=form.response(DATE, body=b"more than five bytes"),
        relayed=form.relayed(DATE, body=b"more than five bytes"),
        limits={"body_bytes": 5},
    )


async def test_a_larger_one_is_refused(rig: Rig, form: Form) -> None:
    await rig.start(service=POSTED, limits={"body_bytes": 5})
    client = await rig.client()
    await form.send(client, form.request(b"POST /x", body=b"hello!") + GET)
    await is_refused(rig, client, 413, "body_bytes")


async def test_a_larger_one_is_refused_in_many_chunks_too(rig: Rig, transmission: Form) -> None:
    await rig.start(service=POSTED, limits={"body_bytes": 5})
    client = await rig.client()
    await transmission.send(client, request(b"POST /x", CHUNKED, body=chunks(b"hello!", 1)) + GET)
    await is_refused(rig, client, 413, "body_bytes")


async def test_a_larger_one_aborts_a_backend_that_has_its_beginning(rig: Rig, transmission: Form) -> None:
    await rig.start(service=POSTED, limits={"body_bytes": 5})
    client = await rig.client()
    await transmission.send(client, request(b"POST /x", CHUNKED, body=b"5\r\nhello\r\n"))
    await rig.primary.received_heads(1)
    await transmission.send(client, b"1\r\n!\r\n0\r\n\r\n")
    await is_refused(rig, client, 413, "body_bytes")
    assert rig.primary.connections[0].truncated


async def test_any_size_is_served_without_a_limit(rig: Rig, form: Form) -> None:
    await rig.start(limits={"body_bytes": 0})
    client = await rig.client()
    await client.send(form.request(b"POST /x", body=b"x" * 300_000))
    assert (await client.read_response()).status == 200
    assert [joined(got) for got in rig.primary.requests] == [form.forwarded(b"POST /x", body=b"x" * 300_000)]
