"""Trailers: what follows the last chunk, which of it goes on, and to whom."""

import pytest

from tests.wire.chunked import CHUNKED, TAKES_TRAILERS, chunks
from tests.wire.forms import DATE, Form, ended, healthy, relays
from tests.wire.rig import FORWARDED, Rig, problem, request, response, without_date

GOOD = (b"X-Sum: 1", b"x-sum:2", b"Server-Timing: db;dur=\xe9", b"X-Empty:", b"X-Sum: 1")
FRAMING = (b"Content-Length: 9", b"Transfer-Encoding: chunked", b"Trailer: X", b"TE: trailers", b"content_length: 9")
ROUTING = (
    b"Host: evil", b"Max-Forwards: 1", b"Expect: 100-continue", b"Via: 1.1 evil", b"Forwarded: for=1",
    b"X-Forwarded-For: 1", b"X-Shadow-Request: 1", b"Range: bytes=0-1", b"If-Match: x", b"Cache-Control: no-store",
)  # fmt: skip
AUTHENTICATION = (
    b"Authorization: x", b"WWW-Authenticate: x", b"Proxy-Authorization: x", b"Proxy-Authenticate: x", b"Cookie: a=1",
    b"Set-Cookie: a=1",
)  # fmt: skip
CONTENT = (b"Content-Type: text/html", b"Content-Encoding: gzip", b"content-range: x", b"Content-Security-Policy: x")
HOP_BY_HOP = (
    b"Connection: close", b"Keep-Alive: timeout=1", b"Proxy-Connection: close", b"Upgrade: h2c", b"HTTP2-Settings: x",
    b"Proxy: evil",
)  # fmt: skip
FORBIDDEN = {
    "framing": FRAMING,
    "routing": ROUTING,
    "authentication": AUTHENTICATION,
    "content": CONTENT,
    "hop-by-hop": HOP_BY_HOP,
}
ANNOUNCED = b"Trailer: X-Sum, X-Empty"
ENTITLED = b"Connection: TE"
OK_FRAMED = response(DATE, b"Content-Length: 2", body=b"ok")

# --- C8


async def test_c8_request_trailers_reach_the_backend(rig: Rig, form: Form) -> None:
    close = [b"Connection: close"] if form.close else []
    await relays(
        rig,
        form,
        sent=request(b"POST /x", CHUNKED, ANNOUNCED, *close, body=chunks(b"hello", 2, *GOOD)),
        forwarded=request(b"POST /x", ANNOUNCED, CHUNKED, *FORWARDED, body=chunks(b"hello", 5, *GOOD)),
        answered=form.response(DATE, body=b"ok"),
        relayed=form.relayed(DATE, body=b"ok"),
        service={"mirror": {"methods": ["GET", "POST"]}},
    )
    assert [copy.trailers for copy in rig.candidate.requests if copy.method == b"POST"] == [list(GOOD)]


@pytest.mark.parametrize("kind", FORBIDDEN)
async def test_c8_request_trailers_that_could_change_the_request_go_no_further(
    rig: Rig, transmission: Form, kind: str
) -> None:
    trailers = (b"X-Sum: 1", *FORBIDDEN[kind], b"X-Other: 2")
    await relays(
        rig,
        transmission,
        sent=request(b"POST /x", CHUNKED, body=chunks(b"hello", 5, *trailers)),
        forwarded=request(b"POST /x", CHUNKED, *FORWARDED, body=chunks(b"hello", 5, b"X-Sum: 1", b"X-Other: 2")),
        answered=OK_FRAMED,
        relayed=OK_FRAMED,
    )


async def test_c8_request_trailers_that_the_connection_field_names_go_no_further(rig: Rig, transmission: Form) -> None:
    nominating = (b"Connection: X-Hop", b"connection: x-other")
    trailers = (b"x-hop: 1", b"X-Sum: 1", b"X-Other: 2")
    await relays(
        rig,
        transmission,
        sent=request(b"POST /x", CHUNKED, *nominating, body=chunks(b"hello", 5, *trailers)),
        forwarded=request(b"POST /x", CHUNKED, *FORWARDED, body=chunks(b"hello", 5, b"X-Sum: 1")),
        answered=OK_FRAMED,
        relayed=OK_FRAMED,
    )


async def test_c8_too_many_request_trailers_are_refused_and_abort_the_backend(rig: Rig, transmission: Form) -> None:
    await rig.start(limits={"trailer_count": 2})
    client = await rig.client()
    await transmission.send(client, request(b"POST /x", CHUNKED, body=b"5\r\nhello\r\n"))
    await rig.primary.received_heads(1)
    await transmission.send(client, b"0\r\nX: 1\r\nX: 2\r\nX: 3\r\n\r\n")
    expected = problem(431, "trailers", "http_request_error", close=True)
    assert without_date((await client.read_response()).raw) == expected
    await ended(client)
    await rig.primary.connections[0].gone()
    assert rig.primary.connections[0].truncated
    assert rig.refusals() == {"trailers": 1}


# --- C9


