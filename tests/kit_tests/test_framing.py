import asyncio

import pytest

from tests.kit.clock import FakeClock
from tests.kit.framing import (
    REQUEST_LINE,
    FramingError,
    RawRequest,
    RawResponse,
    read_head,
    read_request_rest,
    read_response,
)
from tests.kit.memory_transport import memory_pair
from tests.kit.wire import ConnectionEnded, Wire

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LENGTH_5 = b"HTTP/1.1 200 OK\r\nX-b: 2\r\nX-B:  3 \r\nContent-Length: 5\r\n\r\nhello"


def wire_with(data: bytes, *, fin: bool = True) -> Wire:
    clock, wire = FakeClock(), Wire()
    peer, _ = memory_pair(Wire(), wire, clock)
    peer.write(data)
    if fin:
        peer.write_eof()
    clock.run_ready()
    return wire


async def response_to(data: bytes, method: str = "GET") -> RawResponse:
    return await read_response(wire_with(data), method)


async def request_from(data: bytes) -> RawRequest:
    wire = wire_with(data)
    return await read_request_rest(wire, await read_head(wire, REQUEST_LINE))


async def test_field_lines_keep_their_bytes_order_and_case() -> None:
    response = await response_to(LENGTH_5)
    assert response.lines == [b"X-b: 2", b"X-B:  3 ", b"Content-Length: 5"]
    assert response.values(b"x-b") == [b"2", b"3"]
    assert (response.status, response.reason, response.body) == (200, b"OK", b"hello")
    assert response.raw == LENGTH_5


async def test_chunked_body_is_decoded_and_trailers_are_kept_apart() -> None:
    response = await response_to(CHUNKED + b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert response.body == b"abc0123456789"
    assert response.trailers == [b"X-Sum: 1"]
    assert response.values(b"x-sum") == []


async def test_body_without_length_lasts_until_the_fin() -> None:
    assert (await response_to(b"HTTP/1.1 200 \r\n\r\nall of it")).body == b"all of it"


@pytest.mark.parametrize(
    ("start", "method"),
    [(b"200 OK", "HEAD"), (b"304 Not Modified", "GET")],
    ids=["HEAD", "304"],
)
async def test_response_without_body_leaves_the_next_bytes_alone(start: bytes, method: str) -> None:
    wire = wire_with(b"HTTP/1.1 " + start + b"\r\nContent-Length: 10\r\n\r\n" + LENGTH_5)
    assert (await read_response(wire, method)).body == b""
    assert (await read_response(wire, "GET")).raw == LENGTH_5


async def test_interim_response_is_read_on_its_own() -> None:
    wire = wire_with(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + LENGTH_5)
    assert [(await read_response(wire, "GET")).status for _ in range(2)] == [103, 200]


async def test_request_without_framing_has_no_body() -> None:
    request = await request_from(b"POST /a?b HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (request.method, request.target, request.body) == (b"POST", b"/a?b", b"")


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nA: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        CHUNKED + b"0x1\r\na\r\n0\r\n\r\n",
        CHUNKED + b"1\r\nab\r\n0\r\n\r\n",
        CHUNKED + b"1\r\naXX0\r\n\r\n",
        CHUNKED + b"\r\n",
    ],
)
async def test_incorrect_response_is_refused(data: bytes) -> None:
    with pytest.raises(FramingError):
        await response_to(data)


@pytest.mark.parametrize("size", range(len(LENGTH_5)))
async def test_response_cut_anywhere_is_not_taken_for_a_whole_one(size: int) -> None:
    with pytest.raises(ConnectionEnded):
        await response_to(LENGTH_5[:size])


async def test_body_until_close_that_ends_in_a_reset_is_refused() -> None:
    loop, wire = asyncio.get_running_loop(), Wire()
    peer, _ = memory_pair(Wire(), wire, loop)
    peer.write(b"HTTP/1.1 200 OK\r\n\r\npart")
    await wire.until(lambda: bool(wire.received))
    peer.abort()
    with pytest.raises(FramingError, match="reset"):
        await read_response(wire, "GET")
