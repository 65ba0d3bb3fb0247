"""The data plane between a raw client and two scripted backends, on real sockets, in this process.

Every request of every test runs through the whole of it: served by the primary, mirrored to the candidate
unless the test says otherwise, paired and read by a judge that only keeps what it got. Leaving the rig
checks what must hold after any test: both accounting identities balance, the byte budget is free again, no
callback raised or blocked, no connection, copy or task is left.
"""

import asyncio
import re
import socket
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from time import monotonic
from typing import Any

from blockbuster import blockbuster_ctx

from proxy.config.models import Mode, Settings
from proxy.core.families import DROPPED, MIRRORS, PAIRS_OFFERED, REFUSED, REQUESTS
from proxy.core.reasons import MirrorResult
from proxy.http.turn import Turn
from proxy.http.upstream import Upstream
from proxy.ipc.frames import FrameReader, frame
from proxy.ipc.messages import Hello, Snapshot, encode
from proxy.ipc.pairs import Pair, decode_line
from proxy.worker.app import DataPlane
from proxy.worker.budget import ByteBudget
from proxy.worker.judge_link import JudgeLink
from proxy.worker.listener import Listener
from tests.kit.framing import RawResponse
from tests.kit.polling import wait_until_async
from tests.kit.raw_client import RawClient
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.scripted_connection import Script

INSTANCE = "shadow-proxy-c0ffee"
TICK_S = 0.01
STILL = 10
"""Ticks after which what did not change is taken to stand still."""
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
FORWARDED = [
    b"Via: 1.1 " + INSTANCE.encode(),
    b"X-Forwarded-For: 127.0.0.1",
    b"X-Forwarded-Proto: http",
    b"X-Forwarded-Host: a",
]
"""What the proxy adds to a request for the host `a`."""
TITLES = {
    400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
    413: "Content Too Large", 414: "URI Too Long", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway",
    503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported", 508: "Loop Detected",
}  # fmt: skip


