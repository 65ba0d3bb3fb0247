"""Slow clients: a head or a body that does not come is a 408, a connection without a request ends silently."""

import asyncio
from typing import Any

import pytest

from tests.kit.raw_client import RawClient
from tests.wire.forms import Form, ended, healthy
from tests.wire.rig import GET, Rig, problem, request, without_date

SLOW_HEAD = problem(408, "request_head", "http_request_error", close=True)
SLOW_BODY = problem(408, "request_body_idle", "http_request_error", close=True)
HEAD_TIME: dict[str, Any] = {"timeouts": {"request_head": "150ms"}}
BODY_TIME: dict[str, Any] = {"timeouts": {"request_body_idle": "150ms"}}


async def is_told_and_ended(rig: Rig, client: RawClient, answer: bytes) -> None:
    assert without_date((await client.read_response()).raw) == answer
    await ended(client)
    await client.abandon()
    await rig.quiet()


@pytest.mark.parametrize("begun", [b"G", b"GET / HTTP/1.1\r\n", GET[:-1], b"\r\nGET", b"\x16\x03"])
@pytest.mark.parametrize("when", ["first", "later"])
async def test_d13_a_head_that_does_not_end_is_a_408(rig: Rig, transmission: Form, begun: bytes, when: str) -> None:
    await rig.start(**HEAD_TIME)
    client = await rig.client()
    if when == "later":
        await healthy(rig, client)
    await transmission.send(client, begun)
    await is_told_and_ended(rig, client, SLOW_HEAD)
    assert rig.refusals() == {"request_head": 1}
    assert len(rig.primary.requests) == (1 if when == "later" else 0)


async def test_d13_a_slow_head_request_gets_no_body(rig: Rig) -> None:
    await rig.start(**HEAD_TIME)
    client = await rig.client()
    await client.send(b"HEAD / HTTP/1.1\r\n")
    assert without_date((await client.read_response("HEAD")).raw) == SLOW_HEAD.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    await ended(client)


@pytest.mark.parametrize("when", ["first", "later"])
async def test_d13_dripping_gains_no_time(rig: Rig, when: str) -> None:
    await rig.start(**HEAD_TIME)
    client = await rig.client()
    if when == "later":
        await healthy(rig, client)
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")

    async def drip() -> None:
        while True:
            await client.send(b"x")
            await asyncio.sleep(0.01)  # the slowness is the behaviour; nothing waits by it

    dripping = asyncio.create_task(drip())
    assert without_date((await client.read_response()).raw) == SLOW_HEAD
    dripping.cancel()
    await asyncio.gather(dripping, return_exceptions=True)
    await client.abandon()
    assert rig.refusals() == {"request_head": 1}


@pytest.mark.parametrize("said", [b"", b"\r\n", b"\r\n\r\n\r"])
async def test_d13_a_client_that_asks_nothing_is_closed_silently(rig: Rig, transmission: Form, said: bytes) -> None:
    await rig.start(**HEAD_TIME)
    client = await rig.client()
    await transmission.send(client, said)
    await ended(client)
    assert (rig.refusals(), rig.primary.connections) == ({}, [])


async def test_d13_an_unused_connection_is_closed_silently(rig: Rig) -> None:
    await rig.start(timeouts={"client_idle": "150ms"})
    client = await rig.client()
    await healthy(rig, client)
    await healthy(rig, client)
    await ended(client)
    assert rig.refusals() == {}


async def test_d13_a_head_in_time_begins_the_time_of_the_next_anew(rig: Rig) -> None:
    await rig.start(timeouts={"request_head": "150ms", "client_idle": "60s"})
    client = await rig.client()
    await healthy(rig, client)
    ticks = iter(range(40))  # of 10 ms: far over the time of a head, between two requests
    await rig.until(lambda: next(ticks, 40) == 40, "more than the time of a head")
    await healthy(rig, client)


@pytest.mark.parametrize(
    "begun",
    [
        request(b"POST /", b"Content-Length: 10"),
        request(b"POST /", b"Content-Length: 10", body=b"hello"),
        request(b"POST /", b"Transfer-Encoding: chunked"),
        request(b"POST /", b"Transfer-Encoding: chunked", body=b"5\r\nhel"),
        request(b"POST /", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n"),
        request(b"POST /", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n"),
    ],
    ids=["length", "half a length", "chunked", "half a chunk", "no last chunk", "no end of trailers"],
)
async def test_d13_a_body_that_stops_is_a_408_and_reaches_no_backend_whole(
    rig: Rig, transmission: Form, begun: bytes
) -> None:
    await rig.start(**BODY_TIME, service={"mirror": {"methods": ["POST"]}})
    client = await rig.client()
    await transmission.send(client, begun)
    await rig.primary.received_heads(1)
    await is_told_and_ended(rig, client, SLOW_BODY)
    await rig.primary.connections[0].gone()
    assert rig.primary.connections[0].truncated
    assert rig.refusals() == {"request_body_idle": 1}
    assert (rig.requests(), rig.drops()) == ({"4xx": 1}, {"incomplete": 1})
    assert rig.candidate.connections == []


async def test_d13_a_body_may_take_long_as_long_as_it_comes(rig: Rig) -> None:
    await rig.start(**BODY_TIME)
    client = await rig.client()
    await client.send(request(b"POST /", b"Content-Length: 20"))
    for _ in range(20):
        await asyncio.sleep(0.02)  # the slowness is the behaviour: 400 ms in all, each pause far below the limit
        await client.send(b"x")
    assert (await client.read_response()).status == 200
    assert [got.body for got in rig.primary.requests] == [b"x" * 20]
    await healthy(rig, client)
