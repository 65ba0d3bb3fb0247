"""What becomes of an exchange beside serving it: the copy, both outcomes, and at the end a pair or a drop.

Theory of operation. Serving tells this object what happens; `core.exchange` decides what follows, and its
commands are carried out here. The copy's body and the served answer are kept up to `mirror.max_body` and
within the byte budget; when a cap is met the comparison is given up, never the stream. Nothing in here is
waited for, and whatever goes wrong in here ends the comparison, is counted, and reaches no client. In the turn of the
loop in which serving says that the request or its answer is complete, the bytes of that are written first.
"""

from time import monotonic
from typing import TYPE_CHECKING, Final

from proxy.core.exchange import Command, Event, Exchange, Mirror
from proxy.core.reasons import Drop, FailureKind
from proxy.core.routing import EndpointRoute
from proxy.http.request_head import RequestHead
from proxy.http.response_head import ResponseHead
from proxy.ipc.pairs import Side
from proxy.worker.capture import Capture, grown
from proxy.worker.mirror import MirroredCopy

if TYPE_CHECKING:
    from proxy.worker.services import RunningService

_OFF: Final = Mirror.OFF
_HELD: Final = Mirror.HELD
_SENT: Final = Mirror.SENT
_DONE: Final = Mirror.DONE
_DROPPED: Final = Mirror.DROPPED
_WANTED: Final = (_HELD, _SENT, _DONE)
_SEND_MIRROR: Final = Command.SEND_MIRROR
_OFFER_PAIR: Final = Command.OFFER_PAIR
_COUNT_DROP: Final = Command.COUNT_DROP
_COPY_READY: Final = Event.COPY_READY
_SERVED: Final = Event.SERVED
_MIRRORED: Final = Event.MIRRORED
_OURS: Final = (FailureKind.POOL, FailureKind.INTERNAL)


