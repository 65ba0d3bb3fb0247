"""What ends this judge when one pair holds it.

Theory of operation. Two timers whose signals nobody handles: at SIGPROF, after so much CPU time, and at SIGALRM, after
so much by the clock, the kernel ends the process, also where no Python code gets its turn any more, as inside a regular
expression or a parser. They are armed anew not for each pair but once the last time is a quarter of the limit ago: so
a pair gets what it is promised, a quarter of it more at most, and costs no system call. Between batches they are off:
reports and settings may take their time, and a judge that is stopped while it rests has nothing to fear.

What it was at stands in its whereabouts, where the supervisor finds it.
"""

import signal

from proxy.config.models import Judge
from proxy.ipc.whereabouts import NOTHING, WhereaboutsFile

CLOCK_FACTOR = 8
"""How many times its CPU limit a pair may take by the clock."""
REARMED = 0.25
"""After which share of the CPU limit, by the clock, the timers are armed anew: CPU time never runs ahead of it."""


class Watchdog:
    """Told what is compared before each pair, and when there is nothing to do. Times are those of CLOCK_MONOTONIC."""

    def __init__(self, whereabouts: WhereaboutsFile) -> None:
        self._whereabouts = whereabouts
        self._mark = NOTHING
        self._rearm_at = 0.0
        self.allows(Judge().stall)
        signals = (signal.SIGPROF, signal.SIGALRM)
        for number in signals:
            signal.signal(number, signal.SIG_DFL)  # whoever started us may have ignored or blocked them
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)

    def allows(self, stall: float) -> None:
        """From the next arming on a pair may take so many seconds of CPU time."""
        self.stall = stall
        self._rearm_after = REARMED * stall
        self._cpu = stall + self._rearm_after
        self._clock = CLOCK_FACTOR * stall + self._rearm_after

    def serves(self, worker: str) -> None:
        """The pairs that follow are of this incarnation of a worker."""
        self._whereabouts.serves(worker)

    def compares(self, now: float, mark: bytes) -> None:
        """A pair of the endpoint with this mark comes next."""
        if now >= self._rearm_at:
            self._arm(now)
        if mark is not self._mark:
            self._mark = mark
            self._whereabouts.compares(mark)

    def applies(self, mark: bytes) -> bytes:
        """The rule with this mark, whose cost has no bound, comes next; the mark of the one before."""
        return self._whereabouts.applies(mark)

    def rests(self) -> None:
        """No pair is under way."""
        if self._rearm_at:
            self._rearm_at = 0.0
            signal.setitimer(signal.ITIMER_PROF, 0.0)
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            self._mark = NOTHING
            self._whereabouts.rests()

    def _arm(self, now: float) -> None:
        self._rearm_at = now + self._rearm_after
        self._whereabouts.waits(now + self._clock)
        signal.setitimer(signal.ITIMER_PROF, self._cpu)
        signal.setitimer(signal.ITIMER_REAL, self._clock)
