"""One exchange: the client's request served by one backend.

Theory of operation. `start` writes the request to the serving backend first and lets `Pairing` start the copy
second. From then on this object is between a client connection and a backend connection: body bytes one way,
answer bytes the other, each written in the turn it was read, with pauses passed on in both directions. What the
comparison needs is told to `Pairing` beside that stream; the relayed bytes are never touched by it.

A 101 that was asked for ends the exchange: that is when it is counted, as `1xx`, and its duration is over. What
follows on the two connections is no HTTP any more, and a `Tunnel`.
"""

from time import monotonic
from typing import TYPE_CHECKING, Final

from proxy.core.message import Cause, Failure
from proxy.core.reasons import FailureKind, MirrorResult
from proxy.core.routing import EndpointRoute
from proxy.http.answers import dated, failure_answer, status_of, without_body
from proxy.http.backend_connection import BackendConnection
from proxy.http.body import chunk, last_chunk
from proxy.http.connection import ClientConnection
from proxy.http.deadline import NEVER
from proxy.http.fields import protected_among
from proxy.http.interim import interim_head, is_asked_for, lines_without_length, switching_head
from proxy.http.refusal import Refusal
from proxy.http.request_head import RequestHead
from proxy.http.response_head import ResponseHead
from proxy.http.tunnel import Tunnel
from proxy.worker.pairing import Pairing
from proxy.worker.stats import ABORTED, PROXY, code_class

if TYPE_CHECKING:
    from proxy.worker.services import RunningService

_MIRRORED: Final = MirrorResult.MIRRORED
_REPEATABLE: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))
_NO_CONTENT: Final = 204