class Pairing:
    """See the module's theory of operation. Times are monotonic seconds."""

    # What most exchanges never touch stands here, so that making one sets only what differs.
    _request: bytes | bytearray = b""
    _request_size = 0
    _mirrored_held = 0
    _served: Side | None = None
    _mirrored: Side | None = None
    _copy: MirroredCopy | None = None
    _refused: Drop | None = None
    _is_counted = False
    _to_copy: tuple[bytes, RequestHead] | None = None
    _answer: ResponseHead | None = None
    _took = 0.0
    _ended_at = 0.0
    _served_at = 0.0
    _copied_at = 0.0
    warms_up = False
    """Whether this exchange is no evidence, since one of the two sides may be cold."""
    is_slowed = False
    """Whether the client was slower than the serving backend: then nobody knows how fast that is."""

    def __init__(self, service: "RunningService", endpoint: EndpointRoute, *, mirrors: bool) -> None:
        self._drop = Drop.INCOMPLETE
        self._service = service
        self._endpoint = endpoint
        self._exchange = Exchange(_HELD if mirrors else _OFF)
        self._capture = Capture(service.budget, service.mirror.max_body)

    # --- what serving tells

    def request(self, framed: bytes, served_head: bytes, head: RequestHead, *, complete: bool) -> None:
        """Body bytes as they were sent to the serving backend, head apart; the copy starts with the last ones."""
        if self._exchange.mirror is not _HELD:
            return
        try:
            if framed:
                self._keep_request(framed)
            if complete and self._exchange.mirror is _HELD:
                self._to_copy = (served_head, head)
                self._service.app.turn.defer(self)
        except Exception as bug:  # noqa: BLE001  the edge between serving and mirroring
            self._broke(bug)

    def answer(self, extra: int, data: bytes) -> None:
        """Keep answer bytes for the comparison, up to the cap; `extra` counts what is kept with them."""
        if self._exchange.mirror not in _WANTED:
            return
        try:
            if not self._capture.take(data, extra):
                self._give_up(Drop.MEMORY_FULL)
        except Exception as bug:  # noqa: BLE001  the edge between serving and comparing
            self._broke(bug)

    def answered(self, head: ResponseHead, duration: float, now: float) -> None:
        """The client has the whole answer, which took the serving backend `duration` seconds."""
        if self._exchange.mirror is _OFF:
            return
        self._answer = head
        self._took = duration
        self._ended_at = now
        self._service.app.turn.defer(self)

    def proceed(self) -> None:
        """Do what was put off until the client had its bytes."""
        try:
            self._start_copy()
            head, self._answer = self._answer, None
            if head is not None:
                self._served_at = self._ended_at - self._took
                duration = 0.0 if self.is_slowed else self._took
                capture = self._capture
                self._end(Side(head.status, duration, head.fields, capture.body(), capture.is_cut), self._ended_at)
        except Exception as bug:  # noqa: BLE001  the edge between serving and comparing
            self._broke(bug)

    def not_answered(self, failure: FailureKind, now: float) -> None:
        """The client has no answer of the serving backend's, or only a part of one."""
        try:
            self._start_copy()
            self._end(Side(0, 0.0, failure=failure), now)
        except Exception as bug:  # noqa: BLE001  the edge between serving and comparing
            self._broke(bug)

    def client_gone(self, now: float) -> None:
        """The client left; a copy already sent runs to its end."""
        try:
            self._start_copy()
            if self._exchange.mirror is not _DROPPED:  # else why it was dropped is known
                self._drop = Drop.CLIENT_GONE
            if self._copy is not None:
                self._copy.served_at = now
            self._do(self._exchange.on(Event.CLIENT_GONE))
        except Exception as bug:  # noqa: BLE001  the edge between serving and comparing
            self._broke(bug)

    # --- what the copy tells

    def mirrored(self, outcome: Side, held: int) -> None:
        """The copy has an outcome, whose `held` bytes are taken from the budget."""
        copy, self._copy = self._copy, None
        if copy is not None:
            self._copied_at = copy.sent_at
        self._mirrored = outcome
        self._mirrored_held = held
        try:
            self._do(self._exchange.on(_MIRRORED))
        except Exception as bug:  # noqa: BLE001  the edge between a copy and comparing
            self._broke(bug)

    def mirror_dropped(self, reason: Drop) -> None:
        """The copy has none."""
        self._copy = None
        try:
            self._give_up(reason)
        except Exception as bug:  # noqa: BLE001  the edge between a copy and comparing
            self._broke(bug)

    # --- the copy

    def _keep_request(self, framed: bytes) -> None:
        size = len(framed)
        if self._request_size + size > self._service.mirror.max_body:
            self._give_up(Drop.TOO_LARGE)
        elif not self._service.budget.take(size):
            self._give_up(Drop.MEMORY_FULL)
        else:
            self._request = grown(self._request, framed) if self._request else framed
            self._request_size += size

    def _start_copy(self) -> None:
        """Start it if the request is complete and has none yet."""
        to_copy, self._to_copy = self._to_copy, None
        if to_copy is None or self._exchange.mirror is not _HELD:
            return
        served_head, head = to_copy
        service = self._service
        refusal = service.mirror.refusal()
        if refusal is not None:
            self._give_up(refusal)
            return
        request = service.copy_head(served_head, head)
        if self._request:
            request += self._request
            self._request = b""
        leg = service.stats.endpoints[self._endpoint.index].mirrored
        self._copy = copy = MirroredCopy(service.mirror, leg, self, request, to_head=head.method == b"HEAD")
        copy.request_held, self._request_size = self._request_size, 0
        self._do(self._exchange.on(_COPY_READY))

    def _broke(self, bug: Exception) -> None:
        """End the comparison whatever state the bug left it in, and account for it once."""
        service = self._service
        service.mirror.guard.caught(bug, monotonic())
        service.stats.failure("mirror", FailureKind.INTERNAL)
        is_owed = self._exchange.mirror is not _OFF and not self._is_counted
        self._exchange = Exchange(_OFF)
        copy, self._copy = self._copy, None
        if copy is not None:
            copy.abandon()
        self._free()
        if is_owed:
            self._is_counted = True
            service.stats.drop(Drop.INCOMPLETE)

    def _give_up(self, reason: Drop) -> None:
        """End the comparison; what was kept for it is let go of."""
        self._drop = reason
        self._free()
        mirror = self._exchange.mirror
        if mirror is _DONE:
            self._refused = reason
            return
        copy, self._copy = self._copy, None
        if copy is not None:
            copy.abandon()
        if mirror is _HELD or mirror is _SENT:
            self._do(self._exchange.on(Event.MIRROR_DROPPED))

    def _free(self) -> None:
        self._capture.release()
        self._service.budget.release(self._mirrored_held + self._request_size)
        self._mirrored_held = self._request_size = 0
        self._request = b""

    # --- both sides

    def _end(self, served: Side, now: float) -> None:
        if self._exchange.mirror is _HELD:
            self._give_up(Drop.INCOMPLETE)
        self._served = served
        if self._copy is not None:
            self._copy.served_at = now
        self._do(self._exchange.on(_SERVED))

    def _do(self, commands: tuple[Command, ...]) -> None:
        for command in commands:
            if command is _SEND_MIRROR:
                if self._copy is not None:
                    self._copy.start(monotonic())
            elif command is _OFFER_PAIR:
                self._offer()
            elif command is _COUNT_DROP:
                self._is_counted = True
                self._service.stats.drop(self._drop)
            else:
                self._free()

    def _offer(self) -> None:
        served, mirrored = self._served, self._mirrored
        assert served is not None
        assert mirrored is not None
        service = self._service
        switched_off = None if service.mirror.is_on else Drop.DRAINING
        refused = self._refused or switched_off or _ours(served) or _ours(mirrored)
        if refused is None:
            refused = self._hand_over((served, mirrored))
        self._is_counted = True
        if refused is not None:
            service.stats.drop(refused)
        elif self._copied_at and self._served_at:
            service.stats.skew.add(abs(self._copied_at - self._served_at))

    def _hand_over(self, pair: tuple[Side, Side]) -> Drop | None:
        """Offer a pair: its bytes are the link's from here, unless it breaks; what was held is let go of later."""
        service = self._service
        size = pair[0].size + pair[1].size
        service.budget.used += size
        try:
            return service.link.offer(
                service.stats, service.snapshot, service.index, self._endpoint.index, pair, warms_up=self.warms_up
            )
        except Exception:
            service.budget.release(size)
            raise


def _ours(side: Side) -> Drop | None:
    """A failure of our own making is a drop, never evidence against a backend."""
    return Drop.INCOMPLETE if side.failure in _OURS else None
