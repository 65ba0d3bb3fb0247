"""Whole exchanges for which it must not matter in which pieces their bytes arrive, and what was heard of them.

Each runs through any plane: the client sends `sent`, the backend answers its requests one by one with
`answers`. What both ends hear is written down by `told` and `Message.of`, less what may differ between two
runs: the time of day, and where the borders of chunks are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from tests.kit import framing
from tests.kit.framing import FramingError, read_response
from tests.kit.script import close, read_request, send_cut
from tests.kit.scripted_connection import Script
from tests.kit.wire import ConnectionEnded, Wire
from tests.wire.chunked import CHUNKED, TAKES_TRAILERS, chunks, cut_payload
from tests.wire.forms import DATE
from tests.wire.rig import request, response, sized

OK = sized(b"ok", DATE)
EVIL = b"HTTP/1.1 200 Evil\r\nContent-Length: 0\r\n\r\n"
HELLO = chunks(b"hello", 5)
DECORATED = b'5;a=b;c="d\\"e"\r\nhello\r\n01 ; z\r\n!\r\n0\r\nX-Sum: 1\r\nCookie: no\r\nX-Hop: 2\r\n\r\n'


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a response as one end heard it; `is_cut`: its body has no end."""

    start: bytes
    lines: tuple[bytes, ...]
    body: bytes
    trailers: tuple[bytes, ...] = ()
    is_cut: bool = False

    @classmethod
    def of(cls, message: framing.Message) -> Self:
        return cls(message.start_line, _undated(message.lines), message.body, tuple(message.trailers))

    @classmethod
    def cut(cls, received: bytes) -> Self:
        """The beginning of a response whose connection ended inside the body."""
        head, _, body = received.partition(b"\r\n\r\n")
        start, *lines = head.split(b"\r\n")
        return cls(start, _undated(lines), cut_payload(body) if CHUNKED in lines else body, is_cut=True)


