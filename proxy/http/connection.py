"""One client connection: takes requests, one in service at a time, and writes their answers.

Theory of operation. A connection is in one of five phases:

    HEAD       waiting for a request head, or in the middle of one
    BODY       the request is in service and its body still comes
    ANSWERING  the request is read to its end, its answer is not complete; whatever comes waits unparsed
    TUNNEL     the transport was given away for another protocol; `tunnel` says how it lives on
    LINGERING  answered for good, and ending; `client_ending` says how

`begin` of the application makes an exchange for each head; the exchange hears the body and the client's
leaving, and answers through `write`, `answered` and `cut`. A malformed request is answered here, with
its 4xx and the end of the connection. Answers may complete inside `begin`; the loop in `_advance` then
takes the next pipelined request without recursion, and after `AT_ONCE` of them others have their turn.

Backpressure: a client that does not read pauses the exchange, an exchange that cannot pass a body on
pauses the client, and more than `limits.pipeline_bytes` of waiting requests pause reading.
"""

import asyncio
from time import monotonic
from typing import Final, cast

from proxy.config.models import Forwarded
from proxy.core.reasons import Refused
from proxy.http.application import Application, Served
from proxy.http.client_ending import ClientEnding, Phase
from proxy.http.deadline import NEVER
from proxy.http.refusal import Refusal
from proxy.http.request_head import RequestHead
from proxy.http.request_reader import RequestReader
from proxy.http.sockets import has_unread
from proxy.http.tunnel import Handed

_HEAD: Final = Phase.HEAD
_BODY: Final = Phase.BODY
_ANSWERING: Final = Phase.ANSWERING
_TUNNEL: Final = Phase.TUNNEL
_LINGERING: Final = Phase.LINGERING

AT_ONCE: Final = 64
"""Most requests taken out of what a client has sent before others have their turn."""
SLOW_HEAD: Final = Refusal(408, Refused.REQUEST_HEAD)
SLOW_BODY: Final = Refusal(408, Refused.REQUEST_BODY_IDLE)


