"""Client connections: when they go on, when they end, and in which order their requests are answered."""

import asyncio

import pytest

from proxy.core.reasons import Refused
from proxy.http.connection import AT_ONCE, ClientConnection
from tests.kit.memory_plane import MemoryPlane, settings
from tests.kit.ports import refusing_port
from tests.kit.script import close, hang, read_request, reset, respond, send, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.scripted_connection import Script
from tests.wire.forms import DATE, Form, ended, healthy, joined
from tests.wire.rig import FORWARDED, GET, Rig, problem, request, response, sized, without_date

ALONE = {"mirror": {"share": 0.0}}
OK = sized(b"ok", DATE)
TRACE = request(b"TRACE /")
NOT_ALLOWED = b" 405 "


def _connection(rig: Rig) -> ClientConnection:
    (connection,) = rig.plane.connections
    return connection


# --- D1, D2: the client says that it will send no more


@pytest.mark.parametrize("said", [b"close", b"Close", b"keep-alive, close", b"close,", b"\tCLOSE "])
async def test_d1_close_is_answered_said_and_done(rig: Rig, form: Form, said: bytes) -> None:
    await rig.start(form.reply(form.response(DATE, body=b"ok")))
    client = await rig.client()
    kept = Form(form.chunked, close=False, bytewise=form.bytewise)
    await form.send(client, kept.request(b"POST /", b"Connection: " + said, body=b"hello"))
    closing = Form(form.chunked, close=True, bytewise=form.bytewise)
    assert joined(await client.read_response()) == closing.relayed(DATE, body=b"ok")
    await ended(client)
    (got,) = rig.primary.requests
    assert (got.body, got.values(b"connection")) == (b"hello", [])
    assert rig.plane.services[0].serving.pool.open == (0 if form.close else 1)  # the backend's is its own affair


@pytest.mark.parametrize(
    "behind",
    [GET, b"\x00\xff\r\n\r\n", b"GET / HT", request(b"POST /", b"Content-Length: 9", body=b"half")],
    ids=["a request", "garbage", "half a head", "half a body"],
)
@pytest.mark.parametrize("body", [b"", b"hello"], ids=["bodiless", "with a body"])
async def test_d2_what_follows_the_last_request_is_ignored(
    rig: Rig, transmission: Form, behind: bytes, body: bytes
) -> None:
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), send(OK)))
    client = await rig.client()
    framing = [b"Content-Length: %d" % len(body)] if body else []
    await transmission.send(client, request(b"POST /", b"Connection: close", *framing, body=body) + behind)
    await rig.primary.received_requests(1)
    release.set()
    assert (await client.read_response()).raw == sized(b"ok", DATE).replace(
        b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"
    )
    await ended(client)
    assert [got.raw for got in rig.primary.requests] == [
        b"\r\n".join([b"POST / HTTP/1.1", b"Host: a", *framing, *FORWARDED, b"", body])
    ]
    assert (rig.refusals(), rig.requests()) == ({}, {"2xx": 1})


@pytest.mark.parametrize("when", ["at once", "while it is served", "after its answer"])
async def test_d2_bytes_after_the_last_request_cost_no_byte_of_its_answer(rig: Rig, when: str) -> None:
    release = asyncio.Event()
    body = b"x" * 6_000_000  # more than the kernel takes from us while the client does not read
    await rig.start(
        (read_request(), wait_for(release), send(sized(body))), service=ALONE, limits={"write_buffer": "64MiB"}
    )
    client = await rig.client()
    last = request(b"GET /", b"Connection: close")
    more = GET * 1000
    client.stop_reading()
    await client.send(last + more if when == "at once" else last)
    await rig.primary.received_heads(1)
    if when == "while it is served":
        await client.send(more)
    release.set()
    await rig.until(lambda: rig.requests() == {"2xx": 1}, "the answer to be written")
    if when == "after its answer":
        await client.send(more)
    client.resume_reading()
    assert (await client.read_response()).body == body
    await ended(client)
    assert len(rig.primary.requests) == 1


# --- D3: HTTP/1.0


