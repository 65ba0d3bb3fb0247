"""The smallest inputs of bugs that the search has found, by what was wrong; each is checked like any case."""

import pytest

from tests.fuzz.case import Case, Ending, Move, Reply, When
from tests.fuzz.claims import check

FOUND = {
    "an answer says that it is the last, and is not": Case(
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\nTRACE / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",),
        setting="few",
    ),
    "a surplus behind an answer meets the next request": Case(
        (b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",),
        (Reply((b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<r0>HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",)),),
    ),
    "a body in the middle of which the client goes": Case(
        (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nGET ", Move.RST),
        (Reply((b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<r0>",), When.HEAD),),
    ),
    "an answer until the end of the connection that is reset": Case(
        (b"GET / HTTP/1.0\r\n\r\n",), (Reply((b"HTTP/1.1 200 OK\r\n\r\n<r0>",), ending=Ending.RST),)
    ),
    "bytes of the client right behind the request for a tunnel": Case(
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            b"\x00",
        ),
        (Reply((b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",)),),
    ),
    "a tunnel that nobody agreed to": Case(
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\x81\x05hello",),
        (Reply((b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n",)),),
    ),
    "an answer with a field that means something in requests only": Case(
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",), (Reply((b"HTTP/1.1 200 OK\r\nHost:\r\nContent-Length: 0\r\n\r\n",)),)
    ),
    "a trailer of an answer that means something in requests only": Case(
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",),
        (Reply((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: a b\r\n\r\n",)),),
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_is_mended(name: str) -> None:
    check(FOUND[name])
