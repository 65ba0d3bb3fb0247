"""A backend that replies as a case says, and reads what it is sent with h11."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

import h11

from tests.fuzz.case import Ending, Reply, When
from tests.fuzz.reading import MAX_HEAD, Finding
from tests.kit.memory_loop import MemoryLoop
from tests.kit.memory_plane import BackendWire, MemoryBackend
from tests.kit.wire import Wire

PROBE = b"GET /probe HTTP/1.1\r\nHost: probe\r\n\r\n"
PROBED = b"HTTP/1.1 200 Probed\r\nContent-Length: 5\r\n\r\nsound"
SWITCHES = re.compile(rb"(?:\A|\n\r?\n)HTTP/1\.1 101[ \r\n]")
PLAIN = Reply((b"HTTP/1.1 200 Plain\r\nContent-Length: 5\r\n\r\nplain",))


@dataclass(eq=False, slots=True)
class Seen:
    """A request that a backend saw on connection `wire`: its bytes start at `start`; `end` is -1 until it is whole."""

    wire: BackendWire
    start: int
    method: bytes
    target: bytes
    reply: Reply
    end: int = -1
    replied: bool = False


class FuzzBackend(MemoryBackend):
    """Reads with h11 and replies by the case, in the order in which request heads arrive.

    What comes behind a request that is answered by a 101 is a tunnel: `tunnels` says where each begins.
    """

    def __init__(self, replies: Sequence[Reply]) -> None:
        super().__init__()
        self.loop: MemoryLoop
        self._is_late = False
        self.seen: list[Seen] = []
        self.tunnels: dict[Wire, int] = {}
        self._replies = iter(replies)
        self._readers: dict[BackendWire, h11.Connection] = {}
        self._open: dict[BackendWire, Seen | None] = {}
        self._taken: dict[BackendWire, int] = {}

    def heard(self, wire: Wire) -> None:
        assert isinstance(wire, BackendWire)
        reader = self._readers.setdefault(wire, h11.Connection(h11.SERVER, MAX_HEAD))
        if wire in self.tunnels:
            return
        taken = self._taken.get(wire, 0)
        self._taken[wire] = len(wire.received)
        try:
            reader.receive_data(bytes(wire.received[taken:]))
            while self._take(wire, reader):
                reader = self._readers[wire]
        except h11.RemoteProtocolError as error:
            raise Finding("h11 refuses what the proxy forwarded", f"{error}: {bytes(wire.received)!r}") from None

    def _take(self, wire: BackendWire, reader: h11.Connection) -> bool:
        """Act on the next event; False if there is none."""
        event = reader.next_event()
        if isinstance(event, h11.Request):
            self._begin(wire, event)
        elif isinstance(event, h11.EndOfMessage):
            self._complete(wire, reader)
        elif not isinstance(event, h11.Data):
            return False
        return True

    def _begin(self, wire: BackendWire, head: h11.Request) -> None:
        before = self._open.get(wire)
        if before is not None and not before.replied:
            raise Finding("a request before the answer to the one before", bytes(wire.received))
        is_probe = head.target.endswith(b"/probe")
        reply = Reply((PROBED,)) if is_probe else next(self._replies, PLAIN)
        seen = Seen(wire, self._start_of(wire), head.method, head.target, reply)
        self._open[wire] = seen
        self.seen.append(seen)
        if reply.when is When.HEAD:
            self._reply(seen)

    def _start_of(self, wire: BackendWire) -> int:
        return max((seen.end for seen in self.seen if seen.wire is wire), default=0)

    def _complete(self, wire: BackendWire, reader: h11.Connection) -> None:
        seen = self._open[wire]
        assert seen is not None
        surplus = reader.trailing_data[0]
        seen.end = len(wire.received) - len(surplus)
        if SWITCHES.search(seen.reply.data):
            self.tunnels[wire] = seen.end
        elif surplus:
            raise Finding("bytes behind a request before its answer", bytes(wire.received))
        self._readers[wire] = h11.Connection(h11.SERVER, MAX_HEAD)
        if seen.reply.when is When.COMPLETE or (self._is_late and not seen.replied):
            self._reply(seen)

    def late(self) -> None:
        """Send the replies that were to be late, and from now on all without delay."""
        self._is_late = True
        for seen in self.seen:
            if seen.reply.when is When.LATE and not seen.replied:
                self._reply(seen)

    def _reply(self, seen: Seen) -> None:
        seen.replied = True
        transport = seen.wire.transport
        if transport.is_closing():
            return
        for piece in seen.reply.pieces:
            transport.write(piece)
        if seen.reply.ending is Ending.FIN:
            transport.close()
        elif seen.reply.ending is Ending.RST:
            self._reset_behind(transport, len(seen.reply.pieces))

    def _reset_behind(self, transport: asyncio.Transport, turns: int) -> None:
        """Reset once the pieces had the turns they need to arrive."""
        if turns and not transport.is_closing():
            self.loop.call_soon(self._reset_behind, transport, turns - 1)
        else:
            transport.abort()