@pytest.mark.parametrize("asked", [b"", b"Connection: keep-alive\r\n", b"Connection: keep-alive\r\nKeep-Alive: 5\r\n"])
@pytest.mark.parametrize(
    ("answered", "relayed"),
    [
        (OK, OK),
        (
            response(DATE, b"Transfer-Encoding: chunked", body=b"1\r\no\r\n1\r\nk\r\n0\r\nX-Sum: 1\r\n\r\n"),
            response(DATE, body=b"ok"),
        ),
        (response(DATE, b"Connection: close", body=b"ok"), response(DATE, body=b"ok")),
        (response(start=b"HTTP/1.1 103 Early Hints") + response(start=b"HTTP/1.1 100 Continue") + OK, OK),
    ],
    ids=["length", "chunked", "until the end", "after interim answers"],
)
async def test_d3_http_1_0_is_never_kept_and_gets_neither_chunks_nor_interim_answers(
    rig: Rig, transmission: Form, asked: bytes, answered: bytes, relayed: bytes
) -> None:
    ends = b"Connection: close" in answered
    await rig.start((*transmission.reply(answered), *([close()] if ends else [])))
    client = await rig.client()
    await transmission.send(client, b"GET / HTTP/1.0\r\nHost: a\r\nTE: trailers\r\n" + asked + b"\r\n" + GET)
    assert (await client.read_until_close()) == relayed.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    (got,) = rig.primary.requests
    via = FORWARDED[0].replace(b"1.1", b"1.0")
    assert got.raw == b"\r\n".join([b"GET / HTTP/1.1", b"Host: a", via, *FORWARDED[1:], b"", b""])
    await rig.quiet()


# --- D4: a backend's failure is not the client's


FAILING: dict[str, tuple[Script, bytes]] = {
    "502": ((read_request(), reset()), problem(502, "reset", "connection_terminated", close=False)),
    "504": ((read_request(), hang()), problem(504, "first_byte_timeout", "http_response_timeout", close=False)),
}


@pytest.mark.parametrize(("script", "expected"), FAILING.values(), ids=FAILING)
async def test_d4_the_connection_survives_a_failing_backend(
    rig: Rig, form: Form, script: Script, expected: bytes
) -> None:
    await rig.start(script, timeouts={"first_byte": "100ms"})
    client = await rig.client()
    await form.send(client, form.request(b"POST /", b"X: 1", body=b"hello"))
    if form.close:
        expected = expected.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert without_date((await client.read_response()).raw) == expected
    assert [joined(got) for got in rig.primary.requests] == [form.forwarded(b"POST /", b"X: 1", body=b"hello")]
    await rig.primary.connections[0].gone()
    await form.afterwards(rig, client)


async def test_d4_the_connection_survives_a_full_pool(rig: Rig, form: Form) -> None:
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), send(OK)), pool={"max_connections": 1, "max_waiting": 0})
    first, client = await rig.client(), await rig.client()
    await first.send(GET)
    await rig.primary.received_heads(1)
    await form.send(client, form.request(b"GET /"))
    answer = without_date((await client.read_response()).raw)
    assert answer == problem(503, "pool_full", "connection_limit_reached", close=form.close, more=["Retry-After: 1"])
    release.set()
    assert (await first.read_response()).raw == OK
    await form.afterwards(rig, client)
    assert rig.requests()["5xx"] == 1


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 10\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello"]
)
async def test_d4_a_failure_before_the_request_was_read_ends_the_connection(
    rig: Rig, transmission: Form, framing: bytes
) -> None:
    with refusing_port() as port:
        await rig.start(primary=port)
        client = await rig.client()
        await transmission.send(client, b"POST / HTTP/1.1\r\nHost: a\r\n" + framing)
        assert without_date((await client.read_response()).raw) == problem(
            502, "connect_refused", "connection_refused", close=True
        )
        await ended(client)


# --- D5: pipelining


async def test_d5_pipelined_requests_are_answered_in_order_one_at_a_time(rig: Rig, form: Form) -> None:
    release = asyncio.Event()
    await rig.start(
        (read_request(), wait_for(release), send(sized(b"1", DATE))),
        form.reply(Form(form.chunked, close=False, bytewise=form.bytewise).response(DATE, body=b"2")),
        form.reply(form.response(DATE, body=b"3")),
    )
    client = await rig.client()
    kept = Form(form.chunked, close=False, bytewise=form.bytewise)
    raw = b"".join(kept.request(b"POST /%d" % number, body=b"body %d" % number) for number in (1, 2))
    await form.send(client, raw + form.request(b"POST /3", body=b"body 3"))
    await rig.primary.received_requests(1)
    assert await rig.settled(lambda: len(rig.primary.requests)) == 1
    release.set()
    assert [(await client.read_response()).body for _ in range(3)] == [b"1", b"2", b"3"]
    assert [joined(got) for got in rig.primary.requests] == [
        kept.forwarded(b"POST /%d" % number, body=b"body %d" % number) for number in (1, 2, 3)
    ]
    assert len(rig.primary.connections) == 1
    await form.afterwards(rig, client)


