"""A clock that moves only when told, with the three scheduling calls of an event loop that protocols use."""

import heapq
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any


class FakeTimer:
    """What `call_soon`, `call_later` and `call_at` return; like a `TimerHandle`, it can be cancelled."""

    def __init__(self, when: float, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._when = when
        self._callback = callback
        self._args = args
        self._cancelled = False

    def when(self) -> float:
        return self._when

    def cancel(self) -> None:
        self._cancelled = True

    def cancelled(self) -> bool:
        return self._cancelled

    def fire(self) -> None:
        if not self._cancelled:
            self._callback(*self._args)


class FakeClock:
    """Seconds since `start`. Nothing runs by itself: `run_ready` and `advance` run what is due."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._ready: deque[FakeTimer] = deque()
        self._timers: list[tuple[float, int, FakeTimer]] = []
        self._order = count()  # timers of one instant fire in the order they were set

    def time(self) -> float:
        return self._now

    __call__ = time

    def call_soon(self, callback: Callable[..., object], *args: Any) -> FakeTimer:
        timer = FakeTimer(self._now, callback, args)
        self._ready.append(timer)
        return timer

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> FakeTimer:
        return self.call_at(self._now + delay, callback, *args)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> FakeTimer:
        timer = FakeTimer(when, callback, args)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def run_ready(self) -> None:
        """Run what `call_soon` collected, and what that adds, until nothing is left."""
        while self._ready:
            self._ready.popleft().fire()

    def run_turn(self) -> None:
        """Run what `call_soon` has collected by now, as one turn of a loop does; what that adds waits."""
        for _ in range(len(self._ready)):
            self._ready.popleft().fire()

    def advance(self, seconds: float) -> None:
        """Move time forward, stopping at every timer on the way."""
        assert seconds >= 0, f"a monotonic clock cannot go back by {-seconds} s"
        end = self._now + seconds
        self.run_ready()
        while self._timers and self._timers[0][0] <= end:
            when, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, when)
            timer.fire()
            self.run_ready()
        self._now = end

    @property
    def pending(self) -> int:
        """Callbacks and timers that are set and not cancelled: 0 means nothing was left behind."""
        timers = [timer for _, _, timer in self._timers]
        return sum(not timer.cancelled() for timer in [*self._ready, *timers])
