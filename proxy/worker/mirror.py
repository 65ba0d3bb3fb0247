"""The mirrored leg: a copy of a request, sent to the side that does not serve, its answer captured.

Theory of operation. A copy starts at once or not at all: there is no queue. It is sent when the request is
complete, at the same instant as the served request if its body came in one piece. Its answer is captured up
to `mirror.max_body`; beyond that the connection is cut and the comparison works with what there is. It ends
with an outcome, or is dropped with a reason. It is never retried, and nothing the client waits for refers to
anything in here: own connections, own name resolver, own deadlines. A bug in here is caught at the edge,
counted as a failure of our own, and costs a comparison. So that whatever breaks leaves somebody to be told, a copy
keeps its owner until all is done but to tell it.
"""

from dataclasses import dataclass, field
from time import monotonic
from typing import Final, Protocol

from proxy.config.models import Mirror
from proxy.core.breaker import Breaker, State
from proxy.core.message import Cause, Failure
from proxy.core.reasons import Drop, FailureKind
from proxy.core.shedding import Shedding
from proxy.http.backend_connection import BackendConnection
from proxy.http.deadline import NEVER
from proxy.http.response_head import ResponseHead
from proxy.http.upstream import Upstream
from proxy.ipc.pairs import Side
from proxy.worker.breaker_notices import BreakerNotices
from proxy.worker.budget import ByteBudget
from proxy.worker.capture import Capture
from proxy.worker.mirror_guard import MirrorGuard
from proxy.worker.stats import LegStats, ServiceStats
from proxy.worker.sweep import Sweep

_CLOSED: Final = State.CLOSED


class CopyOwner(Protocol):
    """The exchange a copy belongs to."""

    def mirrored(self, outcome: Side, held: int) -> None:
        """The copy has an outcome, whose `held` bytes are taken from the budget."""

    def mirror_dropped(self, reason: Drop) -> None:
        """It has none, for a reason of ours."""


@dataclass(eq=False, slots=True)
class MirrorTarget:
    """Where copies of a service go, and how many are under way."""

    upstream: Upstream
    settings: Mirror
    budget: ByteBudget
    stats: ServiceStats
    guard: MirrorGuard
    shedding: Shedding
    is_on: bool = False
    warm_at: float = 0.0
    """Exchanges that begin before this are no evidence: one of the two sides may be cold."""
    copies: "set[MirroredCopy]" = field(default_factory=set)
    in_flight: int = 0
    max_body: int = 0
    breaker: Breaker = field(init=False)
    notices: BreakerNotices = field(init=False)
    _sweep: Sweep = field(init=False)

    def __post_init__(self) -> None:
        self.in_flight = self.settings.in_flight
        self.max_body = self.settings.max_body
        self.breaker = Breaker(self.settings.breaker)
        self.notices = BreakerNotices(self.breaker, self.settings.breaker, self.stats.name, self.stats.candidate)
        self._sweep = Sweep(self.upstream.turn.call_soon, self._caught)

    def follow(self, earlier: "MirrorTarget") -> None:
        """Go on where a target of the same settings stops: with its connections, and what its breaker knows."""
        self.upstream, self.breaker, self.notices = earlier.upstream, earlier.breaker, earlier.notices

    def switch(self, now: float, *, on: bool) -> None:
        """Mirror from now on, or not; what begins to mirror warms up, and what ends to lets go of its copies."""
        was_on, self.is_on = self.is_on, on
        if not on:
            self.warm_at = 0.0
            self.drop_all(Drop.DRAINING)
        elif not was_on:
            self.warm_at = now + self.settings.warm_up

    def refusal(self) -> Drop | None:
        """Why no other copy may start now; None if one may."""
        if not self.is_on:
            return Drop.DRAINING
        if self.shedding.is_on:
            return Drop.SHED
        if self.breaker.state is not _CLOSED and not self.breaker.may_probe(monotonic()):
            return Drop.BREAKER_OPEN
        return None if len(self.copies) < self.in_flight else Drop.IN_FLIGHT_FULL

    def tick(self, now: float) -> None:
        """Enforce the deadlines: of copies first, since their connections' are the same or later."""
        self._sweep.over(self.copies, now)
        self.upstream.tick(now)
        self.notices.tick(now)

    def _caught(self, bug: Exception) -> None:
        self.guard.caught(bug, monotonic())

    def drop_all(self, reason: Drop) -> None:
        """End every copy under way."""
        for copy in tuple(self.copies):
            copy.drop(reason)


