"""SIGTERM under load: every request that the proxy took up is answered, every other one is told by a bare end."""

import asyncio
import fcntl
import signal
from asyncio import to_thread
from pathlib import Path

import h11
import pytest

from proxy.ipc.boot import SETTINGS_FILE
from tests.e2e.proxy_host import ROOT, START_S, ProxyHost
from tests.e2e.traffic import number, reply, v2
from tests.kit.h11_peer import H11Backend, H11Client, H11Reply, H11Request
from tests.kit.processes import Process
from tests.kit.raw_client import RawClient
from tests.kit.script import hang, read_request, send
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.watch import Watch, deadline
from tests.wire.rig import GET, response

CLIENTS = 24
BIG = b" " * 20_000


def big(request: H11Request) -> H11Reply:
    return reply(b'{"item":%d}' % number(request.target) + BIG)


class Customers:
    """Clients that ask on kept connections until the proxy will have no more; what each request came to."""

    def __init__(self, port: int) -> None:
        self.answered = 0
        self.bare = 0
        """Requests that met the end of their connection, without a byte of an answer."""
        self._port = port
        self._watch = Watch()

    async def ask(self, first: int) -> None:
        """One client: new connections for as long as there are any. Raises what no client should meet."""
        item = first
        while True:
            try:
                client = await H11Client.open(self._port)
            except ConnectionRefusedError:
                return
            async with client:
                item = await self._ask_on(client, item)

    async def _ask_on(self, client: H11Client, item: int) -> int:
        is_open = True
        while is_open:
            item += CLIENTS
            before = client.received
            try:
                answer = await client.exchange("GET", f"/items/{item}")
            except (h11.RemoteProtocolError, ConnectionError):
                assert client.received == before, "part of an answer"
                self.bare += 1
                return item
            is_open = client.reusable
            assert (answer.status, answer.body) == (200, b'{"item":%d}' % item + BIG)
            self.answered += 1
            self._watch.changed()
        return item

    async def busy(self, answers: int) -> None:
        async with deadline(START_S, lambda: f"{answers} answers; there are {self.answered}"):
            await self._watch.until(lambda: self.answered >= answers)


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_no_answer_is_lost_at_sigterm_under_load(tmp_path: Path, workers: str) -> None:
    async with H11Backend(big) as primary, H11Backend(v2) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port, "--workers", workers) as proxy:
            customers = Customers(proxy.port)
            asking = [asyncio.create_task(customers.ask(first)) for first in range(CLIENTS)]
            await customers.busy(10 * CLIENTS)
            proxy.process.send_signal(signal.SIGTERM)
            await asyncio.gather(*asking)
            assert await to_thread(proxy.process.wait) == 0
        assert len(primary.requests) == customers.answered
        assert customers.bare <= 2 * CLIENTS  # each has one connection at a time, and perhaps one in the backlog
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as again:
            found = await to_thread(again.settled, customers.answered)
            assert found.total("shadow_requests_total", code="2xx") == customers.answered


async def test_a_second_signal_does_not_wait_for_answers_in_flight_and_counts_are_kept(tmp_path: Path) -> None:
    begun = response(b"Content-Length: 10", body=b"hello")
    script = (read_request(), send(begun), hang())
    async with ScriptedBackend(default=script) as primary, H11Backend() as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            async with await RawClient.open(proxy.port, deadline_s=START_S) as idle:
                client = await RawClient.open(proxy.port, deadline_s=START_S)
                await client.send(GET)
                await client.read_exactly(len(begun))
                proxy.process.send_signal(signal.SIGTERM)
                await idle.closed()
                assert proxy.process.exit_code is None
                proxy.process.send_signal(signal.SIGTERM)
                await client.read_until_close()
                await client.abandon()
            assert await to_thread(proxy.process.wait) == 1
            proxy.process.assert_nothing_left()


async def test_it_ends_in_order_though_somebody_tidied_its_settings_away(tmp_path: Path) -> None:
    async with H11Backend(big) as primary, H11Backend(v2) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            async with await H11Client.open(proxy.port, deadline_s=START_S) as client:
                await client.exchange("GET", "/items/1")
            (Path((proxy.state_dir / "lock").read_text()) / SETTINGS_FILE).unlink()
            assert await to_thread(proxy.process.stop) == 0
            assert "settings_not_read" in proxy.process.output
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as again:
            await to_thread(again.settled, 1)


async def test_a_hang_up_while_it_starts_does_not_end_it(tmp_path: Path) -> None:
    async with H11Backend(big) as primary, H11Backend(v2) as candidate:
        proxy = ProxyHost.between(tmp_path, primary.port, candidate.port)
        proxy.state_dir.mkdir(mode=0o700)
        with (proxy.state_dir / "control.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with Process(proxy.argv, cwd=ROOT) as process:
                await to_thread(process.wait_for_line, "waiting_for_earlier_control", START_S)
                process.send_signal(signal.SIGHUP)
                fcntl.flock(lock, fcntl.LOCK_UN)
                await to_thread(process.wait_for_line, "^Next: ", START_S)
