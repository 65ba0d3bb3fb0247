"""A client connection apart from its requests: bytes go out, either side may be paused, and it ends in stages.

Theory of operation. This half of a client connection knows its transport, and of its phases only the last; the other
half, `ClientConnection`, goes through the others and says when the connection is to end, and how:

    `_end`     after an answer: our side first, after the flush; the client may send on, its bytes are thrown away,
               until it ends too or has had `timeouts.linger`. Ending both sides at once would make the kernel
               answer what the client still sends by a reset, which destroys the answer on its way. RFC 9112 §9.6.
    `finish`   both sides at once, after the flush: when nothing is owed.
    `reset`    when the end must not look like the end of the answer.
    `_leave`   now, because the client had its time.

While part of the answer is still here, that time is `timeouts.client_stall`, anew whenever the client takes some.
"""

import asyncio
from enum import IntEnum
from time import monotonic
from typing import Final

from proxy.config.models import Settings
from proxy.http.deadline import NEVER
from proxy.http.sockets import reset
from proxy.http.turn import Lane, Turn

LINGER_BYTES: Final = 256 << 10


class Phase(IntEnum):
    """What a client connection does; see `proxy.http.connection`."""

    HEAD = 0
    BODY = 1
    ANSWERING = 2
    TUNNEL = 3
    LINGERING = 4


_LINGERING: Final = Phase.LINGERING


class ClientEnding(asyncio.Protocol):
    """See the module. `deadline` is in monotonic seconds."""

    __slots__ = (
        "_half_closed", "_lingered", "_paused", "_phase", "_settings", "_stalled_at", "_transport", "_turn", "_unsent",
        "_write_paused", "deadline",
    )  # fmt: skip

    def __init__(self, settings: Settings, turn: Turn) -> None:
        self._settings = settings
        self._turn = turn
        self._transport: asyncio.Transport | None = None
        self._phase = Phase.HEAD
        self._half_closed = False
        self._paused = False
        self._write_paused = False
        self._lingered = 0
        self._unsent = 0
        self._stalled_at = NEVER
        self.deadline = NEVER

    def write(self, data: bytes) -> None:
        """Send answer bytes at the end of this turn."""
        transport = self._transport
        if transport is not None:
            self._turn.write(Lane.CLIENT, transport, data)

    def pause_reading(self) -> None:
        """Read no more for now."""
        if self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._transport is not None and self._paused:
            self._paused = False
            self._transport.resume_reading()

    @property
    def is_write_paused(self) -> bool:
        """Whether the client reads more slowly than it is sent."""
        return self._write_paused

    # --- ending

    def finish(self) -> None:
        """End after the flush, both sides at once."""
        self._linger()
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """End by a reset, after what is written."""
        self._phase = _LINGERING
        if self._transport is not None:
            self._turn.flush()
            reset(self._transport)

    def _end(self) -> None:
        """End in stages, after the flush; a client that has sent its last byte needs none."""
        if self._half_closed:
            self.finish()
            return
        self._linger()
        self.resume_reading()
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write_eof()

    def _linger(self) -> None:
        self._phase = _LINGERING
        self._turn.flush()
        if self._transport is not None:
            now = monotonic()
            self._unsent = self._transport.get_write_buffer_size()
            self._stalled_at = now + self._settings.timeouts.client_stall
            self.deadline = now + self._settings.timeouts.linger

    def _linger_on(self, now: float) -> None:
        """The deadline is over: leave, unless the client still takes its answer."""
        unsent = self._transport.get_write_buffer_size() if self._transport is not None else 0
        if unsent < self._unsent:
            self._unsent = unsent
            self._stalled_at = now + self._settings.timeouts.client_stall
        if unsent and now < self._stalled_at:
            self.deadline = min(now + self._settings.timeouts.linger, self._stalled_at)
        else:
            self._leave()

    def _throw_away(self, data: bytes) -> None:
        """Bytes nobody wants: not for ever, but as long as the client has yet to take its answer."""
        self._lingered += len(data)
        if self._lingered <= LINGER_BYTES:
            return
        if self._transport is not None and self._transport.get_write_buffer_size():
            self.pause_reading()
        else:
            self._leave()

    def _leave(self) -> None:
        """End without a further word."""
        self._phase = _LINGERING
        transport = self._transport
        if transport is not None:
            self._turn.flush()
            transport.abort() if transport.get_write_buffer_size() or transport.is_closing() else transport.close()
