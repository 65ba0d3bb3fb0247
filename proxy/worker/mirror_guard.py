"""The guard around mirror code: a bug of ours in there costs a comparison, and many cost mirroring, never a client."""

from collections import deque
from typing import Final

import structlog

from proxy.config.bugs import Bugs
from proxy.core.reasons import Suspension
from proxy.core.shedding import Shedding

MOST: Final = 3
WITHIN_S: Final = 60.0


class MirrorGuard:
    """Counts what was caught at the edges of mirror code; `MOST` bugs `WITHIN_S` seconds suspend mirroring.

    It stays suspended, in this worker and for all services, until somebody decides anew: another mode of any service,
    or a configuration that was read again.
    """

    def __init__(self, bugs: Bugs, shedding: Shedding) -> None:
        self._bugs = bugs
        self._shedding = shedding
        self._caught: deque[float] = deque(maxlen=MOST)

    def caught(self, bug: Exception, now: float) -> None:
        """Count one; the copy or pair it hit has ended for the caller."""
        self._bugs.caught("mirror", bug)
        self._caught.append(now)
        if len(self._caught) == MOST and now - self._caught[0] <= WITHIN_S:
            self._suspend()

    def rearm(self) -> None:
        """Mirror again, and count from nothing."""
        self._caught.clear()
        if Suspension.BUGS in self._shedding.causes:
            self._shedding.resume(Suspension.BUGS)
            structlog.get_logger().info("mirroring_rearmed", after="bugs of ours in mirror code")

    def _suspend(self) -> None:
        if Suspension.BUGS in self._shedding.causes:  # copies under way may still meet the bug
            return
        self._shedding.suspend(Suspension.BUGS)
        structlog.get_logger().error(
            "mirroring_suspended",
            cause=str(Suspension.BUGS),
            why=f"{MOST} bugs of ours in mirror code within {WITHIN_S:g} s",
            next="clients are served, nothing is mirrored; report the `bug` lines; a reload or new mode tries again",
        )
