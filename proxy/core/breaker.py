"""The breaker of a mirror target: when to stop asking who gives no answers, and when to start again.

Theory of operation. While it is CLOSED every copy is sent, and `failures` of them that got no answer within `window`
seconds open it. While OPEN nothing is sent for `open` seconds; from then on single copies are, as probes. There is
one at a time and none within a second of the one before. The first makes it HALF_OPEN; `probes` answered in a row
close it, one that fails opens it anew. A probe that says nothing about the target, because we dropped it for a reason
of ours, only makes room for the next. Copies that were under way when it opened say nothing any more, also not
when they fail after it has closed.

Memory and time per event are constant: the times of the last `failures` failures are all it remembers.
"""

from collections import deque
from enum import IntEnum
from math import inf
from typing import Final

from proxy.config.models import Breaker as Settings

PROBE_EVERY_S: Final = 1.0


class State(IntEnum):
    """What becomes of copies: all are sent, none is, or single ones are."""

    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2


class Event(IntEnum):
    """What moves it."""

    FAILURES = 0
    PROBE = 1
    PROBE_FAILED = 2
    PROBES_ANSWERED = 3


MOVES: Final = {
    (State.CLOSED, Event.FAILURES): State.OPEN,  # enough of them within the window
    (State.OPEN, Event.PROBE): State.HALF_OPEN,
    (State.HALF_OPEN, Event.PROBE_FAILED): State.OPEN,
    (State.HALF_OPEN, Event.PROBES_ANSWERED): State.CLOSED,  # enough of them in a row
}


class IllegalEventError(Exception):
    """The worker reported what cannot happen: our bug, not a peer's."""


class Breaker:
    """See the module's theory of operation. Times are monotonic seconds."""

    __slots__ = (
        "_answered", "_closed_at", "_failures", "_is_probing", "_probe_from", "_settings", "opened_at", "state",
    )  # fmt: skip

    def __init__(self, settings: Settings) -> None:
        self.state = State.CLOSED
        self.opened_at = -inf
        """When it last left CLOSED."""
        self._settings = settings
        self._failures: deque[float] = deque(maxlen=settings.failures)
        self._is_probing = False
        self._probe_from = -inf
        self._closed_at = -inf
        self._answered = 0

    def failed(self, now: float, started: float) -> None:
        """A copy that was no probe got no answer."""
        if self.state is not State.CLOSED or started < self._closed_at:
            return
        failures = self._failures
        failures.append(now)
        if len(failures) == self._settings.failures and now - failures[0] <= self._settings.window:
            self._move(Event.FAILURES)
            self.opened_at = now
            self._stay_open(now)

    def may_probe(self, now: float) -> bool:
        """Whether a copy may be sent, as a probe; only for one that is not CLOSED."""
        return not self._is_probing and now >= self._probe_from

    def probe_sent(self, now: float) -> None:
        """One is."""
        if self._is_probing:
            raise IllegalEventError(self, Event.PROBE)
        if self.state is not State.HALF_OPEN:
            self._move(Event.PROBE)
        self._is_probing = True
        self._probe_from = now + PROBE_EVERY_S

    def probe_answered(self, now: float) -> None:
        """The target works, as far as this one can tell."""
        self.probe_gone()
        self._answered += 1
        if self._answered == self._settings.probes:
            self._move(Event.PROBES_ANSWERED)
            self._closed_at = now
            self._answered = 0
            self._failures.clear()

    def probe_failed(self, now: float) -> None:
        """It does not."""
        self.probe_gone()
        self._move(Event.PROBE_FAILED)
        self._answered = 0
        self._stay_open(now)

    def probe_gone(self) -> None:
        """The probe has ended; by itself that says nothing about the target."""
        if not self._is_probing:
            raise IllegalEventError(self, Event.PROBE)
        self._is_probing = False

    def _stay_open(self, now: float) -> None:
        self._probe_from = max(self._probe_from, now + self._settings.open)

    def _move(self, event: Event) -> None:
        after = MOVES.get((self.state, event))
        if after is None:
            raise IllegalEventError(self, event)
        self.state = after

    def __repr__(self) -> str:
        """Its state, by name."""
        return f"<breaker {self.state.name}>"
