"""`kill -9` of any process at any instant, under load and admin changes: what was acknowledged or shown stays true."""

import asyncio
import fcntl
import os
import random
import signal
from asyncio import to_thread
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest

from proxy.supervisor.lock import StateLock
from tests.e2e.crash_scene import CLIENTS, Ledger, Load, audit_ids, write_config
from tests.e2e.proxy_host import QUIET_S, START_S, ProxyHost
from tests.e2e.traffic import v1, v2
from tests.kit.h11_peer import H11Backend, H11Client
from tests.kit.metrics import Metrics, balanced, parse
from tests.kit.polling import wait_until
from tests.kit.ports import LOOPBACK
from tests.kit.raw_client import RawClient
from tests.kit.script import read_request, send, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.wire.rig import GET, response

BEGUN, REST = response(b"Content-Length: 10", body=b"hello"), b"world"
ROUNDS = 5
"""Kills of one proxy; more, and the supervisor would wait longer each time before it starts the process again."""
LATEST_S = 0.4
"""A kill comes this long after the load began, at most."""


class Scene:
    """One state directory, and the proxy that has it."""

    def __init__(self, folder: Path, stack: ExitStack, primary: H11Backend, candidate: H11Backend) -> None:
        self.ledger = Ledger()
        self._folder = folder
        self._stack = stack
        self._backends = primary, candidate
        self._config = folder / "shadow-proxy.yaml"
        write_config(self._config, 0, primary.port, candidate.port)

    def start(self) -> None:
        self.proxy = self._stack.enter_context(ProxyHost(self._folder, "-c", str(self._config)))

    async def kill(self, name: str, after_s: float) -> None:
        """Kill a part of it under load and see it come back; what its clients may meet depends on what it is."""
        is_killed = False
        harmless = name in {"control", "judge"}
        load = Load(self.proxy, self.ledger, self._config, fails=lambda: is_killed and not harmless)
        async with load:
            await load.goes_on(1)
            await asyncio.sleep(after_s)
            is_killed = True
            if name == "supervisor":
                self.proxy.process.send_signal(signal.SIGKILL)
                await to_thread(self.proxy.process.wait)
            else:
                gone = await to_thread(self.proxy.kill, name)
                await to_thread(self.proxy.restarted, gone, name)
                await load.goes_on()
        assert load.failed <= CLIENTS
        if name == "supervisor":
            await to_thread(self.start)

    def check(self, name: str) -> None:
        """What must hold once nothing is under way."""
        ledger, proxy = self.ledger, self.proxy
        wait_until(lambda: answers(proxy), "the admin port to answer", START_S)
        said = proxy.get("/api/v1/status").json
        assert said["services"][0]["mode"] in ledger.modes
        assert said["snapshot"] >= ledger.version
        assert ledger.audited <= audit_ids(proxy)
        ledger.modes = [said["services"][0]["mode"]]

        def settled() -> Metrics | None:
            text = proxy.get("/metrics").body.decode()  # one moment: the next one may know of more
            metrics = parse(text)
            at_least = ledger.answered if self._is_exact else 0
            is_all = balanced(text) and metrics.total("shadow_requests_total") >= at_least
            return metrics if is_all else None

        self._is_exact = self._is_exact and name in {"control", "judge"}
        metrics = wait_until(settled, "both identities to hold, and every answered request counted", QUIET_S)
        assert metrics is not None
        ledger.show(metrics)
        requests = metrics.total("shadow_requests_total")
        assert requests <= ledger.sent
        if self._is_exact:
            assert requests == ledger.answered == ledger.sent
        primary, candidate = self._backends
        assert requests <= len(primary.requests) + ledger.sent - ledger.answered
        assert metrics.total("shadow_comparisons_total") <= len(candidate.requests)

    _is_exact = True
    """Whether every request so far was counted by a worker that lives: nothing may be missing either."""


def answers(proxy: ProxyHost) -> bool:
    try:
        return proxy.get("/healthz").status == 200
    except OSError:
        return False


