"""Peers that do not read: each slows down its own exchange only, and each has an end."""

import asyncio
from typing import Any

import pytest

from proxy.config.models import Mode
from proxy.http.connection import ClientConnection
from tests.kit.memory_plane import OK, MemoryBackend, MemoryPlane, settings
from tests.kit.script import hang, read_request, resume_reading, send, stop_reading, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.scripted_connection import ScriptedConnection
from tests.kit.wire import Wire
from tests.wire.rig import GET, Rig, request, response, sized

MIB = 1 << 20
ALONE = {"mirror": {"share": 0.0}}


def _connection(rig: Rig) -> ClientConnection:
    (connection,) = rig.plane.connections
    return connection


@pytest.mark.parametrize("size", [100_000, 200_000])
@pytest.mark.parametrize("framing", ["length", "chunked", "trailers"])
async def test_a_client_that_does_not_read_leaves_the_pooled_connection_to_others(
    rig: Rig, size: int, framing: str
) -> None:
    body = b"x" * size
    chunked = response(b"Transfer-Encoding: chunked", body=b"%x\r\n%b\r\n0\r\n" % (size, body))
    big = {"length": sized(body), "chunked": chunked + b"\r\n", "trailers": chunked + b"X-Sum: 1\r\n\r\n"}[framing]
    await rig.start(primary=ScriptedBackend(default=(read_request(), send(big))), service=ALONE)
    slow = await rig.client()
    slow.stop_reading()
    await slow.send(GET * 500)
    await rig.until(lambda: _connection(rig)._write_paused, "the answers to pile up")
    pool = rig.plane.services[0].serving.pool
    await rig.settled(lambda: len(rig.primary.requests))
    assert all(unused._transport is not None and unused._transport.is_reading() for unused in pool.idle)
    assert len((await rig.ask()).body) == size
    await slow.abandon()


async def test_a_mute_backend_is_timed_while_its_client_does_not_read(rig: Rig) -> None:
    big = sized(b"x" * 50_000)

    async def answer_who_reads(connection: ScriptedConnection) -> None:
        await connection.read_request()
        if any(client._write_paused for client in rig.plane.connections):
            await hang()(connection)
        await connection.wire.send(big)

    primary = ScriptedBackend(default=(answer_who_reads,))
    await rig.start(primary=primary, service=ALONE, timeouts={"first_byte": "200ms"})
    client = await rig.client()
    client.stop_reading()
    await client.send(GET * 500)
    await rig.until(lambda: "5xx" in rig.requests(), "the timeout")
    client.resume_reading()
    while (found := await client.read_response()).status == 200:
        pass
    assert found.status == 504
    await client.abandon()


@pytest.mark.parametrize("head_first", [True, False])
async def test_an_upload_that_the_backend_does_not_read_is_a_504_and_frees_its_connection(
    rig: Rig,
    head_first: bool,  # noqa: FBT001
) -> None:
    await rig.start(primary=ScriptedBackend.deaf(), service=ALONE, timeouts={"first_byte": "200ms", "linger": "100ms"})
    client = await rig.client()
    head = request(b"POST /", b"Content-Length: %d" % (64 * MIB))
    if head_first:
        await client.send(head)
        await rig.primary.accepted(1)
    sending = asyncio.create_task(client.send((b"" if head_first else head) + b"x" * (64 * MIB)))
    assert (await client.read_response()).status == 504
    await rig.until(lambda: not rig.plane.services[0].serving.pool.open, "the connection to be given up")
    await client.abandon()
    await asyncio.gather(sending, return_exceptions=True)


async def test_an_upload_waits_for_a_backend_that_stops_reading_in_the_middle(rig: Rig) -> None:
    release = asyncio.Event()
    script = (wait_for(release), resume_reading(), read_request(), send(sized(b"ok")))
    primary = ScriptedBackend(on_connect=(stop_reading(), *script))
    await rig.start(primary=primary, service=ALONE)
    client = await rig.client(deadline_s=15)
    sending = asyncio.create_task(
        client.send(request(b"POST /", b"Content-Length: %d" % (32 * MIB), body=b"x" * (32 * MIB)))
    )
    serving = rig.plane.services[0].serving
    await rig.until(lambda: serving.connections and _connection(rig)._paused, "the client to be paused")
    (backend,) = serving.connections
    assert backend._transport is not None
    await rig.settled(backend._transport.get_write_buffer_size)
    assert backend._transport.get_write_buffer_size() < 2 * MIB
    release.set()
    assert (await client.read_response()).body == b"ok"
    await sending


async def test_the_last_piece_of_an_upload_leaves_the_client_heard(rig: Rig) -> None:
    release = asyncio.Event()
    script = (stop_reading(), wait_for(release), resume_reading(), read_request(), hang())
    await rig.start(script, service=ALONE)
    client = await rig.client()
    sending = asyncio.create_task(
        client.send(request(b"POST /", b"Content-Length: %d" % (4 * MIB), body=b"x" * (4 * MIB)))
    )
    await rig.primary.received_heads(1)
    release.set()
    await rig.primary.received_requests(1)
    await sending
    assert not _connection(rig)._paused
    await client.reset()  # nobody would notice it on a paused connection
    await rig.primary.connections[0].gone()


