import asyncio

import pytest

from proxy.core.families import BACKEND_REQUESTS
from proxy.http.connection import ClientConnection
from tests.kit.script import answer, close, hang, read_request, reset, respond, send, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.wire import ConnectionEnded, Ending
from tests.wire.rig import GET, Rig, request, response, sized


async def test_one_connection_each_way_serves_many_requests(rig: Rig) -> None:
    await rig.start()
    client = await rig.client()
    for _ in range(10):
        await client.send(GET)
        assert (await client.read_response()).status == 200
    assert len(rig.primary.connections) == 1
    assert rig.requests() == {"2xx": 10}


async def test_pipelined_requests_are_answered_in_order_one_at_a_time(rig: Rig) -> None:
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), send(sized(b"1"))), respond(sized(b"2")), respond(sized(b"3")))
    client = await rig.client()
    await client.send(b"".join(request(b"GET /%d" % number) for number in (1, 2, 3)))
    assert await rig.primary.received_heads(1) == [b"GET /1 HTTP/1.1"]
    release.set()
    assert [(await client.read_response()).body for _ in range(3)] == [b"1", b"2", b"3"]
    assert await rig.primary.received_heads(3) == [b"GET /%d HTTP/1.1" % number for number in (1, 2, 3)]


async def test_waiting_requests_are_bounded_by_not_reading(rig: Rig) -> None:
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), send(sized(b"1"))), limits={"pipeline_bytes": 10_000})
    client = await rig.client()
    many = request(b"GET /x", b"X: " + b"x" * 1000) * 4000  # 4 MB: no socket buffer takes it all
    sending = asyncio.create_task(client.send(GET + many))
    await rig.primary.received_heads(1)
    await rig.until(lambda: _connection(rig)._paused, "reading to pause")
    assert len(_connection(rig)._buffer) < 1 << 20  # the limit and a few reads
    release.set()
    for _ in range(4001):
        assert (await client.read_response()).status == 200
    await sending


async def test_a_client_that_pipelines_and_never_reads_is_served_no_more(rig: Rig) -> None:
    big = sized(b"x" * 50_000, b"Date: x")
    await rig.start(
        primary=ScriptedBackend(default=respond(big)), service={"mode": "primary", "mirror": {"share": 0.0}}
    )
    client = await rig.client()
    client.stop_reading()
    sending = asyncio.create_task(client.send(GET * 2000))  # 100 MB of answers
    await rig.until(lambda: _connection(rig)._write_paused, "the answers to pile up")
    assert await rig.settled(lambda: len(rig.primary.requests)) < 500
    client.resume_reading()
    for _ in range(2000):
        assert len((await client.read_response()).raw) == len(big)
    await sending


def _connection(rig: Rig) -> ClientConnection:
    (connection,) = rig.plane.connections
    return connection


# --- how client connections end


async def test_connection_close_is_answered_said_and_done(rig: Rig) -> None:
    await rig.start(respond(sized(b"ok", b"Date: x")))
    client = await rig.client()
    await client.send(request(b"GET /", b"Connection: close") + GET)
    assert (await client.read_response()).raw == (
        b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    )
    assert await client.closed() is Ending.FIN
    assert len(rig.primary.requests) == 1


async def test_http_1_0_is_never_kept(rig: Rig) -> None:
    await rig.start()
    client = await rig.client()
    await client.send(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
    assert (await client.read_response()).values(b"connection") == [b"close"]
    assert await client.closed() is Ending.FIN


async def test_the_last_request_allowed_on_a_connection_is_told_so(rig: Rig) -> None:
    await rig.start(limits={"requests_per_connection": 2})
    client = await rig.client()
    await client.send(GET + GET + GET)
    assert (await client.read_response()).values(b"connection") == []
    assert (await client.read_response()).values(b"connection") == [b"close"]
    assert await client.closed() is Ending.FIN
    assert len(rig.primary.requests) == 2


async def test_a_half_closed_client_gets_its_answers(rig: Rig) -> None:
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), send(sized(b"1"))), respond(sized(b"2")))
    client = await rig.client()
    await client.send(request(b"GET /1") + request(b"GET /2"))
    await client.half_close()
    await rig.primary.received_heads(1)
    release.set()
    assert (await client.read_response()).body == b"1"
    assert (await client.read_response()).body == b"2"
    assert await client.closed() is Ending.FIN


