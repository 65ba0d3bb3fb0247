"""A service at work: its connections, its mirror target, its counters, and the heads it sends."""

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from proxy.config.bugs import Bugs
from proxy.config.models import Backend, Service, Settings
from proxy.http.connection import ClientConnection
from proxy.http.fields import name_of
from proxy.http.pool import BackendPool
from proxy.http.refusal import Refusal
from proxy.http.request_head import RequestHead
from proxy.http.turn import Lane, Turn
from proxy.http.upstream import DialTimeouts, Upstream
from proxy.worker.budget import ByteBudget
from proxy.worker.judge_link import JudgeLink
from proxy.worker.mirror import MirrorTarget
from proxy.worker.stats import ServiceStats

MARKER = b"X-Shadow-Request: 1"


class ServiceApp(Protocol):
    """What a service asks of the worker it runs in."""

    settings: Settings
    snapshot: int
    via: bytes
    link: JudgeLink
    budget: ByteBudget
    turn: Turn
    bugs: Bugs

    def date(self) -> bytes:
        """Now, as a Date value."""

    def refuse(self, connection: ClientConnection, refusal: Refusal, *, to_head: bool) -> None:
        """Write and count the answer to a request that goes to no backend."""


@dataclass(eq=False, slots=True)
class RunningService:
    """One service of the snapshot, while the worker runs."""

    app: ServiceApp
    index: int
    settings: Service
    stats: ServiceStats
    serving: Upstream
    mirror: MirrorTarget
    link: JudgeLink
    budget: ByteBudget
    first_byte_s: float
    serving_version: str = ""
    _host_passes: bool = True
    _copy_is_marked_only: bool = True

    def __post_init__(self) -> None:
        self.serving_version = self.settings.primary.version
        self._host_passes = self.settings.primary.host == "preserve"
        same_host = self._host_passes and self.settings.candidate.host == "preserve"
        self._copy_is_marked_only = same_host and not self.settings.mirror.headers.remove

    def tick(self, now: float) -> None:
        """Enforce deadlines on both sides."""
        self.serving.tick(now)
        self.mirror.tick(now)

    def request_head(self, client: ClientConnection, head: RequestHead) -> bytes:
        """The head the serving backend gets: the client's lines, then ours."""
        if client.forwarded_for != head.host or not head.minor:
            client.forwarded_for = head.host
            client.forwarded = self._forwarded(client, head)
        fields = head.fields
        if not (self._host_passes and head.host):
            fields = _with_host(fields, self._host_for(self.settings.primary, head.host))
        return head.start + b"\r\n" + fields + client.forwarded

    def copy_head(self, served: bytes, head: RequestHead) -> bytes:
        """The head of the copy: the served one, marked; without Expect and what the mirror removes."""
        if self._copy_is_marked_only and not head.expects:
            return served[:-2] + MARKER + b"\r\n\r\n"
        removed = self.settings.mirror.headers.remove
        gone = {name.lower().encode() for name in removed} | {b"expect"}
        start, *lines = served[:-4].split(b"\r\n")
        fields = b"\r\n".join(line for line in lines if name_of(line) not in gone)
        fields = _with_host(fields, self._host_for(self.settings.candidate, head.host))
        return start + b"\r\n" + fields + b"\r\n" + MARKER + b"\r\n\r\n"

    def _forwarded(self, client: ClientConnection, head: RequestHead) -> bytes:
        """The lines that say who asked: Via always, X-Forwarded-* if switched on. RFC 9110 §7.6.3."""
        lines = [b"", b"Via: 1.%d %b" % (head.minor, self.app.via)]
        if self.app.settings.forwarded.mode == "on":
            lines.append(b"X-Forwarded-For: " + client.peer)
            lines.append(b"X-Forwarded-Proto: http")
            if head.host:
                lines.append(b"X-Forwarded-Host: " + head.host)
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _host_for(self, backend: Backend, received: bytes) -> bytes:
        if backend.host == "preserve":
            return received or self.serving.origin.authority.encode()
        return backend.url.authority.encode() if backend.host == "target" else backend.host.encode()


def _with_host(fields: bytes, host: bytes) -> bytes:
    lines = [line for line in fields.split(b"\r\n") if line and name_of(line) != b"host"]
    return b"\r\n".join([*lines, b"Host: " + host])


@dataclass(frozen=True, slots=True)
class Executors:
    """Name resolvers: one for serving, one for mirrors, so that neither delays the other."""

    serving: Executor
    mirror: Executor


def run_service(app: ServiceApp, index: int, name: str, executors: Executors) -> RunningService:
    """Set up a configured service; opens no connection yet."""
    settings = app.settings
    service = settings.services[name]
    endpoint_names = (*(endpoint.name for endpoint in service.endpoints), "other")
    stats = ServiceStats.of(name, service, endpoint_names)
    serving = _serving(app, service.primary, executors.serving)
    mirror = MirrorTarget(_mirror(app, service, executors.mirror), service.mirror, app.budget, stats, app.bugs)
    timeout = service.primary.timeout
    first_byte_s = settings.timeouts.first_byte if timeout is None else timeout
    return RunningService(app, index, service, stats, serving, mirror, app.link, app.budget, first_byte_s)


def _serving(app: ServiceApp, backend: Backend, executor: Executor) -> Upstream:
    settings = app.settings
    pool, timeouts = settings.pool, settings.timeouts
    return Upstream(
        origin=backend.url,
        limits=settings.limits,
        response_idle_s=timeouts.response_idle,
        timeouts=DialTimeouts(timeouts.resolve, timeouts.connect, timeouts.tls, pool.wait, pool.dns_ttl),
        pool=BackendPool(pool.max_connections, pool.max_idle, pool.max_waiting, pool.idle, pool.max_age),
        executor=executor,
        turn=app.turn,
        lane=Lane.SERVING,
    )


def _mirror(app: ServiceApp, service: Service, executor: Executor) -> Upstream:
    settings = app.settings
    mirror, pool = service.mirror, settings.pool
    return Upstream(
        origin=service.candidate.url,
        limits=settings.limits,
        response_idle_s=mirror.lifetime,
        timeouts=DialTimeouts(
            settings.timeouts.resolve, mirror.connect_timeout, mirror.tls_timeout, pool.wait, pool.dns_ttl
        ),
        pool=BackendPool(mirror.max_connections, pool.max_idle, 0, pool.idle, pool.max_age),
        executor=executor,
        turn=app.turn,
        lane=Lane.MIRROR,
    )
