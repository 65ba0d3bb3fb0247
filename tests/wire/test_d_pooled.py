"""Pooled backend connections: who may use one again, when one is closed, what happens when one dies."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest

from proxy.config.models import Mode
from proxy.core.families import BACKEND_REQUESTS
from proxy.http.backend_connection import BackendConnection
from tests.kit.memory_plane import MemoryPlane
from tests.kit.script import answer, close, half_close, hang, read_request, reset, respond, send, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.scripted_connection import Script, Step
from tests.kit.wire import Ending
from tests.wire.forms import DATE, Form, ended, healthy, joined
from tests.wire.rig import FORWARDED, GET, Rig, problem, request, response, sized, without_date

ALONE = {"mirror": {"share": 0.0}}
LONG = {"idle": "60s"}
"""So that nothing ends because it is unused."""
OK = sized(b"ok", DATE)
RESET = problem(502, "reset", "connection_terminated", close=False)


def _pooled(rig: Rig) -> list[BackendConnection]:
    return rig.plane.services[0].serving.pool.idle


# --- D8: it dies as we write


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"])
@pytest.mark.parametrize("end", [close, reset], ids=["FIN", "RST"])
async def test_d8_a_repeatable_request_on_a_dying_pooled_connection_is_sent_once_more(
    rig: Rig, transmission: Form, method: bytes, end: Callable[[], Step]
) -> None:
    await rig.start(answer(), (end(),), answer())
    client = await rig.client()
    await client.send(GET)
    await client.read_response()
    await transmission.send(client, request(method + b" /again", b"X: 1"))
    assert (await client.read_response(method.decode())).status == 200
    expected = b"\r\n".join([method + b" /again HTTP/1.1", b"Host: a", b"X: 1", *FORWARDED, b"", b""])
    assert [got.raw for got in rig.primary.connections[1].requests] == [expected]
    assert rig.requests() == {"2xx": 2}
    await healthy(rig, client)


@pytest.mark.parametrize("method", [b"GET", b"PUT", b"DELETE"])
async def test_d8_a_body_that_is_held_whole_is_sent_once_more(rig: Rig, form: Form, method: bytes) -> None:
    """Held means: it came in one piece with its head."""
    await rig.start(answer(), (reset(),), form.reply(form.response(DATE, body=b"ok")))
    client = await rig.client()
    await client.send(GET)
    await client.read_response()
    await form.send(client, form.request(method + b" /again", body=b"hello"))
    again = await client.read_response()
    if form.bytewise:  # then the request may have reached the backend in part, and its beginning is gone
        assert again.status == 502
        assert len(rig.primary.connections) == 1
    else:
        assert joined(again) == form.relayed(DATE, body=b"ok")
        (got,) = rig.primary.connections[1].requests
        assert joined(got) == form.forwarded(method + b" /again", body=b"hello")
    if again.values(b"connection"):
        await ended(client)
    else:
        await healthy(rig, client)


@pytest.mark.parametrize("method", [b"POST", b"PATCH", b"FOO"])
async def test_d8_any_other_request_is_never_sent_twice(rig: Rig, method: bytes) -> None:
    await rig.start(answer(), (reset(),), answer())
    client = await rig.client()
    await client.send(GET)
    await client.read_response()
    await client.send(request(method + b" /", b"Content-Length: 2", body=b"ok"))
    assert without_date((await client.read_response()).raw) == RESET
    assert len(rig.primary.connections) == 1
    await healthy(rig, client)


@pytest.mark.parametrize("end", [close, reset], ids=["FIN", "RST"])
async def test_d8_a_fresh_connection_that_dies_is_not_tried_again(rig: Rig, end: Callable[[], Step]) -> None:
    await rig.start((read_request(), end()))
    client = await rig.client()
    await client.send(GET)
    assert without_date((await client.read_response()).raw) == RESET
    assert len(rig.primary.connections) == 1
    await healthy(rig, client)


async def test_d8_a_retry_that_dies_too_is_not_tried_again(rig: Rig) -> None:
    await rig.start(answer(), (reset(),), (reset(),))
    client = await rig.client()
    await client.send(GET)
    await client.read_response()
    await client.send(GET)
    assert without_date((await client.read_response()).raw) == RESET
    assert len(rig.primary.connections) == 2
    await healthy(rig, client)


@pytest.mark.parametrize("begun", [b"H", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 103 E\r\n\r\n"])
async def test_d8_after_a_byte_of_a_response_nothing_is_sent_again(rig: Rig, begun: bytes) -> None:
    await rig.start(answer(), (read_request(), send(begun), reset()))
    client = await rig.client()
    await client.send(GET)
    await client.read_response()
    await client.send(GET)
    answers = [await client.read_response()]
    if b" 103 " in begun:
        answers.append(await client.read_response())
    assert without_date(answers[-1].raw) == RESET
    assert len(rig.primary.connections) == 1
    await healthy(rig, client)


async def test_d8_a_pooled_connection_that_is_silent_is_not_tried_again(rig: Rig) -> None:
    await rig.start(answer(), (read_request(), hang()), timeouts={"first_byte": "100ms"})
    client = await rig.client()
    await client.send(GET)
    await client.read_response()
    await client.send(GET)
    assert (await client.read_response()).status == 504  # it may well be at work on it
    assert len(rig.primary.connections) == 1
    await healthy(rig, client)


async def test_d8_a_copy_is_never_sent_twice(rig: Rig) -> None:
    await rig.start(candidate=ScriptedBackend([answer(), (reset(),), answer()]))
    client = await rig.client()
    await client.send(GET)
    await client.read_response()
    await rig.quiet()
    await client.send(GET)
    await client.read_response()
    await rig.quiet()
    assert len(rig.candidate.connections) == 1
    assert rig.plane.tally().by(BACKEND_REQUESTS, "code", role="mirror") == {"2xx": 1, "error": 1}


# --- D9: a backend that ends its connection


@pytest.mark.parametrize(
    ("answered", "ending"),
    [
        (sized(b"1", DATE, b"Connection: close"), ()),
        (sized(b"1", DATE, b"connection: keep-alive, Close"), ()),
        (sized(b"1", DATE).replace(b"HTTP/1.1", b"HTTP/1.0"), ()),
        (sized(b"1", DATE, b"Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0"), ()),
        (response(DATE, b"Transfer-Encoding: chunked", b"Connection: close", body=b"1\r\n1\r\n0\r\n\r\n"), ()),
        (response(DATE, b"Connection: close", start=b"HTTP/1.1 204 No Content"), ()),
        (response(DATE, body=b"1"), (close(),)),
        (response(DATE, body=b"1", start=b"HTTP/1.0 200 OK"), (close(),)),
    ],
    ids=[
        "close", "close in a list", "1.0", "1.0 keep-alive", "chunked close", "204 close", "until the end",
        "1.0 until the end",
    ],
)  # fmt: skip
async def test_d9_a_connection_that_ends_is_not_pooled(
    rig: Rig, transmission: Form, answered: bytes, ending: Script
) -> None:
    await rig.start((*transmission.reply(answered), *ending), service=ALONE, pool=LONG)
    client = await rig.client()
    await transmission.send(client, GET)
    got = await client.read_response()
    assert (got.body, got.values(b"connection")) == (b"" if got.status == 204 else b"1", [])
    assert await rig.primary.connections[0].gone() is Ending.FIN
    assert not _pooled(rig)
    await healthy(rig, client)
    assert [len(connection.requests) for connection in rig.primary.connections] == [1, 1]


# --- D10: unused connections


async def test_d10_an_unused_connection_is_closed_after_its_time(rig: Rig) -> None:
    await rig.start(pool={"idle": "100ms"})
    client = await rig.client()
    await client.send(GET)
    await client.read_response()
    assert await rig.primary.connections[0].gone() is Ending.FIN
    await rig.candidate.received_requests(1)
    assert await rig.candidate.connections[0].gone() is Ending.FIN
    await healthy(rig, client)


@pytest.mark.parametrize(
    ("said", "idle_s"),
    [
        (b"", 4.0),
        (b"Keep-Alive: timeout=2", 1.0),
        (b"Keep-Alive: max=100, timeout=3", 2.0),
        (b'keep-alive: Timeout="3"', 2.0),
        (b"Keep-Alive: timeout=60", 4.0),
        (b"Keep-Alive: max=100", 4.0),
        (b"Keep-Alive: timeout=soon", 4.0),
    ],
)
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_d10_the_backends_own_time_counts_a_second_early(
    rig: Rig, said: bytes, idle_s: float, framing: str
) -> None:
    fields = (DATE, *([said] if said else ()))
    chunked = response(*fields, b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n")
    await rig.start(respond(chunked if framing == "chunked" else sized(b"ok", *fields)), service=ALONE)
    client = await rig.client()
    before = monotonic()
    await client.send(GET)
    relayed = await client.read_response()
    assert (relayed.body, relayed.values(b"keep-alive")) == (b"ok", [])
    (unused,) = _pooled(rig)
    assert before + idle_s <= unused.idle_until <= monotonic() + idle_s
    rig.plane.services[0].serving.tick(unused.idle_until - 0.001)
    assert _pooled(rig) == [unused]
    rig.plane.services[0].serving.tick(unused.idle_until)
    assert await rig.primary.connections[0].gone() is Ending.FIN
    await healthy(rig, client)


@pytest.mark.parametrize("said", [b"Keep-Alive: timeout=0", b"Keep-Alive: timeout=1"])
async def test_d10_a_time_that_is_over_at_once_is_none(rig: Rig, transmission: Form, said: bytes) -> None:
    await rig.start(transmission.reply(sized(b"ok", DATE, said)), service=ALONE, pool=LONG)
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).raw == OK
    assert await rig.primary.connections[0].gone() is Ending.FIN
    await healthy(rig, client)


@pytest.mark.parametrize(
    "surprise",
    [b"\r\n", b"H", b"\x15\x03\x03", sized(b"evil"), b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"],
)
@pytest.mark.parametrize("side", ["primary", "candidate"])
async def test_d10_any_byte_on_an_unused_connection_closes_it(rig: Rig, side: str, surprise: bytes) -> None:
    say = asyncio.Event()
    script = (*respond(OK), wait_for(say), send(surprise))
    backends: dict[str, Any] = {side: ScriptedBackend([script])}
    await rig.start(**backends, pool=LONG)
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).status == 200
    await rig.quiet()
    say.set()
    backend = getattr(rig, side)
    await backend.connections[0].gone()
    await healthy(rig, client)
    await rig.quiet()
    assert [len(connection.requests) for connection in backend.connections] == [1, 1]


async def test_d10_an_unused_connection_that_its_backend_ends_is_not_used(rig: Rig) -> None:
    await rig.start((*respond(OK), half_close()), service=ALONE, pool=LONG)
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).raw == OK
    await rig.primary.connections[0].gone()
    await healthy(rig, client)


@pytest.mark.parametrize("end", ["FIN", "stray bytes"])
def test_d10_one_known_to_end_is_not_used_in_the_same_turn(end: str) -> None:
    with MemoryPlane(mode=Mode.PRIMARY) as plane:
        client = plane.client()
        plane.say(client, GET)
        client.received.clear()
        (unused,) = plane.primary.connections
        unused.transport.close() if end == "FIN" else unused.transport.write(sized(b"evil"))
        client.transport.write(request(b"POST /", b"Content-Length: 0"))  # read right behind it
        plane.loop.run_ready()
        assert client.received.startswith(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n")
        assert len(plane.primary.connections) == 2


# --- D11: one exchange at a time


async def test_d11_a_connection_serves_one_exchange_at_a_time(rig: Rig, form: Form) -> None:
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), *form.reply(form.response(DATE, body=b"1"))), service=ALONE)
    first, second = await rig.client(), await rig.client()
    await form.send(first, form.request(b"POST /1", body=b"hello"))
    await rig.primary.received_requests(1)
    await second.send(request(b"GET /2"))
    assert (await second.read_response()).status == 200
    release.set()
    assert joined(await first.read_response()) == form.relayed(DATE, body=b"1")
    assert [[got.target for got in connection.requests] for connection in rig.primary.connections] == [[b"/1"], [b"/2"]]
    await form.afterwards(rig, first)


@pytest.mark.parametrize("when", ["later", "same turn"])
async def test_d11_a_response_nobody_asked_for_answers_no_request(rig: Rig, when: str) -> None:
    await rig.start(respond(OK), respond(sized(b"right", DATE)), service=ALONE, pool=LONG)
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).raw == OK
    first = rig.primary.connections[0]
    if when == "later":
        await first.wire.send(sized(b"evil"))
        await first.gone()
        await client.send(GET)
    else:  # both sockets have something to say when the loop looks at them
        await asyncio.gather(client.send(GET), first.wire.send(sized(b"evil")))
    assert (await client.read_response()).raw == sized(b"right", DATE)
    await first.gone()
    assert len(rig.primary.connections) == 2
    await healthy(rig, client)


@pytest.mark.parametrize("size", [70_000, 200_000])
async def test_d11_nor_does_it_answer_one_so_large_that_it_leaves_at_once(rig: Rig, size: int) -> None:
    await rig.start(respond(OK), respond(sized(b"right", DATE)), service=ALONE, pool=LONG)
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).raw == OK
    first = rig.primary.connections[0]
    large = request(b"PUT /", b"Content-Length: %d" % size, body=b"p" * size)
    await asyncio.gather(client.send(large), first.wire.send(sized(b"evil")))
    got = await client.read_response()
    if got.status == 200:  # sent once more, as a body that came in one read can be
        assert got.raw == sized(b"right", DATE)
    else:
        assert b'"reset"' in got.body
    await first.gone()
    assert (await rig.ask()).status == 200


@pytest.mark.parametrize(
    ("begun", "completes"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", b"lo"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"0\r\n\r\n"),
    ],
    ids=["length", "chunked"],
)
async def test_d11_only_a_complete_response_to_a_complete_request_is_pooled(
    rig: Rig, begun: bytes, completes: bytes
) -> None:
    release = asyncio.Event()
    await rig.start((send(begun), wait_for(release), send(completes), hang()), service=ALONE, pool=LONG)
    client = await rig.client()
    await client.send(request(b"POST /", b"Content-Length: 10", body=b"hello"))
    await rig.until(lambda: client.received, "the beginning of the answer")
    assert not _pooled(rig)
    release.set()
    assert (await client.read_response()).body == b"hello"
    await rig.primary.connections[0].gone()  # its request never became complete
    await ended(client)
    assert not _pooled(rig)
    assert (await rig.ask()).status == 200