class ServedExchange:
    """See the module's theory of operation. Times are monotonic seconds."""

    # What most exchanges never touch stands here, so that making one sets only what differs.
    _unsent: list[bytes] | None = None
    _again = b""
    _retried = False
    _backend: BackendConnection | None = None
    _answer_head: ResponseHead | None = None
    _answer_chunked = False
    _closes = False
    _sent_at = 0.0
    _warms_up = False
    is_gone = False
    """Whether the client no longer waits: it has its answer, or left."""

    def __init__(
        self,
        service: "RunningService",
        endpoint: EndpointRoute,
        client: ClientConnection,
        head: RequestHead,
        result: MirrorResult,
    ) -> None:
        self.wait_until = NEVER
        self.total_s = endpoint.total_s
        self._service = service
        self._stats = service.stats.endpoints[endpoint.index]
        self._client = client
        self._head = head
        self._result = result
        self._pairing = Pairing(service, endpoint, mirrors=result is _MIRRORED)
        if client.arrived < service.mirror.warm_at:
            self._warms_up = self._pairing.warms_up = True

    # --- the request

    def start(self, body: bytes, *, complete: bool) -> None:
        """Send the request: to the serving backend, then to the mirror."""
        head = self._head
        client = self._client
        if head.nominated and not self._may_go(head):
            return
        self._request_head = request_head = self._service.request_head(client, head)
        self._request_done = complete
        framed = body
        if head.chunked:
            framed = chunk(body) + (last_chunk([]) if complete else b"")
        request = request_head + framed
        if complete and head.method in _REPEATABLE:
            self._again = request
        backend = self._service.serving.acquire(self)
        if backend is not None:
            self._send(backend, request)
        elif self.is_gone:
            return
        else:
            self._unsent = [request]
        self._pairing.request(framed, request_head, head, complete=complete)

    def _may_go(self, head: RequestHead) -> bool:
        """Look at what few requests have: names of fields in Connection, and with them an upgrade."""
        self._service.stats.protected += protected_among(head.nominated)
        if head.upgrades and self._tunnels_are_full():
            self.failed(Failure(Cause.TUNNELS), reusable=False)
            return False
        return True

    def _send(self, backend: BackendConnection, request: bytes) -> None:
        self._backend = backend
        self._sent_at = now = monotonic()
        to_head = self._head.method == b"HEAD"
        if self._request_done:
            backend.send(self, request, to_head=to_head, deadline=now + self._service.first_byte_s)
        else:
            backend.send_part(self, request, to_head=to_head)

    def request_data(self, data: bytes, trailers: list[bytes], *, complete: bool) -> None:
        """More of the request's body, from the client."""
        framed = data
        if self._head.chunked:
            framed = chunk(data) + (last_chunk(self._service.trailers(trailers)) if complete else b"")
        self._request_done = complete
        backend = self._backend
        if backend is None:
            self._unsent = [*(self._unsent or ()), framed]
            if not complete:
                self._client.pause_reading()
        else:
            if complete:
                self._sent_at = monotonic()
                self._expect_answer(backend)
            backend.send_more(framed, request_complete=complete)
        self._pairing.request(framed, self._request_head, self._head, complete=complete)

    def request_refused(self, refusal: Refusal) -> None:
        """The body broke the rules: no backend may believe that it was complete."""
        self._drop_backend()
        if self._answer_head is None:
            self._service.app.refuse(self._client, refusal, to_head=self._head.method == b"HEAD")
            self._not_answered(PROXY, code_class(refusal.status), FailureKind.INTERNAL)
            self._client.answered(keep_alive=False)
        else:
            self._cut_answer()

    # --- waiting for a connection

    def connected(self, connection: BackendConnection) -> None:
        """A connection came free or was opened."""
        request, self._unsent = b"".join(self._unsent or ()), None
        if not self._request_done:
            self._client.resume_reading()  # before sending, which may pause it anew
        self._send(connection, request)

    def not_connected(self, failure: Failure) -> None:
        """There is none."""
        self.failed(failure, reusable=False)

    # --- the answer

    def interim(self, head: ResponseHead) -> None:
        """Relay a 1xx, not to HTTP/1.0 clients. RFC 9110 §15.2."""
        if self._head.minor:
            self._client.write(interim_head(head))

    def switching(self, head: ResponseHead, connection: BackendConnection) -> bool:
        """A 101: what the two say from here on is theirs, if it is one of the protocols asked for. RFC 9110 §7.8."""
        if not is_asked_for(head, self._head.upgrades):
            return False
        if self._tunnels_are_full():
            self._drop_backend()
            self.failed(Failure(Cause.TUNNELS), reusable=False)
            return True
        self._backend = None
        self._answer_head = head
        self._client.write(switching_head(head))
        self._served()
        app = self._service.app
        idle_s = app.settings.timeouts.tunnel_idle
        Tunnel(app.turn, self._client, connection, idle_s=idle_s, open_ones=app.tunnels)
        return True

    def _tunnels_are_full(self) -> bool:
        """Whether there may be no further tunnel. Asked twice, since many may be on their way at the same time."""
        app = self._service.app
        return len(app.tunnels) >= app.settings.limits.tunnels

    def answer(self, head: ResponseHead, data: bytes, *, complete: bool) -> None:
        """Relay the head and the body bytes that came with it."""
        self._answer_head = head
        self._again = b""
        if head.nominated:
            self._service.stats.protected += protected_among(head.nominated)
        body = data
        client_head = self._client_head(head)
        if self._answer_chunked:
            body = chunk(data) + (last_chunk([]) if complete else b"")
        if complete:
            self._backend = None  # it serves another exchange from here on
        self._client.write(client_head + body)
        self._pairing.answer(len(head.fields), data)
        if complete:
            self._served()
            self._client.answered(keep_alive=not self._closes)
        elif self._client.is_write_paused:
            self.client_paused()

    def answer_data(self, data: bytes, trailers: list[bytes], *, complete: bool) -> None:
        """Relay more of the body."""
        body = data
        if self._answer_chunked:
            body = chunk(data)
            if complete:
                body += last_chunk(trailers if self._head.takes_trailers else [])
        if complete:
            self._backend = None
        if body:
            self._client.write(body)
        self._pairing.answer(0, data)
        if complete:
            if trailers and self._answer_head is not None:
                self._answer_head.fields += b"\r\n" + b"\r\n".join(trailers)
            self._served()
            self._client.answered(keep_alive=not self._closes)

    def failed(self, failure: Failure, *, reusable: bool) -> None:
        """The backend gave no answer, or no more of it."""
        self._backend = None
        if reusable and self._again and not self._retried:
            self._retried = True
            self._unsent = [self._again]
            self._service.serving.open_fresh(self)
            return
        if self._is_the_backends(failure):
            self._stats.served.failed()
        self._service.stats.failure("serve", failure.kind)
        if self._answer_head is not None:
            self._cut_answer()
            return
        client = self._client
        close = client.will_close() or failure.cause is Cause.INTERNAL
        answer = failure_answer(failure.cause, close=close, proxy_status=self._service.app.settings.errors.proxy_status)
        answer = dated(answer, self._service.app.date())
        client.write(without_body(answer) if self._head.method == b"HEAD" else answer)
        self._not_answered(PROXY, code_class(status_of(failure.cause)), failure.kind)
        client.answered(keep_alive=not close)

    def _is_the_backends(self, failure: Failure) -> bool:
        """Whether it counts against a backend: our own limits do not, nor does time spent waiting for a connection."""
        waited = failure.cause is Cause.TOTAL_TIMEOUT and self._unsent is not None
        return not (waited or failure.is_ours)

    def _client_head(self, head: ResponseHead) -> bytes:
        """The head as this client gets it; RFC 9112 §6.3, §9.6."""
        fields = head.fields
        if head.status == _NO_CONTENT and head.length >= 0:
            fields = b"\r\n".join(lines_without_length(head))
        extra = b""
        if not head.has_date:
            extra += b"\r\nDate: " + self._service.app.date()
        if head.length < 0 and head.has_body(to_head=self._head.method == b"HEAD"):
            self._answer_chunked = self._head.minor == 1
            if self._answer_chunked:
                extra += b"\r\nTransfer-Encoding: chunked"
                if head.trailer and self._head.takes_trailers:
                    extra += b"\r\nTrailer: " + head.trailer
        if self._client.will_close():
            self._closes = True
            extra += b"\r\nConnection: close"
        if fields and not extra:
            return b"%b\r\n%b\r\n\r\n" % (head.start, fields)
        return head.start + (b"\r\n" + fields if fields else b"") + extra + b"\r\n\r\n"

    def _served(self) -> None:
        """The last byte is with the client."""
        head = self._answer_head
        assert head is not None
        self.is_gone = True
        now = monotonic()
        duration = now - self._sent_at
        waited = now - self._client.arrived
        self._stats.served.answered(head.status, duration)
        self._stats.ended(
            self._service.serving_version, code_class(head.status), self._result, waited, warms_up=self._warms_up
        )
        self._service.stats.added.add(waited - duration)
        self._pairing.answered(head, duration, now)

    def _not_answered(self, backend: str, code: str, failure: FailureKind) -> None:
        """The client has no whole answer of the serving backend's."""
        self.is_gone = True
        now = monotonic()
        self._stats.ended(backend, code, self._result, now - self._client.arrived, warms_up=self._warms_up)
        self._pairing.not_answered(failure, now)

    def _cut_answer(self) -> None:
        """Part of an answer is with the client: end so that it cannot look complete. RFC 9112 §8."""
        self._drop_backend()
        self._not_answered(self._service.serving_version, ABORTED, FailureKind.TRUNCATED)
        has_length = self._answer_head is not None and self._answer_head.length >= 0
        self._client.cut(looks_complete=not self._answer_chunked and not has_length)

    # --- the client

    def timed_out(self) -> None:
        """The whole exchange took longer than `total_s`."""
        self._drop_backend()
        self.failed(Failure(Cause.TOTAL_TIMEOUT), reusable=False)

    def client_gone(self) -> None:
        """The client left: the backend need not go on, a copy already sent may."""
        if self.is_gone:
            return
        self.is_gone = True
        self._drop_backend()
        now = monotonic()
        waited = now - self._client.arrived
        self._stats.ended(self._service.serving_version, ABORTED, self._result, waited, warms_up=self._warms_up)
        self._pairing.client_gone(now)

    def client_paused(self) -> None:
        """The client does not read: of this answer, if it has begun, or of an earlier one."""
        if self._backend is not None and self._answer_head is not None:
            self._pairing.is_slowed = True
            self._backend.pause_reading(self)

    def client_resumed(self) -> None:
        """It reads again."""
        if self._backend is not None and self._answer_head is not None:
            self._backend.resume_reading(self)

    def backend_paused(self) -> None:
        """The backend does not take the body; it has as long for it as for its answer."""
        if not self._request_done:
            self._client.pause_reading()
            if self._backend is not None:
                self._expect_answer(self._backend)

    def backend_resumed(self) -> None:
        """It does again, and so a request that is read is sent; its client is not ours to wake."""
        is_unanswered = self._answer_head is None
        if not self._request_done:
            self._client.resume_reading()
            if self._backend is not None and is_unanswered:
                self._backend.expect_by(NEVER, Cause.FIRST_BYTE_TIMEOUT)
        elif is_unanswered:
            self._sent_at = monotonic()

    def _expect_answer(self, backend: BackendConnection) -> None:
        if self._answer_head is None:
            backend.expect_by(monotonic() + self._service.first_byte_s, Cause.FIRST_BYTE_TIMEOUT)

    def _drop_backend(self) -> None:
        backend, self._backend = self._backend, None
        if backend is not None:
            backend.abandon()
