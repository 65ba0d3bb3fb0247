"""The connections to one backend: a decision per request, no I/O.

The pool is told `now` and says what to use, open or close; whoever asked does it. Unused connections are a
stack: the one used last is the likeliest to be alive, and the rest can age out. A backend may have said of each
for how long it keeps it, so the one on top can be past its time while others are still good.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, Protocol, TypeVar


class Pooled(Protocol):
    """What the pool must know of a connection. Times are monotonic seconds."""

    opened_at: float
    idle_until: float


class Waiting(Protocol):
    """What the pool must know of who waits."""

    @property
    def is_gone(self) -> bool:
        """Whether it needs a connection no more."""


C = TypeVar("C", bound=Pooled)
W = TypeVar("W", bound=Waiting)


class Advice(Enum):
    """What to do when there is no unused connection."""

    OPEN = "open"
    WAIT = "wait"
    REFUSE = "refuse"


@dataclass(slots=True)
class BackendPool(Generic[C, W]):
    """Connections `C` and those who wait for one, `W`. `open` counts all, being opened included."""

    max_connections: int
    max_idle: int
    max_waiting: int
    idle_s: float
    max_age_s: float
    open: int = 0
    idle: list[C] = field(default_factory=list)
    waiting: deque[W] = field(default_factory=deque)

    def take(self, now: float) -> C | Advice:
        """An unused connection that is still good, or what to do; OPEN already counts the new one."""
        idle = self.idle
        if idle and idle[-1].idle_until > now:
            return idle.pop()
        for index in range(len(idle) - 2, -1, -1):
            if idle[index].idle_until > now:
                return idle.pop(index)
        if self.open < self.max_connections:
            self.open += 1
            return Advice.OPEN
        return Advice.WAIT if self._has_room_to_wait() else Advice.REFUSE

    def _has_room_to_wait(self) -> bool:
        """Whether one more may wait; those who left meanwhile do not count."""
        if len(self.waiting) >= self.max_waiting:
            self.waiting = deque(waiter for waiter in self.waiting if not waiter.is_gone)
        return len(self.waiting) < self.max_waiting

    def give(self, connection: C, now: float, idle_s: float) -> bool:
        """Put a connection back, good for `idle_s` at most; False means the caller must close it."""
        if len(self.idle) >= self.max_idle or now - connection.opened_at > self.max_age_s:
            return False
        connection.idle_until = now + min(idle_s, self.idle_s)
        self.idle.append(connection)
        return True

    def gone(self, connection: C | None) -> None:
        """Forget a connection that ended, or (None) one that could not be opened."""
        self.open -= 1
        if connection is not None and connection in self.idle:
            self.idle.remove(connection)

    def expired(self, now: float) -> list[C]:
        """Unused connections to close: they are still counted until `gone`."""
        stale = [connection for connection in self.idle if connection.idle_until <= now]
        if stale:
            self.idle = [connection for connection in self.idle if connection.idle_until > now]
        return stale

    def __repr__(self) -> str:
        """What an operator would want to see of it."""
        return f"<pool {self.open} open, {len(self.idle)} idle, {len(self.waiting)} waiting>"
