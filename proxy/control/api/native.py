"""The native calls under `/api/v1`, and the three at the root that machines ask: health, readiness, metrics."""

import asyncio
import time

from aiohttp import web

from proxy.config.models import Mode
from proxy.control.api.call import Call, Control, known_service
from proxy.control.api.change import change
from proxy.control.api.flags import check_share, mode_asked_for
from proxy.control.api.problems import Problem, answer, plain
from proxy.control.metrics import Exposition
from proxy.control.state import ServiceState
from proxy.control.status import configuration, service_status, status

MAX_AUDIT_ROWS = 500
_AUDIT_ROWS = 50


async def healthz(_control: Control, _call: Call) -> web.Response:
    """`GET /healthz`: one word; touches nothing."""
    return plain(b"ok\n")


async def readyz(control: Control, _call: Call) -> web.Response:
    """`GET /readyz`: 503 says what is missing."""
    if missing := await control.readiness.missing():
        raise Problem(503, "not-ready", "This proxy cannot serve yet.", errors=missing)
    return answer({"ready": True})


async def metrics(control: Control, call: Call) -> web.Response:
    """`GET /metrics`."""
    scrape = Exposition(
        control.settings,
        control.evidence.published,
        control.in_force.modes,
        control.reloader.last,
        control.build,
        is_killed=control.kill_switch.look() is not None,
        was_lost=control.state.was_lost,
    )
    text, content_type = await asyncio.to_thread(scrape.render, call.accept)
    return plain(text, content_type)


async def get_status(control: Control, _call: Call) -> web.Response:
    """`GET /api/v1/status`."""
    published, in_force, pulled = control.evidence.published, control.in_force, control.kill_switch.look()
    uptime = time.time() - (published.processes.started_at or control.build.started_at)
    said = status(in_force, published, control.build.version, max(0.0, uptime), control.links.refused, pulled=pulled)
    return answer({**said, "configuration": configuration(in_force, control.reloader.last)})


async def get_service(control: Control, call: Call) -> web.Response:
    """`GET /api/v1/services/{service}`."""
    name = known_service(call.parameters["service"], control.settings)
    pulled = control.kill_switch.look()
    return answer(service_status(name, control.in_force, control.evidence.published.tally, pulled))


async def put_mode(control: Control, call: Call) -> web.Response:
    """`PUT /api/v1/services/{service}/mode` `{"mode": "shadow", "reason": "…"}`."""
    name = known_service(call.parameters["service"], control.settings)
    unknown = call.body.keys() - {"mode", "share", "reason"}
    if unknown:
        raise Problem(422, "invalid-request", f"Unknown: {', '.join(sorted(unknown))}. Nothing was applied.")
    mode = mode_asked_for(call.body.get("mode"))
    if "share" in call.body:
        check_share(call.body["share"], control.settings.services[name])
    latched = control.snapshots.states[name].latched and mode is Mode.PRIMARY
    return answer(await change(control, call, name, ServiceState(mode, latched)))


async def reload(control: Control, call: Call) -> web.Response:
    """`POST /api/v1/config/reload` `{"reason": "…"}`: reads file, environment and flags again.

    Raises Problem: 422 names every error, and the configuration in force stays; 412 for a stale If-Match.
    """
    unknown = call.body.keys() - {"reason"}
    if unknown:
        raise Problem(422, "invalid-request", f"Unknown: {', '.join(sorted(unknown))}. Nothing was applied.")
    in_force = control.snapshots.current.version
    if call.if_match not in {None, "*", str(in_force)}:
        raise Problem(412, "stale-snapshot", f"The snapshot in force is {in_force}; nothing was applied.")
    asked = call.asked
    done = await (control.reloader.try_out() if call.dry_run else control.reloader.reload(asked))
    reading = done.reading
    if reading.problems:
        detail = "Nothing was applied; the configuration in force stays."
        raise Problem(422, "config-refused", detail, errors=reading.errors)
    if not reading.is_successful:
        raise Problem(503, "not-stored", f"{reading.refusal}; nothing was applied.")
    keys = {
        "changed": bool(done.changed),
        "before": {"snapshot": done.version_before},
        "after": {"snapshot": done.version_after},
        "by": call.who,
        "reason": asked.reason,
        "audit_id": done.audit_id,
        "undo": None,
        "settings": done.changed,
        "needs_restart": reading.needs_restart,
    }
    return answer({**keys, "dry_run": True} if call.dry_run else keys)


async def get_audit(control: Control, call: Call) -> web.Response:
    """`GET /api/v1/audit?limit=&cursor=`: newest first; `cursor` asks for the rows before the last one shown."""
    limit = min(_number(call, "limit") or _AUDIT_ROWS, MAX_AUDIT_ROWS)
    rows = await control.state.audit(limit, _number(call, "cursor"))
    cursor = rows[-1]["audit_id"].removeprefix("a-") if len(rows) == limit else None
    return answer({"audit": rows, "cursor": cursor})


def _number(call: Call, name: str) -> int | None:
    given = call.query.get(name)
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= len(str(2**53))):
        raise Problem(422, "invalid-request", f"{name} is a whole number.")
    return int(given)
