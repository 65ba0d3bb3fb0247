"""F24: when file descriptors run short, mirror connections go first; then clients wait, and nothing spins."""

import asyncio
from asyncio import to_thread
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.proxy_host import PATIENT, ProxyHost
from tests.kit.polling import wait_until_async
from tests.kit.raw_client import RawClient
from tests.kit.script import hang, read_request, send
from tests.kit.scripted_backend import ScriptedBackend
from tests.wire.rig import GET, sized
from tests.wire.test_d_accepting import cpu_s, descriptors_still, no_descriptors

LAST_ANSWER = (read_request(), send(sized(b"ok", b"Connection: close")))
KEEPING = {**PATIENT, "SHADOW_PROXY_POOL__IDLE": "60s"}


class KeepingHost(ProxyHost):
    """A proxy that does not close unused connections by itself."""

    env = KEEPING


class SmallHost(KeepingHost):
    """One whose processes may open few files."""

    def __init__(self, folder: Path, *words: str) -> None:
        super().__init__(folder, *words)
        self.argv = ["sh", "-c", 'ulimit -n 128; exec "$@"', "sh", *self.argv]


@dataclass(frozen=True, slots=True)
class Scene:
    """A proxy between two backends, one client that is in, and the process that serves it."""

    proxy: ProxyHost
    primary: ScriptedBackend
    candidate: ScriptedBackend
    client: RawClient
    worker: int
    stack: AsyncExitStack

    async def late(self) -> RawClient:
        """One more client."""
        return await self.stack.enter_async_context(await RawClient.open(self.proxy.port))

    async def mirrors_again(self) -> None:
        """Wait until copies are started: requests that are shed until then are answered all the same."""
        before = len(self.candidate.requests)

        async def mirrored() -> bool:
            await answered(self.client)
            return len(self.candidate.requests) > before

        await wait_until_async(mirrored, "copies to be started again")

    async def balanced(self, **shed: int) -> None:
        """Everything is accounted for, and so many copies were dropped as `shed` at the least."""
        found = await to_thread(self.proxy.settled, len(self.primary.requests))
        assert found.total("shadow_dropped_total", reason="shed") >= shed.get("shed", 1)
        assert found.total("shadow_backend_failures_total") == 0


@asynccontextmanager
async def scene(
    folder: Path, primary: ScriptedBackend | None = None, candidate: ScriptedBackend | None = None
) -> AsyncIterator[Scene]:
    """The client has asked once, and its request was mirrored."""
    async with primary or ScriptedBackend() as serving, candidate or ScriptedBackend() as mirror:
        with KeepingHost.between(folder, serving.port, mirror.port) as proxy:
            async with AsyncExitStack() as stack:
                client = await stack.enter_async_context(await RawClient.open(proxy.port))
                await answered(client)
                await mirror.received_requests(1)
                worker = proxy.member("worker")
                assert worker
                await descriptors_still(worker.pid)
                yield Scene(proxy, serving, mirror, client, worker.pid, stack)


async def answered(client: RawClient) -> None:
    await client.send(GET)
    assert (await client.read_response()).status == 200


async def test_f24_the_descriptor_of_an_unused_mirror_connection_goes_to_a_client(tmp_path: Path) -> None:
    async with scene(tmp_path) as seen:
        with no_descriptors(seen.worker):
            await answered(await seen.late())
            await answered(seen.client)
            assert len(seen.candidate.requests) == 1
        await seen.mirrors_again()
        await seen.balanced()


async def test_f24_the_descriptor_of_a_copy_under_way_goes_to_a_client(tmp_path: Path) -> None:
    async with scene(tmp_path, candidate=ScriptedBackend([(read_request(), hang())])) as seen:
        with no_descriptors(seen.worker):
            await answered(await seen.late())
        await seen.mirrors_again()
        await seen.balanced(shed=2)


async def test_f24_the_descriptor_of_a_mirror_connection_goes_to_a_backend_that_is_to_serve(tmp_path: Path) -> None:
    async with scene(tmp_path, primary=ScriptedBackend([LAST_ANSWER])) as seen:
        await seen.late()  # it takes the descriptor of the connection that was served with and has ended
        await descriptors_still(seen.worker)
        with no_descriptors(seen.worker):
            await answered(seen.client)
        await seen.mirrors_again()
        await seen.balanced()


async def test_f24_the_last_few_descriptors_are_not_for_copies(tmp_path: Path) -> None:
    async with scene(tmp_path, ScriptedBackend([LAST_ANSWER]), ScriptedBackend([LAST_ANSWER])) as seen:
        with no_descriptors(seen.worker, but=3):
            await answered(seen.client)
            assert len(seen.candidate.requests) == 1
        await seen.mirrors_again()
        await seen.balanced()


async def test_f24_with_128_descriptors_clients_are_served_and_nothing_spins(tmp_path: Path) -> None:
    async with ScriptedBackend() as primary, ScriptedBackend() as candidate, AsyncExitStack() as stack:
        with SmallHost.between(tmp_path, primary.port, candidate.port) as proxy:
            clients = [await stack.enter_async_context(await RawClient.open(proxy.port)) for _ in range(60)]
            inside, waiting = clients[:32], clients[32:]
            for _ in range(3):
                await asyncio.gather(*map(answered, inside))
            for client in waiting:
                await client.send(GET)
            worker = proxy.member("worker")
            assert worker
            await descriptors_still(worker.pid)
            before = cpu_s(worker.pid)
            await asyncio.sleep(1.0)  # nothing happens but clients that wait
            assert cpu_s(worker.pid) - before < 0.25
            assert not any(client.received for client in waiting)
            for client in inside:
                await client.abandon()
            for client in waiting:
                assert (await client.read_response()).status == 200
                await client.abandon()
            found = await to_thread(proxy.settled, 3 * 32 + len(waiting))
            assert found.total("shadow_backend_failures_total") == 0
