"""A timer whose only work is to be late: what else the loop does is seen in how late."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final

PERIOD_S: Final = 0.05
"""A stall longer than this by some time is seen as at least that time, whenever it begins."""


class Pulse:
    """Calls `woke` with the time and how many seconds late that is, all of its life."""

    def __init__(self, loop: asyncio.AbstractEventLoop, woke: Callable[[float, float], None]) -> None:
        self._loop = loop
        self._woke = woke
        self._sleep()

    def stop(self) -> None:
        """Call no more."""
        self._timer.cancel()

    def _sleep(self) -> None:
        self._due = monotonic() + PERIOD_S
        self._timer = self._loop.call_later(PERIOD_S, self._wake)

    def _wake(self) -> None:
        now = monotonic()
        late = max(0.0, now - self._due)
        self._sleep()  # first: a bug in what follows must not stop it
        self._woke(now, late)
