"""D15: told to end, the proxy accepts no more, answers what has come, says that it closes, closes what is unused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.kit.raw_client import RawClient
from tests.kit.script import hang, read_request, respond, send, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.wire import Ending
from tests.wire.forms import DATE, Form, copied, ended, healthy, joined
from tests.wire.rig import GET, Rig, request, response, sized

LONG_S = 30.0
MIRRORED = {"mirror": {"methods": ["GET", "POST"]}}


@asynccontextmanager
async def draining(rig: Rig, longest_s: float = LONG_S) -> AsyncIterator["asyncio.Task[None]"]:
    """What a worker does at SIGTERM."""

    async def end() -> None:
        await rig.listener.close()
        await rig.plane.drain(longest_s)

    task = asyncio.create_task(end())
    await rig.until(lambda: rig.plane.is_draining, "the end to have begun")
    yield task
    await task


async def test_d15_an_answer_in_flight_is_given_whole_and_says_that_the_connection_ends(rig: Rig, form: Form) -> None:
    release = asyncio.Event()
    answered = form.response(DATE, body=b"hello")
    await rig.start((read_request(), wait_for(release), *form.reply(answered)), service=MIRRORED)
    client = await rig.client()
    await form.send(client, form.request(b"POST /", body=b"hello"))
    await rig.primary.received_requests(1)
    async with draining(rig):
        release.set()
        closing = Form(form.chunked, close=True, bytewise=form.bytewise)
        assert joined(await client.read_response()) == closing.relayed(DATE, body=b"hello")
        await ended(client)
    assert [joined(got) for got in rig.primary.requests] == [form.forwarded(b"POST /", body=b"hello")]
    assert [joined(copy) for copy in rig.candidate.requests] == [copied(rig.primary.requests[0])]


async def test_d15_an_answer_that_has_begun_goes_on_to_its_end(rig: Rig) -> None:
    release = asyncio.Event()
    body = b"x" * 1_000_000
    head = response(b"Content-Length: %d" % len(body))
    await rig.start((read_request(), send(head + body[:1000]), wait_for(release), send(body[1000:])))
    client = await rig.client()
    await client.send(GET)
    await rig.until(lambda: client.received.endswith(b"x"), "the beginning of the answer")
    async with draining(rig):
        release.set()
        assert (await client.read_response()).body == body
        assert await client.closed() is Ending.FIN


async def test_d15_unused_connections_end_at_once_and_without_a_byte(rig: Rig) -> None:
    await rig.start()
    fresh, kept = await rig.client(), await rig.client()
    await healthy(rig, kept)
    await rig.until(lambda: len(rig.plane.connections) == 2, "both connections")
    async with draining(rig):
        assert [await client.closed() for client in (fresh, kept)] == [Ending.FIN, Ending.FIN]


async def test_d15_a_request_that_has_come_before_the_end_is_answered(rig: Rig) -> None:
    await rig.start(primary=ScriptedBackend(default=respond(sized(b"ok"))))
    clients = [await rig.client() for _ in range(20)]
    for client in clients:
        await healthy(rig, client)
    # In this turn of the loop the requests get to the kernel, and the plane has not read them when it is told to end.
    for client in clients:
        client._wire.transport.write(GET)
    rig.plane.is_draining = True
    rig.plane._clients_are_gone()
    for client in clients:
        answered = await client.read_response()
        assert (answered.body, answered.values(b"connection")) == (b"ok", [b"close"])
    async with draining(rig):
        for client in clients:
            await ended(client)
    assert len(rig.primary.requests) == 40


async def test_d15_a_request_whose_body_still_comes_is_answered(rig: Rig) -> None:
    await rig.start(service=MIRRORED)
    client = await rig.client()
    await client.send(request(b"POST /", b"Content-Length: 10", body=b"hello"))
    await rig.primary.received_heads(1)
    async with draining(rig):
        await client.send(b"world")
        answered = await client.read_response()
        assert (answered.status, answered.values(b"connection")) == (200, [b"close"])
        await ended(client)
    assert rig.primary.requests[0].body == b"helloworld"


async def test_d15_who_waits_in_the_backlog_is_served(rig: Rig) -> None:
    await rig.start(primary=ScriptedBackend(default=respond(sized(b"ok"))), limits={"connections": 1})
    first = await rig.client()
    await healthy(rig, first)
    rig.listener.pause()
    waiting = await rig.client()
    await waiting.send(GET)
    await first.abandon()
    await rig.until(lambda: not rig.plane.connections, "the first connection to be gone")
    rig.listener._resume()
    async with draining(rig):
        assert (await waiting.read_response()).body == b"ok"
        await ended(waiting)


async def test_d15_who_comes_after_that_is_refused(rig: Rig) -> None:
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), send(sized(b"ok"))))
    client = await rig.client()
    await client.send(GET)
    await rig.primary.received_requests(1)
    async with draining(rig):
        with pytest.raises(ConnectionRefusedError):
            await RawClient.open(rig.port)
        release.set()
        assert (await client.read_response()).body == b"ok"
        await ended(client)


async def test_d15_pipelined_requests_behind_the_one_in_flight_get_no_byte(rig: Rig) -> None:
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), send(sized(b"1"))))
    client = await rig.client()
    await client.send(request(b"GET /1") + request(b"GET /2"))
    await rig.primary.received_requests(1)
    async with draining(rig):
        release.set()
        answered = await client.read_response()
        assert (answered.body, answered.values(b"connection")) == (b"1", [b"close"])
        with suppress(ConnectionError):
            await client.send(request(b"GET /3"))  # which costs no byte of the answer either
        await ended(client)
    assert [got.target for got in rig.primary.requests] == [b"/1"]


async def test_d15_what_takes_longer_is_aborted_and_counted(rig: Rig) -> None:
    await rig.start((read_request(), send(response(b"Content-Length: 10", body=b"hello")), hang()))
    client = await rig.client()
    await client.send(GET)
    await rig.until(lambda: client.received.endswith(b"hello"), "the beginning of the answer")
    async with draining(rig, 0.05):
        assert (await client.read_until_close()).endswith(b"hello")
    assert rig.requests() == {"aborted": 1}


async def test_d15_requests_of_the_last_moment_are_served_and_not_mirrored(rig: Rig) -> None:
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), send(sized(b"1"))), service=MIRRORED)
    busy, late = await rig.client(), await rig.client()
    await busy.send(GET)
    await late.send(GET[:-2])
    await rig.primary.received_requests(1)
    await rig.until(lambda: all(not c.is_idle for c in rig.plane.connections), "both requests to have begun")
    async with draining(rig):
        await late.send(GET[-2:])
        assert (await late.read_response()).status == 200
        await ended(late)
        release.set()
        assert (await busy.read_response()).body == b"1"
        await ended(busy)
    assert rig.mirrors() == {"mirrored": 1, "draining": 1}