async def killed(tmp_path: Path, name: str, seed: int) -> None:
    dice = random.Random(f"{name} {seed}")
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        with ExitStack() as stack:
            scene = Scene(tmp_path, stack, primary, candidate)
            await to_thread(scene.start)
            for _ in range(ROUNDS):
                await scene.kill(name, dice.uniform(0, LATEST_S))
                await to_thread(scene.check, name)


PROCESSES = ["control", "judge", "worker", "supervisor"]


@pytest.mark.parametrize("name", PROCESSES)
async def test_nothing_that_was_promised_is_lost(tmp_path: Path, name: str) -> None:
    await killed(tmp_path, name, seed=0)


async def test_a_fresh_start_at_once_finds_its_ports_and_its_state(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as first:
            async with await H11Client.open(first.port) as client:
                await client.exchange("GET", "/items/1")
                await to_thread(first.settled, 1)
                first.process.send_signal(signal.SIGKILL)
                places = ("--listen", f"{LOOPBACK}:{first.port}", "--admin-listen", f"{LOOPBACK}:{first.admin}")
                again = ProxyHost.between(tmp_path, primary.port, candidate.port, *places)
                with again:
                    await to_thread(again.settled, 1)
                    assert (again.port, again.admin) == (first.port, first.admin)


async def test_a_control_that_outlives_its_supervisor_keeps_the_state_file_to_itself(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            control = proxy.member("control")
            assert control
            os.kill(control.pid, signal.SIGSTOP)
            proxy.process.send_signal(signal.SIGKILL)
            await to_thread(proxy.process.wait)
            assert is_free(proxy.state_dir / "lock")
            assert not is_free(proxy.state_dir / "control.lock")
            os.kill(control.pid, signal.SIGCONT)
            await to_thread(wait_until, lambda: is_free(proxy.state_dir / "control.lock"), "control to end", START_S)
            with StateLock(proxy.state_dir) as again:
                assert again.is_after_a_kill


async def test_answers_in_flight_when_the_supervisor_is_killed_are_given_and_counted(tmp_path: Path) -> None:
    ends = [asyncio.Event() for _ in range(3)]
    scripts = [(read_request(), send(BEGUN), wait_for(end), send(REST)) for end in ends]
    async with ScriptedBackend(scripts) as primary, H11Backend() as candidate, AsyncExitStack() as stack:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            clients: list[RawClient] = []
            for _ in ends:
                clients.append(await stack.enter_async_context(await RawClient.open(proxy.port, deadline_s=START_S)))
                await clients[-1].send(GET)
                await clients[-1].read_exactly(len(BEGUN))
            proxy.process.send_signal(signal.SIGKILL)
            await to_thread(proxy.process.wait)
            again = asyncio.create_task(to_thread(given_and_counted, tmp_path, primary.port, candidate.port))
            for counted, (end, client) in enumerate(zip(ends, clients, strict=True), 1):
                end.set()
                assert (await client.read_until_close()).endswith(b"hello" + REST)
                if client is not clients[-1]:  # the last report of all is what the next proxy shows
                    await to_thread(wait_for_requests, proxy, counted)
            assert "waiting_for_earlier_control" in await again


def wait_for_requests(proxy: ProxyHost, counted: int) -> None:
    wait_until(lambda: proxy.metrics().total("shadow_requests_total") == counted, f"{counted} requests", QUIET_S)


def given_and_counted(folder: Path, primary: int, candidate: int) -> str:
    """Start again, see all three requests counted; what was logged."""
    with ProxyHost.between(folder, primary, candidate) as proxy:
        proxy.settled(3)
        return proxy.process.output


def is_free(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(1, 11))
@pytest.mark.parametrize("name", PROCESSES)
async def test_nothing_that_was_promised_is_lost_at_many_instants(tmp_path: Path, name: str, seed: int) -> None:
    await killed(tmp_path, name, seed)
