import asyncio
from collections.abc import Sequence

import pytest

from tests.kit.framing import FramingError
from tests.kit.raw_client import RawClient
from tests.kit.script import (
    answer,
    close,
    drip,
    half_close,
    hang,
    read_request,
    receive,
    reset,
    respond,
    resume_reading,
    send,
    send_bytewise,
    send_cut,
    send_endlessly,
    stop_reading,
    wait_for,
)
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.scripted_connection import Step
from tests.kit.watch import DeadlineError
from tests.kit.wire import ConnectionEnded, Ending

pytestmark = pytest.mark.usefixtures("any_loop")

GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"
CHUNKED_POST = b"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-T: 1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TEAPOT = b"HTTP/1.1 418 Short\r\nContent-Length: 0\r\n\r\n"


async def test_scripts_run_in_order_then_the_default() -> None:
    async with ScriptedBackend([respond(OK), respond(TEAPOT)]) as backend:
        async with await RawClient.open(backend.port) as client:
            statuses = []
            for request in (GET, POST, CHUNKED_POST):
                await client.send(request)
                statuses.append((await client.read_response()).status)
        assert statuses == [200, 418, 200]


async def test_every_byte_and_request_is_recorded_per_connection() -> None:
    async with ScriptedBackend() as backend:
        async with await RawClient.open(backend.port) as first, await RawClient.open(backend.port) as second:
            await first.send(GET + CHUNKED_POST)
            await second.send_bytewise(POST)
            requests = await backend.received_requests(3)
            received = [connection.received for connection in await backend.accepted(2)]
        assert received == [GET + CHUNKED_POST, POST]
        assert [request.raw for request in requests] == [GET, CHUNKED_POST, POST]
        assert [request.body for request in requests] == [b"", b"ab", b"body"]
        assert requests[1].trailers == [b"X-T: 1"]


