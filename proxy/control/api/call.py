"""One call: what a handler is given of the request, and what of control it may reach."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.config.models import Settings
from proxy.config.spelling import nearest
from proxy.control.api.problems import Problem
from proxy.control.evidence_store import EvidenceStore
from proxy.control.kill_switch import KillSwitchWatch
from proxy.control.links import Links
from proxy.control.metrics import Build
from proxy.control.readiness import Readiness
from proxy.control.reload import Reloader
from proxy.control.snapshots import Snapshots
from proxy.control.state import Asked, State
from proxy.ipc.messages import Snapshot

MAX_REASON = 500
_TRUTHS = {"": True, "true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Control:
    """What handlers reach."""

    snapshots: Snapshots
    state: State
    evidence: EvidenceStore
    links: Links
    readiness: Readiness
    reloader: Reloader
    kill_switch: KillSwitchWatch
    build: Build

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.snapshots.current.settings

    @property
    def in_force(self) -> Snapshot:
        """The snapshot in force, with the modes that workers have."""
        return self.kill_switch.in_force(self.snapshots.current)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be answered.

    Attributes:
        parameters: the variable segments of its path.
        query: its query; of a name given twice the last counts.
        body: its JSON object; empty when there was none.
        who, peer, route: for the audit log.
        accept: its Accept field.
        if_match: its If-Match field, without quotes; None when absent.
    """

    parameters: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    who: str
    peer: str
    route: str
    accept: str = ""
    if_match: str | None = None

    @property
    def dry_run(self) -> bool:
        """Whether to answer what would be done. Raises Problem 422."""
        given = self.query.get("dry_run", "false")
        if given not in _TRUTHS:
            raise Problem(422, "invalid-request", "dry_run is true or false.")
        return _TRUTHS[given]

    @property
    def asked(self) -> Asked:
        """Who asks for a change and why. Raises Problem 422."""
        reason = self.body.get("reason", "")
        if not isinstance(reason, str) or len(reason) > MAX_REASON:
            raise Problem(422, "invalid-request", f"reason is text of at most {MAX_REASON} characters.")
        return Asked(self.who, self.peer, self.route, reason)

    def service(self, settings: Settings) -> str:
        """The service this is about: the one named, else the only one, else the default one.

        Raises Problem: 404 for a name nobody configured, 422 when it is not clear which.
        """
        given = [name for name in (self.query.get("service"), self.body.get("service")) if name is not None]
        if any(name != given[0] or not isinstance(name, str) for name in given):
            raise Problem(422, "invalid-request", "service names one service, the same in query and body.")
        if given:
            return known_service(given[0], settings)
        if len(settings.services) == 1:
            return next(iter(settings.services))
        if settings.default_service is not None:
            return settings.default_service
        known = ", ".join(settings.services)
        raise Problem(422, "which-service", f"Say which service: {known}.", hint="add ?service=NAME")


def known_service(name: str, settings: Settings) -> str:
    """The name, if it is configured. Raises Problem 404."""
    if name not in settings.services:
        near, known = nearest(name, settings.services), ", ".join(settings.services)
        hint = f'did you mean "{near}"?' if near else ""
        raise Problem(404, "no-such-service", f"There is no such service; there are: {known}.", hint=hint)
    return name


def parse_body(content: bytes) -> dict[str, Any]:
    """The JSON object of a body; no body is an empty one. Raises Problem 400."""
    if not content.strip():
        return {}
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise Problem(400, "invalid-json", "The body is not JSON.") from None
    if not isinstance(body, dict):
        raise Problem(422, "invalid-request", "The body is a JSON object.")
    return body
