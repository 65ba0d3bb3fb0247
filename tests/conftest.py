"""What any test may ask for: to run on every loop, and to fail when something blocks it."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
import uvloop
from blockbuster import BlockingError, blockbuster_ctx

LoopFactory = Callable[[], asyncio.AbstractEventLoop]
ASYNCIO: Mapping[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
EVERY_LOOP: Mapping[str, LoopFactory] = {**ASYNCIO, "uvloop": uvloop.new_event_loop}


def pytest_configure() -> None:
    """A shell starts what runs in its background deaf to Ctrl-C, and programs under test would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, LoopFactory]:
    """Loops an async test runs on, once each; pytest-asyncio asks while it collects."""
    return EVERY_LOOP if "any_loop" in getattr(item, "fixturenames", ()) else ASYNCIO


@pytest.fixture
async def any_loop() -> asyncio.AbstractEventLoop:
    """Runs the test once on asyncio and once on uvloop; the value is the running loop."""
    return asyncio.get_running_loop()


@pytest.fixture
async def no_blocking() -> AsyncIterator[None]:
    """Fails the test when anything blocks its loop, also inside a protocol callback, whose errors the loop
    would only log.

    For protocols driven in this process: a child process is not seen.
    """
    loop = asyncio.get_running_loop()
    blocked: list[BlockingError] = []

    def on_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(error := context.get("exception"), BlockingError):
            blocked.append(error)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(on_error)
    with blockbuster_ctx():
        yield
    assert not blocked, f"blocking calls in callbacks of the loop: {blocked}"
