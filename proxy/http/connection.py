"""One client connection: reads requests, one in service at a time, and writes their answers.

Theory of operation. A connection is in one of four phases:

    HEAD       waiting for a request head, or in the middle of one
    BODY       the request is in service and its body still comes
    ANSWERING  the request is read to its end, its answer is not complete; whatever comes waits unparsed
    LINGERING  answered for good: input is thrown away until the client ends or `timeouts.linger` is over

`begin` of the application makes an exchange for each head; the exchange hears the body and the client's
leaving, and answers through `write`, `answered` and `cut`. A malformed request is answered here, with
its 4xx and the end of the connection. Answers may complete inside `begin`; the loop in `_advance` then
takes the next pipelined request without recursion.

Backpressure: a client that does not read pauses the exchange, an exchange that cannot pass a body on
pauses the client, and more than `limits.pipeline_bytes` of waiting requests pause reading.
"""

import asyncio
import socket
import struct
from enum import IntEnum
from time import monotonic
from typing import Protocol, cast

from proxy.config.models import Settings
from proxy.core.reasons import Refused
from proxy.http.body import Body, BodyFault, ChunkedBody, LengthBody
from proxy.http.refusal import Refusal
from proxy.http.request_head import (
    BAD_REQUEST_LINE,
    HEAD_END,
    MAX_EMPTY_LINES,
    RequestHead,
    find_head_end,
    parse_request_head,
)
from proxy.http.turn import Lane, Turn

NEVER = float("inf")
LINGER_BYTES = 256 << 10
_RESET = struct.pack("ii", 1, 0)


class Phase(IntEnum):
    """See the module's theory of operation."""

    HEAD = 0
    BODY = 1
    ANSWERING = 2
    LINGERING = 3


_HEAD, _BODY, _ANSWERING, _LINGERING = Phase


class Served(Protocol):
    """An exchange, as the client connection sees it."""

    def request_data(self, data: bytes, trailers: list[bytes], *, complete: bool) -> None:
        """Body bytes; trailers come with the last ones."""

    def request_refused(self, refusal: Refusal) -> None:
        """The body broke the rules: answer if that is still possible, and end."""

    def timed_out(self) -> None:
        """The whole exchange took longer than `timeouts.total`."""

    def client_gone(self) -> None:
        """The client left; nothing can be answered."""

    def client_paused(self) -> None:
        """The client does not read: send it no more."""

    def client_resumed(self) -> None:
        """It reads again."""


class Application(Protocol):
    """What a connection serves."""

    settings: Settings
    turn: Turn
    connections: "set[ClientConnection]"
    is_draining: bool

    def begin(self, connection: "ClientConnection", head: RequestHead, body: bytes, *, complete: bool) -> Served | None:
        """Serve a request; None if it was answered at once."""

    def refuse(self, connection: "ClientConnection", refusal: Refusal, *, to_head: bool) -> None:
        """Write the answer to a request that goes to no backend, and count it."""


_FAULTS = {
    BodyFault.CHUNK: Refusal(400, Refused.CHUNK),
    BodyFault.CHUNK_OVERHEAD: Refusal(400, Refused.CHUNK_OVERHEAD),
    BodyFault.TRAILERS: Refusal(431, Refused.TRAILERS),
}
BODY_TOO_LONG = Refusal(413, Refused.BODY_BYTES)
SLOW_HEAD = Refusal(408, Refused.REQUEST_HEAD)
SLOW_BODY = Refusal(408, Refused.REQUEST_BODY_IDLE)