@pytest.mark.parametrize("takes", [TAKES_TRAILERS, b"te: gzip;q=1, Trailers;q=0.5"])
async def test_c9_response_trailers_reach_a_client_that_takes_them(rig: Rig, form: Form, takes: bytes) -> None:
    close = [b"Connection: close"] if form.close else []
    await relays(
        rig,
        form,
        sent=request(b"GET /x", takes, *close),
        forwarded=request(b"GET /x", TAKES_TRAILERS, ENTITLED, *FORWARDED),
        answered=response(DATE, ANNOUNCED, CHUNKED, *close, body=chunks(b"hello", 2, *GOOD)),
        relayed=response(DATE, CHUNKED, ANNOUNCED, *close, body=chunks(b"hello", 5, *GOOD)),
    )


async def test_c9_every_trailer_line_is_announced(rig: Rig, transmission: Form) -> None:
    announced = (b"Trailer: X-Sum", b"trailer: X-Empty")
    await rig.start(transmission.reply(response(DATE, *announced, CHUNKED, body=chunks(b"hello", 5, *GOOD))))
    client = await rig.client()
    await transmission.send(client, request(b"GET /x", TAKES_TRAILERS))
    answer = await client.read_response()
    assert b", ".join(answer.values(b"trailer")) == b"X-Sum, X-Empty"
    assert answer.trailers == list(GOOD)
    await healthy(rig, client)


@pytest.mark.parametrize("sent", [b"", b"TE: gzip", b"TE: xtrailers", b"Trailer: X-Sum"])
async def test_c9_any_other_client_gets_neither_trailers_nor_their_names(
    rig: Rig, transmission: Form, sent: bytes
) -> None:
    fields = [sent] if sent else []
    await relays(
        rig,
        transmission,
        sent=request(b"GET /x", *fields),
        forwarded=request(b"GET /x", *(field for field in fields if b"TE" not in field), *FORWARDED),
        answered=response(DATE, ANNOUNCED, CHUNKED, body=chunks(b"hello", 2, *GOOD)),
        relayed=response(DATE, CHUNKED, body=chunks(b"hello", 5)),
    )
    assert len(rig.primary.connections) == 1


@pytest.mark.parametrize("kind", FORBIDDEN)
async def test_c9_response_trailers_that_could_change_the_response_go_no_further(
    rig: Rig, transmission: Form, kind: str
) -> None:
    trailers = (b"X-Sum: 1", *FORBIDDEN[kind], b"X-Other: 2")
    await relays(
        rig,
        transmission,
        sent=request(b"GET /x", TAKES_TRAILERS),
        forwarded=request(b"GET /x", TAKES_TRAILERS, ENTITLED, *FORWARDED),
        answered=response(DATE, CHUNKED, body=chunks(b"hello", 5, *trailers)),
        relayed=response(DATE, CHUNKED, body=chunks(b"hello", 5, b"X-Sum: 1", b"X-Other: 2")),
    )


async def test_c9_response_trailers_that_the_connection_field_names_go_no_further(rig: Rig, transmission: Form) -> None:
    nominating = (b"Connection: X-Hop", b"connection: x-other")
    trailers = (b"x-hop: 1", b"X-Sum: 1", b"X-Other: 2")
    await relays(
        rig,
        transmission,
        sent=request(b"GET /x", TAKES_TRAILERS),
        forwarded=request(b"GET /x", TAKES_TRAILERS, ENTITLED, *FORWARDED),
        answered=response(DATE, CHUNKED, *nominating, body=chunks(b"hello", 5, *trailers)),
        relayed=response(DATE, CHUNKED, body=chunks(b"hello", 5, b"X-Sum: 1")),
    )


async def test_c9_http_1_0_gets_neither_trailers_nor_their_names(rig: Rig, transmission: Form) -> None:
    await rig.start(transmission.reply(response(DATE, ANNOUNCED, CHUNKED, body=chunks(b"hello", 2, *GOOD))))
    client = await rig.client()
    await transmission.send(client, b"GET /x HTTP/1.0\r\nHost: a\r\nTE: trailers\r\n\r\n")
    assert await client.read_until_close() == response(DATE, b"Connection: close", body=b"hello")
    (received,) = rig.primary.requests
    assert received.raw == request(b"GET /x", b"Via: 1.0" + FORWARDED[0][8:], *FORWARDED[1:])


@pytest.mark.parametrize("line", [b"GET /x", b"HEAD /x"])
async def test_c9_an_answer_that_is_not_chunked_announces_none(rig: Rig, transmission: Form, line: bytes) -> None:
    body = b"hello" if line == b"GET /x" else b""
    await relays(
        rig,
        transmission,
        sent=request(line, TAKES_TRAILERS),
        forwarded=request(line, TAKES_TRAILERS, ENTITLED, *FORWARDED),
        answered=response(DATE, ANNOUNCED, b"Content-Length: 5", body=body),
        relayed=response(DATE, b"Content-Length: 5", body=body),
        method=line.split(b" ")[0].decode(),
    )
