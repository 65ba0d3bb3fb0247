"""`/api/v1/status`: the state of every service in one answer, for the command line and for people."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from proxy.config.models import Mode, Service, Settings
from proxy.config.units import Address
from proxy.control.evidence_store import Published
from proxy.control.label_sets import OURSELVES
from proxy.control.processes import Processes
from proxy.control.reload import Reading
from proxy.core.evidence import agreement
from proxy.core.families import BACKEND_DURATION, COMPARISONS, DIFFERENCE_PATHS, DIFFERENCES, DROPPED, MIRRORS, REQUESTS
from proxy.core.reasons import MirrorResult
from proxy.core.sketch import Sketch
from proxy.core.tally import Tally
from proxy.ipc.messages import Snapshot

TOP = 5
_QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


def status(snapshot: Snapshot, published: Published, version: str, uptime: float, refused_peers: int) -> dict[str, Any]:
    """The whole answer; `uptime` in seconds."""
    return {
        "version": version,
        "snapshot": snapshot.version,
        "fleet": "single",
        "uptime_s": round(uptime, 1),
        "processes": process_rows(published.processes),
        "refused_peers": refused_peers,
        "services": [service_status(name, snapshot, published.tally) for name in snapshot.settings.services],
    }


def configuration(snapshot: Snapshot, last: Reading) -> dict[str, Any]:
    """The configuration in force, by the snapshot that brought it, and what came of reading it last.

    A reading that was refused names its errors; `needs_restart` lists what was read and is not in force.
    """
    return {
        "snapshot": snapshot.configuration,
        "read_at": datetime.fromtimestamp(last.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "in_force": last.is_successful,
        "refusal": last.refusal or None,
        "errors": last.errors,
        "needs_restart": list(last.needs_restart),
    }


def process_rows(processes: Processes) -> list[dict[str, Any]]:
    """The supervisor's view, as JSON rows."""
    return [asdict(member) for member in processes.members]


def service_status(name: str, snapshot: Snapshot, tally: Tally) -> dict[str, Any]:
    """One service. Ratios are shares of 1 and durations seconds; either is null without data.

    `client_errors` counts what clients got that no working primary says: answers of the proxy itself, and 5xx.
    """
    service = snapshot.settings.services[name]
    mode = snapshot.modes[name]
    found = agreement(tally, service=name)
    results = tally.by(MIRRORS, "result", service=name)
    mirrored = results.pop(MirrorResult.MIRRORED, 0)
    failed_by = tally.by(REQUESTS, "backend", service=name, code="5xx")
    dropped_by = tally.by(DROPPED, "reason", service=name)
    return {
        "service": name,
        "mode": mode,
        "answers": {service.primary.version: 1.0, service.candidate.version: 0.0},
        "requests": found.requests,
        "client_errors": {
            "proxy": tally.total(REQUESTS, service=name, backend=OURSELVES),
            "5xx": sum(failed_by.values()) - failed_by.get(OURSELVES, 0),  # of primaries of earlier versions too
        },
        "compared": found.compared,
        "agreement": found.ratio,
        "interval": found.interval,
        "agreement_raw": found.raw,
        "coverage": found.coverage,
        "mirrored": mirrored,
        "not_mirrored": results,
        "dropped": sum(dropped_by.values()),
        "dropped_by": dropped_by,
        "verdicts": tally.by(COMPARISONS, "verdict", service=name),
        "differences": tally.by(DIFFERENCES, "kind", service=name),
        "top": _top(name, tally),
        "latency": {side: _latency(name, side, tally) for side in ("primary", "candidate")},
        "next": _next(name, service, mode, found.requests, snapshot.settings),
    }


def _top(service: str, tally: Tally) -> list[dict[str, Any]]:
    """The differences that touch most exchanges."""
    found = [
        (-exchanges, endpoint, path, kind)
        for (owner, endpoint, path, kind), exchanges in tally.counts.get(DIFFERENCE_PATHS.name, {}).items()
        if owner == service
    ]
    return [
        {"endpoint": endpoint, "path": path, "kind": kind, "exchanges": -fewer}
        for fewer, endpoint, path, kind in sorted(found)[:TOP]
    ]


def _latency(service: str, side: str, tally: Tally) -> dict[str, float | None]:
    total = Sketch()
    at_service, at_side = BACKEND_DURATION.labels.index("service"), BACKEND_DURATION.labels.index("side")
    for labels, sketch in tally.sketches.get(BACKEND_DURATION.name, {}).items():
        if (labels[at_service], labels[at_side]) == (service, side):
            total.merge(sketch)
    return {name: total.quantile(share) for name, share in _QUANTILES.items()}


def _next(name: str, service: Service, mode: Mode, requests: int, settings: Settings) -> str:
    """The command that leads on from here."""
    if mode is Mode.PRIMARY:
        return f"shadow-proxy mode shadow {name}"
    if not requests and settings.listen.port:  # a port that the system chose is not known here
        host = f" -H 'Host: {service.hosts[0]}'" if service.hosts else ""
        scheme = "https" if settings.tls.is_on else "http"
        return f"curl{host} {scheme}://{_reached_at(settings.listen)}/"
    return f"shadow-proxy status {name} --watch"


def _reached_at(listen: Address) -> Address:
    """Where this machine's clients connect to; a wildcard is no place."""
    if not listen.is_wildcard:
        return listen
    return Address("::1" if ":" in listen.host else "127.0.0.1", listen.port)
