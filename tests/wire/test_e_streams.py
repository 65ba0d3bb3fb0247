"""Streams without an end, and the first bytes of another HTTP."""

import asyncio
import tracemalloc

import pytest

from tests.kit.memory_plane import MemoryBackend, MemoryPlane, settings
from tests.kit.script import hang, read_request, respond, send, send_endlessly
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.scripted_connection import ScriptedConnection
from tests.kit.wire import Ending, Wire
from tests.wire.forms import DATE, Form, refuses
from tests.wire.rig import GET, Rig, request, response

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS_FRAME = b"\0\0\0\4\0\0\0\0\0"
EVENT = b"data: 1\n\n"
EVENT_STREAM = b"Content-Type: text/event-stream"
FRAMINGS = {"chunked": (b"Transfer-Encoding: chunked",), "until the end": ()}
MAX_BODY = 10_000


@pytest.mark.parametrize("behind", [b"", SETTINGS_FRAME], ids=["alone", "with settings"])
async def test_e7_the_preface_of_http_2_is_refused(rig: Rig, transmission: Form, behind: bytes) -> None:
    await rig.start()
    await refuses(rig, transmission, PREFACE + behind, 400, "request_line")


def event(framing: str, data: bytes = EVENT) -> bytes:
    """An event, as a body of this framing carries it."""
    return b"%x\r\n%b\r\n" % (len(data), data) if framing == "chunked" else data


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_e10_each_event_arrives_before_the_next_is_sent(rig: Rig, framing: str) -> None:
    relayed = asyncio.Semaphore(1)

    async def one_by_one(connection: ScriptedConnection) -> None:
        while not connection.wire.over:
            await relayed.acquire()
            await connection.wire.send(event(framing))

    head = response(DATE, EVENT_STREAM, *FRAMINGS[framing])
    await rig.start((read_request(), send(head), one_by_one), service={"mirror": {"share": 0}})
    client = await rig.client()
    await client.send(GET)
    start = response(DATE, EVENT_STREAM, b"Transfer-Encoding: chunked")
    assert await client.read_exactly(len(start)) == start
    for _ in range(100):
        assert await client.read_exactly(len(event("chunked"))) == event("chunked")
        relayed.release()
    await client.reset()
    relayed.release()
    await rig.primary.connections[0].gone()
    assert rig.requests() == {"aborted": 1}


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_e10_the_mirror_of_a_stream_ends_at_the_longest_body(rig: Rig, framing: str) -> None:
    head = response(DATE, EVENT_STREAM, *FRAMINGS[framing])
    stream = (*respond(head), send_endlessly(event(framing, b"data: x" * 100 + b"\n\n")))
    await rig.start(stream, candidate=ScriptedBackend(default=stream), service={"mirror": {"max_body": MAX_BODY}})
    client = await rig.client()
    await client.send(GET)
    (copy,) = await rig.candidate.accepted(1)
    await copy.gone()
    at_the_end_of_the_copy = len(client.received)
    await rig.until(lambda: len(client.received) > at_the_end_of_the_copy + 1_000_000, "the stream to go on")
    assert rig.plane.budget.used <= 2 * MAX_BODY + 1_000
    assert not rig.pairs
    await client.reset()
    await rig.primary.connections[0].gone()
    await rig.quiet()
    assert rig.drops() == {"client_gone": 1}


async def test_e10_a_stream_that_ends_after_its_mirror_is_a_pair_cut_on_both_sides(rig: Rig) -> None:
    body = EVENT * MAX_BODY
    ending = respond(response(DATE, b"Content-Length: %d" % len(body), body=body))
    endless = (*respond(response()), send_endlessly(EVENT * 100))
    candidate = ScriptedBackend([endless])
    await rig.start(ending, candidate=candidate, service={"mirror": {"max_body": MAX_BODY}})
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).body == body
    await rig.until(lambda: rig.pairs, "the pair")
    served, mirrored = rig.pairs[0].primary, rig.pairs[0].candidate
    assert (served.cut, mirrored.cut) == (True, True)
    assert served.body == mirrored.body == body[:MAX_BODY]


async def test_e10_the_mirror_of_a_slow_stream_ends_with_its_lifetime(rig: Rig) -> None:
    head = response(DATE, EVENT_STREAM, b"Transfer-Encoding: chunked")
    stream = (*respond(head + event("chunked")), hang())
    await rig.start(stream, candidate=ScriptedBackend(default=stream), service={"mirror": {"lifetime": "50ms"}})
    client = await rig.client()
    await client.send(GET)
    (copy,) = await rig.candidate.accepted(1)
    await copy.gone()
    await rig.until(lambda: rig.plane.budget.used == 0, "the copy to be forgotten")
    (served,) = rig.primary.connections
    await served.wire.send(event("chunked", b"data: still here\n\n"))
    expected = head + event("chunked") + event("chunked", b"data: still here\n\n")
    assert await client.read_exactly(len(expected)) == expected
    assert not served.wire.over
    await client.reset()
    assert await served.gone() in Ending
    await rig.quiet()
    assert rig.drops() == {"too_large": 1}


class EventSource(MemoryBackend):
    """Begins a stream; the test sends its events."""

    def heard(self, wire: Wire) -> None:
        wire.transport.write(response(EVENT_STREAM, b"Transfer-Encoding: chunked"))

    def send(self, count: int) -> None:
        (wire,) = self.connections
        for _ in range(count):
            wire.transport.write(event("chunked"))


def test_e10_memory_stays_flat_while_events_pass() -> None:
    """Ten thousand after the caps were met leave nothing behind in the proxy."""
    primary, candidate = EventSource(), EventSource()
    with MemoryPlane(settings({"mirror": {"max_body": 1000}}), primary=primary, candidate=candidate) as plane:
        client = plane.client()
        plane.say(client, request(b"GET /"))

        def pass_on(count: int) -> None:
            for _ in range(count // 100):
                primary.send(100)
                plane.loop.run_ready()
                client.received.clear()

        candidate.send(200)
        pass_on(1_000)
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            pass_on(10_000)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert after - before < 10_000
        client.reset()
        plane.loop.run_ready()
