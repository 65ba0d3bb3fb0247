"""A tunnel: after a 101, bytes of any protocol between a client and a backend. RFC 9110 §7.8.

Theory of operation. Both connections give their transports away. Each transport gets an `End` for a protocol,
and what one end hears is done to the other: bytes are written, a pause of the writing pauses the reading there,
a half close is a half close, an end an end and a reset a reset. Nothing is looked at and nothing is kept.

The connections stay what they were to whoever counts, drains and times them: they hear of their transport's
end, and the client connection's deadline is that of the tunnel, put off by every byte either way.
"""

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from proxy.http.turn import Lane, Turn


@dataclass(frozen=True, slots=True)
class Handed:
    """What a connection gives away.

    Attributes:
        transport: it reads, and has told the connection that it is open.
        waiting: bytes it has read that belong to the tunnel.
        is_behind: whether it has paused the writing.
        has_ended: whether the peer has said that it sends no more.
    """

    transport: asyncio.Transport
    waiting: bytes
    is_behind: bool
    has_ended: bool


class Carrier(Protocol):
    """A connection whose transport is part of a tunnel."""

    deadline: float

    def hand_over(self) -> Handed:
        """Give the transport away."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport has ended."""

    def finish(self) -> None:
        """End it after the flush; at some time even if the peer does not read."""

    def reset(self) -> None:
        """End it by a reset, after what is written."""


class Tunnel:
    """See the module. It is one of `open_ones` until both connections have ended; `idle_s` are seconds."""

    __slots__ = ("_client", "_idle_s", "_near", "_open_ones")

    def __init__(
        self, turn: Turn, client: Carrier, backend: Carrier, *, idle_s: float, open_ones: "set[Tunnel]"
    ) -> None:
        self._client = client
        self._idle_s = idle_s
        self._open_ones = open_ones
        open_ones.add(self)
        near, far = End(self, turn, Lane.CLIENT, client), End(self, turn, Lane.SERVING, backend)
        near.other, far.other = far, near
        self._near = near
        self.moved()
        near.begin()
        far.begin()

    def moved(self) -> None:
        """Bytes have come, or gone after a wait: they put no end off that is under way."""
        if not self._near.transport.is_closing():
            self._client.deadline = monotonic() + self._idle_s

    def over(self) -> None:
        """Both connections have ended."""
        self._open_ones.discard(self)


class End(asyncio.Protocol):
    """One of the two: the protocol of its transport, and the way to it for the other."""

    __slots__ = ("carrier", "handed", "has_ended", "is_lost", "lane", "other", "transport", "tunnel", "turn")

    other: "End"

    def __init__(self, tunnel: Tunnel, turn: Turn, lane: Lane, carrier: Carrier) -> None:
        self.tunnel = tunnel
        self.turn = turn
        self.lane = lane
        self.carrier = carrier
        self.handed = carrier.hand_over()
        self.transport = self.handed.transport
        self.has_ended = False
        self.is_lost = False
        self.transport.set_protocol(self)

    def begin(self) -> None:
        """Pass on what the connection has heard that the other side has not."""
        if self.handed.is_behind:
            self.pause_writing()
        if self.handed.waiting:
            self.data_received(self.handed.waiting)
        if self.handed.has_ended:
            self.eof_received()

    def data_received(self, data: bytes) -> None:
        """Bytes for the other side."""
        other = self.other
        self.tunnel.moved()
        self.turn.write(other.lane, other.transport, data)

    def eof_received(self) -> bool:
        """This side sends no more; the other one may go on, if it has not ended too."""
        self.has_ended = True
        other = self.other
        if other.has_ended:
            other.carrier.finish()
            self.carrier.finish()
            return False
        self.turn.flush()
        if not other.transport.is_closing():
            other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """This side has ended altogether, so the other one does, in the same way."""
        self.is_lost = True
        self.carrier.connection_lost(exc)
        other = self.other
        if other.is_lost:
            self.tunnel.over()
        elif exc is None:
            other.carrier.finish()
        else:
            other.carrier.reset()

    def pause_writing(self) -> None:
        """This side reads more slowly than the other one sends."""
        if not self.other.has_ended:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        self.tunnel.moved()
        if not self.other.has_ended:
            self.other.transport.resume_reading()