async def test_answer_to_head_has_the_length_and_no_body() -> None:
    async with (
        ScriptedBackend(default=answer(body=b"[1]", fields=[b"X-A: b"])) as backend,
        await RawClient.open(backend.port) as client,
    ):
        await client.send(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
        response = await client.read_response("HEAD")
        assert response.values(b"content-length") == [b"3"]
        assert response.values(b"x-a") == [b"b"]
        await client.send(GET)
        assert (await client.read_response()).body == b"[1]"


@pytest.mark.parametrize(
    "step", [send_bytewise(OK), send_cut(OK, 3, 20), drip(OK, 0.0)], ids=["bytewise", "cut", "drip"]
)
async def test_pieces_add_up_to_the_response(step: Step) -> None:
    async with ScriptedBackend([[read_request(), step]]) as backend, await RawClient.open(backend.port) as client:
        await client.send(GET)
        assert (await client.read_response()).raw == OK


async def test_script_can_answer_before_the_body_came() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    async with (
        ScriptedBackend([[send(interim), read_request(), send(OK)]]) as backend,
        await RawClient.open(backend.port) as client,
    ):
        await client.send(POST[:-4])
        assert (await client.read_response()).status == 100
        assert await backend.received_heads(1) == [b"POST /b HTTP/1.1"]
        assert backend.requests == []
        await client.send(POST[-4:])
        assert (await client.read_response()).raw == OK
        assert (await backend.received_requests(1))[0].body == b"body"


async def test_event_holds_the_answer_back() -> None:
    event = asyncio.Event()
    async with (
        ScriptedBackend([[read_request(), wait_for(event), send(OK)]]) as backend,
        await RawClient.open(backend.port) as client,
    ):
        await client.send(GET)
        await backend.received_requests(1)
        assert client.received == b""
        event.set()
        assert (await client.read_response()).raw == OK


@pytest.mark.parametrize(
    ("steps", "ending"),
    [([send(OK[:-1]), close()], Ending.FIN), ([send(OK[:-1]), reset()], Ending.RESET)],
    ids=["close", "reset"],
)
async def test_broken_off_response_ends_as_scripted(steps: Sequence[Step], ending: Ending) -> None:
    async with ScriptedBackend([[read_request(), *steps]]) as backend, await RawClient.open(backend.port) as client:
        await client.send(GET)
        with pytest.raises(ConnectionEnded):
            await client.read_response()
        assert await client.read_until_close() == b"o"
        assert await client.closed() is ending


async def test_half_closed_backend_still_reads() -> None:
    async with ScriptedBackend([[half_close(), hang()]]) as backend, await RawClient.open(backend.port) as client:
        await client.send(GET)
        assert await client.closed() is Ending.FIN
        await client.send(b"more")
        await client.half_close()
        assert await backend.connections[0].gone() is Ending.FIN
        assert backend.connections[0].received == GET + b"more"


async def test_backend_that_stops_reading_halts_the_sender_until_it_resumes() -> None:
    event = asyncio.Event()
    size = 16 * 1024 * 1024
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size
    script = [stop_reading(), wait_for(event), resume_reading(), *answer()]
    async with ScriptedBackend([script]) as backend:
        async with await RawClient.open(backend.port) as client:
            await client.send(head)
            await backend.received_heads(1)
            sending = asyncio.ensure_future(client.send(bytes(size)))
            await asyncio.sleep(0)
            assert backend.connections[0].received == head
            event.set()
            await sending
            assert (await client.read_response()).status == 200
        assert len(backend.requests[0].body) == size


async def test_endless_answer_lasts_until_the_client_leaves() -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    async with ScriptedBackend([[send(head), send_endlessly(b"x" * 10)]]) as backend:
        async with await RawClient.open(backend.port) as client:
            await client.send(GET)
            assert await client.read_exactly(len(head) + 1_000) == head + b"x" * 1_000
        await backend.connections[0].gone()


async def test_tunnel_bytes_are_awaited_and_checked() -> None:
    async with (
        ScriptedBackend([[send(b"go"), receive(b"ping"), send(b"pong"), close()]]) as backend,
        await RawClient.open(backend.port) as client,
    ):
        await client.send(GET + b"ping")
        assert await client.read_until_close() == b"gopong"


async def test_on_connect_acts_before_any_request() -> None:
    async with (
        ScriptedBackend(on_connect=[send(b"hello"), reset()]) as backend,
        await RawClient.open(backend.port) as client,
    ):
        assert await client.read_until_close() == b"hello"
        assert await client.closed() is Ending.RESET


async def test_mute_backend_reads_and_says_nothing() -> None:
    async with ScriptedBackend.mute() as backend, await RawClient.open(backend.port) as client:
        await client.send(GET)
        await backend.received_heads(1)
        client.deadline_s = 0
        with pytest.raises(DeadlineError, match="received 0 bytes"):
            await client.read_response()


async def test_deaf_backend_takes_no_byte() -> None:
    async with ScriptedBackend.deaf() as backend, await RawClient.open(backend.port) as client:
        await backend.accepted(1)
        await client.send(GET)
        client.deadline_s = 0
        with pytest.raises(DeadlineError):
            await client.read_response()
        assert backend.connections[0].received == b""


@pytest.mark.parametrize("size", [3, len(POST) - 1], ids=["in the head", "in the body"])
@pytest.mark.parametrize("reset_it", [False, True], ids=["FIN", "RST"])
async def test_truncated_request_is_reported_and_no_violation(size: int, *, reset_it: bool) -> None:
    async with ScriptedBackend() as backend, await RawClient.open(backend.port) as client:
        await client.send(POST[:size])
        (connection,) = await backend.accepted(1)
        await connection.wire.until(lambda: len(connection.received) == size)
        await (client.reset() if reset_it else client.half_close())
        assert await connection.gone() is (Ending.RESET if reset_it else Ending.FIN)
        assert connection.truncated
        assert backend.requests == []


async def test_complete_request_is_not_called_truncated() -> None:
    async with ScriptedBackend() as backend:
        async with await RawClient.open(backend.port) as client:
            await client.send(POST)
            await client.read_response()
        await backend.connections[0].gone()
        assert not backend.connections[0].truncated


async def one_connection(script: Sequence[Step], request: bytes) -> None:
    """A whole life of a backend: one connection that sends `request` and waits for the end."""
    async with ScriptedBackend([script]) as backend, await RawClient.open(backend.port) as client:
        await client.send(request)
        await client.read_until_close()


@pytest.mark.parametrize("start", [b"GET  / HTTP/1.1", b"GET / HTTP/1.1\r\nbad line"], ids=["start", "field"])
async def test_violation_of_a_peer_fails_the_test(start: bytes) -> None:
    with pytest.raises(FramingError):
        await one_connection(answer(), start + b"\r\n\r\n")


async def test_wrong_tunnel_bytes_are_a_violation() -> None:
    with pytest.raises(FramingError, match="expected b'ping', got b'pong'"):
        await one_connection([receive(b"ping")], GET + b"pong")


async def test_error_in_a_script_fails_the_test() -> None:
    async def broken(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await one_connection([broken], GET)


async def test_missing_request_is_told_with_what_came_instead() -> None:
    async with ScriptedBackend() as backend:
        with pytest.raises(DeadlineError, match="no connection was made"):
            await backend.received_requests(1, deadline_s=0)
        async with await RawClient.open(backend.port) as client:
            await client.send(b"GET /part")
            (connection,) = await backend.accepted(1)
            await connection.wire.until(lambda: bool(connection.received))
            with pytest.raises(DeadlineError, match="GET /part"):
                await backend.received_requests(1, deadline_s=0)


async def test_port_refuses_once_accepting_stopped_and_can_be_served_again() -> None:
    async with ScriptedBackend() as backend:
        backend.stop_accepting()
        with pytest.raises(ConnectionRefusedError):
            await RawClient.open(backend.port)
    async with ScriptedBackend(port=backend.port) as again, await RawClient.open(again.port) as client:
        await client.send(GET)
        assert (await client.read_response()).status == 200