async def test_d5_what_waits_is_not_parsed_before_its_turn(rig: Rig, transmission: Form) -> None:
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), send(OK)))
    client = await rig.client()
    await transmission.send(client, GET + b"\x00garbage\r\n\r\n" + GET)
    await rig.primary.received_requests(1)
    assert await rig.settled(lambda: sum(rig.refusals().values())) == 0
    release.set()
    assert (await client.read_response()).raw == OK
    assert without_date((await client.read_response()).raw) == problem(
        400, "request_line", "http_request_error", close=True
    )
    await ended(client)
    assert len(rig.primary.requests) == 1


async def test_d5_waiting_requests_are_bounded_by_not_reading(rig: Rig) -> None:
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), send(sized(b"1"))), limits={"pipeline_bytes": 10_000})
    client = await rig.client()
    many = request(b"GET /x", b"X: " + b"x" * 40_000) * 200  # 8 MB: no socket buffer takes it all
    sending = asyncio.create_task(client.send(GET + many))
    await rig.primary.received_heads(1)
    await rig.until(lambda: _connection(rig)._paused, "reading to pause")
    assert len(_connection(rig)._reader.waiting) < 1 << 20  # the limit and a few reads
    release.set()
    for _ in range(201):
        assert (await client.read_response()).status == 200
    await sending
    await healthy(rig, client)


async def test_d5_a_client_that_pipelines_and_never_reads_is_served_no_more(rig: Rig) -> None:
    big = sized(b"x" * 250_000, DATE)
    await rig.start(primary=ScriptedBackend(default=respond(big)), service=ALONE)
    client = await rig.client()
    client.stop_reading()
    sending = asyncio.create_task(client.send(GET * 120))  # 30 MB of answers
    await rig.until(lambda: _connection(rig)._write_paused, "the answers to pile up")
    assert await rig.settled(lambda: len(rig.primary.requests)) < 60
    client.resume_reading()
    for _ in range(120):
        assert len((await client.read_response()).raw) == len(big)
    await sending
    await healthy(rig, client)


@pytest.mark.parametrize("many", [1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE])
@pytest.mark.parametrize("rest", [b"", b"GET /", GET], ids=["nothing", "half a head", "one for a backend"])
def test_d5_who_pipelines_what_is_answered_at_once_leaves_each_turn_to_others(many: int, rest: bytes) -> None:
    with MemoryPlane() as plane:
        client = plane.client()
        (connection,) = plane.plane.connections
        plane.loop.call_soon(connection.data_received, TRACE * many + rest)
        for turn in (1, 2):
            plane.loop.run_turn()
            assert plane.plane.stats.refused[Refused.TRACE] == min(many, turn * AT_ONCE)
        client.half_close()
        plane.loop.run_ready()
        assert client.received.count(NOT_ALLOWED) == many
        assert client.received.count(b" 200 OK") == rest.count(GET)
        assert client.eof


def test_d5_requests_that_are_put_off_are_bounded_by_not_reading() -> None:
    with MemoryPlane(settings(limits={"pipeline_bytes": 1 << 10})) as plane:
        client = plane.client()
        (connection,) = plane.plane.connections
        for _ in range(9):
            client.transport.write(TRACE * 10 * AT_ONCE)
        most = 0
        while client.received.count(NOT_ALLOWED) < 90 * AT_ONCE:
            plane.loop.run_turn()
            most = max(most, len(connection._reader.waiting))
        assert most < 2 * len(TRACE) * 10 * AT_ONCE
        assert not connection._paused


def test_d5_a_client_that_is_cut_off_is_answered_no_more() -> None:
    with MemoryPlane() as plane:
        plane.client()
        (connection,) = plane.plane.connections
        connection.data_received(TRACE * 3 * AT_ONCE)
        connection.give_up()
        plane.loop.run_ready()
        assert plane.plane.stats.refused == {Refused.TRACE: AT_ONCE}
