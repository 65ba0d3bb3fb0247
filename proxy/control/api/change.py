"""Changing a service's state, the same for every call that does: checks, dry run, answer."""

from typing import Any

import orjson

from proxy.config.models import Mode
from proxy.control.api.call import Call, Control
from proxy.control.api.problems import Problem
from proxy.control.snapshots import Change, NotStoredError, OvertakenError, is_raise
from proxy.control.state import ServiceState, Step


async def change(control: Control, call: Call, service: str, to: ServiceState) -> dict[str, Any]:
    """Bring a service to a state and answer the change keys: changed, before, after, by, reason, audit_id, undo.

    kill_switch is one more: what has to be released before an undo that mirrors.
    A dry run brings it nowhere, and has two keys more: dry_run, and a message that says so.

    Raises Problem: 412 for a stale If-Match (a less bold change ignores it), 409 when overtaken or, but for less bold
    changes, while the kill switch is pulled, 503 when the disk refuses.
    """
    asked = call.asked
    step = control.snapshots.step(service, to)
    if step.after.mode is not Mode.PRIMARY or is_raise(step.before, step.after):
        refuse_while_pulled(control)
    if is_raise(step.before, to) and call.if_match not in {None, "*", str(step.version_before)}:
        raise Problem(412, "stale-snapshot", f"The snapshot in force is {step.version_before}; nothing was applied.")
    if call.dry_run:
        return {**_keys(Change(step, None), call, control), "dry_run": True, "message": _would(step)}
    try:
        done = await control.snapshots.change(service, to, asked)
    except OvertakenError:
        raise overtaken() from None
    except NotStoredError as refused:
        held = (
            f"mode {to.mode} is in force, but a restart would not remember it; storing is tried again"
            if refused.in_force
            else "nothing was applied"
        )
        raise Problem(503, "not-stored", f"The change could not be stored: {refused}; {held}.") from None
    return _keys(done, call, control)


def refuse_while_pulled(control: Control) -> None:
    """What would not be in force is not acknowledged either. Raises Problem 409 while the kill switch is pulled."""
    if pulled := control.kill_switch.look():
        why = pulled.why[0].upper() + pulled.why[1:]
        raise Problem(409, "kill-switch", f"{why}: nothing is mirrored. Nothing was applied.", hint=pulled.release)


def overtaken() -> Problem:
    """Something came between a call and its answer."""
    return Problem(409, "overtaken", "A less bold change, or another configuration, came meanwhile and holds.")


def _keys(done: Change, call: Call, control: Control) -> dict[str, Any]:
    step = done.step
    changed = step.before != step.after
    return {
        "changed": changed,
        "before": step.end(after=False),
        "after": step.end(after=True),
        "by": call.who,
        "reason": call.asked.reason,
        "audit_id": done.audit_id,
        "undo": _undo(step, only=len(control.settings.services) == 1) if changed else None,
        "kill_switch": control.kill_switch.shown(),
    }


def _would(step: Step) -> str:
    before, after = _spoken(step.before), _spoken(step.after)
    would = f"take {step.service} from {before} to {after}" if before != after else f"leave {step.service} in {after}"
    return f"Dry run: nothing changed; would {would}"


def _spoken(state: ServiceState) -> str:
    return f"mode {state.mode}" + (", latched" if state.latched else "")


def _undo(step: Step, *, only: bool) -> str:
    """The call that leads back."""
    before, after = step.before, step.after
    body: dict[str, Any] = {}
    if before.mode is Mode.SHADOW:
        body["shadow_mode"] = True
    elif before.latched:
        body["v2_enabled"] = False
    elif after.mode is Mode.SHADOW:
        body["shadow_mode"] = False
    else:
        body["v2_enabled"] = True
    if not only:
        body["service"] = step.service
    return f"POST /admin/flags {orjson.dumps(body).decode()}"
