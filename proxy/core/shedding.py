"""What a worker gives up so that its clients keep all there is, decided from what it measures of itself.

Theory of operation. While at least one cause for it holds, mirroring is suspended: no copy is started, and those
under way end as they may. A cause begins at one threshold and ends at a lower one, so that it does not flap:

    cause     begins when                                   ends when
    lag       the loop was later than `shed.loop_lag`       for 1 s it was never 20 ms late
    memory    80 % of the memory limit are used             less than 75 % are
    files     the last few file descriptors were reached    for 1 s they were not, and others are free
    bugs      whoever counts them says so                   likewise

From 95 % until less than 90 % of the memory limit are used the worker is overloaded: it answers clients itself,
since one that is killed for its memory would answer nobody. That is for limits under which it helps: whoever is
turned away must leave memory behind, or it would never end.
"""

from typing import Final

from proxy.core.reasons import Suspension

CALM_LAG_S: Final = 0.02
CALM_S: Final = 1.0
FULL_FROM: Final = 0.80
FULL_UNTIL: Final = 0.75
OVERLOADED_FROM: Final = 0.95
OVERLOADED_UNTIL: Final = 0.90


class Shedding:
    """See the module's theory of operation. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.causes: frozenset[Suspension] = frozenset()
        """Why no copy is started."""
        self.is_on = False
        """Whether none is."""
        self.is_overloaded = False
        """Whether clients are answered without asking a backend."""
        self._late_at = 0.0
        self._short_at = 0.0

    def lagged(self, now: float, lag: float, most: float) -> None:
        """The loop came to a timer `lag` seconds after its time, of which up to `most` are in order."""
        if lag > most:
            self.suspend(Suspension.LAG)
        if lag >= min(CALM_LAG_S, most):
            self._late_at = now
        elif now - self._late_at >= CALM_S:
            self.resume(Suspension.LAG)

    def filled(self, share: float, relieved: float) -> None:
        """These shares are used of the nearest memory limit, and of the nearest that fewer clients relieve.

        Without a limit they are 0.
        """
        if share >= FULL_FROM:
            self.suspend(Suspension.MEMORY)
        elif share < FULL_UNTIL:
            self.resume(Suspension.MEMORY)
        self.is_overloaded = relieved >= (OVERLOADED_UNTIL if self.is_overloaded else OVERLOADED_FROM)

    def ran_short(self, now: float) -> None:
        """One of the last descriptors was taken, or there was none."""
        self._short_at = now
        self.suspend(Suspension.FILES)

    def has_files(self, now: float) -> None:
        """There are descriptors, not only the last few."""
        if now - self._short_at >= CALM_S:
            self.resume(Suspension.FILES)

    def suspend(self, cause: Suspension) -> None:
        """Start no copy while this holds."""
        self.causes |= {cause}
        self.is_on = True

    def resume(self, cause: Suspension) -> None:
        """It holds no more."""
        self.causes -= {cause}
        self.is_on = bool(self.causes)
