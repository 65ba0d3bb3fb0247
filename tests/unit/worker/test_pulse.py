import asyncio
import time
from collections.abc import Callable

import pytest

from proxy.worker.pulse import PERIOD_S, Pulse
from tests.kit.memory_loop import MemoryLoop
from tests.kit.polling import wait_until_async

STALL_S = 0.15


@pytest.mark.usefixtures("any_loop")
async def test_a_stall_is_seen_but_for_one_period_of_it() -> None:
    seen: list[float] = []
    pulse = Pulse(asyncio.get_running_loop(), lambda _now, late: seen.append(late))
    await _until(lambda: len(seen) >= 2)
    time.sleep(STALL_S)  # the stall itself  # noqa: ASYNC251
    before = len(seen)
    await _until(lambda: len(seen) > before)
    pulse.stop()
    assert seen[before] >= STALL_S - PERIOD_S - 0.002  # timers of uvloop count milliseconds


@pytest.mark.usefixtures("any_loop")
async def test_a_bug_in_who_is_told_does_not_stop_it() -> None:
    loop = asyncio.get_running_loop()
    raised: list[object] = []
    loop.set_exception_handler(lambda _, context: raised.append(context["exception"]))

    def fail(_now: float, _late: float) -> None:
        raise ValueError

    pulse = Pulse(loop, fail)
    await _until(lambda: len(raised) >= 3)
    pulse.stop()


def test_nothing_is_left_of_a_pulse_that_was_stopped() -> None:
    loop = MemoryLoop()
    Pulse(loop.loop, lambda _now, _late: None).stop()
    loop.advance(1.0)
    assert not loop.clock.pending


async def _until(condition: Callable[[], bool]) -> None:
    async def holds() -> bool:
        return condition()

    await wait_until_async(holds, "the pulse to tell")
