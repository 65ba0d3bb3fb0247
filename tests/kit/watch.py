"""Waiting without polling: whoever changes something says so, and every wait has a deadline."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

DEADLINE_S = 5.0


class DeadlineError(AssertionError):
    """What was awaited did not happen in time; the message quotes what did."""


@asynccontextmanager
async def deadline(seconds: float | None, describe: Callable[[], str]) -> AsyncIterator[None]:
    """Limit the block to `seconds` (None: no limit) and raise `DeadlineError(describe())` after that."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise DeadlineError(f"not within {seconds} s: {describe()}") from None


class Watch:
    """A place to wait at: `changed()` makes every waiter look at its condition again."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def changed(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once `condition()` holds. Without a limit of its own: wrap it in `deadline`."""
        while not condition():
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)
