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

from proxy.config.models import Mode
from tests.e2e.proxy_host import ProxyHost
from tests.kit.polling import wait_until_async
from tests.kit.ports import black_hole_port
from tests.kit.raw_client import RawClient
from tests.kit.script import read_request, send
from tests.kit.scripted_backend import ScriptedBackend
from tests.wire.forms import healthy
from tests.wire.rig import GET, Rig, problem, sized, without_date

LIMIT = 20
OVERLOADED = problem(503, "overloaded", "connection_limit_reached", close=False, more=["Retry-After: 1"])
RESUMES_AT = 18
"""The most connections below 95 % of the limit."""


@contextmanager
def no_descriptors(pid: int = 0, *, but: int = 0) -> Iterator[None]:
    """The process (0: this one) can open nothing inside, `but` so many: the limit is its lowest free descriptor."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (_lowest_free(pid) + but, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def no_holes() -> Iterator[None]:
    """Every descriptor that this process has opened is lower than its lowest free one."""
    fillers = [os.dup(0) for _ in range(64)]
    try:
        yield
    finally:
        for filler in fillers:
            os.close(filler)


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
    await rig.start(mode=Mode.PRIMARY)  # no mirror connection to give up
    loop = asyncio.get_running_loop()
    if is_busy:
        client = await rig.client()
        await healthy(rig, client)
    with socket.socket() as late:
        late.setblocking(False)  # noqa: FBT003  the socket API
        with no_descriptors():
            await loop.sock_connect(late, ("127.0.0.1", rig.port))
            await loop.sock_sendall(late, GET)
            assert await rig.settled(lambda: len(rig.plane.connections)) == is_busy
            if is_busy:
                await healthy(rig, client)
        assert (await asyncio.wait_for(loop.sock_recv(late, 1000), 5)).startswith(b"HTTP/1.1 200 ")


async def test_d16_a_backend_that_cannot_be_dialled_for_want_of_descriptors_is_a_503(rig: Rig) -> None:
    await rig.start()
    client = await rig.client()
    await rig.until(lambda: rig.plane.connections, "the client to be accepted")
    with no_descriptors():
        await client.send(GET)
        answer = await client.read_response()
        await rig.quiet()
    assert without_date(answer.raw) == OVERLOADED
    assert rig.drops() == {"shed": 1}  # the copy's want is ours too, and no evidence
    assert rig.plane.services[0].serving.pool.open == 0
    await healthy(rig, client)


async def test_d16_a_copy_that_is_still_dialling_gives_its_descriptor_to_a_backend_that_is_to_serve(rig: Rig) -> None:
    last_answer = (read_request(), send(sized(b"ok", b"Connection: close")))
    with black_hole_port() as port:
        mirror = {"connect_timeout": "60s"}
        await rig.start(primary=ScriptedBackend(default=last_answer), candidate=port, service={"mirror": mirror})
        client, dialling = await rig.client(), rig.plane.services[0].mirror.upstream._tasks
        for _ in range(3):  # for the proxy, for the backend in this process, and asyncio accepts until there is nobody
            await client.send(GET)
            assert (await client.read_response()).status == 200
        await rig.until(lambda: len(dialling) == 3 and not rig.plane.services[0].serving.connections, "three dials")
        for gone in rig.primary.connections:  # what the backend lets go of later would be a descriptor for us
            await gone.wire.ended()
        with no_holes(), no_descriptors():
            await client.send(GET)
            assert (await client.read_response()).status == 200
        assert rig.drops() == {"shed": 4}
        assert rig.plane.services[0].mirror.upstream.pool.open == 0


async def test_d16_what_is_no_want_of_descriptors_only_pauses(rig: Rig) -> None:
    await rig.start()
    await healthy(rig, await rig.client())
    rig.listener._sock.shutdown(socket.SHUT_RD)  # from here on nothing can be accepted, and that is EINVAL
    await rig.until(lambda: not rig.listener.is_accepting, "accepting to pause")
    assert not rig.plane.shedding.causes


# --- a worker of its own

OPEN_FILES = 500
AFFORDABLE = OPEN_FILES // 4
"""As few files are left beside 256 for others and 200 for mirrors, clients get a quarter, and backends another."""
WATCHED_S = 0.6
STILL = 20


class SmallHost(ProxyHost):
    """A proxy whose processes may open few files; it mirrors nothing, so it has nothing to give up."""

    def __init__(self, folder: Path, *words: str) -> None:
        super().__init__(folder, "--mode", "primary", *words)
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
    await descriptors_still(worker)
    with no_descriptors(worker):
        late = await stack.enter_async_context(await RawClient.open(proxy.port))
        await late.send(GET)
        begin, spent = monotonic(), cpu_s(worker)
        while (watched := monotonic() - begin) < WATCHED_S:
            if asking is not None:
                await asking.send(GET)
                assert (await asking.read_response()).status == 200
            await asyncio.sleep(0.02)  # a client with little to ask; a spinning worker would use all of it
        assert cpu_s(worker) - spent < watched / 4
        assert late.received == b""
    assert (await late.read_response()).status == 200
    return late


async def descriptors_still(worker: int) -> None:
    """Wait until the worker has closed what it was to close: the same descriptors, look after look."""
    looks: list[set[int]] = []

    async def is_still() -> bool:
        looks.append(_files(worker))
        return len(looks) > STILL and all(look == looks[-1] for look in looks[-STILL:])

    await wait_until_async(is_still, "the worker's descriptors to stay the same")


def cpu_s(pid: int) -> float:
    """CPU seconds a process has used, proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
