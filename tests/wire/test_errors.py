"""What a client gets when a request cannot be served: bytes, and whether its connection goes on."""

import pytest

from tests.kit.ports import black_hole_port, refusing_port
from tests.kit.script import close, hang, read_request, reset, respond, send
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.scripted_connection import Script
from tests.kit.wire import Ending
from tests.wire.rig import GET, Rig, problem, request, response, sized, without_date

RETRY = ("Retry-After: 1",)
ALLOW = ("Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",)


async def keeps_the_connection(rig: Rig, expected: bytes) -> None:
    """Send a GET that fails, then one that is served, on one connection."""
    client = await rig.client()
    await client.send(GET)
    assert without_date((await client.read_response()).raw) == expected
    await client.send(request(b"HEAD /"))
    assert (await client.read_response("HEAD")).status in {200, 502, 504}


# --- failures of the serving leg


@pytest.mark.parametrize(
    ("script", "reason", "error"),
    [
        ((read_request(), reset()), "reset", "connection_terminated"),
        ((read_request(), close()), "reset", "connection_terminated"),
        ((read_request(), send(b"HTTP/1.1 200 OK\r\nContent-"), close()), "reset", "connection_terminated"),
        (respond(b"garbage\r\n\r\n"), "protocol", "http_protocol_error"),
        (respond(b"\x16\x03\x01\x02\x00"), "protocol", "http_protocol_error"),
        (respond(response(b"bad line")), "protocol", "http_protocol_error"),
        (respond(response(b"Content-Length: 1", b"Content-Length: 2", body=b"xx")), "protocol", "http_protocol_error"),
        (respond(response(b"Content-Length: 5", b"Transfer-Encoding: chunked")), "protocol", "http_protocol_error"),
        (respond(response(b"Transfer-Encoding: gzip", body=b"x")), "protocol", "http_protocol_error"),
        (respond(response(start=b"HTTP/1.1 099 No")), "protocol", "http_protocol_error"),
        (respond(response(b"Upgrade: x", start=b"HTTP/1.1 101 Switch")), "protocol", "http_protocol_error"),
        (respond(response(b"X: " + b"x" * 2000)), "response_head", "http_protocol_error"),
        (respond(response(*[b"X: 1"] * 21)), "response_head", "http_protocol_error"),
        (respond(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 3000), "response_head", "http_protocol_error"),
        (respond(response(start=b"HTTP/1.1 103 E") * 17 + sized(b"ok")), "interim", "http_protocol_error"),
    ],
    ids=[
        "reset", "closed", "half a head", "garbage", "TLS", "bad line", "two lengths", "length and chunked", "gzip",
        "status 099", "stray 101", "head bytes", "head fields", "endless head", "17 interim",
    ],
)  # fmt: skip
async def test_a_useless_answer_is_a_502_and_the_client_stays(
    rig: Rig, script: Script, reason: str, error: str
) -> None:
    await rig.start(script, limits={"response_header_bytes": 1000, "response_header_count": 20})
    client = await rig.client()
    await client.send(GET)
    answers = [await client.read_response()]
    while answers[-1].status < 200:
        answers.append(await client.read_response())
    assert without_date(answers[-1].raw) == problem(502, reason, error, close=False)
    await client.send(GET)
    assert (await client.read_response()).status == 200
    assert len(rig.primary.connections) == 2
    await rig.quiet()
    assert rig.requests() == {"2xx": 1, "5xx": 1}


@pytest.mark.parametrize("over", [False, True])
async def test_response_limits_pass_at_the_limit(rig: Rig, over: bool) -> None:  # noqa: FBT001
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0"
    await rig.start(respond(head + b"\r\n\r\n"), limits={"response_header_bytes": len(head) - over})
    assert (await rig.ask()).status == (502 if over else 200)


