"""The calls runbooks make: `flags` and `enable-shadow-mode`."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from proxy.config.models import Mode
from proxy.control.api.call import Call, Control
from proxy.control.api.change import change, overtaken, refuse_while_pulled
from proxy.control.api.flags import check_share, flags, migration_status, state_asked_for
from proxy.control.api.problems import Problem, answer
from proxy.control.state import ServiceState

_NOT_FLAGS = frozenset({"service", "reason"})


async def get_flags(control: Control, call: Call) -> web.Response:
    """`GET /admin/flags`."""
    return answer(_flags_answer(control, call.service(control.settings)))


async def post_flags(control: Control, call: Call) -> web.Response:
    """`POST /admin/flags`: any subset of the flags, `{"flags": {…}}`, or `{"flag": …, "enabled": …}`."""
    name = call.service(control.settings)
    asked = _flags_asked(call.body)
    state = control.snapshots.states[name]
    wanted = state_asked_for(asked, control.settings.services[name], state)
    if asked.get("v2_enabled"):  # though it may be so already, but for the kill switch
        refuse_while_pulled(control)
    keys = await change(control, call, name, wanted)
    message = "Flags updated" if keys["changed"] else "Flags are as asked already"
    return answer({"message": message, **_flags_answer(control, name), **keys})


async def enable_shadow_mode(control: Control, call: Call) -> web.Response:
    """`POST /admin/enable-shadow-mode`: also takes back `v2_enabled: false`."""
    name = call.service(control.settings)
    unknown = call.body.keys() - _NOT_FLAGS - {"share"}
    if unknown:
        raise Problem(422, "invalid-request", f"Unknown: {', '.join(sorted(unknown))}. Nothing was applied.")
    if "share" in call.body:
        check_share(call.body["share"], control.settings.services[name])
    keys = await change(control, call, name, ServiceState(Mode.SHADOW))
    done = {"message": "Shadow mode enabled", "status": "v1 primary with v2 shadows enabled"}
    return answer({**({} if call.dry_run else done), **_flags_answer(control, name), **keys})


def _flags_asked(body: Mapping[str, Any]) -> Mapping[str, Any]:
    given = {name: value for name, value in body.items() if name not in _NOT_FLAGS}
    if given.keys() == {"flags"} and isinstance(given["flags"], dict):
        given = given["flags"]
    elif given.keys() == {"flag", "enabled"} and isinstance(given["flag"], str):
        given = {given["flag"]: given["enabled"]}
    if not given:
        raise Problem(422, "invalid-request", 'Name a flag, such as {"shadow_mode": true}.')
    return given


def _flags_answer(control: Control, name: str) -> dict[str, Any]:
    """The flags as they are now, and the kill switch, which stands over them.

    Raises Problem 409 if a reload has meanwhile removed the service.
    """
    states = control.snapshots.states
    if name not in states:
        raise overtaken()
    return {
        "flags": flags(control.settings.services[name], states[name]),
        "migration_status": migration_status(name, states[name]),
        "services": {service: {"mode": state.mode, "weight": 0} for service, state in states.items()},
        "snapshot": control.snapshots.current.version,
        "kill_switch": control.kill_switch.shown(),
    }
