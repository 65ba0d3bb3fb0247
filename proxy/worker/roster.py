"""The services of this worker, through changes of the configuration.

Theory of operation. An exchange ends under the settings it began with, whatever is in force by then: it refers
to its `RunningService`, and that is never changed. Settings that differ make a new one beside it, which takes
over what they leave as it was: connections to a backend that is asked as before, copies under way, counters.
The old one is retired with what is left. Its connections end when they are unused, its clock goes on, and when
the last exchange has let go of it, what it counted is added to the counts of the past: counters never go back.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import orjson

from proxy.config.models import Settings
from proxy.core.reasons import Drop
from proxy.core.routing import ServiceRoute
from proxy.core.tally import Tally
from proxy.http.upstream import Upstream
from proxy.worker.mirror import MirrorTarget
from proxy.worker.services import Executors, RunningService, ServiceApp, run_service
from proxy.worker.stats import ServiceStats

Tick = Callable[[float], None]


@dataclass(eq=False, slots=True)
class Retired:
    """What is left of a service of earlier settings; what its successor took over is not in here."""

    is_in_use: Callable[[], bool]
    name: str
    snapshot: int
    upstreams: tuple[Upstream, ...]
    mirror: MirrorTarget | None
    stats: ServiceStats | None

    @property
    def is_over(self) -> bool:
        """Whether nobody uses it: no exchange, no copy, no connection."""
        if self.is_in_use() or (self.mirror is not None and self.mirror.copies):
            return False
        return all(upstream.pool.open == 0 for upstream in self.upstreams)

    def tick(self, now: float) -> None:
        """Enforce deadlines."""
        for upstream in self.upstreams:
            upstream.tick(now)
        if self.mirror is not None:
            self.mirror.tick(now)


class Roster:
    """See the module's theory of operation."""

    def __init__(self, app: ServiceApp, executors: Executors) -> None:
        self.running: tuple[RunningService, ...] = ()
        """The services in force, in the order of the configuration."""
        self._app = app
        self._executors = executors
        self._settings: Settings | None = None
        self._retired: list[Retired] = []
        self._past = Tally()

    def configure(self, settings: Settings, snapshot: int) -> None:
        """Put settings in force: those of the app, under the version of the snapshot they came with."""
        earlier = {service.stats.name: service for service in self.running}
        before = self._settings
        self._settings = settings
        self._bury()
        running = []
        for index, name in enumerate(settings.services):
            old = earlier.pop(name, None)
            if old is None or before is None or not _is_same(old, before, settings):
                service = run_service(self._app, index, name, self._executors)
                if old is not None and before is not None:
                    self._retire(_succeed(old, service, same_transport=_transport(before) == _transport(settings)))
            else:
                service = old
            service.index, service.snapshot = index, snapshot
            running.append(service)
        for removed in earlier.values():
            self._retire(_left_of(removed))
        self.running = tuple(running)
        in_use = {retired.snapshot for retired in self._retired}
        self._app.link.describe(snapshot, without_secrets(settings), in_use)

    def switch(self, routes: Iterable[ServiceRoute], now: float) -> None:
        """Mirror, or not, as these routes say; what is under way to where nothing is mirrored is dropped."""
        mirrors = {route.name: route.mirrors for route in routes}
        for service in self.running:
            service.mirror.switch(now, on=mirrors[service.stats.name])
        for retired in self._retired:
            if retired.mirror is not None:
                retired.mirror.switch(now, on=mirrors.get(retired.name, False))  # a removed service mirrors nothing

    @property
    def ticks(self) -> list[Tick]:
        """All clocks."""
        return [*(service.tick for service in self.running), *(retired.tick for retired in self._retired)]

    @property
    def mirrors(self) -> list[MirrorTarget]:
        """All mirror targets."""
        targets = [service.mirror for service in self.running]
        return targets + [retired.mirror for retired in self._retired if retired.mirror is not None]

    def make_room(self, *, with_copies: bool) -> None:
        """Give up descriptors: those of mirror connections nobody uses yet; if none is, those of copies under way."""
        mirrors = self.mirrors
        room = sum(mirror.upstream.close_unused() for mirror in mirrors)
        if with_copies:
            room += sum(mirror.upstream.stop_dialling() for mirror in mirrors)
            if not room:
                self.shed_copies()

    def shed_copies(self) -> None:
        """End every copy under way, for want of something of ours."""
        for mirror in self.mirrors:
            mirror.drop_all(Drop.SHED)

    def abort(self) -> None:
        """End every copy and every connection."""
        for mirror in self.mirrors:
            mirror.drop_all(Drop.DRAINING)
            mirror.upstream.abort()
        for service in self.running:
            service.serving.abort()
        for retired in self._retired:
            for upstream in retired.upstreams:
                upstream.abort()

    def tally(self) -> Tally:
        """All that was counted since the start."""
        self._bury()
        tally = Tally()
        tally.add(self._past)
        for stats in [service.stats for service in self.running] + [retired.stats for retired in self._retired]:
            if stats is not None:
                tally.add(_counted(stats))
        return tally

    def _retire(self, retired: Retired) -> None:
        for upstream in retired.upstreams:
            upstream.retire()
        self._retired.append(retired)

    def _bury(self) -> None:
        """Keep nothing but the counts of those that are over."""
        for retired in [retired for retired in self._retired if retired.is_over]:
            self._retired.remove(retired)
            if retired.stats is not None:
                self._past.add(_counted(retired.stats).without_gauges())


