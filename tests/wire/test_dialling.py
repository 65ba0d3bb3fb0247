"""Whoever waits for a connection is told, whatever goes wrong on the way to one."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from proxy.config.units import Origin
from proxy.core.message import Cause, Failure
from tests.wire.asker import Asker, dialling


@pytest.mark.usefixtures("any_loop")
async def test_a_bug_while_dialling_is_an_answer_and_not_silence() -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    executor = ThreadPoolExecutor(1)
    executor.shutdown()  # resolving now raises what no network error is
    upstream = dialling(Origin("http", "name.invalid", 80), executor)
    asker = Asker()
    assert upstream.acquire(asker) is None
    assert await asyncio.wait_for(asker.heard, 5) == Failure(Cause.INTERNAL)
    assert upstream.pool.open == 0
    assert [type(context["exception"]) for context in reported] == [RuntimeError]
