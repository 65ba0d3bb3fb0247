import pytest

from tests.kit.raw_client import RawClient
from tests.kit.script import close, read_request, respond, send, send_bytewise, send_cut
from tests.kit.wire import Ending
from tests.wire.rig import GET, Rig, request, response, sized, without_date

BODY = bytes(range(256)) * 40
CHUNKED = b"Transfer-Encoding: chunked"


def chunks(body: bytes, size: int, *trailers: bytes) -> bytes:
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return framed + b"0\r\n" + b"".join(line + b"\r\n" for line in trailers) + b"\r\n"


async def is_healthy(client: RawClient) -> bool:
    """Whether one more request on the same connection is answered as if nothing had been."""
    await client.send(GET)
    answer = await client.read_response()
    return (answer.status, answer.body) == (200, b'{"ok":true}')


# --- requests


@pytest.mark.parametrize("method", [b"POST", b"GET", b"DELETE", b"OPTIONS", b"FOO"])
async def test_a_body_with_a_length_arrives(rig: Rig, method: bytes) -> None:
    await rig.start()
    client = await rig.client()
    await client.send(request(method + b" /x", b"Content-Length: %d" % len(BODY), body=BODY))
    assert (await client.read_response()).status == 200
    (received,) = rig.primary.requests
    assert (received.body, received.values(b"content-length")) == (BODY, [b"%d" % len(BODY)])
    assert await is_healthy(client)


@pytest.mark.parametrize("size", [1, 1000, len(BODY)])
async def test_a_chunked_body_arrives_chunked(rig: Rig, size: int) -> None:
    await rig.start()
    client = await rig.client()
    await client.send(request(b"POST /x", CHUNKED, body=chunks(BODY, size)))
    assert (await client.read_response()).status == 200
    (received,) = rig.primary.requests
    assert (received.body, received.values(b"transfer-encoding")) == (BODY, [b"chunked"])
    assert received.values(b"content-length") == []
    assert await is_healthy(client)


@pytest.mark.parametrize(
    ("framing", "body"),
    [(b"Content-Length: 0", b""), (CHUNKED, b"0\r\n\r\n"), (b"X: no framing at all", b"")],
    ids=["length 0", "chunked", "none"],
)
async def test_an_empty_body_is_empty_and_the_next_bytes_are_the_next_request(
    rig: Rig, framing: bytes, body: bytes
) -> None:
    await rig.start()
    client = await rig.client()
    await client.send(request(b"POST /x", framing, body=body) + GET)
    for _ in range(2):
        assert (await client.read_response()).status == 200
    first, second = rig.primary.requests
    assert (first.body, second.target) == (b"", b"/")
    assert framing in first.lines


async def test_a_length_with_a_leading_zero_is_sent_on_without_it(rig: Rig) -> None:
    await rig.start()
    client = await rig.client()
    await client.send(request(b"POST /x", b"Content-Length: 05", body=b"hello"))
    assert (await client.read_response()).status == 200
    (received,) = rig.primary.requests
    assert (received.body, received.values(b"content-length")) == (b"hello", [b"5"])


async def test_a_request_in_single_bytes_arrives_the_same(rig: Rig) -> None:
    await rig.start()
    client = await rig.client()
    await client.send_bytewise(request(b"POST /x", CHUNKED, body=chunks(b"hello", 2, b"X-Sum: 1")) + GET)
    for _ in range(2):
        assert (await client.read_response()).status == 200
    first, second = rig.primary.requests
    assert (first.body, first.trailers, second.target) == (b"hello", [b"X-Sum: 1"], b"/")


async def test_request_trailers_reach_the_backend_and_forbidden_ones_do_not(rig: Rig) -> None:
    await rig.start()
    client = await rig.client()
    trailers = (b"X-Sum: 1", b"Content-Length: 9", b"Host: evil", b"Authorization: x")
    await client.send(request(b"POST /x", CHUNKED, b"Trailer: X-Sum", body=chunks(b"hello", 5, *trailers)))
    assert (await client.read_response()).status == 200
    (received,) = rig.primary.requests
    assert received.trailers == [b"X-Sum: 1"]
    assert received.values(b"trailer") == [b"X-Sum"]
    assert received.values(b"host") == [b"a"]
    assert await is_healthy(client)