class MirroredCopy:
    """One copy under way.

    Its captured bytes are taken from the budget and handed over with the outcome; `request_held` are those of
    the request's body, taken by the exchange and released when the copy ends.
    """

    # What most copies never touch stands here, so that making one sets only what differs.
    _connection: BackendConnection | None = None
    request_held = 0
    _is_probe = False
    _started_at = 0.0
    sent_at = 0.0
    """When it was handed over, of which `limits.write_buffer` bytes may still be with us; 0 before."""
    head: ResponseHead | None = None

    def __init__(self, target: MirrorTarget, leg: LegStats, owner: CopyOwner, request: bytes, *, to_head: bool) -> None:
        self.wait_until = self.served_at = NEVER
        self._target = target
        self._leg = leg
        self._owner: CopyOwner | None = owner
        self._request = request
        self._to_head = to_head
        self._capture = Capture(target.budget, target.max_body)

    def start(self, now: float) -> None:
        """Send it; `now` is when the served request was sent."""
        self._started_at = now
        target = self._target
        target.copies.add(self)
        target.stats.in_flight += 1
        if target.breaker.state is not _CLOSED:
            target.breaker.probe_sent(now)
            self._is_probe = True
        connection = target.upstream.acquire(self)
        if connection is not None:
            self.connected(connection)

    @property
    def is_gone(self) -> bool:
        """Whether it has ended."""
        return self._owner is None

    def connected(self, connection: BackendConnection) -> None:
        """Send the whole request at once."""
        self._connection = connection
        self.sent_at = monotonic()
        request, self._request = self._request, b""
        try:
            connection.send(self, request, to_head=self._to_head, deadline=NEVER)
        except Exception as bug:  # noqa: BLE001  the edge between the data plane and a comparison
            self._broke(bug)

    def not_connected(self, failure: Failure) -> None:
        """No connection: the candidate's failure, or our own limit."""
        try:
            if failure.is_ours:
                self.drop(Drop.SHED if failure.cause is Cause.OVERLOADED else Drop.IN_FLIGHT_FULL)
            else:
                self._failed(failure)
        except Exception as bug:  # noqa: BLE001  the edge between the data plane and a comparison
            self._broke(bug)

    def is_overdue(self, now: float) -> bool:
        """Deadline: after the start or the end of the served answer, the later. Lifetime: from the start."""
        settings = self._target.settings
        if now >= self._started_at + settings.lifetime:
            return True
        return self.served_at != NEVER and now >= max(self._started_at, self.served_at) + settings.deadline

    def tick(self, now: float) -> None:
        """End if it is overdue: not as the candidate's failure while the served answer is still on its way."""
        try:
            if self._owner is None or not self.is_overdue(now):
                return
            if self.served_at == NEVER:
                self.drop(Drop.TOO_LARGE)
            else:
                self._failed(Failure(Cause.DEADLINE))
        except Exception as bug:  # noqa: BLE001  the edge between the data plane and a comparison
            self._broke(bug)

    def drop(self, reason: Drop) -> None:
        """End without an outcome."""
        owner = self._end()
        if owner is not None:
            self._capture.release()
            owner.mirror_dropped(reason)

    def abandon(self) -> None:
        """End because the exchange gave the comparison up; it hears nothing more."""
        if self._end() is not None:
            self._capture.release()

    # --- the backend connection's side

    def interim(self, head: ResponseHead) -> None:
        """Interim answers are not compared."""

    def switching(self, head: ResponseHead, connection: BackendConnection) -> bool:
        """A copy never asks for another protocol."""
        _ = head, connection
        return False

    def answer(self, head: ResponseHead, data: bytes, *, complete: bool) -> None:
        """The head, and often the whole body."""
        self.head = head
        self._take(len(head.fields), data, complete=complete)

    def answer_data(self, data: bytes, trailers: list[bytes], *, complete: bool) -> None:
        """More of the body; trailers are compared like fields."""
        if trailers and self.head is not None:
            self.head.fields += b"\r\n" + b"\r\n".join(trailers)
        self._take(0, data, complete=complete)

    def failed(self, failure: Failure, *, reusable: bool) -> None:
        """The candidate failed; a copy is never sent again, also when its connection may just have been stale.

        A candidate that resets what it cannot answer looks the same, and must not look better than it is.
        """
        _ = reusable
        self._connection = None
        try:
            self._failed(failure)
        except Exception as bug:  # noqa: BLE001  the edge between the data plane and a comparison
            self._broke(bug)

    def backend_paused(self) -> None:
        """The copy is already handed over whole."""

    def backend_resumed(self) -> None:
        """It has taken the copy: only now is it sent."""
        if self.head is None:
            self.sent_at = monotonic()

    # --- ending

    def _take(self, extra: int, data: bytes, *, complete: bool) -> None:
        try:
            self._keep(extra, data, complete=complete)
        except Exception as bug:  # noqa: BLE001  the edge between the data plane and a comparison
            self._broke(bug)

    def _broke(self, bug: Exception) -> None:
        """Whatever went wrong in here ends this copy and nothing else."""
        self._target.guard.caught(bug, monotonic())
        self._target.stats.failure("mirror", FailureKind.INTERNAL)
        self.drop(Drop.INCOMPLETE)

    def _keep(self, extra: int, data: bytes, *, complete: bool) -> None:
        if complete:
            self._connection = None
        capture = self._capture
        if not capture.take(data, extra):
            self.drop(Drop.MEMORY_FULL)
        elif complete or capture.is_cut:
            self._answered()

    def _answered(self) -> None:
        head, capture = self.head, self._capture
        assert head is not None
        now = monotonic()
        duration = 0.0 if capture.is_cut else now - self.sent_at
        outcome = Side(head.status, duration, head.fields, capture.body(), capture.is_cut)
        if self._is_probe:
            self._is_probe = False
            self._target.breaker.probe_answered(now)
        if capture.is_cut:
            self._leg.cut(head.status)
        else:
            self._leg.answered(head.status, duration)
        owner = self._end()
        if owner is not None:
            owner.mirrored(outcome, capture.held)

    def _failed(self, failure: Failure) -> None:
        if self._owner is None:
            return
        now = monotonic()
        outcome = Side(0, now - self._started_at, failure=failure.kind)
        if not failure.is_ours:
            self._blame(now)
        self._leg.failed()
        self._target.stats.failure("mirror", failure.kind)
        owner = self._end()
        if owner is not None:
            self._capture.release()
            owner.mirrored(outcome, 0)

    def _blame(self, now: float) -> None:
        """Tell the breaker of a failure that is the candidate's."""
        breaker = self._target.breaker
        if self._is_probe:
            self._is_probe = False
            breaker.probe_failed(now)
        else:
            breaker.failed(now, self._started_at)

    def _end(self) -> CopyOwner | None:
        """Break every tie; the owner, if it was not yet told. What may raise does so once, and before that is lost."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon()
        if self._is_probe:  # one that said nothing
            self._is_probe = False
            self._target.breaker.probe_gone()
        owner, self._owner = self._owner, None
        if owner is not None:
            self._target.copies.discard(self)
            self._target.stats.in_flight -= 1
            self._target.budget.release(self.request_held)
        return owner