def _undated(lines: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(line for line in lines if not line.startswith(b"Date: "))


@dataclass(frozen=True, slots=True)
class Exchange:
    """`answers` go to the requests in `sent`, whose methods are `methods`; `closes`: both connections end with it.

    `ends`: the backend's connection ends behind the last answer.
    """

    name: str
    sent: bytes = request(b"GET /x")
    answers: tuple[bytes, ...] = (OK,)
    methods: tuple[str, ...] = ("GET",)
    closes: bool = False
    ends: bool = False

    def __str__(self) -> str:
        return self.name

    def scripts(self, *offsets: int) -> list[Script]:
        """What the backend does; the bytes of its answers, taken together, are cut at these offsets."""
        scripts: list[Script] = []
        start = 0
        for answer in self.answers:
            cuts = [offset - start for offset in offsets if start < offset < start + len(answer)]
            scripts.append((read_request(), send_cut(answer, *cuts)))
            start += len(answer)
        if self.ends:
            scripts[-1] = (*scripts[-1], close())
        return scripts

    @property
    def answered(self) -> int:
        """The bytes of all answers."""
        return sum(map(len, self.answers))


async def told(wire: Wire, methods: Sequence[str]) -> list[Message]:
    """What a client was told in answer to requests of these methods, interim responses included."""
    messages: list[Message] = []
    for method in methods:
        is_final = False
        while not is_final:
            start = wire.position
            try:
                found = await read_response(wire, method)
            except (ConnectionEnded, FramingError):
                if not wire.over:
                    raise
                messages.append(Message.cut(wire.slice(start, len(wire.received))))
                wire.position = len(wire.received)
                return messages
            messages.append(Message.of(found))
            is_final = found.status >= 200
    return messages


OLD_POST = b"POST /x HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nTE: trailers\r\n\r\nhello"
PIPELINED = b"".join(
    (
        request(b"GET /1"),
        request(b"POST /2", b"Content-Length: 5", body=b"hello"),
        request(b"POST /3", CHUNKED, body=chunks(b"hello", 2)),
        request(b"HEAD /4"),
        request(b"GET /5", b"Connection: close"),
    )
)

REQUESTS = [
    Exchange("length", request(b"POST /x", b"X: 1", b"Content-Length: 05", body=b"hello")),
    Exchange("no framing", request(b"POST /x")),
    Exchange("empty chunked", request(b"POST /x", CHUNKED, body=chunks(b"", 1))),
    Exchange("chunked", request(b"POST /x", CHUNKED, b"Connection: x-hop", b"Trailer: X-Sum", body=DECORATED)),
    Exchange("pipelined", PIPELINED, (OK,) * 3 + (response(DATE, b"Content-Length: 9"), OK),
             ("GET", "POST", "POST", "HEAD", "GET"), closes=True),
    Exchange("absolute form", b"GET http://b:81?q HTTP/1.1\r\nX: 1\r\nHost: a\r\n\r\n"),
    Exchange("asterisk", b"OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 2\r\n\r\n", methods=("OPTIONS",)),
    Exchange("expect", request(b"POST /x", b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"),
             (b"HTTP/1.1 100 Continue\r\n\r\n" + OK,)),
    Exchange("from HTTP/1.0", OLD_POST, closes=True),
    Exchange("empty lines first", b"\r\n" * 4 + request(b"GET /x")),
    Exchange("fields", request(b"GET /x", b"X-b:2 \t", b"X-B: \xe9", b"Connection: x-hop, TE", b"x-hop: 1",
                               b"TE: trailers", b"Upgrade: h2c", b"X-Empty:", b"Keep-Alive: timeout=5")),
    Exchange("bad request line", b"GET  /x HTTP/1.1\r\nHost: a\r\n\r\n", (), closes=True),
    Exchange("bare LF", b"GET /x HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n", (), closes=True),
    Exchange("two framings", request(b"POST /x", b"Content-Length: 5", CHUNKED, body=HELLO), (), closes=True),
    Exchange("unknown coding", request(b"POST /x", b"Transfer-Encoding: gzip, chunked", body=HELLO), (), closes=True),
    Exchange("bad chunk", request(b"POST /x", CHUNKED, body=b"5\r\nhello!\r\n0\r\n\r\n"), (), closes=True),
    Exchange("bad trailer", request(b"POST /x", CHUNKED, body=b"5\r\nhello\r\n0\r\nno colon\r\n\r\n"), (), closes=True),
]  # fmt: skip
"""Cut in the request. The last ones are refused."""

TAKES = request(b"GET /x", TAKES_TRAILERS)
HEAD = request(b"HEAD /x")
OLD = b"GET /x HTTP/1.0\r\nHost: a\r\n\r\n"
FIVE = b"Content-Length: 5"
EARLY = response(b"Link: </a>", CHUNKED, start=b"HTTP/1.1 103 Early Hints") + response(start=b"HTTP/1.1 102 ")

RESPONSES = [
    Exchange("length", answers=(response(b"Content-Length: 05", DATE, b"X: 1", body=b"hello"),)),
    Exchange("repeated length", answers=(response(FIVE, DATE, b"content-length: 5, 5", body=b"hello"),)),
    Exchange("undated", answers=(response(FIVE, body=b"hello"),)),
    Exchange("chunked", TAKES, (response(DATE, CHUNKED, b"Connection: x-hop", b"Trailer: X-Sum", body=DECORATED),)),
    Exchange("chunked, trailers unwanted", answers=(response(CHUNKED, DATE, b"Trailer: X-Sum", body=DECORATED),)),
    Exchange("chunked, padded", answers=(response(CHUNKED, DATE, body=b"5  \r\nhello\r\n0 \t\r\n\r\n"),)),
    Exchange("chunked, empty", answers=(response(CHUNKED, DATE, body=chunks(b"", 1)),)),
    Exchange("chunked to HTTP/1.0", OLD, (response(CHUNKED, DATE, body=DECORATED),), closes=True),
    Exchange("until the end", answers=(response(DATE, b"X: 1", body=b"hello"),), ends=True),
    Exchange("until the end to HTTP/1.0", OLD, (response(DATE, b"X: 1", body=b"hello"),), closes=True, ends=True),
    Exchange("HTTP/1.0", answers=(response(DATE, FIVE, body=b"hello", start=b"HTTP/1.0 200"),)),
    Exchange("interim first", answers=(EARLY + OK,)),
    Exchange("interim to HTTP/1.0", OLD, (EARLY + OK,), closes=True),
    Exchange("to HEAD", HEAD, (response(DATE, FIVE, b"X: 1"),), ("HEAD",)),
    Exchange("to HEAD, chunked", HEAD, (response(DATE, CHUNKED, b"X: 1"),), ("HEAD",)),
    Exchange("204", answers=(response(DATE, FIVE, CHUNKED, start=b"HTTP/1.1 204 No Content"),)),
    Exchange("304", answers=(response(DATE, FIVE, start=b"HTTP/1.1 304 Not Modified"),)),
    Exchange("folded", answers=(response(DATE, b"X: a\r\n \t b\r\n\tc", b"Y : 1", FIVE, body=b"hello"),)),
    Exchange("bare LF", answers=(response(DATE, b"X: 1", FIVE).replace(b"\r\n", b"\n") + b"hello",)),
    Exchange("mixed line ends", answers=(b"HTTP/1.1 200 OK\nX: 1\r\n" + DATE + b"\n" + FIVE + b"\r\n\nhello",)),
    Exchange("fields", answers=(response(DATE, b"Set-Cookie: a", b"Connection: x-hop", b"set-cookie: b", b"X-Hop: 1",
                                         b"Keep-Alive: timeout=9", FIVE, b"Proxy-Authenticate: x", body=b"hello"),)),
    Exchange("said close", answers=(response(DATE, b"Connection: close", FIVE, body=b"hello"),), ends=True),
    Exchange("surplus", answers=(OK + EVIL,)),
    Exchange("surplus to HEAD", HEAD, (response(DATE, FIVE) + b"hello",), ("HEAD",)),
    Exchange("two lengths", answers=(response(DATE, FIVE, b"Content-Length: 6", body=b"hello!"),)),
    Exchange("no response", answers=(b"220 mail.example ESMTP\r\n",)),
    Exchange("bad field", answers=(response(DATE, b"X: \x00", FIVE, body=b"hello"),)),
    Exchange("cut length", answers=(response(DATE, FIVE, body=b"hell"),), closes=True, ends=True),
    Exchange("cut chunked", answers=(response(DATE, CHUNKED, body=b"5\r\nhello\r\n0\r\n"),), closes=True, ends=True),
    Exchange("cut chunked to HTTP/1.0", OLD, (response(DATE, CHUNKED, body=HELLO[:-5]),), closes=True, ends=True),
    Exchange("bad chunk", answers=(response(DATE, CHUNKED, body=HELLO[:-5] + b"4\r\nworld\r\n"),), closes=True),
    Exchange("two framings", answers=(response(DATE, CHUNKED, FIVE, body=HELLO),)),
]  # fmt: skip
"""Cut in the answer. The last ones cannot be relayed, or not to their end."""