class ClientConnection(asyncio.Protocol):
    """See the module's theory of operation."""

    __slots__ = (
        "_advancing", "_app", "_body", "_body_bytes", "_buffer", "_client_idle_s", "_exchange", "_half_closed",
        "_head_timed", "_keep_alive", "_limits", "_lingered", "_most_requests", "_owns_forwarded", "_paused", "_phase",
        "_requests", "_settings", "_total_s", "_transport", "_turn", "_write_paused", "arrived", "deadline",
        "forwarded", "forwarded_for", "peer",
    )  # fmt: skip

    def __init__(self, app: Application) -> None:
        self._app = app
        self._settings = settings = app.settings
        self._limits = settings.limits
        self._most_requests = settings.limits.requests_per_connection
        self._client_idle_s = settings.timeouts.client_idle
        self._owns_forwarded = settings.forwarded.mode == "on"
        self._turn = app.turn
        self._transport: asyncio.Transport | None = None
        self._phase = _HEAD
        self._buffer = b""
        self._body: Body | None = None
        self._body_bytes = 0
        self._exchange: Served | None = None
        self._keep_alive = True
        self._half_closed = False
        self._total_s = settings.timeouts.total
        self._advancing = False
        self._requests = 0
        self._head_timed = True  # the first from the moment the client connects
        self._paused = False
        self._write_paused = False
        self._lingered = 0
        self.arrived = 0.0
        self.deadline = NEVER
        self.peer = b""
        self.forwarded_for = b""
        self.forwarded = b""

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request and has no byte of one."""
        return self._phase is _HEAD and not self._buffer.strip(b"\r\n")

    # --- the exchange's side

    def write(self, data: bytes) -> None:
        """Send answer bytes at the end of this turn."""
        transport = self._transport
        if transport is not None:
            self._turn.write(Lane.CLIENT, transport, data)

    def answered(self, *, keep_alive: bool) -> None:
        """The answer is written to its end. Without `keep_alive` the connection ends after the flush."""
        self._exchange = None
        request_read = self._phase is _ANSWERING
        if not (keep_alive and self._keep_alive and request_read):
            self._end(request_read=request_read)
            return
        self._phase = _HEAD
        self.deadline = monotonic() + self._client_idle_s
        if self._paused:
            self.resume_reading()
        if (self._buffer or self._half_closed) and not self._advancing:
            self._advance()

    def cut(self, *, looks_complete: bool) -> None:
        """End in the middle of an answer; by a reset if its framing would make the end look like its end."""
        self._exchange = None
        self._phase = _LINGERING
        if self._transport is None:
            return
        self._turn.flush()
        if looks_complete:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()
        else:
            self.deadline = monotonic() + self._settings.timeouts.linger
            self._transport.close()

    def will_close(self) -> bool:
        """Whether this answer must say that the connection ends."""
        if self._phase is not _ANSWERING or self._app.is_draining:
            return True
        if self._half_closed and not self._buffer:
            return True
        return not self._keep_alive or 0 < self._most_requests <= self._requests

    def pause_reading(self) -> None:
        """The backend does not take the body: read no more of it."""
        if self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """It does again."""
        if self._transport is not None and self._paused:
            self._paused = False
            self._transport.resume_reading()
            if self._phase is _BODY:
                self.deadline = monotonic() + self._settings.timeouts.request_body_idle

    @property
    def is_write_paused(self) -> bool:
        """Whether the client reads more slowly than it is sent."""
        return self._write_paused

    # --- the worker's side

    def drain(self) -> None:
        """Take no further request; an unused connection ends now."""
        if self.is_idle and self._transport is not None:
            self._end(request_read=True)

    def give_up(self) -> None:
        """End now, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()
        self._gone()

    def tick(self, now: float) -> None:
        """Enforce the deadlines."""
        if self._total_s and self._exchange is not None and now - self.arrived >= self._total_s:
            self._exchange.timed_out()
            return
        if self.deadline > now:
            return
        self.deadline = NEVER
        if self._write_paused or self._phase is _LINGERING or self.is_idle:
            self._leave()
        elif self._phase is _HEAD:
            self._refuse(SLOW_HEAD)
        elif self._phase is _BODY and self._exchange is not None and not self._paused:
            self._exchange.request_refused(SLOW_BODY)

    # --- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._settings.limits.write_buffer)
        peer = transport.get_extra_info("peername")
        self.peer = peer[0].encode() if isinstance(peer, tuple) else b"unknown"
        self.deadline = monotonic() + self._settings.timeouts.request_head
        self._app.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Request bytes."""
        phase = self._phase
        if phase is _HEAD:
            if self._buffer:
                self._buffer += data
            else:
                self._buffer = data
            self._advance()
        elif phase is _BODY:
            self._read_body(data)
        elif phase is _ANSWERING:
            if self._keep_alive:
                self._buffer += data
                if len(self._buffer) > self._settings.limits.pipeline_bytes:
                    self.pause_reading()
        else:
            self._lingered += len(data)
            if self._lingered > LINGER_BYTES:
                self._leave()

    def eof_received(self) -> bool:
        """The client sends no more: it may still await its answer, but not send the rest of a request."""
        if self._phase is _ANSWERING or (self._phase is _HEAD and self._write_paused):
            self._half_closed = True
            return True
        if self._phase is _BODY:
            self._gone()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  however it ended
        """The connection has ended."""
        self._transport = None
        self._app.connections.discard(self)
        self._gone()

    def pause_writing(self) -> None:
        """The client reads more slowly than it is sent."""
        self._write_paused = True
        self.deadline = monotonic() + self._settings.timeouts.client_stall
        if self._exchange is not None:
            self._exchange.client_paused()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._write_paused = False
        timeouts = self._settings.timeouts
        longest = {_HEAD: timeouts.client_idle, _BODY: timeouts.request_body_idle, _LINGERING: timeouts.linger}
        self.deadline = monotonic() + longest.get(self._phase, NEVER)
        self._head_timed = False
        if self._exchange is not None:
            self._exchange.client_resumed()
        elif self._phase is _HEAD:
            self.resume_reading()
            self._advance()

    # --- reading

    def _advance(self) -> None:
        """Take requests out of the buffer while they are answered at once."""
        self._advancing = True
        try:
            while self._buffer and self._phase is _HEAD and not self._write_paused and self._take_head():
                pass
        finally:
            self._advancing = False
        if self._phase is not _HEAD:
            return
        if self._write_paused:
            if len(self._buffer) > self._limits.pipeline_bytes:
                self.pause_reading()
        elif self._half_closed:
            self._end(request_read=True)  # what is left in the buffer can never become a request
        elif not self._head_timed and not self.is_idle:
            self._head_timed = True  # once: a client that drips its head gains no time by it
            self.deadline = monotonic() + self._settings.timeouts.request_head

    def _take_head(self) -> bool:
        """Begin the next request in the buffer; False if it is not complete or the connection ends."""
        data = self._buffer
        if data[0] in b"\r\n":
            skipped = self._skip_empty_lines(data)
            if skipped is None:
                return False
            data = skipped
        limits = self._limits
        end = find_head_end(data, limits)
        if not isinstance(end, int):
            if end is not None:
                self._refuse(end)
            return False
        head = parse_request_head(data[:end], limits, own_forwarded=self._owns_forwarded)
        if isinstance(head, Refusal) and head.close:
            self._refuse(head)
            return False
        self._buffer = b""
        self._head_timed = False
        self._requests += 1
        rest = data[end + len(HEAD_END) :]
        if isinstance(head, Refusal):
            self._refuse_and_keep(head, rest)
            return True
        self._begin(head, rest)
        return True

    def _skip_empty_lines(self, data: bytes) -> bytes | None:
        """The data behind leading empty lines, None if there is none. RFC 9112 §2.2."""
        for _ in range(MAX_EMPTY_LINES):
            if not data.startswith(b"\r\n"):
                break
            data = data[2:]
        if data[:1] == b"\n" or data[:2] == b"\r\n" or (data[:1] == b"\r" and len(data) > 1):
            self._refuse(BAD_REQUEST_LINE)
            return None
        return data if data not in {b"", b"\r"} else None

    def _begin(self, head: RequestHead, rest: bytes) -> None:
        self.arrived = monotonic()
        self.deadline = NEVER
        self._keep_alive = head.keep_alive
        if len(rest) > self._limits.pipeline_bytes and not head.has_body:
            self.pause_reading()
        if not head.has_body:
            self._phase = _ANSWERING
            self._buffer = rest if head.keep_alive else b""
            self._exchange = self._app.begin(self, head, b"", complete=True)
            return
        most = self._limits.body_bytes
        to_head = head.method == b"HEAD"
        if most and head.length > most:
            self._refuse(BODY_TOO_LONG, to_head=to_head)
            return
        body = ChunkedBody(self._limits, head.nominated) if head.chunked else LengthBody(head.length)
        payload = body.feed(rest) if rest else b""
        self._body_bytes = len(payload)
        if body.fault or (most and len(payload) > most):
            self._refuse(_FAULTS[body.fault] if body.fault else BODY_TOO_LONG, to_head=to_head)
            return
        complete = body.done and not body.trailers
        if complete:
            self._phase = _ANSWERING
            self._buffer = body.rest if head.keep_alive else b""
        elif self._half_closed and not body.done:
            self._end(request_read=True)  # the rest of it can never come
            return
        else:
            self._phase = _BODY
            self._body = body
            self.deadline = self.arrived + self._settings.timeouts.request_body_idle
        self._exchange = self._app.begin(self, head, payload, complete=complete)
        if body.done and not complete:
            self._end_body(body, b"")

    def _read_body(self, data: bytes) -> None:
        body, exchange = self._body, self._exchange
        if body is None or exchange is None:
            return
        payload = body.feed(data)
        self._body_bytes += len(payload)
        most = self._limits.body_bytes
        if body.fault or (most and self._body_bytes > most):
            exchange.request_refused(_FAULTS[body.fault] if body.fault else BODY_TOO_LONG)
        elif body.done:
            self._end_body(body, payload)
        else:
            self.deadline = monotonic() + self._settings.timeouts.request_body_idle
            if payload:
                exchange.request_data(payload, [], complete=False)

    def _end_body(self, body: Body, payload: bytes) -> None:
        exchange = self._exchange
        self._body = None
        if exchange is None:
            return
        self._phase = _ANSWERING
        if not self._write_paused:  # the answer may have begun, and the client has as long as ever to read it
            self.deadline = NEVER
        self._buffer = body.rest if self._keep_alive else b""
        self.resume_reading()
        exchange.request_data(payload, body.trailers, complete=True)

    # --- ending

    def _refuse(self, refusal: Refusal, *, to_head: bool = False) -> None:
        """Answer a malformed request and end the connection; no backend hears of it."""
        self._keep_alive = False
        self._app.refuse(self, refusal, to_head=to_head or self._buffer.lstrip(b"\r\n").startswith(b"HEAD "))
        self._end(request_read=False)

    def _refuse_and_keep(self, refusal: Refusal, rest: bytes) -> None:
        """Answer a well-formed request that we do not pass on."""
        self._buffer = rest
        self._keep_alive = True
        self._phase = _ANSWERING
        self._app.refuse(self, refusal, to_head=False)
        self.answered(keep_alive=True)

    def _end(self, *, request_read: bool) -> None:
        """End after the flush; a client still sending gets `timeouts.linger` to see its answer."""
        self._phase = _LINGERING
        self._body = None
        self._buffer = b""
        if self._transport is None:
            return
        self._turn.flush()
        if request_read:
            self.deadline = monotonic() + self._settings.timeouts.client_stall
            self._transport.close()
            return
        self.resume_reading()
        self.deadline = monotonic() + self._settings.timeouts.linger
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _leave(self) -> None:
        """End without a further word."""
        if self._transport is not None:
            self._turn.flush()
            self._transport.abort() if self._transport.get_write_buffer_size() else self._transport.close()
        self._gone()

    def _gone(self) -> None:
        exchange, self._exchange = self._exchange, None
        self._body = None
        self._phase = _LINGERING
        if exchange is not None:
            exchange.client_gone()