async def test_a_client_that_goes_before_its_body_ends_has_its_backend_aborted(rig: Rig) -> None:
    await rig.start(service={"mirror": {"methods": ["POST"]}})
    client = await rig.client()
    await client.send(request(b"POST /", b"Content-Length: 10", body=b"hello"))
    await rig.primary.received_heads(1)
    await client.half_close()
    assert await client.read_until_close() == b""
    await rig.primary.connections[0].gone()
    assert rig.primary.connections[0].truncated
    await rig.quiet()
    assert (rig.requests(), rig.drops()) == ({"aborted": 1}, {"client_gone": 1})
    assert rig.candidate.connections == []


async def test_a_client_that_goes_while_waiting_has_its_backend_aborted_and_its_copy_goes_on(rig: Rig) -> None:
    await rig.start(primary=ScriptedBackend.mute())
    client = await rig.client()
    await client.send(GET)
    await rig.primary.received_heads(1)
    await rig.candidate.received_requests(1)
    await client.reset()  # a FIN would only say that it sends no more
    await rig.primary.connections[0].gone()
    await rig.quiet()
    assert (rig.requests(), rig.drops(), rig.mirrors()) == ({"aborted": 1}, {"client_gone": 1}, {"mirrored": 1})
    assert len(rig.plane.services[0].mirror.upstream.pool.idle) == 1
    assert rig.plane.services[0].serving.pool.open == 0


async def test_a_client_that_goes_inside_an_answer_has_its_backend_aborted(rig: Rig) -> None:
    await rig.start((read_request(), send(response(b"Content-Length: 10", body=b"hello")), hang()))
    client = await rig.client()
    await client.send(GET)
    await rig.until(lambda: client.received.endswith(b"hello"), "the beginning of the answer")
    await client.reset()
    await rig.primary.connections[0].gone()
    await rig.quiet()
    assert rig.drops() == {"client_gone": 1}


# --- early answers


@pytest.mark.parametrize("status", [401, 413])
async def test_an_early_answer_is_relayed_and_ends_both_connections(rig: Rig, status: int) -> None:
    early = response(b"Date: x", b"Content-Length: 2", start=b"HTTP/1.1 %d Early" % status, body=b"no")
    await rig.start((send(early), hang()), service={"mirror": {"methods": ["POST"]}})
    client = await rig.client()
    await client.send(request(b"POST /", b"Content-Length: 1000000", body=b"x" * 1000))
    found = await client.read_response()
    assert (found.status, found.body, found.values(b"connection")) == (status, b"no", [b"close"])
    await client.send(b"x" * 1000)  # it may go on for a while, and still sees no reset before its answer
    assert await client.closed() is Ending.FIN
    await rig.primary.connections[0].gone()
    await client.abandon()
    await rig.quiet()
    assert (rig.requests(), rig.drops()) == ({"4xx": 1}, {"incomplete": 1})
    assert rig.candidate.connections == []


async def test_a_client_that_goes_on_sending_after_its_answer_is_cut_off(rig: Rig) -> None:
    early = response(b"Content-Length: 0", start=b"HTTP/1.1 401 Early")
    await rig.start((send(early), hang()), timeouts={"linger": "60s"})
    client = await rig.client()
    await client.send(request(b"POST /", b"Content-Length: 10000000"))
    assert (await client.read_response()).status == 401
    for _ in range(10):
        await client.send(b"x" * 100_000)
    await rig.until(lambda: not rig.plane.connections, "the connection to be cut")


# --- the backend's connections


async def test_a_backend_that_says_close_is_not_asked_again_on_that_connection(rig: Rig) -> None:
    await rig.start(respond(sized(b"1", b"Connection: close")), respond(sized(b"2")))
    client = await rig.client()
    for body in (b"1", b"2"):
        await client.send(GET)
        assert (await client.read_response()).body == body
    assert len(rig.primary.connections) == 2


async def test_an_unused_connection_is_closed_after_its_time(rig: Rig) -> None:
    await rig.start(pool={"idle": "100ms"})
    await rig.ask()
    assert await rig.primary.connections[0].gone() is Ending.FIN
    await rig.candidate.received_requests(1)
    assert await rig.candidate.connections[0].gone() is Ending.FIN


