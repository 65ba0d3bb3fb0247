"""What this worker measures of itself, what follows from it, and where an operator sees that."""

from collections.abc import Callable
from typing import Final

import structlog

from proxy.config.bugs import Bugs
from proxy.config.models import Shed
from proxy.core.families import MEMORY, MEMORY_LIMIT, MIRRORING_SUSPENDED
from proxy.core.reasons import Suspension
from proxy.core.shedding import Shedding
from proxy.core.tally import Tally
from proxy.http.open_files import OpenFiles
from proxy.worker.memory import Fill, Memory

LOOK_S: Final = 0.25
GIVE_BACK_EVERY_S: Final = 1.0
"""What is freed while memory is nearly full stays with the allocator until it is asked for."""
LOG_EVERY_S: Final = 10.0


class _Notice:
    """What to log of something that begins and ends: one beginning in 10 s at most, and the end of each one said."""

    def __init__(self, begin: str, end: str) -> None:
        self._begin = begin
        self._end = end
        self._is_said = False
        self._quiet_until = 0.0

    def due(self, now: float, *, holds: bool) -> str | None:
        """The event to log now, if any."""
        if holds is self._is_said or (holds and now < self._quiet_until):
            return None
        self._is_said = holds
        if not holds:
            return self._end
        self._quiet_until = now + LOG_EVERY_S
        return self._begin


class Pressure:
    """Feeds `shedding`, and reports what it says. Without `memory` only the loop and the descriptors are looked at.

    While memory is nearly full, `give_back(False)` is called once a second; `give_back(True)` when it begins to cost
    clients.
    """

    def __init__(
        self,
        process: str,
        limits: Shed,
        shedding: Shedding,
        files: OpenFiles,
        *,
        bugs: Bugs,
        give_back: Callable[[bool], None],
    ) -> None:
        self.limits = limits
        self.memory: Memory | None = None
        self._process = process
        self._shedding = shedding
        self._files = files
        self._bugs = bugs
        self._give_back = give_back
        self._unreadable: set[str] = set()
        self._fill: Fill | None = None
        self._look_at = self._give_back_at = 0.0
        self._log = structlog.get_logger()
        self._suspended = _Notice("mirroring_suspended", "mirroring_resumed")
        self._overloaded = _Notice("overloaded", "overload_ended")

    def woke(self, now: float, late: float) -> None:
        """A timer came `late` seconds after its time."""
        shedding = self._shedding
        shedding.lagged(now, late, self.limits.loop_lag)
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._look(now)
        causes = shedding.causes - {Suspension.BUGS}  # whoever counts those says so
        for notice, holds in ((self._suspended, bool(causes)), (self._overloaded, shedding.is_overloaded)):
            if event := notice.due(now, holds=holds):
                fill = self._fill or Fill(0, 0)
                why = ", ".join(sorted(causes))
                self._log.warning(event, causes=why, late_s=round(late, 3), memory=fill.used, limit=fill.limit)

    def dump(self, tally: Tally) -> None:
        """Write gauges into a tally."""
        for cause in Suspension:
            tally.gauge(MIRRORING_SUSPENDED, (self._process, cause), float(cause in self._shedding.causes))
        if self._fill is not None:
            tally.gauge(MEMORY, (self._process,), self._fill.used)
            tally.gauge(MEMORY_LIMIT, (self._process,), self._fill.limit)

    def _look(self, now: float) -> None:
        """Look at what changes slowly."""
        if Suspension.FILES in self._shedding.causes and self._files.has_room():
            self._shedding.has_files(now)
        if self.memory is not None:
            self._look_at_memory(self.memory, now)

    def _look_at_memory(self, memory: Memory, now: float) -> None:
        shedding = self._shedding
        fills = memory.fills(self.limits.memory, self._could_not_read)
        self._fill = max(fills, key=lambda fill: fill.share, default=None)
        shares = [fill.share for fill in fills]
        was_overloaded = shedding.is_overloaded
        shedding.filled(max(shares, default=0.0), max((fill.share for fill in fills if fill.is_relieved), default=0.0))
        is_new = shedding.is_overloaded and not was_overloaded
        if is_new or (Suspension.MEMORY in shedding.causes and now >= self._give_back_at):
            self._give_back_at = now + GIVE_BACK_EVERY_S
            self._give_back(is_new)

    def _could_not_read(self, what: str, bug: Exception) -> None:
        """Count it once: it is looked at four times a second."""
        if what not in self._unreadable:
            self._unreadable.add(what)
            self._bugs.caught(what, bug)
