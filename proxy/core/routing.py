"""Routing: which service and endpoint a request belongs to, who serves it, whether it is mirrored.

A `Routes` is built once per snapshot and only read afterwards. Paths are matched raw, as sent: nothing is
decoded or folded, so what we match is what the backend sees.
"""

import re
from dataclasses import dataclass
from typing import Final

from proxy.config.models import Endpoint, Mode, Service, Settings
from proxy.config.units import PARAMETER
from proxy.core.reasons import MirrorResult

OTHER: Final = "other"
_GOLDEN: Final = 0.6180339887498949
_MIRRORED: Final = MirrorResult.MIRRORED


@dataclass(frozen=True, slots=True)
class EndpointRoute:
    """An endpoint of a service. `index` is its place in the service's list; `other` comes last.

    `total_s` is how many seconds an exchange may take; 0 is any.
    """

    name: str
    index: int
    read_only: bool = False
    mirror: bool = True
    total_s: float = 0.0


@dataclass(slots=True)
class ServiceRoute:
    """A service as the data plane sees it."""

    name: str
    index: int
    mode: Mode
    mirrors: bool
    share: float
    methods: frozenset[bytes]
    endpoints: tuple[EndpointRoute, ...]
    _literal: dict[tuple[bytes, bytes], EndpointRoute]
    _templates: tuple[tuple[bytes, "re.Pattern[bytes]", EndpointRoute], ...]

    def endpoint(self, method: bytes, target: bytes) -> EndpointRoute:
        """The endpoint of a target in origin form; literal paths first, then templates in configured order."""
        mark = target.find(b"?")
        path = target if mark < 0 else target[:mark]
        found = self._literal.get((method, path)) or self._literal.get((b"*", path))
        if found is not None:
            return found
        for wanted, template, endpoint in self._templates:
            if (wanted == method or wanted == b"*") and template.fullmatch(path):  # noqa: PLR1714  `in` builds a tuple
                return endpoint
        return self.endpoints[-1]


class Routes:
    """All services of a snapshot, by Host."""

    __slots__ = ("_any", "_by_host", "services")

    def __init__(self, settings: Settings, modes: dict[str, Mode]) -> None:
        """`modes` are those in force, by service."""
        self.services = tuple(
            _service_route(index, name, service, modes.get(name, Mode(service.mode)), settings.timeouts.total)
            for index, (name, service) in enumerate(settings.services.items())
        )
        self._by_host: dict[bytes, ServiceRoute] = {}
        self._any: ServiceRoute | None = None
        for route, service in zip(self.services, settings.services.values(), strict=True):
            for host in service.hosts:
                self._by_host[host.lower().encode()] = route
            if not service.hosts:
                self._any = route

    def service(self, host: bytes) -> ServiceRoute | None:
        """The service of a Host value: exact with its port, then without, then the one for every host."""
        if self._by_host:
            name = host.lower()
            found = self._by_host.get(name) or self._by_host.get(without_port(name))
            if found is not None:
                return found
        return self._any


def decide(
    service: ServiceRoute,
    endpoint: EndpointRoute,
    method: bytes,
    *,
    is_copy: bool,
    draining: bool,
    draw: float,
    is_upgrade: bool = False,
) -> MirrorResult:
    """Whether a request is mirrored, or why not. `draw` is in [0, 1) and decides about the sampled share."""
    if not service.mirrors:
        return MirrorResult.MODE
    if is_copy:
        return MirrorResult.LOOP
    if is_upgrade:
        return MirrorResult.UPGRADE
    if not endpoint.mirror:
        return MirrorResult.ENDPOINT_OFF
    if method not in service.methods and not endpoint.read_only:
        return MirrorResult.METHOD
    if draw >= service.share:
        return MirrorResult.NOT_SAMPLED
    return MirrorResult.DRAINING if draining else _MIRRORED


def sample(sequence: int) -> float:
    """The draw of the n-th request, in [0, 1): equally spread, so a share of the requests is that share.

    The additive recurrence n·φ mod 1 (Weyl sequence): no dice, and of any n draws the number below a share s is
    n·s up to a small constant.
    """
    return sequence * _GOLDEN % 1.0


def without_port(host: bytes) -> bytes:
    """A Host value without its port."""
    if host.endswith(b"]"):
        return host
    name, colon, _port = host.rpartition(b":")
    return name if colon else host


def _service_route(index: int, name: str, service: Service, mode: Mode, total_s: float) -> ServiceRoute:
    endpoints = tuple(_endpoint_route(at, endpoint, total_s) for at, endpoint in enumerate(service.endpoints))
    literal: dict[tuple[bytes, bytes], EndpointRoute] = {}
    templates = []
    for configured, route in zip(service.endpoints, endpoints, strict=True):
        method, path = configured.match.encode().split(b" ", 1)
        if b"{" in path:
            templates.append((method, template_pattern(configured), route))
        else:
            literal.setdefault((method, path), route)
    return ServiceRoute(
        name=name,
        index=index,
        mode=mode,
        mirrors=mode is Mode.SHADOW,
        share=service.mirror.share,
        methods=frozenset(method.encode() for method in service.mirror.methods),
        endpoints=(*endpoints, EndpointRoute(OTHER, len(endpoints), total_s=total_s)),
        _literal=literal,
        _templates=tuple(templates),
    )


def _endpoint_route(index: int, endpoint: Endpoint, total_s: float) -> EndpointRoute:
    own = endpoint.timeouts.total
    return EndpointRoute(
        endpoint.name, index, endpoint.read_only, endpoint.mirror, total_s=total_s if own is None else own
    )


def template_pattern(endpoint: Endpoint) -> "re.Pattern[bytes]":
    """The pattern of a template's path: `{name}` is one segment, a last `{rest}` all that remain."""
    path = endpoint.match.split(" ", 1)[1]
    parts = re.split(f"({PARAMETER.pattern})", path)
    pattern = "".join(
        ".*"
        if part == "{rest}" and not "".join(parts[at + 1 :])
        else "[^/]+"
        if part.startswith("{")
        else re.escape(part)
        for at, part in enumerate(parts)
    )
    return re.compile(pattern.encode(), re.DOTALL)
