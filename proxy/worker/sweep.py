"""Ends what is overdue a few at a time, so that what began together does not end in one long turn of the loop."""

from collections.abc import Callable, Iterable
from typing import Final, Protocol

AT_ONCE: Final = 8
"""Most that are ended before everybody else has a turn."""


class Timed(Protocol):
    """What has a deadline. Times are monotonic seconds."""

    def is_overdue(self, now: float) -> bool:
        """Whether it has passed one."""

    def tick(self, now: float) -> None:
        """End for that, if it still has."""


class Sweep:
    """One round over many; `call_soon` is the loop's, `caught` hears of what a tick raises."""

    def __init__(self, call_soon: Callable[[Callable[[], None]], object], caught: Callable[[Exception], None]) -> None:
        self._call_soon = call_soon
        self._caught = caught
        self._overdue: list[Timed] = []
        self._now = 0.0

    def over(self, timed: Iterable[Timed], now: float) -> None:
        """Begin a round, unless the last one is not over yet."""
        if not self._overdue:
            self._overdue = [each for each in timed if each.is_overdue(now)]
            self._now = now
            self._go_on()

    def _go_on(self) -> None:
        some = self._overdue[-AT_ONCE:]
        del self._overdue[-AT_ONCE:]
        if self._overdue:
            self._call_soon(self._go_on)
        for each in some:
            try:
                each.tick(self._now)
            except Exception as bug:  # noqa: BLE001  one bug must not stop everybody's clock
                self._caught(bug)
