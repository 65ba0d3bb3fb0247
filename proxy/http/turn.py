"""The writes of one turn of the event loop, gathered and done at its end, and then what can wait for them.

Theory of operation. A turn reads from every socket that has something to say. Were each answer written the
moment it is known, the process at the other end would be woken for every single message, and a
write that wakes a sleeping process costs far more than one that does not. So writes wait until all that
was ready has been read, at most one turn, and then go out lane by lane, so that a peer finds all its
messages of the turn when it wakes once. Within a lane, order is kept. Without load a turn holds one message
and nothing waits. What no client waits for is put off until its lanes are written, see `defer`; it may write to the
last lane. A turn that has gathered `FLUSH_BYTES` is written at once: a large body is then paused by a
slow reader while it is read, not after. So is one in which a connection is closed.

Until the end of the turn a request has not left, so whatever its connection says is no answer to it. Writing early
breaks this rule, and whoever relies on it, the `starting` ones, is told in time. Counting turns beside flushes would
not do: uvloop polls again before a turn ends once 1,024 sockets were ready together, and a good answer to a request
written early can then come within the same turn.
"""

import asyncio
from collections.abc import Callable
from enum import IntEnum
from typing import Final, Protocol

FLUSH_BYTES: Final = 64 << 10


class Lane(IntEnum):
    """In which order the writes of a turn go out: what clients wait for comes first."""

    CLIENT = 0
    SERVING = 1
    MIRROR = 2


class Starting(Protocol):
    """Who has written a request in this turn, on a connection that might still have something old to say."""

    def leaves_early(self) -> None:
        """It is written now, and not all that the turn has to read is read."""


class Deferred(Protocol):
    """Who has work to do that no client waits for."""

    def proceed(self) -> None:
        """Do it; must not raise."""


class Turn:
    """Shared by all connections of a worker. `call_soon` is the loop's, for the next turn; `flushes` counts them."""

    __slots__ = ("_bytes", "_deferred", "_due", "_lanes", "call_soon", "flushes", "starting")

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self.call_soon = call_soon
        self._due = False
        self._bytes = 0
        self.flushes = 0
        self.starting: list[Starting] = []
        self._deferred: list[Deferred] = []
        self._lanes: tuple[list[tuple[asyncio.Transport, bytes]], ...] = tuple([] for _ in Lane)

    def write(self, lane: Lane, transport: asyncio.Transport, data: bytes) -> None:
        """Write at the end of this turn."""
        self._lanes[lane].append((transport, data))
        self._bytes += len(data)
        if self._bytes >= FLUSH_BYTES:
            self.flush()
        elif not self._due:
            self._due = True
            self.call_soon(self._end)

    def defer(self, work: Deferred) -> None:
        """Let it proceed at the end of this turn, when clients and those who serve them have what is theirs."""
        self._deferred.append(work)
        if not self._due:
            self._due = True
            self.call_soon(self._end)

    def flush(self) -> None:
        """Write all that is gathered before the turn ends: because it is much, or a connection is closed."""
        self._leave_early()
        self._end(is_early=True)

    def _end(self, *, is_early: bool = False) -> None:
        """Write all that is gathered, but the last lane only when what was put off has written to it too."""
        for lane in self._lanes[: Lane.MIRROR]:
            _write(lane)
        if self._deferred:
            deferred, self._deferred = self._deferred, []
            for work in deferred:
                work.proceed()
            if is_early:
                self._leave_early()
        self._due = False
        self._bytes = 0
        for lane in self._lanes:
            _write(lane)
        self.starting.clear()
        self.flushes += 1

    def _leave_early(self) -> None:
        starting, self.starting = self.starting, []
        for connection in starting:
            connection.leaves_early()


def _write(lane: list[tuple[asyncio.Transport, bytes]]) -> None:
    if not lane:
        return
    writes = lane[:]
    lane.clear()
    for transport, data in writes:
        try:
            transport.write(data)
        except RuntimeError:  # closed during this turn: its owner has heard of it
            continue
