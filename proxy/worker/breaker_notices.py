"""What is said about the breaker of a mirror target: a line when it opens and when it closes, and gauges."""

from time import monotonic, time
from typing import Final

from proxy.config.models import Breaker as Settings
from proxy.config.sparse_log import SparseLog
from proxy.core.breaker import Breaker, State
from proxy.core.families import BREAKER_OPEN, BREAKER_OPENED_AT
from proxy.core.tally import Tally

LOG_EVERY_S: Final = 10.0


class BreakerNotices:
    """Looks at a breaker once a tick, so that copies pay for no line.

    A line that would come too soon after another waits, and then says how it stands by then.
    """

    def __init__(self, breaker: Breaker, settings: Settings, service: str, backend: str) -> None:
        self._breaker = breaker
        self._settings = settings
        self._names = (service, backend)
        self._log = SparseLog(LOG_EVERY_S)
        self._is_open = False
        self._is_due = False

    def tick(self, now: float) -> None:
        """See whether it has opened or closed."""
        is_open = self._breaker.state is not State.CLOSED
        if is_open is not self._is_open:
            self._is_open = is_open
            if self._is_due:
                self._log.skip()
            self._is_due = True
        if self._is_due and not self._log.is_quiet:
            self._is_due = False
            self._say(now)

    def dump(self, tally: Tally, process: str, *, mirrors: bool) -> None:
        """Whether it keeps copies back, and since when (Unix seconds); while nothing `mirrors` there are none."""
        is_open = mirrors and self._breaker.state is not State.CLOSED
        tally.gauge(BREAKER_OPEN, self._names, float(is_open))
        if is_open:
            since = time() - (monotonic() - self._breaker.opened_at)
            tally.gauge(BREAKER_OPENED_AT, (*self._names, process), round(since))

    def _say(self, now: float) -> None:
        service, backend = self._names
        if not self._is_open:
            after_s = round(now - self._breaker.opened_at)
            self._log.say("info", "breaker_closed", service=service, backend=backend, after_s=after_s)
            return
        settings = self._settings
        self._log.say(
            "warning",
            "breaker_open",
            service=service,
            backend=backend,
            why=f"{settings.failures} copies without an answer within {settings.window:g} s",
            next=f"copies are dropped until {backend} answers probes, from {settings.open:g} s on: see why it does not",
        )
