"""Our own bugs, where they are caught: counted, and logged at most once a second, never with a peer's bytes."""

import asyncio
import traceback
from time import monotonic
from typing import Any

import structlog

LOG_EVERY_S = 1.0


class Bugs:
    """Counts exceptions that should not have happened."""

    def __init__(self) -> None:
        self.count = 0
        self._log = structlog.get_logger()
        self._quiet_until = 0.0
        self._unsaid = 0

    def caught(self, where: str, bug: BaseException) -> None:
        """Count one; say where it came from, in lines of our own code."""
        self.count += 1
        now = monotonic()
        if now < self._quiet_until:
            self._unsaid += 1
            return
        self._quiet_until = now + LOG_EVERY_S
        frames = traceback.extract_tb(bug.__traceback__)[-4:]
        at = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
        self._log.error("bug", where=where, kind=type(bug).__name__, at=at, unsaid=self._unsaid)
        self._unsaid = 0

    def handle(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """The event loop's exception handler."""
        bug = context.get("exception")
        if isinstance(bug, Exception):
            self.caught("event loop", bug)
