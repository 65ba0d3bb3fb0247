"""Processes that are killed while clients ask: who notices, who comes back, and whether the counts still add up."""

import asyncio
import signal
from asyncio import to_thread
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from tests.e2e.proxy_host import START_S, ProxyHost
from tests.e2e.traffic import Traffic, v1, v2
from tests.kit.h11_peer import H11Backend, H11Client
from tests.kit.polling import wait_until
from tests.kit.raw_client import RawClient
from tests.kit.script import read_request, send, wait_for
from tests.kit.scripted_backend import ScriptedBackend


@pytest.mark.parametrize("name", ["judge", "control"])
async def test_no_client_notices_and_counts_go_on(tmp_path: Path, name: str) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            async with Traffic(proxy.port) as traffic:
                compared = await to_thread(compares, proxy, 0)
                gone = await to_thread(proxy.kill, name)
                await traffic.goes_on()
                await to_thread(proxy.restarted, gone, name)
                await traffic.goes_on()
                await to_thread(compares, proxy, compared)
            found = await to_thread(proxy.settled, traffic.answered)
            assert len(primary.requests) == traffic.answered
            if name == "control":  # it only reads what the others count: nothing may be missing
                assert found.total("shadow_comparisons_total") == traffic.answered


def compares(proxy: ProxyHost, more_than: int) -> int:
    """Wait until more pairs are compared than so many; how many they are."""

    def compared() -> int:
        with suppress(ConnectionError):  # of a control that was killed as it answered
            found: int = proxy.status()["compared"]
            return found if found > more_than else 0
        return 0

    return wait_until(compared, f"more than {more_than} pairs are compared", START_S)


async def test_a_killed_worker_is_started_again_and_its_port_never_refuses(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            await to_thread(proxy.kill, "worker")
            async with await H11Client.open(proxy.port, deadline_s=START_S) as client:
                assert (await client.exchange("GET", "/items/1")).body == b'{"item":1}'
            await to_thread(proxy.settled, 1)


@pytest.mark.parametrize("name", ["", "judge", "control"], ids=["idle", "after a judge", "after control"])
async def test_all_processes_end_with_a_killed_supervisor(tmp_path: Path, name: str) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            if name:  # while it is being started again
                proxy.kill(name)
            proxy.process.send_signal(signal.SIGKILL)
            await to_thread(proxy.process.assert_nothing_left, START_S)
            await to_thread(proxy.process.wait)


async def test_the_next_start_counts_on_and_tidies_up_after_a_killed_supervisor(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            async with Traffic(proxy.port) as traffic:
                await traffic.goes_on()
            await to_thread(proxy.settled, traffic.answered)
            left = Path((proxy.state_dir / "lock").read_text())
            assert await to_thread((left / "processes.json").exists)
            proxy.process.send_signal(signal.SIGKILL)
            await to_thread(proxy.process.assert_nothing_left, START_S)
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            await to_thread(proxy.settled, traffic.answered)
            assert not await to_thread(left.exists)


async def test_answers_under_way_at_sigterm_are_finished(tmp_path: Path) -> None:
    release = asyncio.Event()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes"
    script = (read_request(), send(answer[:-3]), wait_for(release), send(answer[-3:]))
    async with ScriptedBackend(default=script) as primary, H11Backend(v2) as candidate, AsyncExitStack() as stack:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            idle = await stack.enter_async_context(await RawClient.open(proxy.port, deadline_s=START_S))
            clients = [
                await stack.enter_async_context(await H11Client.open(proxy.port, deadline_s=START_S)) for _ in range(20)
            ]
            asked = [asyncio.create_task(client.exchange("GET", "/items/1")) for client in clients]
            await primary.received_requests(20)
            proxy.process.send_signal(signal.SIGTERM)
            await idle.closed()  # the proxy is on its way out
            assert not any(task.done() for task in asked)
            release.set()
            assert [(got.status, got.body) for got in await asyncio.gather(*asked)] == [(200, b"yes")] * 20
            assert await to_thread(proxy.process.wait) == 0