def request(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    """A request for the host `a`; `line` is `GET /path`."""
    return b"\r\n".join([line + b" HTTP/1.1", b"Host: a", *fields, b"", body])


def response(*fields: bytes, body: bytes = b"", start: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([start, *fields, b"", body])


def sized(body: bytes, *fields: bytes) -> bytes:
    """A response that declares its length."""
    return response(*fields, b"Content-Length: %d" % len(body), body=body)


def problem(status: int, reason: str, error: str, *, close: bool, more: Iterable[str] = ()) -> bytes:
    """The answer the proxy gives itself, byte for byte, less its Date."""
    title = TITLES[status]
    body = f'{{"type":"about:blank","title":"{title}","status":{status},"reason":"{reason}"}}'
    lines = [
        f"HTTP/1.1 {status} {title}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        f"Proxy-Status: shadow-proxy; error={error}",
        *more,
        *(["Connection: close"] if close else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def without_date(raw: bytes) -> bytes:
    """A message without the Date we added, which must be there once."""
    bare, count = re.subn(rb"\r\nDate: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT(?=\r\n)", b"", raw)
    assert count == 1, raw
    return bare


class Rig:
    """See the module. `start` it, open clients, talk; the fixture ends it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stack = AsyncExitStack()
        self._raised: list[object] = []
        self._judge_task: asyncio.Task[None] | None = None
        self._judge: socket.socket | None = None
        self.pairs: list[Pair] = []
        self.port = 0
        self.plane: DataPlane
        self.listener: Listener
        self.primary: ScriptedBackend
        self.candidate: ScriptedBackend

    async def start(
        self,
        *scripts: Script,
        primary: ScriptedBackend | int | str | None = None,
        candidate: ScriptedBackend | int | str | None = None,
        mode: Mode = Mode.SHADOW,
        service: dict[str, Any] | None = None,
        backends: dict[str, Any] | None = None,
        of_primary: dict[str, Any] | None = None,
        of_candidate: dict[str, Any] | None = None,
        has_judge: bool = True,
        instance: str = INSTANCE,
        **settings: Any,
    ) -> None:
        """Start both backends and the proxy.

        `scripts` are the primary's; a port or a url stands for a backend too; `backends` are settings of both,
        `of_primary` and `of_candidate` of one.
        """
        self._stack.enter_context(blockbuster_ctx())
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self._raised.append(context))
        primary_url = await self._backend("primary", ScriptedBackend(scripts) if primary is None else primary)
        candidate_url = await self._backend("candidate", ScriptedBackend() if candidate is None else candidate)
        both = backends or {}
        configured = Settings.model_validate(
            {
                **settings,
                "services": {
                    "ranker": {
                        **(service or {}),
                        "primary": {"version": "v1", "url": primary_url, **both, **(of_primary or {})},
                        "candidate": {"version": "v2", "url": candidate_url, **both, **(of_candidate or {})},
                    }
                },
            }
        )
        await self._run_plane(configured, mode, instance)
        if has_judge:
            await self.connect_judge()

    async def client(self, **options: Any) -> RawClient:
        return await self._stack.enter_async_context(await RawClient.open(self.port, **options))

    async def ask(self, data: bytes = GET, method: str = "GET") -> RawResponse:
        """One request on a connection of its own."""
        async with await RawClient.open(self.port) as client:
            await client.send(data)
            return await client.read_response(method)

    # --- what was counted

    def drops(self) -> dict[str, int]:
        return self.plane.tally().by(DROPPED, "reason")

    def mirrors(self) -> dict[str, int]:
        return self.plane.tally().by(MIRRORS, "result")

    def refusals(self) -> dict[str, int]:
        return self.plane.tally().by(REFUSED, "reason")

    def requests(self) -> dict[str, int]:
        return self.plane.tally().by(REQUESTS, "code")

    async def quiet(self) -> None:
        """Wait until nothing is under way; then both identities must hold and the budget be free."""
        await self.until(self._is_quiet, "copies, pairs and bytes to be gone")
        tally = self.plane.tally()
        assert tally.total(REQUESTS) == tally.total(MIRRORS)
        mirrored = tally.total(MIRRORS, result=MirrorResult.MIRRORED)
        assert mirrored == tally.total(PAIRS_OFFERED) + tally.total(DROPPED), (mirrored, self.drops())
        assert self.plane.budget.used == 0

    async def until(self, condition: Callable[[], object], what: str) -> None:
        async def holds() -> bool:
            return bool(condition())

        await wait_until_async(holds, what)

    async def settled(self, count: Callable[[], int]) -> int:
        """Wait until a growing number stops growing: whoever makes it grow is paused. That nothing more happens
        is no event, so this looks again and again.
        """
        last, still = -1, 0
        while still < STILL:
            still = still + 1 if count() == last else 0
            last = count()
            await asyncio.sleep(TICK_S)
        return last

    def _is_quiet(self) -> bool:
        copies = any(service.mirror.copies for service in self.plane.services)
        return not copies and not self.plane.link.backlog and not self.plane.budget.used

    # --- the judge

    async def connect_judge(self) -> None:
        """A judge that takes every pair."""
        loop = asyncio.get_running_loop()
        self._judge = judge = socket.socket(socket.AF_UNIX)
        judge.settimeout(0)
        await loop.sock_connect(judge, str(self._directory / "judge.sock"))
        judge.send(frame(encode(Hello("judge-0", "judge-0:1", 1))))
        await self.until(lambda: self.plane.link._incarnation, "the judge to be known")
        self._judge_task = loop.create_task(self._take_pairs(judge))

    async def _take_pairs(self, judge: socket.socket) -> None:
        reader = FrameReader()
        while data := await asyncio.get_running_loop().sock_recv(judge, 1 << 18):
            self.pairs += [said for said in map(decode_line, reader.feed(data)) if isinstance(said, Pair)]

    async def lose_judge(self) -> None:
        """The judge dies."""
        assert self._judge is not None
        await _cancelled(self._judge_task)
        self._judge.close()
        self._judge = None
        await self.until(lambda: not self.plane.link._incarnation, "the loss of the judge to be seen")

    # --- inside

    async def _backend(self, name: str, backend: ScriptedBackend | int | str) -> str:
        """Start it if it is to be started; its url."""
        if isinstance(backend, str):
            return backend
        if isinstance(backend, int):
            return f"http://127.0.0.1:{backend}"
        setattr(self, name, await self._stack.enter_async_context(backend))
        return f"{'https' if backend.is_tls else 'http'}://127.0.0.1:{backend.port}"

    async def _run_plane(self, configured: Settings, mode: Mode, instance: str) -> None:
        loop = asyncio.get_running_loop()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._directory / "judge.sock"))
        listener.listen(4)
        link = JudgeLink(loop, listener, configured.judge.queue, ByteBudget(configured.mirror_budget))
        self.plane = plane = DataPlane("worker-0", instance, configured, link, Turn(loop.call_soon))
        plane.adopt(Snapshot(1, configured, {"ranker": mode}))
        clients = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = clients.getsockname()[1]
        self.listener = Listener(clients, plane)
        await self.listener.open()
        ticker = loop.create_task(self._tick())
        self._stack.push_async_callback(self._end_plane, ticker, listener)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)  # the worker's own tick, only finer
            self.plane.tick(monotonic())
            self.plane.woke(monotonic(), 0.0)
            self.listener.tick(monotonic())

    async def _end_plane(self, ticker: asyncio.Task[None], listener: socket.socket) -> None:
        await self.listener.close()
        try:
            await self._leave_nothing()
        finally:
            await _cancelled(ticker)
            await _cancelled(self._judge_task)
            self.plane.link.close()
            for sock in (listener, self._judge):
                if sock is not None:
                    sock.close()

    async def _leave_nothing(self) -> None:
        await self.until(lambda: not self.plane.connections, "client connections to be gone")
        await self.plane.drain(0.0, 0.0)
        await self.quiet()
        for service in self.plane.services:
            await self._is_closed(service.serving)
            await self._is_closed(service.mirror.upstream)

    async def _is_closed(self, upstream: Upstream) -> None:
        await self.until(lambda: not upstream.connections and not upstream._tasks, "backend connections to be gone")
        assert repr(upstream.pool) == "<pool 0 open, 0 idle, 0 waiting>"

    async def close(self) -> None:
        """End everything and check what must hold after any test."""
        await self._stack.aclose()
        assert not self._raised, f"callbacks of the loop raised: {self._raised}"


async def _cancelled(task: "asyncio.Task[None] | None") -> None:
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