async def test_a_refused_connection_is_a_502(rig: Rig) -> None:
    with refusing_port() as port:
        await rig.start(primary=port)
        await keeps_the_connection(rig, problem(502, "connect_refused", "connection_refused", close=False))


async def test_a_connection_that_is_never_made_is_a_504(rig: Rig) -> None:
    with black_hole_port() as port:
        await rig.start(primary=port, timeouts={"connect": "100ms"})
        await keeps_the_connection(rig, problem(504, "connect_timeout", "connection_timeout", close=False))


async def test_an_answer_that_never_begins_is_a_504(rig: Rig) -> None:
    await rig.start((hang(),), timeouts={"first_byte": "100ms"})
    await keeps_the_connection(rig, problem(504, "first_byte_timeout", "http_response_timeout", close=False))
    await rig.primary.connections[0].gone()


async def test_the_primarys_own_timeout_wins(rig: Rig) -> None:
    await rig.start((hang(),), backends={"timeout": "100ms"})
    await keeps_the_connection(rig, problem(504, "first_byte_timeout", "http_response_timeout", close=False))


async def test_an_exchange_that_takes_too_long_in_all_is_a_504(rig: Rig) -> None:
    await rig.start((hang(),), timeouts={"total": "100ms"})
    client = await rig.client()
    await client.send(GET)
    found = without_date((await client.read_response()).raw)
    assert found == problem(504, "total_timeout", "http_response_timeout", close=b"close" in found)


async def test_a_body_that_stops_coming_is_cut(rig: Rig) -> None:
    await rig.start(
        (read_request(), send(response(b"Content-Length: 10", body=b"hello")), hang()),
        timeouts={"response_idle": "100ms"},
    )
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_until_close()).endswith(b"\r\n\r\nhello")
    await rig.quiet()
    assert rig.requests() == {"aborted": 1}


async def test_a_head_request_gets_the_head_of_the_error_only(rig: Rig) -> None:
    await rig.start((read_request(), reset()))
    client = await rig.client()
    await client.send(request(b"HEAD /"))
    raw = problem(502, "reset", "connection_terminated", close=False)
    assert without_date((await client.read_response("HEAD")).raw) == raw[: raw.index(b"\r\n\r\n") + 4]
    await client.send(GET)
    assert (await client.read_response()).status == 200


async def test_a_failure_before_the_request_was_read_closes(rig: Rig) -> None:
    with refusing_port() as port:
        await rig.start(primary=port)
        client = await rig.client()
        await client.send(request(b"POST /", b"Content-Length: 10", body=b"hello"))
        assert without_date((await client.read_response()).raw) == problem(
            502, "connect_refused", "connection_refused", close=True
        )
        assert await client.closed() is Ending.FIN


async def test_a_full_pool_is_a_503(rig: Rig) -> None:
    await rig.start(primary=ScriptedBackend.mute(), pool={"max_connections": 1, "max_waiting": 0})
    first = await rig.client()
    await first.send(GET)
    await rig.primary.received_heads(1)
    assert without_date((await rig.ask()).raw) == problem(
        503, "pool_full", "connection_limit_reached", close=False, more=RETRY
    )
    await first.reset()


async def test_waiting_too_long_for_a_connection_is_a_503(rig: Rig) -> None:
    await rig.start(primary=ScriptedBackend.mute(), pool={"max_connections": 1, "wait": "100ms"})
    first = await rig.client()
    await first.send(GET)
    await rig.primary.received_heads(1)
    assert without_date((await rig.ask()).raw) == problem(
        503, "pool_wait", "connection_limit_reached", close=False, more=RETRY
    )
    await first.reset()


async def test_who_waits_gets_the_connection_that_comes_free(rig: Rig) -> None:
    await rig.start(pool={"max_connections": 1})
    clients = [await rig.client() for _ in range(5)]
    for client in clients:
        await client.send(GET)
    for client in clients:
        assert (await client.read_response()).status == 200
    assert len(rig.primary.connections) == 1