# --- responses


@pytest.mark.parametrize(
    ("raw", "framing"),
    [
        (sized(BODY), b"Content-Length: %d" % len(BODY)),
        (response(CHUNKED, body=chunks(BODY, 1000)), CHUNKED),
        (response(CHUNKED, body=chunks(BODY, 1)), CHUNKED),
    ],
    ids=["length", "chunks", "chunks of one byte"],
)
async def test_a_body_arrives_with_its_framing(rig: Rig, raw: bytes, framing: bytes) -> None:
    await rig.start(respond(raw))
    client = await rig.client()
    await client.send(GET)
    answer = await client.read_response()
    assert (answer.body, framing in answer.lines) == (BODY, True)
    assert await is_healthy(client)
    assert len(rig.primary.connections) == 1


async def test_a_response_in_single_bytes_arrives_the_same(rig: Rig) -> None:
    raw = response(CHUNKED, b"Date: x", body=chunks(b"hello", 2))
    await rig.start((read_request(), send_bytewise(raw)), (read_request(), send_bytewise(sized(b"hello"))))
    client = await rig.client()
    for _ in range(2):
        await client.send(GET)
        assert (await client.read_response()).body == b"hello"
    assert len(rig.primary.connections) == 1


async def test_a_body_until_the_end_becomes_chunked_and_the_client_keeps_its_connection(rig: Rig) -> None:
    await rig.start((read_request(), send(response(b"X: 1", body=BODY)), close()))
    client = await rig.client()
    await client.send(GET)
    answer = await client.read_response()
    assert (answer.body, answer.values(b"transfer-encoding")) == (BODY, [b"chunked"])
    assert await is_healthy(client)
    assert len(rig.primary.connections) == 2


@pytest.mark.parametrize("chunked", [False, True], ids=["until the end", "chunked"])
async def test_http_1_0_gets_plain_bytes_and_a_close(rig: Rig, chunked: bool) -> None:  # noqa: FBT001
    raw = response(CHUNKED, body=chunks(BODY, 1000)) if chunked else response(body=BODY)
    await rig.start((read_request(), send(raw), close()))
    client = await rig.client()
    await client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    answer = await client.read_response()
    assert (answer.body, answer.values(b"transfer-encoding"), answer.values(b"connection")) == (BODY, [], [b"close"])
    assert await client.closed() is Ending.FIN


@pytest.mark.parametrize(
    ("method", "raw", "lines"),
    [
        (b"HEAD", response(b"Date: x", b"Content-Length: 10"), [b"Date: x", b"Content-Length: 10"]),
        (b"HEAD", response(b"Date: x", CHUNKED), [b"Date: x"]),
        (
            b"GET",
            response(b"Date: x", b"Content-Length: 10", start=b"HTTP/1.1 304 N"),
            [b"Date: x", b"Content-Length: 10"],
        ),
        (b"GET", response(b"Date: x", b"Content-Length: 10", start=b"HTTP/1.1 204 N"), [b"Date: x"]),
        (b"GET", response(b"Date: x", CHUNKED, start=b"HTTP/1.1 204 N"), [b"Date: x"]),
    ],
    ids=["HEAD", "HEAD chunked", "304", "204 with a length", "204 chunked"],
)
async def test_responses_without_a_body(rig: Rig, method: bytes, raw: bytes, lines: list[bytes]) -> None:
    await rig.start(respond(raw))
    client = await rig.client()
    await client.send(request(method + b" /"))
    answer = await client.read_response(method.decode())
    assert (answer.body, answer.lines) == (b"", lines)
    assert await is_healthy(client)
    assert len(rig.primary.connections) == 1