async def test_bytes_nobody_asked_for_close_an_unused_connection(rig: Rig) -> None:
    surprise = asyncio.Event()
    evil = (*answer(), wait_for(surprise), send(b"HTTP/1.1 200 Evil\r\nContent-Length: 0\r\n\r\n"))
    await rig.start(evil)
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).reason == b"Scripted"
    surprise.set()
    await rig.primary.connections[0].gone()
    await client.send(GET)
    assert (await client.read_response()).reason == b"Scripted"


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"])
@pytest.mark.parametrize("end", [close, reset], ids=["FIN", "RST"])
async def test_a_repeatable_request_on_a_dying_pooled_connection_is_sent_once_more(
    rig: Rig, method: bytes, end: type
) -> None:
    await rig.start(answer(), (end(),), answer())
    client = await rig.client()
    await client.send(GET)
    await client.read_response()
    framing = (b"Content-Length: 2",) if method == b"PUT" else ()
    await client.send(request(method + b" /again", *framing, body=b"ok" if framing else b""))
    assert (await client.read_response(method.decode())).status == 200
    assert [head.start_line for head in rig.primary.connections[1].heads] == [method + b" /again HTTP/1.1"]
    assert rig.requests() == {"2xx": 2}


@pytest.mark.parametrize("method", [b"POST", b"PATCH", b"FOO"])
async def test_any_other_request_is_never_sent_twice(rig: Rig, method: bytes) -> None:
    await rig.start(answer(), (reset(),), answer())
    client = await rig.client()
    await client.send(GET)
    await client.read_response()
    await client.send(request(method + b" /", b"Content-Length: 2", body=b"ok"))
    assert (await client.read_response()).status == 502
    assert len(rig.primary.connections) == 1


async def test_a_fresh_connection_that_dies_is_not_tried_again(rig: Rig) -> None:
    await rig.start((read_request(), reset()))
    assert (await rig.ask()).status == 502
    assert len(rig.primary.connections) == 1


async def test_a_retry_that_dies_too_is_not_tried_again(rig: Rig) -> None:
    await rig.start(answer(), (reset(),), (reset(),))
    client = await rig.client()
    await client.send(GET)
    await client.read_response()
    await client.send(GET)
    assert (await client.read_response()).status == 502
    assert len(rig.primary.connections) == 2


async def test_after_a_byte_of_a_response_nothing_is_sent_again(rig: Rig) -> None:
    await rig.start(answer(), (read_request(), send(b"HTTP/1.1 2"), reset()), answer())
    client = await rig.client()
    await client.send(GET)
    await client.read_response()
    await client.send(GET)
    assert (await client.read_response()).status == 502


async def test_a_copy_is_never_sent_twice(rig: Rig) -> None:
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


# --- timers of client connections


async def test_an_unused_client_connection_is_closed_silently(rig: Rig) -> None:
    await rig.start(timeouts={"client_idle": "100ms"})
    client = await rig.client()
    await client.send(GET)
    await client.read_response()
    assert await client.closed() is Ending.FIN


async def test_a_client_that_never_says_anything_is_closed_silently(rig: Rig) -> None:
    await rig.start(timeouts={"request_head": "100ms"})
    assert await (await rig.client()).closed() is Ending.FIN


async def test_a_client_that_does_not_read_is_cut_off(rig: Rig) -> None:
    body = b"x" * 20_000_000
    await rig.start(respond(sized(body)), timeouts={"client_stall": "100ms"}, service={"mirror": {"share": 0.0}})
    client = await rig.client()
    await client.send(GET)
    client.stop_reading()
    await rig.until(lambda: not rig.plane.connections, "the connection to be cut")
    client.resume_reading()
    with pytest.raises(ConnectionEnded):
        await client.read_response()


async def test_draining_says_close_and_ends_unused_connections(rig: Rig) -> None:
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), send(sized(b"ok", b"Date: x"))))
    idle, busy = await rig.client(), await rig.client()
    await rig.until(lambda: len(rig.plane.connections) == 2, "both connections")
    await busy.send(GET)
    await rig.primary.received_requests(1)
    draining = asyncio.create_task(rig.plane.drain(5.0, 5.0))
    assert await idle.closed() is Ending.FIN
    release.set()
    found = await busy.read_response()
    assert (found.body, found.values(b"connection")) == (b"ok", [b"close"])
    assert await busy.closed() is Ending.FIN
    await draining
