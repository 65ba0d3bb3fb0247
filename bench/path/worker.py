"""The worker's way with one request, in memory: what a GET and both its answers cost it, kernel apart.

One client connection and one connection to each backend, all kept alive; transports that swallow what is written. The
judge's end of its socket is read and thrown away.
"""

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from proxy.config.models import Mode, Settings
from proxy.http.backend_connection import BackendConnection
from proxy.http.connection import ClientConnection
from proxy.http.turn import Turn
from proxy.ipc.frames import frame
from proxy.ipc.messages import Hello, Snapshot, encode
from proxy.worker.app import DataPlane
from proxy.worker.budget import ByteBudget
from proxy.worker.judge_link import JudgeLink

SERVICE: dict[str, Any] = {
    "primary": {"version": "v1", "url": "http://127.0.0.1:1"},
    "candidate": {"version": "v2", "url": "http://127.0.0.1:2"},
    "mirror": {"warm_up": 0},
    "endpoints": [{"name": "predictions", "match": "GET /users/{id}/predictions"}],
}
_DRAIN_EVERY = 50
_FOR_EVER_S = 1e9


class Nowhere(asyncio.Transport):
    """Takes every byte."""

    def write(self, data: object) -> None:
        """Take these."""

    def close(self) -> None:
        """Nothing is open."""

    abort = close

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Never full."""


class Plane:
    """A data plane in mode `shadow` with its connections. Its event loop must be the running one."""

    def __init__(self, directory: Path) -> None:
        self._turns: list[Callable[[], None]] = []
        settings = Settings.model_validate({"services": {"ranker": SERVICE}})
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / "judge.sock"))
        self._listener.listen()
        loop = asyncio.get_running_loop()
        link = JudgeLink(loop, self._listener, settings.judge.queue, ByteBudget(settings.mirror_budget), "worker-0:1")
        self.plane = DataPlane("worker-0", "shadow-proxy-0", settings, link, Turn(self._turns.append))
        self.plane.adopt(Snapshot(1, settings, {"ranker": Mode.SHADOW}))
        self._judge = socket.socket(socket.AF_UNIX)
        self._judge.connect(str(directory / "judge.sock"))
        self._judge.sendall(frame(encode(Hello("judge-0", "judge-0:1", 1))))
        self._judge.setblocking(False)  # noqa: FBT003  the socket API
        self.client = ClientConnection(self.plane)
        self.client.connection_made(Nowhere({"peername": ("127.0.0.1", 5)}))
        service = self.plane.services[0]
        self.primary, self.candidate = (self._lent(up) for up in (service.serving, service.mirror.upstream))

    def _lent(self, upstream: Any) -> BackendConnection:
        connection = BackendConnection(upstream)
        connection.connection_made(cast("asyncio.BaseTransport", Nowhere()))
        upstream.pool.idle_s = upstream.pool.max_age_s = _FOR_EVER_S
        upstream.pool.open += 1
        upstream.connections.add(connection)
        upstream.released(connection, _FOR_EVER_S)
        return connection

    def serve(self, request: bytes, answer: bytes, other: bytes) -> None:
        """One request, both answers, and the ends of the turns between them."""
        self.client.data_received(request)
        self._end_turn()
        self.primary.data_received(answer)
        self.candidate.data_received(other)
        self._end_turn()

    async def greeted(self) -> None:
        """Wait until the worker knows its judge."""
        await asyncio.get_running_loop().sock_recv(self._judge, 1 << 16)

    def drain(self) -> None:
        """Throw away what the judge was sent."""
        with contextlib.suppress(BlockingIOError):
            while self._judge.recv(1 << 20):
                pass

    def close(self) -> None:
        """End what is open."""
        self.plane.link.close()
        self._listener.close()
        self._judge.close()

    def _end_turn(self) -> None:
        while self._turns:
            self._turns.pop()()


def request(number: int) -> bytes:
    """A request no two of which are alike."""
    return (
        b"GET /users/%d/predictions?limit=10 HTTP/1.1\r\nHost: api.example\r\nUser-Agent: client/2.31\r\n"
        b"Accept: application/json\r\nAccept-Encoding: identity\r\nAuthorization: Bearer abcdefghijklmnop\r\n"
        b"X-Request-Id: %032x\r\nX-User-Id: user-%d\r\nTraceparent: 00-%032x-%016x-01\r\n\r\n"
    ) % (number, number, number % 1000, number, number)


def answer(number: int) -> bytes:
    """An answer no two of which are alike."""
    body = (
        b'{"id":"%032x","model":{"name":"ranker","version":"2.4.1"},"score":0.7310%d,"label":"likely",'
        b'"threshold":0.5,"segments":[{"name":"new","p":0.1250%d},{"name":"returning","p":0.5525%d}],"features":'
        b'{"age_days":412,"orders":17,"basket":83.25,"country":"DE","device":"mobile","returning":true},"created":1.5}'
    ) % (number, number % 10, number % 10, number % 10)
    return (
        b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Fri, 20 Nov 2026 10:20:27 GMT\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: keep-alive\r\nX-Request-Id: %032x\r\n"
        b"Cache-Control: no-store\r\n\r\n%b"
    ) % (len(body), number, body)


def run(count: int) -> None:
    """Serve this many requests. Raises RuntimeError if one was not mirrored and offered to the judge."""
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_run(count, Path(directory)))


async def _run(count: int, directory: Path) -> None:
    plane = Plane(directory)
    with contextlib.closing(plane):
        await _serve(plane, count)


async def _serve(plane: Plane, count: int) -> None:
    await plane.greeted()
    for number in range(1, count + 1):
        plane.serve(request(number), answer(number), answer(number + 7))
        if not number % _DRAIN_EVERY:
            plane.drain()
    stats = plane.plane.services[0].stats
    if sum(stats.offered.values()) != count:
        raise RuntimeError(f"of {count} requests {stats.offered} were offered, {stats.drops} dropped")
