"""One side of a byte connection, for clients and backends alike.

`Wire` is an `asyncio.Protocol` that keeps every byte it ever received (`received`) and a read position in
it (`position`). The `take…` coroutines move that position; none has a deadline of its own, the objects on
top of a wire set one around a whole action. A peer that ends while bytes are still awaited raises
`ConnectionEnded`, which quotes what had come. The wire never closes by itself: after the peer's FIN it can
still send (half-open), until `close` or `reset`.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable
from enum import Enum
from itertools import pairwise
from typing import cast

from tests.kit.watch import Watch

QUOTED_BYTES = 2_000
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, 0 s


class Ending(Enum):
    """How the peer ended the connection."""

    FIN = "fin"
    RESET = "reset"


class ConnectionEnded(AssertionError):  # noqa: N818  an event of the peer, not always an error of ours
    """The connection ended although more bytes were awaited."""


def cut(data: bytes, *offsets: int) -> list[bytes]:
    """`data` in pieces, cut at the given ascending offsets: `cut(b"abc", 1)` is `[b"a", b"bc"]`."""
    return [data[start:end] for start, end in pairwise([0, *offsets, len(data)])]


def bytewise(data: bytes) -> list[bytes]:
    return cut(data, *range(1, len(data)))


class Wire(asyncio.Protocol):
    """One side of a connection; `on_connected(wire)` is called once it is up."""

    def __init__(self, on_connected: Callable[["Wire"], None] | None = None) -> None:
        self.received = bytearray()
        self.position = 0
        self.eof = False
        self.lost = False
        self.error: Exception | None = None
        self._on_connected = on_connected
        self._transport: asyncio.Transport | None = None
        self._flushed = True
        self._watch = Watch()

    # --- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=0)  # any unsent byte pauses us, so `send` can wait for the last
        if self._on_connected:
            self._on_connected(self)

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._watch.changed()

    def eof_received(self) -> bool:
        self.eof = True
        self._watch.changed()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.error = exc
        self._watch.changed()

    def pause_writing(self) -> None:
        self._flushed = False

    def resume_writing(self) -> None:
        self._flushed = True
        self._watch.changed()

    # --- looking

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None, "the wire is not connected yet"
        return self._transport

    @property
    def over(self) -> bool:
        """No further byte can arrive."""
        return self.eof or self.lost

    @property
    def ending(self) -> Ending | None:
        """How the peer ended it; None while it has not (and when we closed first)."""
        if self.error is not None:
            return Ending.RESET
        return Ending.FIN if self.eof else None

    @property
    def unread(self) -> bytes:
        return bytes(self.received[self.position :])

    def quote(self) -> str:
        """What was received, shortened to its end, for error messages."""
        size = len(self.received)
        shown = f"the last {QUOTED_BYTES} of {size}" if size > QUOTED_BYTES else str(size)
        ending = self.ending.value if self.ending else "closed here" if self.lost else "open"
        return f"received {shown} bytes, connection {ending}: {bytes(self.received[-QUOTED_BYTES:])!r}"

    # --- taking

    async def until(self, condition: Callable[[], bool]) -> None:
        await self._watch.until(condition)

    async def take_line(self) -> bytes:
        """Bytes up to the next CRLF, without it."""
        scanned = self.position
        while (end := self.received.find(b"\r\n", scanned)) < 0:
            scanned = max(self.position, len(self.received) - 1)
            await self._more("a line end")
        return self._advance(end - self.position, skip=2)

    async def take(self, size: int) -> bytes:
        while len(self.received) - self.position < size:
            await self._more(f"{size} bytes")
        return self._advance(size)

    async def take_some(self) -> bytes:
        """The unread bytes, waiting for at least one; empty once the peer has ended."""
        await self.until(lambda: self.over or len(self.received) > self.position)
        return self._advance(len(self.received) - self.position)

    async def take_to_end(self) -> bytes:
        await self.until(lambda: self.over)
        return self._advance(len(self.received) - self.position)

    def slice(self, start: int, end: int) -> bytes:
        with memoryview(self.received) as view:  # one copy, not two: bodies may have 100 MB
            return bytes(view[start:end])

    def _advance(self, size: int, skip: int = 0) -> bytes:
        taken = self.slice(self.position, self.position + size)
        self.position += size + skip
        return taken

    async def _more(self, what: str) -> None:
        known = len(self.received)
        await self.until(lambda: self.over or len(self.received) > known)
        if len(self.received) == known:
            raise ConnectionEnded(f"the connection ended before {what}; {self.quote()}")

    # --- acting

    async def send(self, data: bytes) -> None:
        """Write and wait until the kernel has it all, or the connection is lost; then it does nothing."""
        if self.lost:
            return
        self.transport.write(data)
        await self.until(lambda: self._flushed or self.lost)

    async def send_pieces(self, pieces: Iterable[bytes]) -> None:
        """Send each piece in a segment of its own, as far as the kernel allows."""
        for piece in pieces:
            await self.send(piece)
            await asyncio.sleep(0)  # twice: a peer on this loop reads one turn after the bytes arrived
            await asyncio.sleep(0)

    def half_close(self) -> None:
        self.transport.write_eof()

    def stop_reading(self) -> None:
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        self.transport.resume_reading()

    def close(self) -> None:
        self.transport.close()

    def reset(self) -> None:
        """End with a RST instead of a FIN; unsent bytes are dropped."""
        raw = self.transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    async def ended(self) -> None:
        """Wait for the transport's end: after `close` or `reset` nothing is left in the loop."""
        await self.until(lambda: self.lost)
