"""Who looks for the kill switch, so that no client waits for a file system."""

import time
from threading import Event, Thread
from typing import Final

import structlog

from proxy.ipc.kill_switch import KillSwitch

LOOK_S: Final = 0.2
FIRST_LOOK_S: Final = 2.0
MOST_UNANSWERED: Final = 8
"""Ticks of the worker's clock, 2 s of them: a process that is stopped for longer does not tick either."""


class Lookout:
    """A thread that looks. No answer means pulled, as for anybody who cannot look."""

    def __init__(self, switch: KillSwitch) -> None:
        self._switch = switch
        self._is_pulled = True
        self._unanswered = 0
        looked = Event()
        Thread(target=self._look, args=(looked,), name="kill-switch", daemon=True).start()
        looked.wait(FIRST_LOOK_S)

    def tick(self) -> bool:
        """Whether nothing may be mirrored; for every tick of the worker's clock."""
        self._unanswered += 1
        if self._unanswered == MOST_UNANSWERED:
            why = "the file system gives no answer"
            structlog.get_logger().error("kill_switch_out_of_sight", file=str(self._switch.path), why=why)
        return self._is_pulled or self._unanswered >= MOST_UNANSWERED

    def _look(self, looked: Event) -> None:
        while True:
            self._is_pulled = self._switch.look() is not None
            self._unanswered = 0
            looked.set()
            time.sleep(LOOK_S)
