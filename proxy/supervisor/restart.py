"""When to start a process again: at once the first time, then ever later while it keeps dying."""

from dataclasses import dataclass

FIRST_S = 0.1
LONGEST_S = 30.0
STEADY_S = 60.0


@dataclass(slots=True)
class Restarts:
    """The restarts of one process. Times are monotonic seconds."""

    count: int = 0
    _delay: float = FIRST_S
    _started_at: float = 0.0

    def started(self, now: float) -> None:
        """It runs."""
        self._started_at = now

    def died(self, now: float) -> float:
        """It died; the time to start it again."""
        if now - self._started_at >= STEADY_S:
            self._delay = FIRST_S
        due = now + self._delay
        self._delay = min(self._delay * 2, LONGEST_S)
        self.count += 1
        return due
