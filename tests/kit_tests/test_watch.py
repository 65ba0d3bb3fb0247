import asyncio

import pytest

from tests.kit.watch import DeadlineError, Watch, deadline


async def test_waiter_returns_once_its_condition_holds() -> None:
    watch, seen = Watch(), list[int]()
    waiting = asyncio.ensure_future(watch.until(lambda: len(seen) == 2))
    for number in range(2):
        await asyncio.sleep(0)
        assert not waiting.done()
        seen.append(number)
        watch.changed()
    await waiting


async def test_deadline_names_what_was_awaited() -> None:
    with pytest.raises(DeadlineError, match="not within 0 s: a miracle"):
        async with deadline(0, lambda: "a miracle"):
            await Watch().until(lambda: False)


async def test_timeout_of_someone_else_passes_through() -> None:
    with pytest.raises(TimeoutError, match="another"):
        async with deadline(60, lambda: "a miracle"):
            raise TimeoutError("another")