class ClientConnection(ClientEnding):
    """See the module's theory of operation."""

    __slots__ = (
        "_advancing", "_app", "_client_idle_s", "_exchange", "_head_timed", "_keep_alive", "_limits", "_most_requests",
        "_reader", "_requests", "_takes_more", "arrived", "forwarded", "forwarded_for", "is_trusted",
        "peer", "scheme",
    )  # fmt: skip

    def __init__(self, app: Application) -> None:
        settings = app.settings
        super().__init__(settings, app.turn)
        self._app = app
        self._limits = settings.limits
        self._most_requests = settings.limits.requests_per_connection
        self._client_idle_s = settings.timeouts.client_idle
        self._reader = RequestReader(settings.limits)
        self._exchange: Served | None = None
        self._keep_alive = True
        self._takes_more = True
        self._advancing = False
        self._requests = 0
        self._head_timed = True  # the first from the moment the client connects
        self.arrived = 0.0
        self.peer = b""
        self.forwarded_for = b""
        self.forwarded = b""
        self.is_trusted = False
        self.scheme = b"http"

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request and has no byte of one."""
        return self._phase is _HEAD and self._reader.is_empty

    # --- the exchange's side

    def answered(self, *, keep_alive: bool) -> None:
        """The answer is written to its end. Without `keep_alive` the connection ends after the flush."""
        self._exchange = None
        if not (keep_alive and self._keep_alive and self._phase is _ANSWERING):
            self._end()
            return
        self._phase = _HEAD
        if not self._write_paused:  # else what is left of the answer has its own time
            self.deadline = monotonic() + self._client_idle_s
        if self._paused:
            self.resume_reading()
        if self._reader.waiting or self._half_closed:
            self._advance()

    def cut(self, *, looks_complete: bool) -> None:
        """End in the middle of an answer; by a reset if its framing would make the end look like its end."""
        self._exchange = None
        if looks_complete:
            self.reset()
        else:
            self._end()

    def will_close(self) -> bool:
        """Whether this answer must say that the connection ends."""
        if self._phase is not _ANSWERING or self._app.is_draining:
            return True
        if self._half_closed and not self._reader.waiting:
            return True
        return not self._keep_alive or 0 < self._most_requests <= self._requests

    def pause_reading(self) -> None:
        """Read no more for now; whether the client is still there is seen all the same."""
        super().pause_reading()
        if self._transport is not None:
            self._app.resets.watch(self._transport, self.give_up)

    def resume_reading(self) -> None:
        """The backend takes the body again, and the client has its time anew to send it."""
        if self._paused and self._transport is not None:
            self._app.resets.forget(self._transport)
            if self._phase is _BODY and not self._write_paused:
                self.deadline = monotonic() + self._settings.timeouts.request_body_idle
        super().resume_reading()

    # --- the tunnel's side

    def hand_over(self) -> Handed:
        """Give the transport away, with what the client has sent behind its request."""
        assert self._transport is not None
        self._exchange = None
        self._phase = _TUNNEL
        self.resume_reading()
        waiting, self._reader.waiting = self._reader.waiting, b""
        return Handed(self._transport, waiting, is_behind=self._write_paused, has_ended=self._half_closed)

    # --- the worker's side

    def trust(self, forwarded: Forwarded) -> None:
        """Believe from the next request on what these settings allow the client to say of itself and others."""
        self.is_trusted = forwarded.trusts(self.peer.decode())
        self._reader.own_forwarded = forwarded.mode == "on" and not self.is_trusted
        self.forwarded_for = b""

    def drain(self) -> None:
        """Take no further request; an unused connection ends now, and so does a tunnel.

        Not before a request is read that has come already: asked again, this ends the connection then.
        """
        if self._transport is None:
            return
        if self._phase is _TUNNEL or (self.is_idle and not has_unread(self._transport)):
            self.finish()

    def give_up(self) -> None:
        """End now, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()
        self._gone()

    def is_overdue(self, now: float) -> bool:
        """Whether a deadline has passed: its own, or that of the exchange under way."""
        return self.deadline <= now or self._is_total_over(now)

    def _is_total_over(self, now: float) -> bool:
        exchange = self._exchange
        return exchange is not None and exchange.total_s > 0 and now - self.arrived >= exchange.total_s

    def tick(self, now: float) -> None:
        """Enforce the deadlines."""
        if self._exchange is not None and self._is_total_over(now):
            self._exchange.timed_out()
            return
        if self.deadline > now:
            return
        self.deadline = NEVER
        phase = self._phase
        if phase is _TUNNEL:
            self.finish()
        elif phase is _LINGERING:
            self._linger_on(now)
        elif self._write_paused or self.is_idle:
            self._leave()
        elif phase is _HEAD:
            self._refuse(SLOW_HEAD, to_head=self._reader.is_at_head_request)
        elif phase is _BODY and self._exchange is not None and not self._paused:
            self._exchange.request_refused(SLOW_BODY)

    # --- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._settings.limits.write_buffer)
        peer = transport.get_extra_info("peername")
        self.peer = peer[0].encode() if isinstance(peer, tuple) else b"unknown"
        self.trust(self._app.settings.forwarded)
        self.deadline = monotonic() + self._settings.timeouts.request_head
        self._app.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Request bytes."""
        phase = self._phase
        reader = self._reader
        if phase is _HEAD:
            if reader.waiting:
                reader.waiting += data
            else:
                reader.waiting = data
            self._advance()
        elif phase is _BODY:
            self._read_body(data)
        elif phase is _ANSWERING:
            if self._takes_more:
                reader.waiting += data
                if len(reader.waiting) > self._limits.pipeline_bytes:
                    self.pause_reading()
        else:
            self._throw_away(data)

    def eof_received(self) -> bool:
        """The client sends no more: it may still await its answer, but not send the rest of a request."""
        if self._phase is _ANSWERING or (self._phase is _HEAD and (self._write_paused or self._advancing)):
            self._half_closed = True
            return True
        if self._phase is _BODY:
            self._gone()
        self._turn.flush()  # a transport that ends within this turn takes no more at the end of it
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  however it ended
        """The connection has ended."""
        if self._paused and self._transport is not None:
            self._app.resets.forget(self._transport)
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

    # --- requests

    def _advance(self) -> None:
        """Take requests out of the waiting bytes while they are answered at once."""
        if self._advancing:  # further up the stack, or put off
            return
        self._advancing = True
        reader = self._reader
        left = AT_ONCE
        try:
            while left and reader.waiting and self._phase is _HEAD and not self._write_paused:
                head = reader.next_head()
                if head is None:
                    break
                left -= 1
                if isinstance(head, Refusal):
                    self._refuse_head(head)
                else:
                    self._begin(head)
        finally:
            self._advancing = False
        if self._phase is _HEAD:
            self._await_more(is_put_off=not left)

    def _advance_further(self) -> None:
        self._advancing = False
        self._advance()

    def _await_more(self, *, is_put_off: bool) -> None:
        """What is left is no whole request, or has to wait: for the next turn, or for the client to read."""
        if is_put_off:
            self._advancing = True
            self._turn.call_soon(self._advance_further)
        if is_put_off or self._write_paused:
            if len(self._reader.waiting) > self._limits.pipeline_bytes:
                self.pause_reading()
            return
        self.resume_reading()
        if self._half_closed:
            self._end()  # what is left can never become a request
        elif not self._head_timed and not self.is_idle:
            self._head_timed = True  # once: a client that drips its head gains no time by it
            self.deadline = monotonic() + self._settings.timeouts.request_head

    def _begin(self, head: RequestHead) -> None:
        self._requests += 1
        self._head_timed = False
        self.arrived = monotonic()
        self.deadline = NEVER
        self._keep_alive = head.keep_alive
        if not head.keep_alive:  # bytes behind it belong to a tunnel, or to nobody
            self._takes_more = bool(head.upgrades)
        if head.has_body:
            self._begin_body(head)
            return
        self._phase = _ANSWERING
        if self._reader.waiting:
            self._keep_waiting()
        self._exchange = self._app.begin(self, head, b"", complete=True)

    def _begin_body(self, head: RequestHead) -> None:
        reader = self._reader
        payload = reader.begin_body(head)
        if reader.refusal is not None:
            self._refuse(reader.refusal, to_head=head.method == b"HEAD")
            return
        complete = reader.body_done and not reader.trailers
        if complete:
            self._phase = _ANSWERING
            self._keep_waiting()
        elif self._half_closed and not reader.body_done:
            self._end()  # the rest of it can never come
            return
        else:
            self._phase = _BODY
            self.deadline = self.arrived + self._settings.timeouts.request_body_idle
        self._exchange = self._app.begin(self, head, payload, complete=complete)
        if reader.body_done and not complete:
            self._end_body(b"")

    def _read_body(self, data: bytes) -> None:
        reader, exchange = self._reader, self._exchange
        if exchange is None:
            return
        payload = reader.body_data(data)
        if reader.refusal is not None:
            exchange.request_refused(reader.refusal)
        elif reader.body_done:
            self._end_body(payload)
        else:
            if not self._write_paused:
                self.deadline = monotonic() + self._settings.timeouts.request_body_idle
            if payload:
                exchange.request_data(payload, [], complete=False)

    def _end_body(self, payload: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        self._phase = _ANSWERING
        if not self._write_paused:
            self.deadline = NEVER
        self.resume_reading()
        self._keep_waiting()
        exchange.request_data(payload, self._reader.trailers, complete=True)

    def _keep_waiting(self) -> None:
        """What came behind the request waits for its answer, if anybody will want it then."""
        if not self._takes_more:
            self._reader.waiting = b""
        elif len(self._reader.waiting) > self._limits.pipeline_bytes:
            self.pause_reading()

    # --- ending

    def _refuse_head(self, refusal: Refusal) -> None:
        """Answer a head that is malformed, or one that is not but goes to no backend."""
        if refusal.close:
            self._refuse(refusal, to_head=self._reader.is_at_head_request)
            return
        self._requests += 1
        self._head_timed = False
        self._phase = _ANSWERING
        keep_alive = not self.will_close()
        self._app.refuse(self, refusal, to_head=False)
        self.answered(keep_alive=keep_alive)

    def _refuse(self, refusal: Refusal, *, to_head: bool = False) -> None:
        """Answer a malformed request and end the connection; no backend hears of it."""
        self._keep_alive = False
        self._app.refuse(self, refusal, to_head=to_head)
        self._end()

    def _linger(self) -> None:
        self._reader.waiting = b""
        super()._linger()

    def _leave(self) -> None:
        super()._leave()
        self._gone()

    def _gone(self) -> None:
        exchange, self._exchange = self._exchange, None
        self._phase = _LINGERING
        if exchange is not None:
            exchange.client_gone()
