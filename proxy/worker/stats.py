"""What a worker counts: plain integers and sketches on the path, a `Tally` once a second."""

from dataclasses import dataclass, field
from typing import Final

from proxy.config.models import Service
from proxy.core.families import (
    ADDED_LATENCY,
    BACKEND_DURATION,
    BACKEND_FAILURES,
    BACKEND_REQUESTS,
    DROPPED,
    LOOP_LAG,
    MIRROR_BYTES,
    MIRROR_BYTES_LIMIT,
    MIRROR_IN_FLIGHT,
    MIRRORS,
    PAIRS_OFFERED,
    PROTECTED_NOMINATIONS,
    REFUSED,
    REQUEST_DURATION,
    REQUESTS,
    START_SKEW,
    WARM_UP_REQUESTS,
)
from proxy.core.gathered import Gathered
from proxy.core.reasons import Drop, FailureKind, MirrorResult, Refused
from proxy.core.sketch import Sketch
from proxy.core.tally import Tally

PROXY: Final = "proxy"
ABORTED: Final = "aborted"
ERROR: Final = "error"
_CLASSES: Final = tuple(f"{hundreds}xx" for hundreds in range(10))


def code_class(status: int) -> str:
    """`2xx` for 204."""
    return _CLASSES[status // 100]


@dataclass(slots=True)
class LegStats:
    """One backend in one role at one endpoint."""

    codes: dict[str, int] = field(default_factory=dict)
    duration: Gathered = field(default_factory=Gathered)

    def answered(self, status: int, duration: float) -> None:
        """An answer came after `duration` seconds."""
        code = _CLASSES[status // 100]
        self.codes[code] = self.codes.get(code, 0) + 1
        self.duration.add(duration)

    def cut(self, status: int) -> None:
        """One came whose end was not waited for."""
        code = _CLASSES[status // 100]
        self.codes[code] = self.codes.get(code, 0) + 1

    def failed(self) -> None:
        """None came."""
        self.codes[ERROR] = self.codes.get(ERROR, 0) + 1


@dataclass(slots=True)
class EndpointStats:
    """One endpoint. `requests` is by (backend, code), `warm_up` those of them that are no evidence."""

    requests: dict[tuple[str, str], int] = field(default_factory=dict)
    warm_up: dict[tuple[str, str], int] = field(default_factory=dict)
    durations: dict[str, Gathered] = field(default_factory=dict)
    mirrors: dict[MirrorResult, int] = field(default_factory=dict)
    served: LegStats = field(default_factory=LegStats)
    mirrored: LegStats = field(default_factory=LegStats)

    def ended(self, backend: str, code: str, result: MirrorResult, duration: float, *, warms_up: bool) -> None:
        """A client request ended after `duration` seconds."""
        key = (backend, code)
        self.requests[key] = self.requests.get(key, 0) + 1
        if warms_up:
            self.warm_up[key] = self.warm_up.get(key, 0) + 1
        self.mirrors[result] = self.mirrors.get(result, 0) + 1
        durations = self.durations.get(backend)
        if durations is None:
            durations = self.durations[backend] = Gathered()
        durations.add(duration)


@dataclass(slots=True)
class ServiceStats:
    """One service. `failures` is by (role, kind), `offered` by judge incarnation.

    `protected` counts names that may not be nominated away but were, by clients and by the serving backend.
    """

    name: str
    primary: str
    candidate: str
    endpoint_names: tuple[str, ...]
    endpoints: tuple[EndpointStats, ...]
    added: Gathered = field(default_factory=Gathered)
    skew: Gathered = field(default_factory=Gathered)
    drops: dict[Drop, int] = field(default_factory=dict)
    failures: dict[tuple[str, FailureKind], int] = field(default_factory=dict)
    offered: dict[str, int] = field(default_factory=dict)
    protected: int = 0
    in_flight: int = 0

    @classmethod
    def of(cls, name: str, service: Service, endpoint_names: tuple[str, ...]) -> "ServiceStats":
        """Empty ones for a configured service."""
        endpoints = tuple(EndpointStats() for _ in endpoint_names)
        return cls(name, service.primary.version, service.candidate.version, endpoint_names, endpoints)

    def drop(self, reason: Drop) -> None:
        """A mirrored request ends without a verdict."""
        self.drops[reason] = self.drops.get(reason, 0) + 1

    def failure(self, role: str, kind: FailureKind) -> None:
        """A backend did not answer; `role` is serve or mirror."""
        key = (role, kind)
        self.failures[key] = self.failures.get(key, 0) + 1

    def dump(self, tally: Tally) -> None:
        """Write everything counted so far into a tally."""
        for name, endpoint in zip(self.endpoint_names, self.endpoints, strict=True):
            self._dump_endpoint(tally, name, endpoint)
        tally.sketch(ADDED_LATENCY, (self.name,)).merge(self.added.sketch())
        tally.sketch(START_SKEW, (self.name,)).merge(self.skew.sketch())
        for reason, count in self.drops.items():
            tally.count(DROPPED, (self.name, reason), count)
        for (role, kind), count in self.failures.items():
            backend, side = self._leg(role)
            tally.count(BACKEND_FAILURES, (self.name, backend, side, role, kind), count)
        for judge, count in self.offered.items():
            tally.count(PAIRS_OFFERED, (self.name, judge), count)
        if self.protected:
            tally.count(PROTECTED_NOMINATIONS, (self.name,), self.protected)
        tally.gauge(MIRROR_IN_FLIGHT, (self.name,), self.in_flight)

    def _leg(self, role: str) -> tuple[str, str]:
        return (self.primary, "primary") if role == "serve" else (self.candidate, "candidate")

    def _dump_endpoint(self, tally: Tally, name: str, endpoint: EndpointStats) -> None:
        for (backend, code), count in endpoint.requests.items():
            tally.count(REQUESTS, (self.name, name, backend, code), count)
        for (backend, code), count in endpoint.warm_up.items():
            tally.count(WARM_UP_REQUESTS, (self.name, name, backend, code), count)
        for backend, durations in endpoint.durations.items():
            tally.sketch(REQUEST_DURATION, (self.name, name, backend)).merge(durations.sketch())
        for result, count in endpoint.mirrors.items():
            tally.count(MIRRORS, (self.name, name, result), count)
        for role, leg in (("serve", endpoint.served), ("mirror", endpoint.mirrored)):
            backend, side = self._leg(role)
            for code, count in leg.codes.items():
                tally.count(BACKEND_REQUESTS, (self.name, name, backend, side, role, code), count)
            if leg.codes:
                tally.sketch(BACKEND_DURATION, (self.name, name, backend, side, role)).merge(leg.duration.sketch())


@dataclass(slots=True)
class WorkerStats:
    """What belongs to no service."""

    process: str
    refused: dict[Refused, int] = field(default_factory=dict)
    lag: Sketch = field(default_factory=Sketch)

    def refuse(self, reason: Refused) -> None:
        """A request was refused before any service was known."""
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def dump(self, tally: Tally, held: int, limit: int) -> None:
        """Write everything counted so far into a tally; `held` of `limit` bytes are in use for mirrors."""
        for reason, count in self.refused.items():
            tally.count(REFUSED, (reason,), count)
        tally.sketch(LOOP_LAG, (self.process,)).merge(self.lag)
        tally.gauge(MIRROR_BYTES, (), held)
        tally.gauge(MIRROR_BYTES_LIMIT, (), limit)
