"""Looking again until something holds.

The kit's own objects wake whoever waits (`watch`). Another process cannot: its metrics, its files and its
death can only be asked for again and again. This is the one place that does so.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tests.kit.watch import DEADLINE_S, DeadlineError

T = TypeVar("T")
PERIOD_S = 0.01
SOON_S = 0.0005


def wait_until(condition: Callable[[], T], what: str, deadline_s: float = DEADLINE_S) -> T:
    """Return the first truthy `condition()`; raises `DeadlineError` naming `what` and the last value seen."""
    give_up = time.monotonic() + deadline_s
    while not (value := condition()):
        if time.monotonic() >= give_up:
            raise DeadlineError(f"not within {deadline_s} s: {what}; last seen: {value!r}")
        time.sleep(PERIOD_S)
    return value


async def wait_until_async(condition: Callable[[], Awaitable[T]], what: str, deadline_s: float = DEADLINE_S) -> T:
    """`wait_until` for a condition that needs the loop, such as a scrape answered on it.

    What the loop itself brings about takes a turn or two, so the first looks come sooner.
    """
    give_up = time.monotonic() + deadline_s
    period_s = SOON_S
    while not (value := await condition()):
        if time.monotonic() >= give_up:
            raise DeadlineError(f"not within {deadline_s} s: {what}; last seen: {value!r}")
        await asyncio.sleep(period_s)
        period_s = min(2 * period_s, PERIOD_S)
    return value
