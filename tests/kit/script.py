"""The steps a scripted backend can play. A script is a sequence of them and starts with a complete head.

`respond(raw)` and `answer(…)` are whole scripts: read the request to its end, then send. The others are
single steps, so `[send(CONTINUE), read_request(), send(FINAL)]` answers before the body and
`[send(HALF_A_RESPONSE), reset()]` breaks off. A script that neither reads the request nor ends the
connection leaves the reading to the backend, which does it afterwards.
"""

import asyncio
from collections.abc import Iterable

from tests.kit.framing import FramingError
from tests.kit.scripted_connection import Script, ScriptedConnection, Step
from tests.kit.wire import bytewise, cut


def respond(data: bytes) -> Script:
    """Read the request, then send exactly `data`."""
    return (read_request(), send(data))


def answer(status: int = 200, body: bytes = b'{"ok":true}', fields: Iterable[bytes] = ()) -> Script:
    """Read the request, then send a JSON response with its length; without its body when asked by HEAD."""
    lines = [
        b"HTTP/1.1 %d Scripted" % status,
        b"Content-Type: application/json",
        *fields,
        b"Content-Length: %d" % len(body),
    ]
    head = b"\r\n".join(lines) + b"\r\n\r\n"

    async def step(connection: ScriptedConnection) -> None:
        await connection.read_request()
        is_head = connection.requests[-1].method == b"HEAD"
        await connection.wire.send(head if is_head else head + body)

    return (step,)


def read_request() -> Step:
    """Wait for the end of the request; done already, it does nothing."""
    return ScriptedConnection.read_request


def send(data: bytes) -> Step:
    """Send `data` and wait until the kernel has all of it."""

    async def step(connection: ScriptedConnection) -> None:
        await connection.wire.send(data)

    return step


def send_bytewise(data: bytes) -> Step:
    return _send_pieces(bytewise(data))


def send_cut(data: bytes, *offsets: int) -> Step:
    """Send `data` in pieces, cut at the given ascending offsets."""
    return _send_pieces(cut(data, *offsets))


def _send_pieces(pieces: list[bytes]) -> Step:
    async def step(connection: ScriptedConnection) -> None:
        await connection.wire.send_pieces(pieces)

    return step


def send_endlessly(data: bytes) -> Step:
    """Send `data` again and again, as fast as the peer reads, until the peer is gone."""

    async def step(connection: ScriptedConnection) -> None:
        while not connection.wire.over:
            await connection.wire.send_pieces([data])

    return step


def drip(data: bytes, every_s: float) -> Step:
    """Send one byte per `every_s` seconds: a peer that is slow on purpose."""

    async def step(connection: ScriptedConnection) -> None:
        for piece in bytewise(data):
            if connection.wire.over:
                return
            await connection.wire.send(piece)
            await asyncio.sleep(every_s)  # the slowness is the behaviour; nothing waits by it

    return step


def receive(data: bytes) -> Step:
    """Wait for exactly these bytes behind the request: for tunnels. Others are a violation."""

    async def step(connection: ScriptedConnection) -> None:
        found = await connection.wire.take(len(data))
        if found != data:
            raise FramingError(f"expected {data!r}, got {found!r}; {connection.wire.quote()}")

    return step


def wait_for(event: asyncio.Event) -> Step:
    async def step(_: ScriptedConnection) -> None:
        await event.wait()

    return step


def hang() -> Step:
    """Do nothing more until the peer ends the connection."""

    async def step(connection: ScriptedConnection) -> None:
        await connection.wire.until(lambda: connection.wire.over)

    return step


def stop_reading() -> Step:
    """Take no more bytes from the kernel, so that the peer's sending comes to a halt."""

    async def step(connection: ScriptedConnection) -> None:
        connection.wire.stop_reading()

    return step


def resume_reading() -> Step:
    async def step(connection: ScriptedConnection) -> None:
        connection.wire.resume_reading()

    return step


def half_close() -> Step:
    """Send a FIN and go on reading."""

    async def step(connection: ScriptedConnection) -> None:
        connection.wire.half_close()

    return step


def close() -> Step:
    async def step(connection: ScriptedConnection) -> None:
        connection.wire.close()
        await connection.wire.ended()

    return step


def reset() -> Step:
    """End the connection with a RST."""

    async def step(connection: ScriptedConnection) -> None:
        connection.wire.reset()
        await connection.wire.ended()

    return step
