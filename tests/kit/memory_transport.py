"""Two joined in-memory transports that drive `asyncio.Protocol` classes without sockets.

Nothing lies between the two: what the reader does not take stays in the writer's buffer, so a paused reader
fills it and the water marks act at once. Every call into a protocol that a real loop makes later
(`data_received`, `eof_received`, `connection_lost`) comes through `call_soon` of the given loop or fake
clock; `pause_writing` and `resume_writing` come inside the call that caused them, as in asyncio. Each
`write` arrives as one `data_received` (cut to `piece` bytes when given), so the number of writes can be
asserted. `close` sends the rest and then a FIN, `abort` is a reset, and a write to a peer that has closed
resets the writer.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

HIGH_WATER = 64 * 1024


class Scheduler(Protocol):
    """The part of an event loop used here; `FakeClock` and every asyncio loop have it."""

    def call_soon(self, callback: Callable[..., object], *args: Any) -> object: ...


Bytes = bytes | bytearray | memoryview


class MemoryTransport(asyncio.Transport):
    """One end of a pair made by `memory_pair`."""

    def __init__(
        self, protocol: asyncio.BaseProtocol, scheduler: Scheduler, piece: int | None, extra: dict[str, Any]
    ) -> None:
        super().__init__(extra)
        self._protocol = protocol
        self._scheduler = scheduler
        self._piece = piece
        self._peer: MemoryTransport = self
        self._outbox: deque[bytes] = deque()
        self._outbox_bytes = 0
        self._fin_queued = False
        self._fin_sent = False
        self._reading = True
        self._fin_unseen = False
        self._reset_unseen = False
        self._closing = False
        self._lost = False
        self._writing_paused = False
        self.set_write_buffer_limits()

    # --- reading

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._scheduler.call_soon(self._notice_ending)
        self._peer._schedule_delivery()

    # --- writing

    def write(self, data: Bytes) -> None:
        if self._closing or not data:
            return
        if self._fin_queued:
            raise RuntimeError("write after write_eof")
        self._outbox.append(bytes(data))
        self._outbox_bytes += len(data)
        self._schedule_delivery()
        self._check_high_water()

    def writelines(self, list_of_data: Iterable[Bytes]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._fin_queued = True
        self._schedule_delivery()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        self._high = high
        self._low = high // 4 if low is None else low
        assert 0 <= self._low <= self._high, f"low {self._low} and high {self._high} do not fit"

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        return self._outbox_bytes

    # --- ending

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._fin_queued = True
            self._schedule_delivery()

    def abort(self) -> None:
        self._clear()
        self._lose(None)
        self._peer._reset()

    # --- the rest of the interface

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    # --- inside

    def _schedule_delivery(self) -> None:
        if self._outbox or self._fin_queued:
            self._scheduler.call_soon(self._deliver)

    def _deliver(self) -> None:
        """Give the peer one piece, or the FIN once nothing is left; the next one comes in the next turn."""
        if self._lost:
            return
        if not self._outbox:
            self._send_fin()
        elif self._peer._closing:
            self._clear()
            self._lose(ConnectionResetError())
        elif self._peer._reading:
            self._peer._receive(self._take_piece())
            self._check_low_water()
            self._schedule_delivery()

    def _take_piece(self) -> bytes:
        data = self._outbox.popleft()
        piece = data[: self._piece]
        if rest := data[len(piece) :]:
            self._outbox.appendleft(rest)
        self._outbox_bytes -= len(piece)
        return piece

    def _receive(self, data: bytes) -> None:
        assert isinstance(self._protocol, asyncio.Protocol)
        self._protocol.data_received(data)

    def _send_fin(self) -> None:
        if self._fin_queued and not self._fin_sent:
            self._fin_sent = True
            self._peer._fin_unseen = True
            self._peer._notice_ending()
        if self._closing:
            self._lose(None)

    def _reset(self) -> None:
        self._clear()
        self._reset_unseen = True
        self._notice_ending()

    def _notice_ending(self) -> None:
        """See the peer's RST or FIN; a transport that is not reading sees it when it reads again."""
        if self._closing or not self._reading:
            return
        if self._reset_unseen:
            self._lose(ConnectionResetError())
        elif self._fin_unseen:
            self._fin_unseen = False
            assert isinstance(self._protocol, asyncio.Protocol)
            if not self._protocol.eof_received():
                self.close()

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._closing = self._lost = True
            self._scheduler.call_soon(self._protocol.connection_lost, error)

    def _clear(self) -> None:
        self._outbox.clear()
        self._outbox_bytes = 0

    def _check_high_water(self) -> None:
        if self._outbox_bytes > self._high and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()

    def _check_low_water(self) -> None:
        if self._outbox_bytes <= self._low and self._writing_paused:
            self._writing_paused = False
            self._protocol.resume_writing()


class _Socket:
    """Takes the options a protocol sets: here `abort` is a reset whatever SO_LINGER says."""

    def setsockopt(self, *_option: object) -> None:
        pass

    def fileno(self) -> int:
        return -1


def _extra(own_name: tuple[str, int], peer_name: tuple[str, int]) -> dict[str, Any]:
    return {"sockname": own_name, "peername": peer_name, "socket": _Socket()}


def memory_pair(
    client: asyncio.Protocol, server: asyncio.Protocol, scheduler: Scheduler, *, piece: int | None = None
) -> tuple[MemoryTransport, MemoryTransport]:
    """Join two protocols; their `connection_made` comes with the next turn. Returns (client's, server's)
    transport.
    """
    client_name, server_name = ("127.0.0.1", 50_000), ("127.0.0.1", 8_080)
    near = MemoryTransport(client, scheduler, piece, _extra(client_name, server_name))
    far = MemoryTransport(server, scheduler, piece, _extra(server_name, client_name))
    near._peer, far._peer = far, near
    scheduler.call_soon(client.connection_made, near)
    scheduler.call_soon(server.connection_made, far)
    return near, far
