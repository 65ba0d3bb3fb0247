import asyncio
import re

import pytest

from tests.kit.raw_client import RawClient
from tests.kit.script import answer, close, respond, send
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.watch import DeadlineError
from tests.kit.wire import ConnectionEnded, Ending

pytestmark = pytest.mark.usefixtures("any_loop")

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def segments_seen(pieces_of: bytes, *offsets: int) -> list[bytes]:
    """What a reader on this loop gets per `data_received` when `pieces_of` is sent cut (no offsets: bytewise)."""
    seen: list[bytes] = []
    done = asyncio.Event()

    class Recorder(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            seen.append(data)

        def connection_lost(self, _: Exception | None) -> None:
            done.set()

    server = await asyncio.get_running_loop().create_server(Recorder, "127.0.0.1", 0)
    async with server, await RawClient.open(server.sockets[0].getsockname()[1]) as client:
        await (client.send_cut(pieces_of, *offsets) if offsets else client.send_bytewise(pieces_of))
        await client.half_close()
        await done.wait()
    return seen


async def test_bytewise_sending_arrives_in_single_bytes() -> None:
    assert await segments_seen(b"GET / HT") == [b"G", b"E", b"T", b" ", b"/", b" ", b"H", b"T"]


async def test_cut_sending_arrives_in_its_pieces() -> None:
    assert await segments_seen(b"abcdef", 1, 4) == [b"a", b"bcd", b"ef"]


async def test_pipelined_responses_are_read_one_at_a_time() -> None:
    async with ScriptedBackend([respond(OK), answer(404)]) as backend, await RawClient.open(backend.port) as client:
        await client.send(GET + GET)
        assert (await client.read_response()).status_line == b"HTTP/1.1 200 OK"
        assert (await client.read_response()).status == 404
        assert client.received.startswith(OK)


async def test_deadline_error_quotes_what_was_received() -> None:
    async with (
        ScriptedBackend([respond(OK[:-1])]) as backend,
        await RawClient.open(backend.port, deadline_s=0.2) as client,
    ):
        await client.send(GET)
        with pytest.raises(DeadlineError, match=re.escape(repr(OK[:-1]))):
            await client.read_response()


async def test_connection_that_ends_early_is_quoted_too() -> None:
    async with ScriptedBackend([[send(OK[:9]), close()]]) as backend, await RawClient.open(backend.port) as client:
        await client.send(GET)
        with pytest.raises(ConnectionEnded, match="connection fin"):
            await client.read_response()


async def test_closed_demands_that_everything_was_read() -> None:
    async with ScriptedBackend([[send(OK), close()]]) as backend, await RawClient.open(backend.port) as client:
        await client.send(GET)
        with pytest.raises(AssertionError, match="unread bytes"):
            await client.closed()


async def test_half_closed_client_still_reads_its_answer() -> None:
    async with ScriptedBackend([respond(OK)]) as backend, await RawClient.open(backend.port) as client:
        await client.send(GET)
        await client.half_close()
        assert (await client.read_response()).raw == OK
        assert await client.closed() is Ending.FIN


async def test_reset_reaches_the_peer_as_a_reset() -> None:
    async with ScriptedBackend.mute() as backend:
        async with await RawClient.open(backend.port) as client:
            await client.send(GET)
            await backend.received_heads(1)
            await client.reset()
        assert await backend.connections[0].gone() is Ending.RESET


async def test_client_that_stops_reading_gets_the_rest_when_it_resumes() -> None:
    async with ScriptedBackend([respond(OK)]) as backend, await RawClient.open(backend.port) as client:
        client.stop_reading()
        await client.send(GET)
        await backend.received_requests(1)
        assert client.received == b""
        client.resume_reading()
        assert (await client.read_response()).raw == OK