async def test_an_upload_with_trailers_in_one_read_leaves_the_client_heard(rig: Rig) -> None:
    await rig.start(primary=ScriptedBackend.mute(), service=ALONE)
    client = await rig.client()
    body = b"x" * 200_000
    upload = request(
        b"POST /", b"Transfer-Encoding: chunked", body=b"%x\r\n%b\r\n0\r\nX-Sum: 1\r\n\r\n" % (len(body), body)
    )
    await client.send(upload)
    await rig.primary.received_heads(1)
    assert not _connection(rig)._paused
    await client.reset()
    await rig.primary.connections[0].gone()


# --- a client that never reads and never closes

UNREAD: dict[str, Any] = {"limits": {"write_buffer": "64MiB"}, "service": ALONE}
"""So much is buffered that nothing pauses: the answer is written, and the connection only waits to be read."""


async def test_an_answer_that_is_never_read_ends_after_the_stall(rig: Rig) -> None:
    await rig.start((read_request(), send(sized(b"x" * 24 * MIB))), **UNREAD, timeouts={"client_stall": "200ms"})
    client = await rig.client()
    client.stop_reading()
    await client.send(request(b"GET /", b"Connection: close"))
    await rig.until(lambda: rig.requests() == {"2xx": 1}, "the answer to be written")
    assert _connection(rig)._transport is not None
    await rig.until(lambda: not rig.plane.connections, "the connection to be ended")


@pytest.mark.parametrize("fields", [(), (b"Connection: close",)], ids=["kept", "closing"])
async def test_draining_ends_an_answer_that_is_never_read(rig: Rig, fields: tuple[bytes, ...]) -> None:
    await rig.start((read_request(), send(sized(b"x" * 24 * MIB))), **UNREAD)
    client = await rig.client()
    client.stop_reading()
    await client.send(request(b"GET /", *fields))
    await rig.until(lambda: rig.requests() == {"2xx": 1}, "the answer to be written")
    await rig.plane.drain(0.1, 0.1)
    await rig.until(lambda: not rig.plane.connections, "the connection to be ended")


# --- in memory, where who reads and who does not is decided to the byte


class Deaf(MemoryBackend):
    """Reads nothing."""

    def connected(self, wire: Wire) -> None:
        wire.transport.pause_reading()


class Silent(MemoryBackend):
    """Answers nothing by itself."""

    def heard(self, wire: Wire) -> None:
        pass


def upload(size: int) -> bytes:
    return request(b"POST /", b"Content-Length: %d" % size, body=b"u" * size)


def test_a_backend_that_answers_and_never_reads_on_costs_no_connection() -> None:
    early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    with MemoryPlane(primary=Deaf(), mode=Mode.PRIMARY) as plane:
        client = plane.client()
        plane.say(client, upload(200_000))
        plane.primary.connections[0].transport.write(early)
        plane.loop.run_ready()
        assert client.received.startswith(b"HTTP/1.1 413 Too Large\r\n")
        assert not plane.plane.services[0].serving.connections


def test_nor_does_a_candidate_that_answers_its_copy_so() -> None:
    class OnceWhole(MemoryBackend):
        def heard(self, wire: Wire) -> None:
            if wire.received.endswith(b"uuu") and len(wire.received) > 200_000:
                wire.transport.write(OK)

    configured = settings({"mirror": {"methods": ["POST"]}})
    with MemoryPlane(configured, primary=OnceWhole(), candidate=Deaf()) as plane:
        client = plane.client()
        plane.say(client, upload(200_000))
        plane.candidate.connections[0].transport.write(OK)
        plane.loop.run_ready()
        assert client.received.startswith(b"HTTP/1.1 200 OK\r\n")
        assert not plane.plane.services[0].mirror.upstream.connections
    assert len(plane.pairs) == 1


def test_an_unused_connection_with_unsent_bytes_ends_in_its_time() -> None:
    with MemoryPlane(primary=Deaf(), mode=Mode.PRIMARY) as plane:
        client = plane.client()
        plane.say(client, upload(1_000))
        plane.primary.connections[0].transport.write(OK)
        plane.loop.run_ready()
        serving = plane.plane.services[0].serving
        assert len(serving.pool.idle) == 1
        plane.wait_for(lambda: not serving.connections, "the unused connection to end", 20.0)


def test_a_client_that_does_not_read_pauses_no_connection_lent_to_another() -> None:
    """The connection changes hands while the last bytes of the answer are on their way to who had it."""
    configured = settings(pool={"max_connections": 1}, limits={"write_buffer": 1024})
    chunks = b"%x\r\n%b\r\n0\r\nX-Sum: 1\r\n\r\n" % (50_000, b"z" * 50_000)
    with MemoryPlane(configured, primary=Silent(), mode=Mode.PRIMARY) as plane:
        slow, other = plane.client(), plane.client()
        slow.transport.pause_reading()
        plane.say(slow, request(b"GET /", b"TE: trailers"))
        plane.say(other, upload(40_000))
        (backend,) = plane.primary.connections
        backend.transport.write(response(b"Transfer-Encoding: chunked", body=chunks))
        plane.loop.run_ready()
        backend.transport.write(OK)
        plane.loop.run_ready()
        assert other.received.startswith(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n")
        slow.transport.abort()
