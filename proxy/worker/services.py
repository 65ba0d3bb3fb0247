"""A service at work: its connections, its mirror target, its counters."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Protocol

from proxy.config.models import Backend, Service, Settings
from proxy.core.shedding import Shedding
from proxy.http.connection import ClientConnection
from proxy.http.dialling import Dialler, DialTimeouts
from proxy.http.forwarded import ForwardedLines
from proxy.http.live_context import BackendContexts
from proxy.http.open_files import OpenFiles
from proxy.http.pool import BackendPool
from proxy.http.refusal import Refusal
from proxy.http.request_head import RequestHead
from proxy.http.tunnel import Tunnel
from proxy.http.turn import Lane, Turn
from proxy.http.upstream import Upstream
from proxy.worker.backend_head import copy_heads, served_heads, trailer_filter
from proxy.worker.budget import ByteBudget
from proxy.worker.judge_link import JudgeLink
from proxy.worker.lease import Lease
from proxy.worker.mirror import MirrorTarget
from proxy.worker.mirror_guard import MirrorGuard
from proxy.worker.stats import ServiceStats


class ServiceApp(Protocol):
    """What a service asks of the worker it runs in."""

    settings: Settings
    via: bytes
    link: JudgeLink
    budget: ByteBudget
    turn: Turn
    guard: MirrorGuard
    tunnels: set[Tunnel]
    shedding: Shedding
    files: OpenFiles

    def date(self) -> bytes:
        """Now, as a Date value."""

    def refuse(self, connection: ClientConnection, refusal: Refusal, *, to_head: bool) -> None:
        """Write and count the answer to a request that goes to no backend."""


@dataclass(eq=False, slots=True)
class RunningService:
    """One service under some settings; others make another one, see `roster`.

    `snapshot` is the version these settings are in force under, `index` the service's place in them.
    """

    app: ServiceApp
    index: int
    settings: Service
    stats: ServiceStats
    serving: Upstream
    mirror: MirrorTarget
    link: JudgeLink
    budget: ByteBudget
    first_byte_s: float
    request_head: Callable[[ClientConnection, RequestHead], bytes]
    """The head the serving backend gets."""
    copy_head: Callable[[bytes, RequestHead], bytes]
    """The head of a copy, from the head its request was served with."""
    trailers: Callable[[list[bytes]], list[bytes]]
    """Those of a client's trailers that may pass."""
    snapshot: int = 0
    lease: Lease = field(default_factory=Lease)
    serving_version: str = ""

    def __post_init__(self) -> None:
        self.serving_version = self.settings.primary.version

    def tick(self, now: float) -> None:
        """Enforce deadlines on both sides."""
        self.serving.tick(now)
        self.mirror.tick(now)


@dataclass(frozen=True, slots=True)
class Executors:
    """Name resolvers: one for serving, one for mirrors, so that neither delays the other; and TLS contexts."""

    serving: Executor
    mirror: Executor
    contexts: BackendContexts = field(default_factory=BackendContexts)


def run_service(app: ServiceApp, index: int, name: str, executors: Executors) -> RunningService:
    """Set up a configured service; opens no connection yet."""
    settings = app.settings
    service = settings.services[name]
    endpoint_names = (*(endpoint.name for endpoint in service.endpoints), "other")
    stats = ServiceStats.of(name, service, endpoint_names)
    serving = _serving(app, service.primary, executors)
    mirror = MirrorTarget(_mirror(app, service, executors), service.mirror, app.budget, stats, app.guard, app.shedding)
    timeout = service.primary.timeout
    first_byte_s = settings.timeouts.first_byte if timeout is None else timeout
    return RunningService(
        app=app,
        index=index,
        settings=service,
        stats=stats,
        serving=serving,
        mirror=mirror,
        link=app.link,
        budget=app.budget,
        first_byte_s=first_byte_s,
        request_head=served_heads(service, ForwardedLines(settings.forwarded, app.via)).head,
        copy_head=copy_heads(service).head,
        trailers=trailer_filter(service),
    )


def _serving(app: ServiceApp, backend: Backend, executors: Executors) -> Upstream:
    settings = app.settings
    pool, timeouts = settings.pool, settings.timeouts
    steps = DialTimeouts(timeouts.resolve, timeouts.connect, timeouts.tls, pool.dns_ttl)
    return Upstream(
        dialler=_dialler(app, backend, steps, Lane.SERVING, executors),
        limits=settings.limits,
        response_idle_s=timeouts.response_idle,
        pool_wait_s=pool.wait,
        pool=BackendPool(pool.max_connections, pool.max_idle, pool.max_waiting, pool.idle, pool.max_age),
        turn=app.turn,
        lane=Lane.SERVING,
    )


def _mirror(app: ServiceApp, service: Service, executors: Executors) -> Upstream:
    settings = app.settings
    mirror, pool = service.mirror, settings.pool
    steps = DialTimeouts(settings.timeouts.resolve, mirror.connect_timeout, mirror.tls_timeout, pool.dns_ttl)
    return Upstream(
        dialler=_dialler(app, service.candidate, steps, Lane.MIRROR, executors),
        limits=settings.limits,
        response_idle_s=mirror.lifetime,
        pool_wait_s=pool.wait,
        pool=BackendPool(mirror.max_connections, pool.max_idle, 0, pool.idle, pool.max_age),
        turn=app.turn,
        lane=Lane.MIRROR,
    )


def _dialler(app: ServiceApp, backend: Backend, steps: DialTimeouts, lane: Lane, executors: Executors) -> Dialler:
    tls = executors.contexts.of(backend.tls) if backend.url.scheme == "https" else None
    executor = executors.mirror if lane is Lane.MIRROR else executors.serving
    return Dialler(backend.url, steps, executor, lane, app.files, tls, backend.server_name)
