"""Bodies stream through: nothing is gathered, and the fast side waits for the slow one."""

import asyncio
import tracemalloc
from hashlib import sha256

import pytest

from tests.kit.script import hang, read_request, resume_reading, send, stop_reading, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.scripted_connection import ScriptedConnection
from tests.kit.wire import Wire
from tests.wire.rig import GET, Rig, request, response, sized

MIB = 1 << 20
SIZE = 16 * MIB
ALONE = {"mirror": {"share": 0.0}}


def block(number: int) -> bytes:
    return bytes((number * 7 + at) % 251 for at in range(256)) * 256


async def test_the_first_byte_of_an_upload_arrives_before_the_last_is_sent(rig: Rig) -> None:
    await rig.start()
    client = await rig.client()
    await client.send(request(b"POST /", b"Content-Length: 10", body=b"h"))
    await rig.primary.received_heads(1)
    (connection,) = rig.primary.connections
    await rig.until(lambda: connection.received.endswith(b"\r\n\r\nh"), "the first byte at the backend")
    await client.send(b"ello worl")
    assert (await client.read_response()).status == 200


@pytest.mark.parametrize(
    ("head", "events"),
    [
        (response(b"Content-Type: text/event-stream"), [b"data: 1\n\n", b"data: 2\n\n"]),
        (response(b"Transfer-Encoding: chunked"), [b"9\r\ndata: 1\n\n\r\n", b"9\r\ndata: 2\n\n\r\n"]),
        (response(b"Content-Length: 18"), [b"data: 1\n\n", b"data: 2\n\n"]),
    ],
    ids=["until the end", "chunked", "length"],
)
async def test_an_event_arrives_before_the_next_one_is_sent(rig: Rig, head: bytes, events: list[bytes]) -> None:
    seen = [asyncio.Event(), asyncio.Event()]
    await rig.start((read_request(), send(head + events[0]), wait_for(seen[0]), send(events[1]), wait_for(seen[1])))
    client = await rig.client()
    await client.send(GET)
    for number, event in enumerate(seen, 1):
        await rig.until(lambda: client.received.count(b"data: ") == number, f"event {number}")  # noqa: B023  awaited here
        event.set()
    await client.reset()


async def test_a_slow_client_pauses_the_backend_and_memory_stays_flat(rig: Rig) -> None:
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


async def test_a_slow_backend_pauses_the_client_and_memory_stays_flat(rig: Rig) -> None:
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


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_large_body_costs_no_memory_of_its_size(rig: Rig, direction: str) -> None:
    """Python's own allocations inside the proxy while 16 MiB pass; the far ends throw away what they read."""
    count = SIZE // 65536
    piece = block(1)

    async def discard(connection: ScriptedConnection) -> None:
        await _discard(connection.wire, SIZE)
        await connection.wire.send(sized(b"ok", b"Connection: close"))
        connection.wire.close()

    async def flood(connection: ScriptedConnection) -> None:
        await connection.read_request()
        await connection.wire.send(response(b"Content-Length: %d" % SIZE))
        await connection.wire.send_pieces([piece] * count)

    await rig.start((discard if direction == "up" else flood,), service=ALONE)
    client = await rig.client(deadline_s=15)
    tracemalloc.start()
    try:
        if direction == "up":
            await client.send(request(b"POST /", b"Content-Length: %d" % SIZE))
            for _ in range(count):
                await client.send(piece)
            assert (await client.read_response()).status == 200
        else:
            await client.send(GET)
            await asyncio.wait_for(_discard(client._wire, SIZE), 15)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * MIB


async def _discard(wire: Wire, size: int) -> None:
    """Read so many bytes and keep none."""
    while size > 0:
        await wire.until(lambda: len(wire.received) > 0)
        size -= len(wire.received)
        wire.received.clear()
        wire.position = 0


async def test_a_backend_that_stalls_after_the_client_was_slow_is_still_timed(rig: Rig) -> None:
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


async def test_a_slow_candidate_pauses_nobody(rig: Rig) -> None:
    body = b"x" * 900_000
    service = {"endpoints": [{"name": "up", "match": "POST /up", "read_only": True}], "mirror": {"deadline": "200ms"}}
    await rig.start(candidate=ScriptedBackend.deaf(), service=service)
    client = await rig.client()
    for _ in range(3):
        await client.send(request(b"POST /up", b"Content-Length: %d" % len(body), body=body))
        assert (await client.read_response()).status == 200
