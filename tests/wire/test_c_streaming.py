"""Bodies stream through: nothing is gathered, and the fast side waits for the slow one."""

import asyncio
from hashlib import sha256

import pytest

from tests.kit.script import hang, read_request, resume_reading, send, stop_reading, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.scripted_connection import ScriptedConnection
from tests.wire.chunked import CHUNKED
from tests.wire.forms import Form, healthy
from tests.wire.rig import GET, Rig, request, response, sized

MIB = 1 << 20
SIZE = 16 * MIB
ALONE = {"mirror": {"share": 0.0}}
UNTIL_THE_END = response(b"Content-Type: text/event-stream")
EVENTS = [b"data: 1\n\n", b"data: 2\n\n"]


def block(number: int) -> bytes:
    return bytes((number * 7 + at) % 251 for at in range(256)) * 256


# --- C7


@pytest.mark.parametrize("served_to", [GET, b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"], ids=["HTTP/1.1", "HTTP/1.0"])
@pytest.mark.parametrize(
    ("head", "events"),
    [
        (UNTIL_THE_END, EVENTS),
        (response(CHUNKED), [b"9\r\n%b\r\n" % event for event in EVENTS]),
        (response(CHUNKED), [b"%x\r\n%b\r\n" % (len(event), event) for event in (b"data: ", b"1\n\ndata: 2")]),
        (response(b"Content-Length: 18"), EVENTS),
    ],
    ids=["until the end", "chunked", "chunked, cut elsewhere", "length"],
)
async def test_c7_an_event_arrives_before_the_next_one_is_sent(
    rig: Rig, served_to: bytes, head: bytes, events: list[bytes]
) -> None:
    seen = [asyncio.Event(), asyncio.Event()]
    await rig.start((read_request(), send(head + events[0]), wait_for(seen[0]), send(events[1]), wait_for(seen[1])))
    client = await rig.client()
    await client.send(served_to)
    for number, event in enumerate(seen, 1):
        await rig.until(lambda: client.received.count(b"data: ") == number, f"event {number}")  # noqa: B023  awaited here
        event.set()
    await client.reset()


@pytest.mark.parametrize("framing", [(), (CHUNKED,), (b"Content-Length: 9",)], ids=["none", "chunked", "length"])
async def test_c7_what_is_read_is_written_within_one_turn(rig: Rig, framing: tuple[bytes, ...]) -> None:
    await rig.start((read_request(), send(response(*framing)), hang()), service=ALONE)
    client = await rig.client()
    await client.send(GET)
    await rig.until(lambda: client.received.endswith(b"\r\n\r\n"), "the head")
    (backend,) = rig.plane.services[0].serving.connections
    backend.data_received(b"2\r\nhi\r\n" if CHUNKED in framing else b"hi")
    assert any(rig.plane.turn._lanes)
    await asyncio.sleep(0)
    assert not any(rig.plane.turn._lanes)
    await rig.until(lambda: b"hi" in client.received.partition(b"\r\n\r\n")[2], "what was read")
    await client.reset()


async def test_c7_the_first_byte_of_an_upload_arrives_before_the_last_is_sent(rig: Rig, form: Form) -> None:
    await rig.start()
    client = await rig.client()
    whole = form.request(b"POST /", body=b"hello world")
    at = whole.index(b"ello")
    await form.send(client, whole[:at])
    await rig.primary.received_heads(1)
    (connection,) = rig.primary.connections
    await rig.until(lambda: b"h" in connection.received.partition(b"\r\n\r\n")[2], "the first byte at the backend")
    await form.send(client, whole[at:])
    assert (await client.read_response()).status == 200
    assert rig.primary.requests[0].body == b"hello world"
    await form.afterwards(rig, client)


# --- C22, inside one process; with memory measured, in tests/e2e/test_large_bodies.py


async def test_c22_a_slow_client_pauses_the_backend(rig: Rig) -> None:
    sent = 0
    digest = sha256()

    async def flood(connection: ScriptedConnection) -> None:
        nonlocal sent
        await connection.wire.send(response(b"Content-Length: %d" % SIZE))
        for number in range(SIZE // 65536):
            digest.update(piece := block(number))
            await connection.wire.send(piece)
            sent += len(piece)

    await rig.start((read_request(), flood), service=ALONE)
    client = await rig.client(deadline_s=15)
    client.stop_reading()
    await client.send(GET)
    await rig.settled(lambda: sent)
    assert sent < SIZE
    (connection,) = rig.plane.connections
    assert connection._write_paused
    assert connection._transport is not None
    assert connection._transport.get_write_buffer_size() < MIB
    client.resume_reading()
    assert sha256((await client.read_response()).body).digest() == digest.digest()
    await healthy(rig, client)


async def test_c22_a_slow_backend_pauses_the_client(rig: Rig) -> None:
    release = asyncio.Event()
    script = (stop_reading(), wait_for(release), resume_reading(), read_request(), send(sized(b"ok")))
    await rig.start(script, service=ALONE)
    client = await rig.client(deadline_s=15)
    sent = 0
    digest = sha256()

    async def upload() -> None:
        nonlocal sent
        await client.send(request(b"POST /", b"Content-Length: %d" % SIZE))
        for number in range(SIZE // 65536):
            digest.update(piece := block(number))
            await client.send(piece)
            sent += len(piece)

    uploading = asyncio.create_task(upload())
    await rig.primary.received_heads(1)
    await rig.settled(lambda: sent)
    assert sent < SIZE
    (connection,) = rig.plane.connections
    assert connection._paused
    release.set()
    await uploading
    assert (await client.read_response()).body == b"ok"
    assert sha256(rig.primary.requests[0].body).digest() == digest.digest()
    await healthy(rig, client)


async def test_c22_a_backend_that_stalls_after_the_client_was_slow_is_still_timed(rig: Rig) -> None:
    body = b"x" * (8 * MIB)
    script = (read_request(), send(response(b"Content-Length: %d" % (len(body) + 1), body=body)), hang())
    await rig.start(script, service=ALONE, timeouts={"response_idle": "200ms"})
    client = await rig.client()
    await client.send(GET)
    client.stop_reading()
    await rig.until(lambda: any(c._write_paused for c in rig.plane.connections), "the client to be slow")
    client.resume_reading()
    assert (await client.read_until_close()).endswith(b"xxx")
    assert rig.requests() == {"aborted": 1}


async def test_c22_a_slow_candidate_pauses_nobody(rig: Rig) -> None:
    body = b"x" * 900_000
    service = {"endpoints": [{"name": "up", "match": "POST /up", "read_only": True}], "mirror": {"deadline": "200ms"}}
    await rig.start(candidate=ScriptedBackend.deaf(), service=service)
    client = await rig.client()
    for _ in range(3):
        await client.send(request(b"POST /up", b"Content-Length: %d" % len(body), body=body))
        assert (await client.read_response()).status == 200
