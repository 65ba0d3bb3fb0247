"""The exact table of what may be asked; anything else is 404, also what a lenient reader would take for it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto

from aiohttp import web

from proxy.control.api import native, runbook
from proxy.control.api.call import Call, Control
from proxy.control.api.problems import Problem

Handler = Callable[[Control, Call], Awaitable[web.Response]]


class Access(Enum):
    """What a call touches, and so who may make it."""

    HEALTH = auto()
    METRICS = auto()
    READ = auto()
    STORED = auto()
    CHANGE = auto()

    def needs_token(self, *, loopback: bool, open_metrics: bool) -> bool:
        """Whether it needs the token on such a bind: changes and stored rows always, health never."""
        match self:
            case Access.HEALTH:
                return False
            case Access.METRICS:
                return not (loopback or open_metrics)
            case Access.READ:
                return not loopback
            case _:
                return True


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path; a segment in braces takes any one segment."""

    method: str
    path: str
    access: Access
    handler: Handler


RUNBOOK_PREFIXES = ("/admin", "/api/v2/admin", "/api/admin")
ROUTES = (
    Route("GET", "/healthz", Access.HEALTH, native.healthz),
    Route("GET", "/readyz", Access.HEALTH, native.readyz),
    Route("GET", "/metrics", Access.METRICS, native.metrics),
    Route("GET", "/api/v1/status", Access.READ, native.get_status),
    Route("GET", "/api/v1/services/{service}", Access.READ, native.get_service),
    Route("PUT", "/api/v1/services/{service}/mode", Access.CHANGE, native.put_mode),
    Route("POST", "/api/v1/config/reload", Access.CHANGE, native.reload),
    Route("GET", "/api/v1/audit", Access.STORED, native.get_audit),
    *(Route("GET", f"{prefix}/flags", Access.READ, runbook.get_flags) for prefix in RUNBOOK_PREFIXES),
    *(Route("POST", f"{prefix}/flags", Access.CHANGE, runbook.post_flags) for prefix in RUNBOOK_PREFIXES),
    *(
        Route("POST", f"{prefix}/enable-shadow-mode", Access.CHANGE, runbook.enable_shadow_mode)
        for prefix in RUNBOOK_PREFIXES
    ),
)


def find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The route of a raw path, and its variable segments. HEAD is GET; one trailing slash is accepted.

    Raises Problem: 404 for a path that is not in the table, 405 for a method that its path does not have.
    """
    wanted = path.removesuffix("/").split("/")
    found = [(route, taken) for route in ROUTES if (taken := _matched(route, wanted)) is not None]
    for route, taken in found:
        if route.method == ("GET" if method == "HEAD" else method):
            return route, taken
    if not found:
        raise Problem(404, "no-such-call", "There is nothing here.")
    methods = sorted({route.method for route, _ in found} | ({"HEAD"} if found[0][0].method == "GET" else set()))
    allow = ", ".join(methods)
    raise Problem(405, "method-not-allowed", f"Allowed here: {allow}.", fields={"Allow": allow})


def _matched(route: Route, wanted: list[str]) -> dict[str, str] | None:
    segments = route.path.split("/")
    if len(segments) != len(wanted):
        return None
    taken = {}
    for segment, given in zip(segments, wanted, strict=True):
        if segment.startswith("{") and given:
            taken[segment.strip("{}")] = given
        elif segment != given:
            return None
    return taken
