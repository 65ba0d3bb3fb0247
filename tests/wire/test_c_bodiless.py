"""Responses that have no body whatever they say: to HEAD, 204, 304 and 1xx."""

import asyncio
from dataclasses import dataclass

import pytest

from tests.kit.script import read_request, send, wait_for
from tests.wire.chunked import CHUNKED, chunks
from tests.wire.forms import DATE, Form, healthy, relays
from tests.wire.rig import FORWARDED, Rig, request, response, sized

GET, HEAD = b"GET /x", b"HEAD /x"
OK = b"HTTP/1.1 200 OK"
NO_CONTENT = b"HTTP/1.1 204 No Content"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified"
TEN = b"Content-Length: 10"
ZERO = b"Content-Length: 0"
CHUNKS = chunks(b"hello", 5)


@dataclass(frozen=True, slots=True)
class Bodiless:
    """A response to `line`: what it says of a body, and which of that the client is told."""

    line: bytes
    start: bytes
    said: tuple[bytes, ...]
    told: tuple[bytes, ...]

    def __str__(self) -> str:
        status = self.start.split(b" ")[1].decode()
        method = self.line.split(b" ")[0].decode()
        return f"{status} to {method}, {b' and '.join(self.said).decode() or 'nothing said'}"

    @property
    def method(self) -> str:
        return self.line.split(b" ")[0].decode()

    def answered(self, *more: bytes) -> bytes:
        return response(DATE, b"X: 1", *self.said, *more, start=self.start)

    def relayed(self, *more: bytes) -> bytes:
        return response(DATE, b"X: 1", *self.told, *more, start=self.start)


async def is_relayed(rig: Rig, form: Form, case: Bodiless) -> None:
    close = [b"Connection: close"] if form.close else []
    await relays(
        rig,
        form,
        sent=form.request(case.line, body=b"hello"),
        forwarded=form.forwarded(case.line, body=b"hello"),
        answered=case.answered(*close),
        relayed=case.relayed(*close),
        method=case.method,
    )
    assert len(rig.primary.connections) == 1


async def body_reaches_nobody(rig: Rig, case: Bodiless, body: bytes, *, later: bool) -> None:
    """The backend sends a body all the same, in one piece with the head or after the client has its answer."""
    answered = asyncio.Event()
    whole, late = (case.answered(), body) if later else (case.answered() + body, b"")
    await rig.start((read_request(), send(whole), wait_for(answered), send(late)))
    client = await rig.client()
    await client.send(request(case.line))
    assert (await client.read_response(case.method)).raw == case.relayed()
    answered.set()
    await rig.primary.connections[0].gone()
    await healthy(rig, client)
    assert len(rig.primary.connections) == 2
    assert rig.primary.requests[0].raw == request(case.line, *FORWARDED)


# --- C14


@pytest.mark.parametrize(
    "case",
    [
        Bodiless(HEAD, OK, (TEN,), (TEN,)),
        Bodiless(HEAD, OK, (CHUNKED,), ()),
        Bodiless(HEAD, OK, (), ()),
        Bodiless(HEAD, b"HTTP/1.1 404 Not Found", (ZERO,), (ZERO,)),
    ],
    ids=str,
)
async def test_c14_a_response_to_head_keeps_its_length_and_loses_its_coding(
    rig: Rig, form: Form, case: Bodiless
) -> None:
    await is_relayed(rig, form, case)


@pytest.mark.parametrize("later", [False, True], ids=["with the head", "later"])
@pytest.mark.parametrize(
    ("case", "body"),
    [
        (Bodiless(HEAD, OK, (TEN,), (TEN,)), b"helloworld"),
        (Bodiless(HEAD, OK, (CHUNKED,), ()), CHUNKS),
        (Bodiless(HEAD, OK, (), ()), b"hello"),
    ],
    ids=str,
)
async def test_c14_a_body_sent_to_head_reaches_nobody_and_ends_its_connection(
    rig: Rig,
    case: Bodiless,
    body: bytes,
    later: bool,  # noqa: FBT001  a parameter of the test
) -> None:
    await body_reaches_nobody(rig, case, body, later=later)


# --- C15


@pytest.mark.parametrize(
    "case",
    [
        Bodiless(GET, NOT_MODIFIED, (TEN,), (TEN,)),
        Bodiless(GET, NOT_MODIFIED, (CHUNKED,), ()),
        Bodiless(GET, NOT_MODIFIED, (), ()),
        Bodiless(HEAD, NOT_MODIFIED, (TEN,), (TEN,)),
        Bodiless(GET, NO_CONTENT, (TEN,), ()),
        Bodiless(GET, NO_CONTENT, (ZERO,), ()),
        Bodiless(GET, NO_CONTENT, (), ()),
        Bodiless(HEAD, NO_CONTENT, (TEN,), ()),
    ],
    ids=str,
)
async def test_c15_a_304_keeps_its_length_and_a_204_loses_it(rig: Rig, form: Form, case: Bodiless) -> None:
    await is_relayed(rig, form, case)


@pytest.mark.parametrize("later", [False, True], ids=["with the head", "later"])
@pytest.mark.parametrize(
    ("case", "body"),
    [
        (Bodiless(GET, NOT_MODIFIED, (TEN,), (TEN,)), b"helloworld"),
        (Bodiless(GET, NOT_MODIFIED, (CHUNKED,), ()), CHUNKS),
        (Bodiless(GET, NO_CONTENT, (TEN,), ()), b"helloworld"),
        (Bodiless(GET, NO_CONTENT, (), ()), sized(b"evil")),
    ],
    ids=str,
)
async def test_c15_a_body_sent_with_204_or_304_reaches_nobody_and_ends_its_connection(
    rig: Rig,
    case: Bodiless,
    body: bytes,
    later: bool,  # noqa: FBT001  a parameter of the test
) -> None:
    await body_reaches_nobody(rig, case, body, later=later)


# --- C16


GZIP = b"Transfer-Encoding: gzip"


@pytest.mark.parametrize("said", [(CHUNKED,), (CHUNKED, TEN), (GZIP,)], ids=["chunked", "chunked and length", "gzip"])
async def test_c16_a_204_loses_its_coding(rig: Rig, form: Form, said: tuple[bytes, ...]) -> None:
    await is_relayed(rig, form, Bodiless(GET, NO_CONTENT, said, ()))


async def test_c16_chunks_sent_with_a_204_reach_nobody_and_end_its_connection(rig: Rig) -> None:
    await body_reaches_nobody(rig, Bodiless(GET, NO_CONTENT, (CHUNKED,), ()), CHUNKS, later=False)


@pytest.mark.parametrize("status", [b"100", b"102", b"103", b"199"])
@pytest.mark.parametrize(
    "said", [(CHUNKED,), (TEN,), (CHUNKED, TEN), (GZIP,)], ids=["chunked", "length", "both", "gzip"]
)
async def test_c16_an_interim_response_loses_both(
    rig: Rig, transmission: Form, status: bytes, said: tuple[bytes, ...]
) -> None:
    start = b"HTTP/1.1 %b Soon" % status
    final = sized(b"ok", DATE)
    await rig.start(transmission.reply(response(b"Link: </a>", *said, b"X: 1", start=start) + final))
    client = await rig.client()
    await transmission.send(client, request(b"GET /x"))
    assert (await client.read_response()).raw == response(b"Link: </a>", b"X: 1", start=start)
    assert (await client.read_response()).raw == final
    assert rig.primary.requests[0].raw == request(b"GET /x", *FORWARDED)
    await healthy(rig, client)
    assert len(rig.primary.connections) == 1
