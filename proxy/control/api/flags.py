"""The runbook's flags: a second spelling of a service's state, and what setting one asks for.

| mode    | phase               | v2_enabled     | shadow_mode | setting the flag                                    |
|---------|---------------------|----------------|-------------|-----------------------------------------------------|
| primary | PHASE_1_BETA        | unless latched | false       | v2_enabled: false latches v2 off; true unlatches it |
| shadow  | PHASE_2_BETA_SHADOW | true           | true        | shadow_mode: true = mode shadow, false = primary    |

Everything else these flags can say needs a mode this version does not have, and is refused as a whole.
"""

from collections.abc import Mapping
from typing import Any

from proxy.config.models import Mode, Service
from proxy.config.spelling import did_you_mean
from proxy.control.api.problems import Problem
from proxy.control.state import ServiceState
from proxy.core.modes import LIVE_MODES

_PHASES = {Mode.PRIMARY: "PHASE_1_BETA", Mode.SHADOW: "PHASE_2_BETA_SHADOW"}
_SWITCHES = frozenset({"v2_enabled", "shadow_mode", "mode"})
LATCHED = ServiceState(Mode.PRIMARY, latched=True)


def flags(service: Service, state: ServiceState) -> dict[str, Any]:
    """The flags of a service in a state."""
    return {
        "v2_enabled": not state.latched,
        "v2_primary": False,
        "shadow_mode": state.mode is Mode.SHADOW,
        "v1_deprecated": False,
        "migration_logging": True,
        "use_candidate": False,
        "percentage": 0,
        "mode": state.mode,
        "weight": 0,
        "share": service.mirror.share,
        "primary": service.primary.version,
        "candidate": service.candidate.version,
        "auto_rollback": False,
        "paused": False,
        "latched": state.latched,
    }


def migration_status(name: str, state: ServiceState) -> dict[str, Any]:
    """Where the migration stands, in the runbook's phases."""
    return {
        "phase": _PHASES[state.mode],
        "v1_active": True,
        "v2_active": not state.latched,
        "shadow_mode": state.mode is Mode.SHADOW,
        "service": name,
    }


def state_asked_for(asked: Mapping[str, Any], service: Service, state: ServiceState) -> ServiceState:
    """The state a set of flags asks for.

    Raises Problem: 422 for unknown names, wrong types and contradictions, 409 for what this version cannot do.
    """
    present = flags(service, state)
    _check_spelling(asked, present)
    _check_available(asked, present)
    modes = _modes_asked_for(asked)
    if len(modes) > 1:
        names = ", ".join(name for name in asked if name in _SWITCHES)
        raise Problem(422, "contradicting-flags", f"These flags contradict each other: {names}. Nothing was applied.")
    if asked.get("v2_enabled") is False:
        return LATCHED
    mode = modes.pop() if modes else state.mode
    return ServiceState(mode, state.latched and mode is Mode.PRIMARY and asked.get("v2_enabled") is not True)


def mode_asked_for(mode: object) -> Mode:
    """A mode that can be asked for. Raises Problem: 422 for what is no mode, 409 for one of later versions."""
    if not isinstance(mode, str) or mode not in {*Mode}:
        raise Problem(422, "invalid-request", "mode is primary or shadow.")
    if mode not in LIVE_MODES:
        raise _not_available(["mode"])
    return Mode(mode)


def check_share(share: object, service: Service) -> None:
    """A share may be named if it is the configured one. Raises Problem."""
    _check_spelling({"share": share}, {"share": service.mirror.share})
    if share != service.mirror.share:
        raise _not_available(["share"])


def _check_spelling(asked: Mapping[str, Any], present: Mapping[str, Any]) -> None:
    errors = []
    for name, value in asked.items():
        if name not in present:
            errors.append({"flag": name, "why": f"unknown flag{did_you_mean(name, present)}"})
        elif not _same_type(value, present[name]):
            errors.append({"flag": name, "why": f"must be {_TYPE_NAMES[type(present[name])]}"})
    if errors:
        raise Problem(422, "invalid-flags", "Nothing was applied.", errors=errors)


_TYPE_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Mode: "a mode"}


def _same_type(value: object, present: object) -> bool:
    if isinstance(value, bool) or isinstance(present, bool):
        return isinstance(value, bool) and isinstance(present, bool)
    if isinstance(present, float):
        return isinstance(value, int | float)
    return isinstance(value, int if isinstance(present, int) else str)


def _check_available(asked: Mapping[str, Any], present: Mapping[str, Any]) -> None:
    if "mode" in asked:
        mode_asked_for(asked["mode"])
    beyond = [name for name, value in asked.items() if name not in _SWITCHES and value != present[name]]
    if beyond:
        raise _not_available(beyond)


def _not_available(names: list[str]) -> Problem:
    return Problem(
        409,
        "not-available",
        "This version mirrors and compares; it cannot do this. Nothing was applied.",
        errors=[{"flag": name, "why": "cannot be set to this"} for name in names],
        hint="the modes are primary and shadow",
    )


def _modes_asked_for(asked: Mapping[str, Any]) -> set[Mode]:
    """The modes that single flags ask for: more than one is a contradiction."""
    modes = set()
    if asked.get("v2_enabled") is False:
        modes.add(Mode.PRIMARY)
    if "shadow_mode" in asked:
        modes.add(Mode.SHADOW if asked["shadow_mode"] else Mode.PRIMARY)
    if "mode" in asked:
        modes.add(Mode(asked["mode"]))
    return modes
