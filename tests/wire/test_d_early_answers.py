"""Final answers that come before the request is read to its end: the client sees them, and then it is over."""

import asyncio

import pytest

from tests.kit.script import hang, send
from tests.kit.wire import bytewise
from tests.wire.forms import DATE, Form, ended, joined
from tests.wire.rig import Rig, problem, request, response, sized, without_date

DRAINED = 256 << 10
MIRRORED = {"mirror": {"methods": ["POST"]}}
UPLOADS = {
    "length": request(b"POST /", b"Content-Length: 10000000", body=b"x" * 1000),
    "chunked": request(b"POST /", b"Transfer-Encoding: chunked", body=b"3e8\r\n" + b"x" * 1000 + b"\r\n"),
}
NO = b"HTTP/1.1 401 Unauthorized"


@pytest.mark.parametrize("upload", UPLOADS.values(), ids=UPLOADS)
@pytest.mark.parametrize("status", [b"401 Unauthorized", b"413 Content Too Large", b"200 OK"])
async def test_d14_an_early_answer_is_relayed_and_ends_both_connections(
    rig: Rig, form: Form, upload: bytes, status: bytes
) -> None:
    early = form.response(DATE, b"X-B: 1", start=b"HTTP/1.1 " + status, body=b"no")
    await rig.start((*map(send, bytewise(early) if form.bytewise else [early]), hang()), service=MIRRORED)
    client = await rig.client()
    await client.send(upload)
    closing = Form(form.chunked, close=True, bytewise=form.bytewise)
    assert joined(await client.read_response()) == closing.relayed(
        DATE, b"X-B: 1", start=b"HTTP/1.1 " + status, body=b"no"
    )
    await client.send(b"x" * 1000)  # it may go on for a while, and sees no reset before its answer
    await ended(client)
    await rig.primary.connections[0].gone()
    assert rig.primary.connections[0].truncated
    await client.abandon()
    await rig.quiet()
    assert (rig.requests(), rig.drops()) == ({status[:1].decode() + "xx": 1}, {"incomplete": 1})
    assert rig.candidate.connections == []


@pytest.mark.parametrize("sent", [0, 1000, DRAINED])
async def test_d14_what_the_client_still_sends_is_drained(rig: Rig, sent: int) -> None:
    await rig.start((send(response(DATE, b"Content-Length: 0", start=NO)), hang()), timeouts={"linger": "60s"})
    client = await rig.client()
    await client.send(UPLOADS["length"])
    await rig.until(lambda: client.received, "the answer to be there, unread")
    await client.send(b"x" * sent)
    await rig.until(lambda: _lingered(rig) == sent, "all of it to be drained")
    assert (await client.read_response()).status == 401
    await ended(client)  # our side of it: the client may still send
    await client.send(b"x" * (DRAINED - sent))
    assert await rig.settled(lambda: len(rig.plane.connections)) == 1
    await client.send(b"x")
    await rig.until(lambda: not rig.plane.connections, "the connection to be cut at one byte more")


async def test_d14_a_client_that_ends_is_not_waited_for(rig: Rig) -> None:
    await rig.start((send(response(DATE, b"Content-Length: 0", start=NO)), hang()), timeouts={"linger": "60s"})
    client = await rig.client()
    await client.send(UPLOADS["length"])
    assert (await client.read_response()).status == 401
    await client.half_close()
    await rig.until(lambda: not rig.plane.connections, "the connection to end")


async def test_d14_a_client_that_does_nothing_is_waited_for_no_longer(rig: Rig) -> None:
    await rig.start((send(response(DATE, b"Content-Length: 0", start=NO)), hang()), timeouts={"linger": "100ms"})
    client = await rig.client()
    await client.send(UPLOADS["length"])
    assert (await client.read_response()).status == 401
    await rig.until(lambda: not rig.plane.connections, "the connection to end")


async def test_d14_an_early_answer_is_read_as_slowly_as_any(rig: Rig) -> None:
    body = b"x" * 6_000_000
    early = sized(body).replace(b"HTTP/1.1 200 OK", NO)
    await rig.start(
        (send(early), hang()),
        service={"mirror": {"share": 0.0}},
        timeouts={"linger": "50ms"},
        limits={"write_buffer": "64MiB"},
    )
    client = await rig.client()
    client.stop_reading()
    await client.send(UPLOADS["length"])
    await rig.until(lambda: rig.requests() == {"4xx": 1}, "the answer to be written")
    ticks = iter(range(30))  # of 10 ms: far more than lingering takes
    await rig.until(lambda: next(ticks, 30) == 30, "more time than lingering takes")
    client.resume_reading()
    assert (await client.read_response()).body == body
    await ended(client)


async def test_d14_a_refused_upload_sees_its_answer(rig: Rig) -> None:
    await rig.start(limits={"body_bytes": 1000})
    client = await rig.client()
    await client.send(request(b"POST /", b"Content-Length: %d" % (DRAINED // 2), body=b"x" * (DRAINED // 2)))
    assert without_date((await client.read_response()).raw) == problem(
        413, "body_bytes", "http_request_error", close=True
    )
    await ended(client)
    assert rig.primary.connections == []


@pytest.mark.parametrize("upload", UPLOADS.values(), ids=UPLOADS)
async def test_d14_an_answer_that_streams_may_be_read_while_the_upload_goes_on(rig: Rig, upload: bytes) -> None:
    """Reading the client stops when the answer is complete: a backend may answer while it reads."""
    release = asyncio.Event()
    begun = response(DATE, b"Content-Length: 4", body=b"ok")

    async def more_of_the_upload(_: object) -> None:
        await rig.until(lambda: b"y" * 10 in rig.primary.connections[0].received, "more of the upload")
        release.set()

    await rig.start((send(begun), more_of_the_upload, send(b"ay"), hang()))
    client = await rig.client()
    await client.send(upload)
    await rig.until(lambda: client.received.endswith(b"ok"), "the beginning of the answer")
    await client.send(b"a\r\n" + b"y" * 10 if upload is UPLOADS["chunked"] else b"y" * 10)
    assert (await client.read_response()).body == b"okay"
    await ended(client)
    await rig.primary.connections[0].gone()
    assert release.is_set()


def _lingered(rig: Rig) -> int:
    return sum(connection._lingered for connection in rig.plane.connections)
