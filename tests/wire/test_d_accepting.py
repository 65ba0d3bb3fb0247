"""At the limit of connections, or of file descriptors, clients wait to be accepted; whoever is in notices nothing."""

import asyncio
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from time import monotonic

import pytest

from tests.e2e.proxy_host import ProxyHost
from tests.kit.polling import wait_until_async
from tests.kit.raw_client import RawClient
from tests.kit.scripted_backend import ScriptedBackend
from tests.wire.forms import ended, healthy
from tests.wire.rig import GET, Rig, problem, without_date

LIMIT = 20
RESUMES_AT = 18
"""The most connections below 95 % of the limit."""


@contextmanager
def no_descriptors(pid: int = 0) -> Iterator[None]:
    """The process (0: this one) can open nothing inside: the limit is its lowest free descriptor."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (_lowest_free(pid), hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def _lowest_free(pid: int) -> int:
    if not pid:
        free = os.dup(0)
        os.close(free)
        return free
    taken = _files(pid)
    return min(set(range(len(taken) + 1)) - taken)


def _files(pid: int) -> set[int]:
    """The descriptors a process has."""
    return {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}


async def test_d16_at_the_limit_clients_wait_until_there_are_fewer(rig: Rig) -> None:
    await rig.start(limits={"connections": LIMIT})
    clients = [await rig.client() for _ in range(LIMIT + 5)]  # all at once: the limit is exact all the same
    for client in clients:
        await client.send(GET)
    inside, waiting = clients[:LIMIT], clients[LIMIT:]
    for client in inside:
        assert (await client.read_response()).status == 200
    assert await rig.settled(lambda: len(rig.plane.connections)) == LIMIT
    assert [client.received for client in waiting] == [b""] * 5
    await healthy(rig, inside[-1])
    for count in range(LIMIT - 1, RESUMES_AT, -1):
        await inside[count].abandon()
        assert await rig.settled(lambda: len(rig.plane.connections)) == count
    await inside[RESUMES_AT].abandon()
    for client in waiting[: LIMIT - RESUMES_AT]:
        assert (await client.read_response()).status == 200
    assert await rig.settled(lambda: len(rig.plane.connections)) == LIMIT
    assert [client.received for client in waiting[LIMIT - RESUMES_AT :]] == [b""] * 3
    await healthy(rig, inside[0])
    await healthy(rig, waiting[0])


@pytest.mark.parametrize("is_busy", [False, True], ids=["nobody is in", "a client is in"])
async def test_d16_without_a_descriptor_clients_wait_until_there_is_one(rig: Rig, is_busy: bool) -> None:  # noqa: FBT001
    await rig.start()
    loop = asyncio.get_running_loop()
    if is_busy:
        client = await rig.client()
        await healthy(rig, client)
        await rig.candidate.received_requests(1)
    with socket.socket() as late:
        late.setblocking(False)  # noqa: FBT003  the socket API
        with no_descriptors():
            await loop.sock_connect(late, ("127.0.0.1", rig.port))
            await loop.sock_sendall(late, GET)
            assert await rig.settled(lambda: len(rig.plane.connections)) == is_busy
            if is_busy:
                await healthy(rig, client)
        assert (await asyncio.wait_for(loop.sock_recv(late, 1000), 5)).startswith(b"HTTP/1.1 200 ")


async def test_d16_a_backend_that_cannot_be_dialled_for_want_of_descriptors_is_a_500(rig: Rig) -> None:
    await rig.start()
    client = await rig.client()
    await rig.until(lambda: rig.plane.connections, "the client to be accepted")
    with no_descriptors():
        await client.send(GET)
        answer = await client.read_response()
        await rig.quiet()
    assert without_date(answer.raw) == problem(500, "internal", "proxy_internal_error", close=True)
    await ended(client)
    assert rig.drops() == {"in_flight_full": 1}  # the copy's want is ours too, and no evidence
    assert rig.plane.services[0].serving.pool.open == 0
    assert (await rig.ask()).status == 200


# --- a worker of its own

OPEN_FILES = 500
AFFORDABLE = (OPEN_FILES - 256 - 200) // 2
"""What is kept for other files and for mirrors, and a backend's connection for each client's."""
WATCHED_S = 0.6
STILL = 20


class SmallHost(ProxyHost):
    """A proxy whose processes may open few files, and do not close unused connections."""

    def __init__(self, folder: Path, *words: str) -> None:
        super().__init__(folder, *words)
        self.argv = ["sh", "-c", f'ulimit -n {OPEN_FILES}; SHADOW_PROXY_POOL__IDLE=60s exec "$@"', "sh", *self.argv]


async def test_d16_a_worker_with_few_descriptors_neither_fails_nor_spins(tmp_path: Path) -> None:
    async with ScriptedBackend() as primary, ScriptedBackend() as candidate, AsyncExitStack() as stack:
        with SmallHost.between(tmp_path, primary.port, candidate.port) as proxy:
            clients = [await stack.enter_async_context(await RawClient.open(proxy.port)) for _ in range(AFFORDABLE + 5)]
            inside, waiting = clients[:AFFORDABLE], clients[AFFORDABLE:]
            for client in clients:
                await client.send(GET)
            for client in inside:
                assert (await client.read_response()).status == 200
            worker = proxy.member("worker")
            assert worker
            for client in inside[1:]:
                await client.abandon()
            for client in waiting:
                assert (await client.read_response()).status == 200
                await client.abandon()
            late = await _late(stack, proxy, worker.pid, asking=inside[0])
            for client in (inside[0], late):
                await client.abandon()
            await (await _late(stack, proxy, worker.pid, asking=None)).abandon()


async def _late(stack: AsyncExitStack, proxy: ProxyHost, worker: int, *, asking: RawClient | None) -> RawClient:
    """A client that connects while there is no descriptor, and is served once there is; `asking` is in already."""
    await _settled(worker)
    with no_descriptors(worker):
        late = await stack.enter_async_context(await RawClient.open(proxy.port))
        await late.send(GET)
        begin, spent = monotonic(), _cpu_s(worker)
        while (watched := monotonic() - begin) < WATCHED_S:
            if asking is not None:
                await asking.send(GET)
                assert (await asking.read_response()).status == 200
            await asyncio.sleep(0.02)  # a client with little to ask; a spinning worker would use all of it
        assert _cpu_s(worker) - spent < watched / 4
        assert late.received == b""
    assert (await late.read_response()).status == 200
    return late


async def _settled(worker: int) -> None:
    """Wait until the worker has closed what it was to close: the same descriptors, look after look."""
    looks: list[set[int]] = []

    async def is_still() -> bool:
        looks.append(_files(worker))
        return len(looks) > STILL and all(look == looks[-1] for look in looks[-STILL:])

    await wait_until_async(is_still, "the worker's descriptors to stay the same")


def _cpu_s(pid: int) -> float:
    """CPU seconds a process has used, proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
