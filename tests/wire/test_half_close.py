"""A client that says FIN and goes on reading gets every answer it is owed."""

import asyncio

import pytest

from tests.kit.script import read_request, respond, send, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.wire import Ending
from tests.wire.rig import GET, Rig, request, response, sized


@pytest.mark.parametrize(
    "rest",
    [b"", b"\r\n", b"\r\n\r\n", b"GET", request(b"POST /", b"Content-Length: 9", body=b"half")],
    ids=["nothing", "CRLF", "two CRLF", "half a head", "half a body"],
)
async def test_what_follows_the_last_request_costs_no_answer(rig: Rig, rest: bytes) -> None:
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), send(sized(b"1"))))
    client = await rig.client()
    await client.send(GET + rest)
    await client.half_close()
    await rig.primary.received_heads(1)
    release.set()
    assert (await client.read_response()).body == b"1"
    assert await client.closed() is Ending.FIN
    assert [found.method for found in rig.primary.requests] == [b"GET"]


async def test_a_streamed_answer_goes_on_to_its_end(rig: Rig) -> None:
    release = asyncio.Event()
    body = b"x" * 3_000_000
    head = response(b"Content-Length: %d" % len(body))
    await rig.start((read_request(), send(head + body[:1000]), wait_for(release), send(body[1000:])))
    client = await rig.client()
    await client.send(GET)
    await rig.until(lambda: client.received.endswith(b"x"), "the beginning of the answer")
    await client.half_close()
    release.set()
    assert (await client.read_response()).body == body
    assert await client.closed() is Ending.FIN
    assert rig.requests() == {"2xx": 1}


async def test_all_pipelined_requests_are_answered_however_slowly_they_are_read(rig: Rig) -> None:
    big = sized(b"x" * 100_000)
    await rig.start(primary=ScriptedBackend(default=respond(big)), service={"mirror": {"share": 0.0}})
    client = await rig.client()
    client.stop_reading()
    await client.send(GET * 300)
    await rig.until(lambda: any(c._write_paused for c in rig.plane.connections), "the answers to pile up")
    await client.half_close()
    await rig.settled(lambda: len(rig.primary.requests))
    client.resume_reading()
    for _ in range(300):
        assert len((await client.read_response()).body) == 100_000
    assert await client.closed() is Ending.FIN
