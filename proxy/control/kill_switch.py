"""The kill switch as control tells of it; workers obey it without being told."""

from dataclasses import asdict, replace

import structlog

from proxy.config.models import Mode
from proxy.control.state import Asked, State
from proxy.ipc.kill_switch import KillSwitch, Pulled
from proxy.ipc.messages import Snapshot

log = structlog.get_logger()

ROUTE = "kill-switch"
"""What its rows in the audit log are found by."""


class KillSwitchWatch:
    """Says in the log and the audit log when it is pulled and released, also what happened while nobody looked."""

    def __init__(self, switch: KillSwitch, state: State) -> None:
        self._switch = switch
        self._state = state
        self._was_pulled = bool(state.newest(ROUTE).get("kill_switch"))

    def look(self) -> Pulled | None:
        """None while mirroring is allowed. Takes microseconds."""
        pulled = self._switch.look()
        is_pulled = pulled is not None
        if is_pulled != self._was_pulled:
            self._was_pulled = is_pulled
            if pulled is not None:
                log.warning("nothing is mirrored", why=pulled.why, release=pulled.release)
            else:
                log.warning("the kill switch is released: modes are as decided")
            asked = Asked(str(self._switch.path), "", ROUTE, pulled.why if pulled else "")
            self._state.owe(asked, {"kill_switch": not is_pulled}, {"kill_switch": is_pulled})
        return pulled

    def shown(self) -> dict[str, str] | None:
        """What answers say of it."""
        pulled = self.look()
        return None if pulled is None else asdict(pulled)

    def in_force(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the modes that workers have: `primary` while the switch is pulled."""
        return snapshot if self.look() is None else replace(snapshot, modes=dict.fromkeys(snapshot.modes, Mode.PRIMARY))
