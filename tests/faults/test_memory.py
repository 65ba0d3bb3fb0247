"""F25: a worker near its memory limit mirrors nothing, then answers clients itself, and recovers from both."""

import resource
from asyncio import to_thread
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.proxy_host import PATIENT, START_S, ProxyHost
from tests.e2e.traffic import v1
from tests.kit.h11_peer import H11Backend, H11Client, H11Reply
from tests.kit.metrics import Metrics
from tests.kit.polling import wait_until, wait_until_async
from tests.kit.raw_client import RawClient
from tests.wire.rig import problem, without_date

ASK = b"GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n"
OVERLOADED = problem(503, "overloaded", "connection_limit_reached", close=False, more=["Retry-After: 1"])
PAGE = resource.getpagesize()
NARROW = {**PATIENT, "SHADOW_PROXY_SHED__MEMORY": "150MiB", "SHADOW_PROXY_LIMITS__WRITE_BUFFER": "16MiB"}


@pytest.mark.parametrize(
    ("limit", "column", "tells"),
    [(resource.RLIMIT_AS, 0, False), (resource.RLIMIT_DATA, 5, True)],
    ids=["AS, of which nothing is given back", "DATA"],
)
async def test_f25_near_a_resource_limit_copies_go_first_and_then_clients_are_told(
    tmp_path: Path,
    limit: int,
    column: int,
    tells: bool,  # noqa: FBT001  a column of the table
) -> None:
    async with H11Backend(v1) as primary, H11Backend(v1) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            worker = proxy.member("worker")
            assert worker
            pid = worker.pid

            def lower(share: float) -> None:
                """A limit of which this share is used."""
                used = int(Path(f"/proc/{pid}/statm").read_text().split()[column]) * PAGE
                resource.prlimit(pid, limit, (int(used / share), resource.RLIM_INFINITY))

            async with await RawClient.open(proxy.port) as client:
                assert await status(client) == 200
                lower(0.85)
                await to_thread(until, proxy, lambda found: suspended(found) == 1)
                assert await status(client) == 200
                lower(0.97)
                await to_thread(until, proxy, lambda found: fill(found) >= 0.95)
                if tells:
                    await wait_until_async(lambda: is_status(client, 503), "the worker to be overloaded")
                    await client.send(ASK)
                    assert without_date((await client.read_response()).raw) == OVERLOADED
                else:
                    assert await status(client) == 200
                resource.prlimit(pid, limit, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                await wait_until_async(lambda: is_status(client, 200), "the worker to serve again")
                copied = len(candidate.requests)
                await wait_until_async(lambda: is_copied(client, candidate, copied), "copies to be started again")
            found = await to_thread(proxy.settled, len(primary.requests))
            assert found.total("shadow_dropped_total", reason="shed") >= 1
            assert (found.total("shadow_refused_requests_total", reason="overloaded") >= 2) is tells
            proxy.process.wait_for_line("mirroring_suspended.*causes=memory")
            if tells:
                proxy.process.wait_for_line("overload_ended")
            await to_thread(until, proxy, lambda found: suspended(found) == 0)


class NarrowHost(ProxyHost):
    """A proxy that keeps much for clients that do not read, and is told its limit."""

    env = NARROW


async def test_f25_memory_that_clients_hold_is_given_back_with_them(tmp_path: Path) -> None:
    async with H11Backend(large) as primary, H11Backend(v1) as candidate:
        with NarrowHost.between(tmp_path, primary.port, candidate.port, "--mode", "primary") as proxy:
            slow = [await RawClient.open(proxy.port) for _ in range(20)]
            for client in slow:
                client.stop_reading()
                await client.send(ASK)
            await to_thread(until, proxy, lambda found: suspended(found) == 1)
            async with await RawClient.open(proxy.port) as client:
                await wait_until_async(lambda: is_status(client, 503), "the worker to be overloaded")
            for client in slow:
                await client.abandon()
            await to_thread(until, proxy, lambda found: suspended(found) == 0)
            async with await H11Client.open(proxy.port) as reader:
                assert len((await reader.exchange("GET", "/items/2")).body) == len(BODY)


BODY = bytes(12 << 20)


def large(_request: object) -> H11Reply:
    return H11Reply(fields=((b"Content-Length", b"%d" % len(BODY)),), body=BODY)


async def status(client: RawClient) -> int:
    await client.send(ASK)
    return (await client.read_response()).status


async def is_status(client: RawClient, wanted: int) -> bool:
    """Ask once more; every answer on the way is one of the two."""
    found = await status(client)
    assert found in {200, 503}
    return found == wanted


async def is_copied(client: RawClient, candidate: H11Backend, more_than: int) -> bool:
    assert await status(client) == 200
    return len(candidate.requests) > more_than


def suspended(found: Metrics) -> float:
    return found.total("shadow_mirroring_suspended", cause="memory")


def fill(found: Metrics) -> float:
    return found.total("shadow_memory_bytes") / found.total("shadow_memory_bytes_limit")


def until(proxy: ProxyHost, holds: Callable[[Metrics], bool]) -> None:
    wait_until(lambda: holds(proxy.metrics()), "the metrics to say so", START_S)
