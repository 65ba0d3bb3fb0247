"""One connection to a backend: sends a request, reads its response, tells a receiver.

Theory of operation. A connection serves one exchange at a time. `send` starts it; the receiver then hears,
in this order, any number of `interim`, one `answer` with the first body bytes, any number of `answer_data`,
and at the end either `complete=True` on the last of these or one `failed`. After that the connection has
forgotten its receiver: it either went back to its pool through `released` or is closed. Bytes nobody asked
for close it, also those that came before the request had left (RFC 9112 §9.2). Instead of an `answer` there may
be one `switching`, after which the transport belongs to a tunnel.

A response that arrives whole in one read, which most do, is one call.
"""

import asyncio
from time import monotonic
from typing import Final, cast

from proxy.core.message import Cause, Failure
from proxy.http.body import Body, ChunkedBody, EofBody, LengthBody
from proxy.http.deadline import NEVER
from proxy.http.receiver import Owner, Receiver
from proxy.http.response_head import (
    BODILESS,
    VERSION,
    Malformed,
    ResponseHead,
    parse_response_head,
    split_response_head,
)
from proxy.http.sockets import has_unread, reset
from proxy.http.tunnel import Handed

_SWITCHING_PROTOCOLS: Final = 101
_FIRST_BYTE_TIMEOUT: Final = Cause.FIRST_BYTE_TIMEOUT


