"""The application of the data plane: what happens to a request before any backend is asked."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from time import monotonic, time
from typing import Final

from proxy.config.bugs import Bugs
from proxy.config.models import Mode, Settings
from proxy.core.families import WARM_UP_LEFT
from proxy.core.reasons import Refused
from proxy.core.routing import Routes, decide, sample
from proxy.core.shedding import Shedding
from proxy.core.tally import Tally
from proxy.http.answers import dated, options_answer, refusal_answer, without_body
from proxy.http.connection import ClientConnection
from proxy.http.open_files import OpenFiles
from proxy.http.refusal import Refusal
from proxy.http.request_head import RequestHead
from proxy.http.reset_watch import ResetWatch
from proxy.http.tunnel import Tunnel
from proxy.http.turn import Turn
from proxy.ipc.messages import Snapshot
from proxy.worker.judge_link import JudgeLink
from proxy.worker.memory import trim
from proxy.worker.mirror_guard import MirrorGuard
from proxy.worker.pressure import Pressure
from proxy.worker.roster import Roster
from proxy.worker.serve import ServedExchange
from proxy.worker.services import Executors, RunningService
from proxy.worker.stats import WorkerStats
from proxy.worker.sweep import Sweep

TICK_S: Final = 0.25
DRAIN_STEP_S: Final = 0.01
NO_SERVICE: Final = Refusal(404, Refused.NO_SERVICE, close=False)
LOOP: Final = Refusal(508, Refused.LOOP)
OVERLOADED: Final = Refusal(503, Refused.OVERLOADED, close=False)
BUG: Final = Refusal(500, Refused.INTERNAL)


class DataPlane:
    """All services of this worker, and the client connections they serve."""

    def __init__(self, process: str, instance: str, settings: Settings, link: JudgeLink, turn: Turn) -> None:
        self.settings = settings
        self.via = instance.encode()
        self.connections: set[ClientConnection] = set()
        self.tunnels: set[Tunnel] = set()
        self.is_draining = False
        self.stats = WorkerStats(process)
        self.bugs = Bugs()
        self.budget = link.budget
        self.link = link
        self.turn = turn
        self.resets = ResetWatch()
        self._sweep = Sweep(turn.call_soon, self._tick_broke)
        self.shedding = Shedding()
        self.guard = MirrorGuard(self.bugs, self.shedding)
        self.files = link.files = OpenFiles(self._ran_short)
        self.pressure = Pressure(
            process, settings.shed, self.shedding, self.files, bugs=self.bugs, give_back=self._give_back
        )
        executors = Executors(ThreadPoolExecutor(4, "resolve"), ThreadPoolExecutor(4, "resolve-mirror"))
        self._roster = Roster(self, executors)
        self._roster.configure(settings, 0)
        self._services = self._roster.running
        self._modes = dict.fromkeys(settings.services, Mode.PRIMARY)
        self._is_killed = False
        self._routes = Routes(settings, self._modes)
        self._configuration = -1
        self._sequence = 0
        self._date = b""
        self._date_second = 0

    @property
    def services(self) -> tuple[RunningService, ...]:
        """The services, in the order of the configuration."""
        return self._services

    def adopt(self, snapshot: Snapshot) -> None:
        """Put a snapshot in force: one swap, read once by every request that begins after it."""
        is_decided_anew = snapshot.modes != self._modes
        if snapshot.configuration != self._configuration:
            is_decided_anew = True
            self._configuration = snapshot.configuration
            self.settings = settings = snapshot.settings
            self.budget.limit, self.link.queue = settings.mirror_budget, settings.judge.queue
            self.pressure.limits = settings.shed
            self._roster.configure(settings, snapshot.version)
            self._services = self._roster.running
            for connection in self.connections:
                connection.trust(settings.forwarded)
        self._modes = snapshot.modes
        self._route()
        if is_decided_anew:
            self.guard.rearm()

    def kill(self, *, pulled: bool) -> None:
        """Whether the kill switch is pulled: while it is, every service is in mode `primary`."""
        if pulled != self._is_killed:
            self._is_killed = pulled
            self._route()

    def _route(self) -> None:
        modes = dict.fromkeys(self.settings.services, Mode.PRIMARY) if self._is_killed else self._modes
        self._routes = Routes(self.settings, modes)
        self._roster.switch(self._routes.services, monotonic())

    # --- requests

    def begin(
        self, connection: ClientConnection, head: RequestHead, body: bytes, *, complete: bool
    ) -> ServedExchange | None:
        """Serve a request; None if it is answered already. A bug of ours is a 500, never silence."""
        try:
            return self._begin(connection, head, body, complete=complete)
        except Exception as bug:  # noqa: BLE001  the edge between a client and our code
            self.bugs.caught("begin", bug)
            self._refuse_request(connection, BUG, head)
            return None

    def _begin(
        self, connection: ClientConnection, head: RequestHead, body: bytes, *, complete: bool
    ) -> ServedExchange | None:
        if self.shedding.is_overloaded:
            self._refuse_request(connection, OVERLOADED, head)
            return None
        routes = self._routes
        route = routes.service(head.host)
        if route is None:
            self._refuse_request(connection, NO_SERVICE, head)
            return None
        if head.vias and self._is_loop(head):
            self._refuse_request(connection, LOOP, head)
            return None
        if head.max_forwards == 0:
            self._answer_options(connection)
            return None
        if head.max_forwards > 0:
            head.fields = _one_hop_less(head)
        endpoint = route.endpoint(head.method, head.target)
        self._sequence += 1
        result = decide(
            route,
            endpoint,
            head.method,
            is_copy=head.is_copy,
            is_upgrade=bool(head.upgrades),
            draining=self.is_draining,
            draw=sample(self._sequence) if route.share < 1.0 else 0.0,
        )
        exchange = ServedExchange(self._services[route.index], endpoint, connection, head, result)
        try:
            exchange.start(body, complete=complete)
        except Exception as bug:
            if exchange.is_gone:  # it is counted
                raise
            self.bugs.caught("begin", bug)
            exchange.request_refused(BUG)  # also to the backend, which may have the request already
        return None if exchange.is_gone else exchange

    def refuse(self, connection: ClientConnection, refusal: Refusal, *, to_head: bool) -> None:
        """Write and count the answer to a request that goes to no backend."""
        self.stats.refuse(refusal.reason)
        close = refusal.close or connection.will_close()
        answer = refusal_answer(refusal, close=close, proxy_status=self.settings.errors.proxy_status)
        answer = dated(answer, self.date())
        connection.write(without_body(answer) if to_head else answer)

    def date(self) -> bytes:
        """Now, as a Date value. RFC 9110 §5.6.7."""
        second = int(time())
        if second != self._date_second:
            self._date_second = second
            self._date = formatdate(second, usegmt=True).encode()
        return self._date

    def _refuse_request(self, connection: ClientConnection, refusal: Refusal, head: RequestHead) -> None:
        keep_alive = not (refusal.close or connection.will_close())
        self.refuse(connection, refusal, to_head=head.method == b"HEAD")
        connection.answered(keep_alive=keep_alive)

    def _is_loop(self, head: RequestHead) -> bool:
        """Whether this proxy stands in a received Via already. RFC 9110 §7.6.3."""
        return any(self.via in via.replace(b",", b" ").split() for via in head.vias)

    def _answer_options(self, connection: ClientConnection) -> None:
        self.stats.refuse(Refused.MAX_FORWARDS)
        close = connection.will_close()
        connection.write(dated(options_answer(close=close), self.date()))
        connection.answered(keep_alive=not close)

    # --- time

    def woke(self, now: float, late: float) -> None:
        """A timer came `late` seconds after its time: a measure of what this worker has left."""
        self.stats.lag.add(late)
        self.pressure.woke(now, late)

    def tick(self, now: float) -> None:
        """Enforce every deadline."""
        self.link.resume()
        self._sweep.over(self.connections, now)
        for tick in self._roster.ticks:
            try:
                tick(now)
            except Exception as bug:  # noqa: BLE001  one service's bug must not stop everybody's clock
                self._tick_broke(bug)

    def _tick_broke(self, bug: Exception) -> None:
        self.bugs.caught("tick", bug)

    def _ran_short(self, nothing_left: bool) -> None:  # noqa: FBT001  the callback's only word
        """Descriptors run short: those of copies go first."""
        self.shedding.ran_short(monotonic())
        try:
            self._roster.make_room(with_copies=nothing_left)
        except Exception as bug:  # noqa: BLE001  the edge between a client that needs one and copies
            self.guard.caught(bug, monotonic())

    def _give_back(self, with_copies: bool) -> None:  # noqa: FBT001  the callback's only word
        """Memory is nearly full: what mirrors hold goes first."""
        self._roster.make_room(with_copies=False)
        if with_copies:
            self._roster.shed_copies()
        trim()

    # --- ending

    async def drain(self, longest_s: float, copies_s: float = 2.0) -> None:
        """Let answers in flight complete, for `longest_s` at most; then copies and pairs, for `copies_s` each."""
        self.is_draining = True
        await _until(self._clients_are_gone, longest_s)
        for connection in tuple(self.connections):
            connection.give_up()
        await _until(lambda: not any(mirror.copies for mirror in self._roster.mirrors), copies_s)
        self._roster.abort()
        self.link.flush()
        await _until(lambda: not self.link.backlog, copies_s)

    def _clients_are_gone(self) -> bool:
        """End what is unused; whether nobody is left."""
        self.turn.flush()
        for connection in tuple(self.connections):
            connection.drain()
        return not self.connections

    # --- counts

    def tally(self) -> Tally:
        """All that was counted since the start."""
        tally = self._roster.tally()
        now = monotonic()
        for service in self._services:
            service.mirror.notices.dump(tally, self.stats.process, mirrors=service.mirror.is_on)
            left = max(0.0, service.mirror.warm_at - now)
            tally.gauge(WARM_UP_LEFT, (service.stats.name, self.stats.process), left)
        self.stats.dump(tally, self.budget.used, self.budget.limit)
        self.pressure.dump(tally)
        return tally


def _one_hop_less(head: RequestHead) -> bytes:
    lines = head.fields.split(b"\r\n")
    kept = [line for line in lines if not line.lower().startswith(b"max-forwards:")]
    return b"\r\n".join([*kept, b"Max-Forwards: %d" % (head.max_forwards - 1)])


async def _until(condition: Callable[[], bool], longest_s: float) -> None:
    """Wait for a condition over many objects; only at the end of the process, so asking again is good enough."""
    end = monotonic() + longest_s
    while not condition() and monotonic() < end:  # noqa: ASYNC110  see the docstring
        await asyncio.sleep(DRAIN_STEP_S)
