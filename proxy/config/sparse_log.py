"""A line of the log that peers can bring about as often as they like."""

from time import monotonic
from typing import Any, Literal

import structlog


class SparseLog:
    """Says something at most once in `every_s` seconds, with `unsaid`: how often it kept quiet since it spoke last."""

    def __init__(self, every_s: float) -> None:
        self._log = structlog.get_logger()
        self._every_s = every_s
        self._quiet_until = 0.0
        self._unsaid = 0

    @property
    def is_quiet(self) -> bool:
        """Whether it is too soon for another line."""
        return monotonic() < self._quiet_until

    def skip(self) -> None:
        """Count a line that is not said."""
        self._unsaid += 1

    def say(self, level: Literal["error", "warning", "info"], event: str, **fields: Any) -> None:
        """Log a line, or count it if it is too soon."""
        if self.is_quiet:
            self.skip()
            return
        self._quiet_until = monotonic() + self._every_s
        getattr(self._log, level)(event, **fields, unsaid=self._unsaid)
        self._unsaid = 0