class BackendConnection(asyncio.Protocol):
    """See the module's theory of operation."""

    __slots__ = (
        "_body", "_buffer", "_idle_s", "_interims", "_is_behind", "_is_paused", "_is_stale", "_lane", "_limits",
        "_owner", "_receiver", "_reusable", "_sent_in", "_to_head", "_transport", "_turn", "deadline",
        "deadline_cause", "idle_until", "opened_at", "request_open", "used",
    )  # fmt: skip

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._limits = owner.limits
        self._turn = owner.turn
        self._lane = owner.lane
        self._transport: asyncio.Transport | None = None
        self._receiver: Receiver | None = None
        self._body: Body | None = None
        self._buffer = b""
        self._to_head = False
        self._interims = 0
        self._reusable = True
        self._idle_s = NEVER
        self._is_behind = False
        self._is_paused = False
        self._is_stale = False
        self._sent_in = -1
        self.used = False
        self.request_open = False
        self.opened_at = 0.0
        self.idle_until = NEVER
        self.deadline = NEVER
        self.deadline_cause = Cause.FIRST_BYTE_TIMEOUT

    # --- the exchange side

    def send(self, receiver: Receiver, data: bytes, *, to_head: bool, deadline: float) -> None:
        """Start an exchange with a whole request; give up at `deadline` (monotonic seconds) without an answer."""
        self._receiver = receiver
        self._to_head = to_head
        self._interims = 0
        self.request_open = False
        self.deadline = deadline
        self.deadline_cause = _FIRST_BYTE_TIMEOUT
        transport = self._transport
        if transport is not None:
            turn = self._turn
            self._sent_in = turn.flushes
            if self.used:
                turn.starting.append(self)
            turn.write(self._lane, transport, data)

    def leaves_early(self) -> None:
        """What lies unread as the request leaves is no answer to it."""
        transport = self._transport
        self._is_stale = transport is not None and not transport.is_closing() and has_unread(transport)

    def send_part(self, receiver: Receiver, data: bytes, *, to_head: bool) -> None:
        """Start an exchange with the beginning of a request; `send_more` has the rest."""
        self.send(receiver, data, to_head=to_head, deadline=NEVER)
        self.request_open = True

    def send_more(self, data: bytes, *, request_complete: bool) -> None:
        """More of the request's body."""
        self.request_open = not request_complete
        if data:
            self.write(data)

    def write(self, data: bytes) -> None:
        """Send bytes at the end of this turn."""
        transport = self._transport
        if transport is not None:
            self._turn.write(self._lane, transport, data)

    def expect_by(self, deadline: float, cause: Cause) -> None:
        """Give up at `deadline` (monotonic seconds) if nothing more came, for this cause."""
        self.deadline = deadline
        self.deadline_cause = cause

    def abandon(self) -> None:
        """End the exchange and the connection; the receiver hears nothing more."""
        self._receiver = None
        self.abort()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """End an unused connection; what its backend has not taken yet it does not need, and might never take."""
        transport = self._transport
        if transport is not None:
            self._turn.flush()
            transport.abort() if transport.get_write_buffer_size() else self.finish()

    def hand_over(self) -> Handed:
        """Give the transport away, with what the backend has sent behind its 101."""
        assert self._transport is not None
        waiting = self._buffer
        self._forget()
        return Handed(self._transport, waiting, is_behind=self._is_behind, has_ended=False)

    def finish(self) -> None:
        """End after the flush, or when the backend has not read for as long as it may be silent."""
        self.expect_by(monotonic() + self._owner.response_idle_s, Cause.RESPONSE_IDLE)
        if self._transport is not None:
            self._turn.flush()
            self._transport.close()

    def reset(self) -> None:
        """End by a reset, after what is written."""
        if self._transport is not None:
            self._turn.flush()
            reset(self._transport)

    def pause_reading(self, receiver: Receiver) -> None:
        """The client does not read: take no more of the response, unless it is for somebody else by now."""
        if self._receiver is receiver and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
            self.deadline = NEVER

    def resume_reading(self, receiver: Receiver) -> None:
        """It reads again."""
        if self._receiver is receiver and self._is_paused:
            self._read_on()
            if self._body is not None:
                self.expect_by(monotonic() + self._owner.response_idle_s, Cause.RESPONSE_IDLE)

    def _read_on(self) -> None:
        self._is_paused = False
        if self._transport is not None:
            self._transport.resume_reading()

    def tick(self, now: float) -> None:
        """Enforce the deadline."""
        if self.deadline <= now:
            self._fail(self.deadline_cause)

    # --- the transport side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._limits.write_buffer)
        self.opened_at = monotonic()

    def data_received(self, data: bytes) -> None:
        """Response bytes, or bytes nobody asked for."""
        receiver = self._receiver
        if receiver is None:
            self._lose()  # nobody asked
            return
        body = self._body
        if body is None:
            if self._turn.flushes == self._sent_in or self._is_stale:  # older than the request: nobody asked for this
                self._fail(Cause.RESET)
                return
            self._read_head(receiver, self._buffer + data if self._buffer else data, max(0, len(self._buffer) - 2))
        else:
            self._read_body(receiver, body, data)

    def eof_received(self) -> bool:
        """The backend ended: so does the connection."""
        if self._receiver is None:
            self._lose()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended; only an answer that runs until then is complete."""
        self._transport = None
        self._owner.lost(self)
        receiver, body = self._receiver, self._body
        if receiver is None:
            return
        if body is not None and body.end() and exc is None:
            self._forget()
            receiver.answer_data(b"", [], complete=True)
        else:
            self._fail(Cause.RESET if body is None else Cause.TRUNCATED)

    def pause_writing(self) -> None:
        """The backend reads more slowly than we send."""
        self._is_behind = True
        if self._receiver is not None:
            self._receiver.backend_paused()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._is_behind = False
        if self._receiver is not None:
            self._receiver.backend_resumed()

    # --- reading

    def _read_head(self, receiver: Receiver, data: bytes, start: int = 0) -> None:
        while (split := split_response_head(data, start)) is not None:
            head = parse_response_head(split[0], self._limits)
            if isinstance(head, Malformed):
                self._fail(Cause(head.value))
                return
            rest = split[1]
            status = head.status
            if status < 200:  # noqa: PLR2004  interim, RFC 9110 §15.2
                self._buffer = b""
                if not self._reads_on(receiver, head, rest):
                    return
                data, start = rest, 0
                continue
            if self._to_head or status in BODILESS:
                self._finish(receiver, head, b"", head.keep_alive and not rest)
            elif head.length == len(rest):
                self._finish(receiver, head, rest, head.keep_alive)
            else:
                self._start_body(receiver, head, rest)
            return
        if not VERSION.startswith(data[: len(VERSION)]):
            self._fail(Cause.PROTOCOL)
        elif len(data) > self._limits.response_header_bytes + 3:  # the empty line's beginning
            self._fail(Cause.RESPONSE_HEAD)
        else:
            self._buffer = data

    def _reads_on(self, receiver: Receiver, head: ResponseHead, rest: bytes) -> bool:
        """Pass an interim answer on; whether the next head comes from here too."""
        if head.status == _SWITCHING_PROTOCOLS:
            self._buffer = rest
            if not receiver.switching(head, self):
                self._fail(Cause.PROTOCOL)
            return False
        self._interims += 1
        if self._interims > self._limits.interim:
            self._fail(Cause.INTERIM)
            return False
        receiver.interim(head)
        return bool(rest) and self._receiver is receiver

    def _start_body(self, receiver: Receiver, head: ResponseHead, rest: bytes) -> None:
        """The general case of a body: streamed, chunked, or with surplus bytes."""
        self._buffer = b""
        body: Body
        if head.chunked:
            body = ChunkedBody(self._limits, head.nominated, padded=True)
        elif head.length >= 0:
            body = LengthBody(head.length)
        else:
            body = EofBody()
        payload = body.feed(rest) if rest else b""
        if body.done and not body.trailers:
            self._finish(receiver, head, payload, head.keep_alive and not body.rest)
            return
        self._reusable = head.keep_alive and not isinstance(body, EofBody)
        self._idle_s = _idle_s(head)
        self._body = body
        self.expect_by(monotonic() + self._owner.response_idle_s, Cause.RESPONSE_IDLE)
        receiver.answer(head, payload, complete=False)
        if self._body is body and (body.done or body.fault):
            self._end_body(receiver, body, b"")

    def _read_body(self, receiver: Receiver, body: Body, data: bytes) -> None:
        payload = body.feed(data)
        if body.done or body.fault:
            self._end_body(receiver, body, payload)
            return
        self.deadline = monotonic() + self._owner.response_idle_s
        if payload:
            receiver.answer_data(payload, [], complete=False)

    def _end_body(self, receiver: Receiver, body: Body, payload: bytes) -> None:
        if body.fault:
            if payload:
                receiver.answer_data(payload, [], complete=False)
            self._fail(Cause.TRUNCATED)
            return
        self._leave(reusable=self._reusable and not body.rest, idle_s=self._idle_s)
        receiver.answer_data(payload, body.trailers, complete=True)

    def _finish(self, receiver: Receiver, head: ResponseHead, data: bytes, reusable: bool) -> None:  # noqa: FBT001  hot path
        self._leave(reusable=reusable, idle_s=_idle_s(head))
        receiver.answer(head, data, complete=True)

    def _leave(self, *, reusable: bool, idle_s: float) -> None:
        """The response is complete: back to the pool, or away."""
        self._receiver = self._body = None
        self._buffer = b""
        self.deadline = NEVER
        self.used = True
        if self._is_paused:  # by a client that did not read the beginning of what now came to its end
            self._read_on()
        if self.request_open:
            self.abort()
        elif reusable and idle_s > 0 and not self._is_behind and self._transport is not None:
            self._owner.released(self, idle_s)
        else:
            self.close()

    def _forget(self) -> None:
        self._receiver = None
        self._body = None
        self._buffer = b""
        self.deadline = NEVER

    def _lose(self) -> None:
        """End an unused connection and say so at once: it must not be lent while its end is on its way."""
        self.abort()
        self._owner.lost(self)

    def _fail(self, cause: Cause) -> None:
        receiver = self._receiver
        untouched = self.used and self._body is None and not self._buffer and not self._interims
        self._forget()
        self.abort()
        if receiver is not None:
            receiver.failed(Failure(cause), reusable=untouched and cause is Cause.RESET)


def _idle_s(head: ResponseHead) -> float:
    """For how long the backend keeps an unused connection, a second early; NEVER if it did not say."""
    return NEVER if head.idle_s < 0 else head.idle_s - 1.0
