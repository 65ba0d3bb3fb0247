"""Bodies far larger than any buffer pass a worker whose memory stays flat, however slowly they are read."""

import asyncio
from asyncio import to_thread
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path

import pytest

from tests.e2e.proxy_host import ProxyHost
from tests.kit.raw_client import RawClient
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.scripted_connection import ScriptedConnection
from tests.kit.wire import Wire

MIB = 1 << 20
SIZE = 100 * MIB
PIECE = 64 << 10
REST_EVERY = 25 * MIB
"""The receiving side stops reading after so many bytes, until the sending side is seen to stand still."""
LOOK_S = 0.01
STILL = 10

CONFIG = """\
version: 1
services:
  ranker:
    primary: {{version: "v1", url: "http://127.0.0.1:{primary}"}}
    candidate: {{version: "v2", url: "http://127.0.0.1:{candidate}"}}
    mirror: {{methods: [GET, POST], max_body: 1MiB}}
"""
Transfer = Callable[[Wire, ScriptedConnection], Awaitable[None]]
GET = b"GET /down HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % SIZE
DOWN = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Memory:
    """The resident memory of a process since this was made, in bytes. proc(5)."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")
        self._before = self._read("VmRSS")
        (self._folder / "clear_refs").write_text("5")  # the peak counts from here

    def grown(self) -> int:
        """By how much it has grown at its peak."""
        return self._read("VmHWM") - self._before

    def _read(self, name: str) -> int:
        lines = (self._folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


class Sender:
    """Sends `SIZE` bytes, no two pieces alike, as fast as they are taken."""

    def __init__(self, wire: Wire) -> None:
        self.sent = 0
        self.digest = sha256()
        self._wire = wire

    async def run(self) -> None:
        filling = bytes(PIECE - 8)
        while self.sent < SIZE:
            piece = self.sent.to_bytes(8, "big") + filling
            self.digest.update(piece)
            await self._wire.send(piece)
            self.sent += PIECE

    async def stands_still(self) -> None:
        """Wait until it is paused: that nothing more happens is no event, so this looks again and again."""
        last, still = -1, 0
        while still < STILL:
            still = still + 1 if self.sent == last else 0
            last = self.sent
            await asyncio.sleep(LOOK_S)
        assert self.sent < SIZE


async def pass_slowly(sending: Wire, receiving: Wire) -> None:
    """Send the body, and read it with rests in which the sender must come to a halt; nothing read is kept."""
    sender = Sender(sending)
    running = asyncio.create_task(sender.run())
    digest = sha256()
    read, rest_at = 0, 0
    while read < SIZE:
        if read >= rest_at:
            rest_at += REST_EVERY
            receiving.stop_reading()
            await sender.stands_still()
            receiving.resume_reading()
        await receiving.until(lambda: len(receiving.received) > 0)
        read += len(receiving.received)
        digest.update(receiving.received)
        _forget(receiving)
    await running
    assert (read, digest.digest()) == (SIZE, sender.digest.digest())


def _forget(wire: Wire) -> None:
    wire.received.clear()
    wire.position = 0


async def upload(client: Wire, backend: ScriptedConnection) -> None:
    _forget(backend.wire)
    await pass_slowly(client, backend.wire)
    await backend.wire.send(OK)
    await client.until(lambda: client.received.endswith(b"\r\n\r\nok"))


async def download(client: Wire, backend: ScriptedConnection) -> None:
    await backend.wire.send(DOWN)
    await client.until(lambda: client.received.endswith(b"\r\n\r\n"))
    _forget(client)
    await pass_slowly(backend.wire, client)


@pytest.mark.parametrize(
    ("head", "transfer", "outcome"),
    [
        (POST, upload, ("shadow_dropped_total", {"reason": "too_large"})),
        (GET, download, ("shadow_comparisons_total", {})),
    ],
    ids=["up", "down"],
)
async def test_c22_100_mb_pass_slowly_and_cost_no_memory(
    tmp_path: Path, head: bytes, transfer: Transfer, outcome: tuple[str, dict[str, str]]
) -> None:
    """With the mirror on: what is too large for a copy is not kept for one either."""
    arrived: asyncio.Future[ScriptedConnection] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def hand_over(connection: ScriptedConnection) -> None:
        arrived.set_result(connection)
        await over.wait()

    async with ScriptedBackend([(hand_over,)]) as primary, ScriptedBackend() as candidate:
        config = tmp_path / "shadow-proxy.yaml"
        config.write_text(CONFIG.format(primary=primary.port, candidate=candidate.port))
        with ProxyHost(tmp_path, "--config", str(config)) as proxy:
            worker = proxy.member("worker")
            assert worker
            async with await RawClient.open(proxy.port) as client:
                memory = Memory(worker.pid)
                await client.send(head)
                await transfer(client._wire, await arrived)
                over.set()
            found = await to_thread(proxy.settled, 1)
            assert memory.grown() < 8 * MIB
            family, labels = outcome
            assert found.total(family, **labels) == 1
            assert [got.method for got in candidate.requests] == ([b"GET"] if head is GET else [])
