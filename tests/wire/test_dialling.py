"""Whoever waits for a connection is told, whatever goes wrong on the way to one."""

import asyncio
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from proxy.config.units import Origin
from proxy.core.message import Cause, Failure
from proxy.http.backend_connection import BackendConnection
from proxy.http.open_files import OpenFiles
from tests.kit.ports import black_hole_port
from tests.kit.scripted_backend import ScriptedBackend
from tests.wire.asker import Asker, dialling
from tests.wire.test_d_accepting import no_descriptors


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


@pytest.mark.usefixtures("any_loop")
async def test_a_backend_is_dialled_once_more_after_copies_were_ended_for_it() -> None:
    asked: list[bool] = []

    def make_room(nothing_left: bool) -> None:  # noqa: FBT001  the callback's only word
        asked.append(nothing_left)
        if asked == [True, True]:  # what was there for the first try, somebody else was quicker to take
            os.close(held)

    with socket.create_server(("127.0.0.1", 0)) as backend:
        upstream = dialling(Origin("http", "127.0.0.1", backend.getsockname()[1]), ThreadPoolExecutor(1))
        upstream.dialler.files = OpenFiles(make_room)
        asker = Asker()
        held = os.dup(0)
        with no_descriptors():
            upstream.acquire(asker)
            assert isinstance(await asyncio.wait_for(asker.heard, 5), BackendConnection)
        upstream.abort()


@pytest.mark.usefixtures("any_loop")
async def test_a_name_that_cannot_be_looked_up_for_want_of_descriptors_is_no_fault_of_the_backend() -> None:
    ran_short: list[bool] = []
    async with ScriptedBackend() as backend:
        upstream = dialling(Origin("http", "name.invalid", 80), ThreadPoolExecutor(1))
        upstream.dialler.files = OpenFiles(ran_short.append)
        with no_descriptors():
            asker = Asker()
            upstream.acquire(asker)
            assert await asyncio.wait_for(asker.heard, 5) == Failure(Cause.OVERLOADED)
            assert ran_short == [True]
            upstream.dialler._resolved = [(socket.AF_INET, ("127.0.0.1", backend.port))]  # long ago
            found = await upstream.dialler._targets()
        assert found == upstream.dialler._resolved
        asker = Asker()
        upstream.dialler._resolved = []
        upstream.acquire(asker)
        assert await asyncio.wait_for(asker.heard, 5) == Failure(Cause.RESOLVE)


@pytest.mark.usefixtures("any_loop")
@pytest.mark.parametrize("steps", range(4))
async def test_whoever_waits_for_a_connection_that_is_given_up_is_told_at_once(steps: int) -> None:
    with black_hole_port() as port:
        upstream = dialling(Origin("http", "127.0.0.1", port), ThreadPoolExecutor(1))
        asker = Asker()
        upstream.acquire(asker)
        for _ in range(steps):
            await asyncio.sleep(0)
        assert upstream.stop_dialling() == 1
        assert asker.heard.result() == Failure(Cause.OVERLOADED)
        asker.is_gone = True
        await asyncio.wait(tuple(upstream._tasks))
        assert (upstream.pool.open, upstream.stop_dialling()) == (0, 0)


@pytest.mark.usefixtures("any_loop")
async def test_an_address_of_a_family_that_is_not_spoken_here_is_passed_over() -> None:
    async with ScriptedBackend() as backend:
        upstream = dialling(Origin("http", "name.invalid", 80), ThreadPoolExecutor(1))
        upstream.dialler._resolved = [(socket.AF_APPLETALK, ("", 0)), (socket.AF_INET, ("127.0.0.1", backend.port))]
        upstream.dialler._resolved_until = float("inf")
        asker = Asker()
        upstream.acquire(asker)
        assert isinstance(await asyncio.wait_for(asker.heard, 5), BackendConnection)
        upstream.abort()
