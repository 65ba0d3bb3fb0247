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
from proxy.core.families import (
    BACKEND_DURATION,
    BREAKER_OPENED_AT,
    COMPARISONS,
    DIFFERENCE_PATHS,
    DIFFERENCES,
    DROPPED,
    ENDPOINT_QUARANTINED,
    MIRRORING_SUSPENDED,
    MIRRORS,
    REQUESTS,
    RULE_QUARANTINED,
    WARM_UP_COMPARISONS,
    WARM_UP_LEFT,
)
from proxy.core.reasons import MirrorResult
from proxy.core.sketch import Sketch
from proxy.core.tally import Tally
from proxy.ipc.kill_switch import Pulled
from proxy.ipc.messages import Snapshot

TOP = 5
_QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


def status(
    snapshot: Snapshot,
    published: Published,
    version: str,
    uptime: float,
    refused_peers: int,
    *,
    pulled: Pulled | None = None,
) -> dict[str, Any]:
    """The whole answer; `uptime` in seconds."""
    tally = published.tally
    return {
        "version": version,
        "snapshot": snapshot.version,
        "fleet": "single",
        "uptime_s": round(uptime, 1),
        "processes": process_rows(published.processes),
        "suspended": _suspended(tally),
        "refused_peers": refused_peers,
        "kill_switch": None if pulled is None else asdict(pulled),
        "services": [service_status(name, snapshot, tally, pulled) for name in snapshot.settings.services],
    }


def configuration(snapshot: Snapshot, last: Reading) -> dict[str, Any]:
    """The configuration in force, by the snapshot that brought it, and what came of reading it last.

    A reading that was refused names its errors; `needs_restart` lists what was read and is not in force.
    """
    return {
        "snapshot": snapshot.configuration,
        "read_at": _moment(last.at, "milliseconds"),
        "in_force": last.is_successful,
        "refusal": last.refusal or None,
        "errors": last.errors,
        "needs_restart": list(last.needs_restart),
    }


def _moment(at: float, precision: str) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def process_rows(processes: Processes) -> list[dict[str, Any]]:
    """The supervisor's view, as JSON rows."""
    return [asdict(member) for member in processes.members]


def service_status(name: str, snapshot: Snapshot, tally: Tally, pulled: Pulled | None = None) -> dict[str, Any]:
    """One service. Ratios are shares of 1 and durations seconds; either is null without data.

    `client_errors` counts what clients got that no working primary says: answers of the proxy itself, and 5xx.
    `compared` and the ratios leave out what belongs to a warm-up, which `warm_up` counts; all else has it in.
    """
    service = snapshot.settings.services[name]
    mode = snapshot.modes[name]
    found = agreement(tally, service=name)
    requests = tally.total(REQUESTS, service=name)
    results = tally.by(MIRRORS, "result", service=name)
    mirrored = results.pop(MirrorResult.MIRRORED, 0)
    failed_by = tally.by(REQUESTS, "backend", service=name, code="5xx")
    dropped_by = tally.by(DROPPED, "reason", service=name)
    return {
        "service": name,
        "mode": mode,
        "answers": {service.primary.version: 1.0, service.candidate.version: 0.0},
        "requests": requests,
        "client_errors": {
            "proxy": tally.total(REQUESTS, service=name, backend=OURSELVES),
            "5xx": sum(failed_by.values()) - failed_by.get(OURSELVES, 0),  # of primaries of earlier versions too
        },
        "compared": found.compared,
        "agreement": found.ratio,
        "interval": found.interval,
        "agreement_raw": found.raw,
        "coverage": found.coverage,
        "warm_up": _warm_up(name, tally),
        "mirrored": mirrored,
        "not_mirrored": results,
        "dropped": sum(dropped_by.values()),
        "dropped_by": dropped_by,
        "breaker_open": _breaker(name, tally),
        "quarantined": _quarantined(name, tally),
        "verdicts": tally.by(COMPARISONS, "verdict", service=name),
        "differences": tally.by(DIFFERENCES, "kind", service=name),
        "top": _top(name, tally),
        "latency": {side: _latency(name, side, tally) for side in ("primary", "candidate")},
        "next": pulled.release if pulled else _next(name, service, mode, requests, snapshot.settings),
    }


def _quarantined(service: str, tally: Tally) -> dict[str, dict[str, int]]:
    """What judges no longer compare, because they kept dying of it, and how many of them."""
    return {
        names: {
            name: round(judges)
            for (owner, name), judges in sorted(tally.gauges.get(family.name, {}).items())
            if owner == service
        }
        for names, family in (("rules", RULE_QUARANTINED), ("endpoints", ENDPOINT_QUARANTINED))
    }


def _warm_up(service: str, tally: Tally) -> dict[str, Any]:
    """How long the last worker still warms up, and those of the verdicts that are therefore no evidence."""
    left = [left for (owner, _), left in tally.gauges.get(WARM_UP_LEFT.name, {}).items() if owner == service]
    verdicts = tally.by(WARM_UP_COMPARISONS, "verdict", service=service)
    return {"left_s": round(max(left, default=0.0), 1), "verdicts": verdicts}


def _suspended(tally: Tally) -> list[dict[str, str]]:
    """The workers that start no copies, and what they lack."""
    causes = tally.gauges.get(MIRRORING_SUSPENDED.name, {})
    return [{"process": process, "cause": cause} for (process, cause), holds in sorted(causes.items()) if holds]


def _breaker(service: str, tally: Tally) -> dict[str, Any] | None:
    """How many workers have paused copies to the candidate, and since when the first of them; None if none has."""
    opened = [at for (owner, *_), at in tally.gauges.get(BREAKER_OPENED_AT.name, {}).items() if owner == service]
    return {"workers": len(opened), "since": _moment(min(opened), "seconds")} if opened else None


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
