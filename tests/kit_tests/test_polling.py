from itertools import count

import pytest

from tests.kit.polling import wait_until, wait_until_async
from tests.kit.watch import DeadlineError


def test_first_true_value_is_returned() -> None:
    numbers = count()
    assert wait_until(lambda: next(numbers) // 2, "two looks") == 1


def test_failure_names_what_was_awaited_and_what_was_seen() -> None:
    with pytest.raises(DeadlineError, match=r"not within 0 s: a one; last seen: 0"):
        wait_until(lambda: 0, "a one", deadline_s=0)


async def test_condition_may_need_the_loop() -> None:
    numbers = count()

    async def look() -> int:
        return next(numbers) // 2

    assert await wait_until_async(look, "two looks") == 1


async def test_failure_on_the_loop_reads_the_same() -> None:
    async def look() -> int:
        return 0

    with pytest.raises(DeadlineError, match=r"not within 0 s: a one; last seen: 0"):
        await wait_until_async(look, "a one", deadline_s=0)