async def test_proxy_status_can_be_switched_off(rig: Rig) -> None:
    await rig.start((read_request(), reset()), errors={"proxy_status": False})
    assert (await rig.ask()).values(b"proxy-status") == []


# --- requests that go to no backend


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (b"GET  / HTTP/1.1\r\n\r\n", 400, "request_line"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "request_line"),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400, "request_line"),
        (b"GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n", 400, "field"),
        (request(b"GET /#f"), 400, "target"),
        (request(b"GET https://a/"), 400, "target"),
        (request(b"get /"), 400, "method"),
        (request(b"GET /", b"Host: b"), 400, "host"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "host"),
        (request(b"GET /", b"no colon"), 400, "field"),
        (request(b"GET /", b" folded"), 400, "field"),
        (request(b"GET /", b"X : 1"), 400, "field"),
        (request(b"GET /", b"X: \x00"), 400, "field"),
        (request(b"GET /", b"Content_Length: 5"), 400, "field"),
        (request(b"OPTIONS /", b"Max-Forwards: x"), 400, "field"),
        (request(b"POST /", b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400, "framing"),
        (request(b"POST /", b"Content-Length: 5", b"Content-Length: 5"), 400, "framing"),
        (request(b"POST /", b"Transfer-Encoding: gzip"), 400, "framing"),
        (request(b"POST /", b"Transfer-Encoding: gzip, chunked"), 501, "coding"),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "framing"),
        (request(b"POST /", b"Transfer-Encoding: chunked", body=b"x\r\n"), 400, "chunk"),
        (
            request(b"POST /", b"Transfer-Encoding: chunked", body=b"0;" + b"x" * 17_000 + b"\r\n\r\n"),
            400,
            "chunk_overhead",
        ),
        (
            request(b"POST /", b"Transfer-Encoding: chunked", body=b"0\r\n" + b"X: 1\r\n" * 33 + b"\r\n"),
            431,
            "trailers",
        ),
        (request(b"CONNECT a:443"), 501, "connect"),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "version"),
        (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505, "version"),
        (request(b"GET /" + b"x" * 16_384), 414, "request_line"),
        (request(b"GET /", b"X: " + b"x" * 65_536), 431, "header_bytes"),
        (request(b"GET /", *[b"X: 1"] * 128), 431, "header_count"),
        (request(b"POST /", b"Content-Length: 101", body=b"x" * 101), 413, "body_bytes"),
        (
            request(b"POST /", b"Transfer-Encoding: chunked", body=b"65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n"),
            413,
            "body_bytes",
        ),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else str(value),
)
async def test_a_bad_request_is_refused_and_the_connection_ends(
    rig: Rig, data: bytes, status: int, reason: str
) -> None:
    await rig.start(limits={"body_bytes": 100})
    client = await rig.client()
    await client.send(data + GET)
    assert without_date((await client.read_response()).raw) == problem(status, reason, "http_request_error", close=True)
    assert await client.closed() is Ending.FIN
    assert rig.primary.requests == []
    assert rig.candidate.connections == []
    assert rig.refusals() == {reason: 1}


@pytest.mark.parametrize(
    "data",
    [
        request(b"GET /" + b"x" * (16_384 - len(b"GET / HTTP/1.1"))),
        request(b"GET /", b"X: " + b"x" * (65_536 - len(request(b"GET /", b"X: ")))),
        request(b"GET /", *[b"X: 1"] * 127),
        request(b"POST /", b"Content-Length: 100", body=b"x" * 100),
        request(b"POST /", b"Transfer-Encoding: chunked", body=b"64\r\n" + b"x" * 100 + b"\r\n0\r\n\r\n"),
        request(b"POST /", b"Transfer-Encoding: chunked", body=b"0\r\n" + b"X: 1\r\n" * 32 + b"\r\n"),
    ],
    ids=["request_line", "header_bytes", "header_count", "body_bytes", "body_bytes chunked", "trailer_count"],
)
async def test_a_request_at_a_limit_is_served(rig: Rig, data: bytes) -> None:
    await rig.start(limits={"body_bytes": 100})
    client = await rig.client()
    for _ in range(2):
        await client.send(data)
        assert (await client.read_response()).status == 200


