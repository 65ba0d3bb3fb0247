"""Our own bugs, where they are caught: counted, and logged at most once a second, never with a peer's bytes."""

import asyncio
import traceback
from typing import Any

from proxy.config.sparse_log import SparseLog

LOG_EVERY_S = 1.0


class Bugs:
    """Counts exceptions that should not have happened."""

    def __init__(self) -> None:
        self.count = 0
        self._log = SparseLog(LOG_EVERY_S)

    def caught(self, where: str, bug: BaseException) -> None:
        """Count one; say where it came from, in lines of our own code."""
        self.count += 1
        if self._log.is_quiet:
            self._log.skip()
            return
        frames = traceback.extract_tb(bug.__traceback__)[-4:]
        at = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
        self._log.say("error", "bug", where=where, kind=type(bug).__name__, at=at)

    def handle(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """The event loop's exception handler."""
        bug = context.get("exception")
        if isinstance(bug, Exception):
            self.caught("event loop", bug)