@pytest.mark.parametrize("method", [b"HEAD", b"GET"], ids=["a body for HEAD", "surplus bytes"])
async def test_bytes_after_a_response_reach_nobody_and_close_its_connection(rig: Rig, method: bytes) -> None:
    raw = sized(b"") if method == b"GET" else response(b"Content-Length: 5")
    await rig.start(respond(raw + b"HTTP/1.1 200 Evil\r\nContent-Length: 0\r\n\r\n"))
    client = await rig.client()
    await client.send(request(method + b" /"))
    assert (await client.read_response(method.decode())).reason == b"OK"
    assert await is_healthy(client)
    assert len(rig.primary.connections) == 2


@pytest.mark.parametrize("pieces", [1, 2])
async def test_trailers_that_the_connection_field_names_go_no_further(rig: Rig, pieces: int) -> None:
    nominating = b"Connection: X-Hop, x-other"
    body = chunks(b"hello", 5, b"x-hop: 1", b"X-Sum: 1", b"X-Other: 2")
    raw = response(CHUNKED, nominating, body=body)
    await rig.start((read_request(), send_cut(raw, *([len(raw) - 30] if pieces > 1 else []))))
    client = await rig.client()
    data = request(b"POST /", CHUNKED, b"TE: trailers", nominating, body=body)
    await client.send_cut(data, *([len(data) - 30] if pieces > 1 else []))
    answer = await client.read_response()
    assert (answer.body, answer.trailers) == (b"hello", [b"X-Sum: 1"])
    assert rig.primary.requests[0].trailers == [b"X-Sum: 1"]


async def test_response_trailers_reach_a_client_that_takes_them(rig: Rig) -> None:
    raw = response(CHUNKED, b"Trailer: X-Sum", body=chunks(b"hello", 2, b"X-Sum: 1", b"Set-Cookie: evil"))
    await rig.start(respond(raw), respond(raw))
    client = await rig.client()
    await client.send(request(b"GET /", b"TE: trailers"))
    answer = await client.read_response()
    assert (answer.body, answer.trailers, answer.values(b"trailer")) == (b"hello", [b"X-Sum: 1"], [b"X-Sum"])
    await client.send(GET)
    plain = await client.read_response()
    assert (plain.body, plain.trailers, plain.values(b"trailer")) == (b"hello", [], [])


async def test_equal_lengths_collapse_into_one(rig: Rig) -> None:
    await rig.start(respond(response(b"Content-Length: 2", b"content-length: 2", body=b"ok")))
    assert (await rig.ask()).values(b"content-length") == [b"2"]


async def test_a_response_with_unusual_length_only_keeps_its_head_whole(rig: Rig) -> None:
    await rig.start(respond(response(b"Content-Length: 02", body=b"ok")))
    answer = await rig.ask()
    assert without_date(answer.raw) == response(b"Content-Length: 2", body=b"ok")


# --- broken responses


@pytest.mark.parametrize(
    ("raw", "came"),
    [
        (response(b"Date: x", b"Content-Length: 10", body=b"hello"), b"hello"),
        (response(b"Date: x", CHUNKED, body=b"5\r\nhello\r\n"), b"5\r\nhello\r\n"),
        (response(b"Date: x", CHUNKED, body=b"5\r\nhello\r\nx\r\n"), b"5\r\nhello\r\n"),
    ],
    ids=["length", "chunked", "broken chunk"],
)
async def test_a_body_cut_by_the_backend_never_looks_complete(rig: Rig, raw: bytes, came: bytes) -> None:
    await rig.start((read_request(), send(raw), close()))
    client = await rig.client()
    await client.send(GET)
    received = await client.read_until_close()
    head, body = received.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert (body, received.count(b"HTTP/1.1")) == (came, 1)
    await rig.quiet()
    assert rig.requests() == {"aborted": 1}


async def test_http_1_0_sees_a_reset_where_a_close_would_look_complete(rig: Rig) -> None:
    await rig.start((read_request(), send(response(CHUNKED, body=b"5\r\nhello\r\n")), close()))
    client = await rig.client()
    await client.send(b"GET / HTTP/1.0\r\n\r\n")
    await client.read_until_close()
    assert await client.closed() is Ending.RESET
