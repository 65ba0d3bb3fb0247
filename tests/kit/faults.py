"""What a backend can do wrong, as scripts with names: the tests of the fault matrix and `make faults` play the same.

Every fault answers a request that is otherwise right with `ANSWER`, or with what is left of it.
"""

import asyncio
import gzip
import io
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache

from tests.kit.ports import black_hole_port, refusing_port
from tests.kit.script import close, drip, hang, read_request, reset, respond, send, send_endlessly, stop_reading
from tests.kit.scripted_connection import Script, ScriptedConnection, Step

BODY = b'{"score": 1}'
FIELDS = (b"Date: Tue, 04 Mar 2025 05:06:07 GMT", b"Content-Type: application/json")
PIECE = b"x" * 65536
BOMB_MIB = 100


@dataclass(frozen=True, slots=True)
class Fault:
    """`script` is told the delay, in seconds; `port` stands for a backend that runs no script at all."""

    row: str
    says: str
    script: Callable[[float], Script] = lambda _: ()
    on_connect: Script = ()
    delay_s: float = 1.0
    scheme: str = "http"
    port: Callable[[], AbstractContextManager[int]] | None = None


def message(*fields: bytes, body: bytes = b"", start: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """An answer with these fields behind the usual ones."""
    return b"\r\n".join([start, *FIELDS, *fields, b"", body])


ANSWER = message(b"Content-Length: %d" % len(BODY), body=BODY)


async def answer_truly(connection: ScriptedConnection) -> None:
    """Say what was asked: equal requests get equal answers, whoever is asked."""
    await connection.read_request()
    asked = connection.requests[-1]
    told = {"method": asked.method.decode(), "target": asked.target.decode("latin-1"), "length": len(asked.body)}
    body = json.dumps(told).encode()
    head = message(b"Content-Length: %d" % len(body))
    await connection.wire.send(head if asked.method == b"HEAD" else head + body)


def pause(seconds: float) -> Step:
    """Take so long, or until the peer is gone: the slowness is the behaviour; nothing waits by it."""

    async def step(connection: ScriptedConnection) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(connection.wire.until(lambda: connection.wire.over), seconds)

    return step


@cache
def gzip_bomb() -> bytes:
    """100 KB of gzip that are 100 MiB of JSON: one string."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as file:
        file.write(b'"')
        for _ in range(BOMB_MIB):
            file.write(b"0" * (1 << 20))
        file.write(b'"')
    return packed.getvalue()


def _played(*steps: Step) -> Callable[[float], Script]:
    return lambda _: (read_request(), *steps)


def _sent(data: bytes, *then: Step) -> Callable[[float], Script]:
    return _played(send(data), *then)


def _bomb(_: float) -> Script:
    packed = gzip_bomb()
    return respond(message(b"Content-Encoding: gzip", b"Content-Length: %d" % len(packed), body=packed))


_HEAD = ANSWER.removesuffix(BODY)
_CUT = message(b"Content-Length: 1000", body=BODY)
_CUT_CHUNK = message(b"Transfer-Encoding: chunked", body=b"3e8\r\n" + BODY)

FAULTS = {
    "healthy": Fault("-", "answers method, target and body length as JSON", lambda _: (answer_truly,)),
    "refuses": Fault("F1", "is bound and does not listen", port=refusing_port),
    "black-hole": Fault("F2", "answers no SYN: its backlog is full", port=black_hole_port),
    "mute": Fault("F3", "reads and never answers", _played(hang())),
    "deaf": Fault("F3", "accepts, never reads, never answers", on_connect=(stop_reading(), hang())),
    "stops-reading": Fault("F4", "reads the head of a request and no more", lambda _: (stop_reading(), hang())),
    "drips-head": Fault("F5", "answers one byte per delay", lambda delay: (read_request(), drip(ANSWER, delay))),
    "drips-body": Fault(
        "F6",
        "answers the head, then one byte per delay",
        lambda delay: (read_request(), send(_HEAD), drip(BODY, delay)),
    ),
    "endless-length": Fault("F7", "sends 10 GB", _sent(message(b"Content-Length: 10000000000"), send_endlessly(PIECE))),
    "endless-chunked": Fault(
        "F7",
        "sends chunks without end",
        _sent(message(b"Transfer-Encoding: chunked"), send_endlessly(b"10000\r\n" + PIECE + b"\r\n")),
    ),
    "endless-close": Fault(
        "F7", "sends without length and without end", _sent(message(b"Connection: close"), send_endlessly(PIECE))
    ),
    "fin-in-body": Fault("F8", "ends inside a body", _sent(_CUT, close())),
    "reset-in-body": Fault("F8", "resets inside a body", _sent(_CUT, reset())),
    "fin-in-chunk": Fault("F8", "ends inside a chunk", _sent(_CUT_CHUNK, close())),
    "reset-in-chunk": Fault("F8", "resets inside a chunk", _sent(_CUT_CHUNK, reset())),
    "fin-in-head": Fault("F8", "ends inside the head", _sent(ANSWER[:20], close())),
    "reset-on-request": Fault("F8", "resets when it was asked", _played(reset())),
    "reset-on-connect": Fault("F8", "resets when it was connected to", on_connect=(reset(),)),
    "garbage": Fault("F9", "speaks SMTP", _sent(b"220 mail.example ESMTP\r\n\r\n", hang())),
    "huge-head": Fault("F9", "sends 1 MiB of head", _sent(message(b"X: " + b"x" * (1 << 20)), hang())),
    "many-fields": Fault("F9", "sends 10,000 fields", _sent(message(*[b"X: 1"] * 10_000), hang())),
    "interim-flood": Fault(
        "F9", "sends 1,000 interim answers", _sent(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000 + ANSWER)
    ),
    "body-short": Fault("F10", "declares more than it sends, then waits", _sent(_CUT, hang())),
    "body-long": Fault("F10", "sends more than it declares", _sent(ANSWER + b"surplus")),
    "length-and-chunked": Fault(
        "F10",
        "declares both framings",
        _sent(message(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), hang()),
    ),
    "two-lengths": Fault(
        "F10", "declares 5 and 6", _sent(message(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"), hang())
    ),
    "tls-hang": Fault("F11", "never answers a handshake", on_connect=(stop_reading(), hang()), scheme="https"),
    "slow": Fault(
        "F13", "is healthy after the delay", lambda delay: (read_request(), pause(delay), answer_truly), delay_s=10.0
    ),
    "gzip-bomb": Fault("F16", "answers 100 KB that are 100 MiB", _bomb),
}


@contextmanager
def nobody(name: str) -> Iterator[int]:
    """The port of a fault that nobody plays."""
    make = FAULTS[name].port
    assert make is not None, f"{name} is played by a backend"
    with make() as port:
        yield port