async def test_trace_is_refused_and_the_connection_kept(rig: Rig) -> None:
    await rig.start()
    client = await rig.client()
    await client.send(request(b"TRACE /") + GET)
    found = without_date((await client.read_response()).raw)
    assert found == problem(405, "trace", "http_request_error", close=False, more=ALLOW)
    assert (await client.read_response()).status == 200
    assert [got.method for got in rig.primary.requests] == [b"GET"]


async def test_a_host_of_no_service_is_a_404_and_the_connection_kept(rig: Rig) -> None:
    await rig.start(service={"hosts": ["a"]})
    client = await rig.client()
    await client.send(b"GET / HTTP/1.1\r\nHost: b\r\n\r\n" + GET)
    assert without_date((await client.read_response()).raw) == problem(
        404, "no_service", "destination_not_found", close=False
    )
    assert (await client.read_response()).status == 200
    assert rig.refusals() == {"no_service": 1}


async def test_a_404_for_a_request_with_a_body_to_come_closes(rig: Rig) -> None:
    await rig.start(service={"hosts": ["a"]})
    client = await rig.client()
    await client.send(b"POST / HTTP/1.1\r\nHost: b\r\nContent-Length: %d\r\n\r\n" % len(GET))
    assert without_date((await client.read_response()).raw) == problem(
        404, "no_service", "destination_not_found", close=True
    )
    await client.send(GET)
    assert await client.closed() is Ending.FIN
    assert rig.primary.requests == []


async def test_our_own_name_in_via_is_a_508(rig: Rig) -> None:
    await rig.start()
    client = await rig.client()
    await client.send(request(b"GET /", b"Via: 1.0 x, 1.1 shadow-proxy-c0ffee"))
    assert without_date((await client.read_response()).raw) == problem(508, "loop", "proxy_loop_detected", close=True)
    assert await client.closed() is Ending.FIN


@pytest.mark.parametrize(
    ("data", "reason", "timeouts"),
    [
        (b"G", "request_head", {"request_head": "100ms"}),
        (request(b"POST /", b"Content-Length: 10", body=b"hello"), "request_body_idle", {"request_body_idle": "100ms"}),
    ],
)
async def test_a_client_that_is_too_slow_gets_a_408(
    rig: Rig, data: bytes, reason: str, timeouts: dict[str, str]
) -> None:
    await rig.start(timeouts=timeouts)
    client = await rig.client()
    await client.send(data)
    assert without_date((await client.read_response()).raw) == problem(408, reason, "http_request_error", close=True)
    assert await client.closed() is Ending.FIN


async def test_a_body_that_breaks_the_rules_later_aborts_the_backend(rig: Rig) -> None:
    await rig.start(service={"mirror": {"methods": ["POST"]}})
    client = await rig.client()
    await client.send(request(b"POST /", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n"))
    await rig.primary.received_heads(1)
    await client.send(b"x\r\n")
    assert without_date((await client.read_response()).raw) == problem(400, "chunk", "http_request_error", close=True)
    assert await client.closed() is Ending.FIN
    await rig.primary.connections[0].gone()
    assert rig.primary.connections[0].truncated
    await rig.quiet()
    assert rig.drops() == {"incomplete": 1}
    assert rig.candidate.connections == []


async def test_a_head_too_long_for_its_method_head_has_no_body(rig: Rig) -> None:
    await rig.start(limits={"body_bytes": 1})
    client = await rig.client()
    await client.send(request(b"HEAD /", b"Content-Length: 2", body=b"xx"))
    assert (await client.read_response("HEAD")).status == 413
    assert await client.closed() is Ending.FIN