def without_secrets(settings: Settings) -> bytes:
    """What a judge is told, as JSON: it parses the candidate's bytes, and needs no credential for that.

    A masked value is no value, so the fields added for backends are left out altogether.
    """
    headers = {side: {"headers"} for side in ("primary", "candidate")}
    return orjson.dumps(settings.model_dump(mode="json", exclude={"services": {"__all__": headers}}))


def _counted(stats: ServiceStats) -> Tally:
    tally = Tally()
    stats.dump(tally)
    return tally


def _is_same(service: RunningService, before: Settings, after: Settings) -> bool:
    """Whether nothing that the service depends on has changed."""
    return service.settings == after.services[service.stats.name] and _common(before) == _common(after)


def _common(settings: Settings) -> dict[str, object]:
    return {name: value for name, value in settings if name not in {"services", "default_service"}}


def _transport(settings: Settings) -> tuple[object, ...]:
    """What all connections to backends depend on."""
    return settings.limits, settings.timeouts, settings.pool


def _left_of(service: RunningService) -> Retired:
    """All of it."""
    upstreams = (service.serving, service.mirror.upstream)
    in_use = service.lease.watch()
    return Retired(in_use, service.stats.name, service.snapshot, upstreams, service.mirror, service.stats)


def _succeed(old: RunningService, new: RunningService, *, same_transport: bool) -> Retired:
    """Hand over what the settings of the new service leave as it was; what is left of the old one."""
    left = _left_of(old)
    same_primary = same_transport and old.settings.primary == new.settings.primary
    same_counters = _counters(old.stats) == _counters(new.stats)
    if same_counters:
        new.stats = new.mirror.stats = old.stats
        left.stats = None
    kept = []
    if same_primary:
        new.serving = old.serving
        kept.append(old.serving)
    same_mirror = old.settings.candidate == new.settings.candidate and old.settings.mirror == new.settings.mirror
    if same_transport and same_mirror:
        new.mirror.follow(old.mirror)
        kept.append(old.mirror.upstream)
        if same_counters:
            new.mirror = old.mirror
            left.mirror = None
    is_warm = same_primary and same_transport and same_mirror  # else it starts to mirror anew
    new.mirror.is_on, new.mirror.warm_at = is_warm and old.mirror.is_on, old.mirror.warm_at
    left.upstreams = tuple(upstream for upstream in left.upstreams if upstream not in kept)
    return left


def _counters(stats: ServiceStats) -> tuple[object, ...]:
    return stats.primary, stats.candidate, stats.endpoint_names
