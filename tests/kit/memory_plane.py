"""The data plane between clients and backends in memory, on a fake clock: nothing of it replaced but the loop.

Requests run through the whole of it (served, mirrored, paired, read by a judge that keeps what it got), at
thousands a second and the same way every time. Leaving the plane checks what must hold after any traffic:
both accounting identities balance, the byte budget is free, nothing raised, nothing is left open or waiting.

    with MemoryPlane(primary=MemoryBackend()) as plane:
        client = plane.client()
        plane.say(client, b"GET / HTTP/1.1\\r\\nHo", b"st: a\\r\\n\\r\\n")
        bytes(client.received), plane.primary.connections[0].received
"""

import socket
import sys
import time
from collections.abc import Callable, Iterable
from functools import cache
from types import ModuleType
from typing import Any, Self, cast

from proxy.config.models import Mode, Settings
from proxy.core.families import DROPPED, MIRRORS, PAIRS_OFFERED, REQUESTS
from proxy.core.reasons import MirrorResult
from proxy.core.tally import Tally
from proxy.http.connection import ClientConnection
from proxy.http.turn import Turn
from proxy.ipc.frames import FrameReader, frame
from proxy.ipc.messages import Hello, Snapshot, encode
from proxy.ipc.pairs import Pair, decode_line
from proxy.worker.app import DataPlane
from proxy.worker.budget import ByteBudget
from proxy.worker.judge_link import JudgeLink
from tests.kit.memory_loop import MemoryLoop
from tests.kit.memory_transport import memory_pair
from tests.kit.wire import Wire

INSTANCE = "shadow-proxy-c0ffee"
PRIMARY_PORT, CANDIDATE_PORT = 1, 2
STILL_S = 1_000.0
TICK_S = 10.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def settings(
    service: dict[str, Any] | None = None, *, backends: dict[str, Any] | None = None, **changes: Any
) -> Settings:
    """A configuration of one service between both backends of the plane; `backends` are settings of both."""
    both = backends or {}
    primary = {"version": "v1", "url": f"http://127.0.0.1:{PRIMARY_PORT}", **both}
    candidate = {"version": "v2", "url": f"http://127.0.0.1:{CANDIDATE_PORT}", **both}
    ranker = {"primary": primary, "candidate": candidate, **(service or {})}
    return Settings.model_validate({**changes, "services": {"ranker": ranker}})


@cache
def _default_settings() -> Settings:
    return settings()


class BackendWire(Wire):
    """One connection accepted by a `MemoryBackend`, which hears of everything that arrives."""

    def __init__(self, backend: "MemoryBackend") -> None:
        super().__init__(backend.connected)
        self._backend = backend

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._backend.heard(self)


class MemoryBackend:
    """Answers `OK` whenever a request without a body is complete; replace `connected` and `heard` for more."""

    def __init__(self) -> None:
        self.connections: list[BackendWire] = []

    @property
    def received(self) -> list[bytes]:
        """Every byte received, by connection."""
        return [bytes(wire.received) for wire in self.connections]

    def accept(self) -> BackendWire:
        """A new connection."""
        wire = BackendWire(self)
        self.connections.append(wire)
        return wire

    def connected(self, wire: Wire) -> None:
        """A connection is up."""

    def heard(self, wire: Wire) -> None:
        """Bytes arrived."""
        if wire.received.endswith(b"\r\n\r\n"):
            wire.transport.write(OK)


class _MemoryJudge:
    """Both ends of the judge's socket: says who it is, then keeps pairs."""

    def __init__(self) -> None:
        self.pairs: list[Pair] = []
        self._reader = FrameReader()

    def setblocking(self, _flag: bool) -> None:  # noqa: FBT001  the socket API
        pass

    def accept(self) -> tuple[Self, None]:
        return self, None

    def recv(self, _size: int) -> bytes:
        return frame(encode(Hello("judge-0", "judge-0:1", 1)))

    def send(self, data: bytes) -> int:
        self.pairs += [said for said in map(decode_line, self._reader.feed(data)) if isinstance(said, Pair)]
        return len(data)

    def close(self) -> None:
        pass


class MemoryPlane:
    """See the module."""

    def __init__(
        self,
        configured: Settings | None = None,
        *,
        primary: MemoryBackend | None = None,
        candidate: MemoryBackend | None = None,
        mode: Mode = Mode.SHADOW,
    ) -> None:
        self.loop = loop = MemoryLoop()
        self.settings = configured or _default_settings()
        self.primary = primary or MemoryBackend()
        self.candidate = candidate or MemoryBackend()
        loop.listen(PRIMARY_PORT, self.primary.accept)
        loop.listen(CANDIDATE_PORT, self.candidate.accept)
        self._judge = _MemoryJudge()
        self._clients: list[Wire] = []
        self._mode = mode

    def __enter__(self) -> Self:
        for module in _modules_with_time():
            module.__dict__["monotonic"] = self.loop.time
        listener = cast("socket.socket", self._judge)
        link = JudgeLink(self.loop.loop, listener, self.settings.judge.queue, ByteBudget(self.settings.mirror_budget))
        self.plane = DataPlane("worker-0", INSTANCE, self.settings, link, Turn(self.loop.call_soon))
        self.plane.bugs.caught = self._caught  # type: ignore[method-assign]
        self.plane.adopt(Snapshot(1, self.settings, {"ranker": self._mode}))
        self.loop.run_ready()
        return self

    def __exit__(self, error: object, *_: object) -> None:
        try:
            if error is None:
                self._end()
        finally:
            for module in _modules_with_time():
                module.__dict__["monotonic"] = time.monotonic

    @property
    def pairs(self) -> list[Pair]:
        """What the judge got."""
        return self._judge.pairs

    @property
    def tally(self) -> Tally:
        """What was counted."""
        return self.plane.tally()

    def client(self) -> Wire:
        """A connected client."""
        client = Wire()
        memory_pair(client, ClientConnection(self.plane), self.loop)
        self._clients.append(client)
        self.loop.run_ready()
        return client

    def say(self, client: Wire, *pieces: bytes) -> None:
        """Send pieces, each when all that came of the one before has happened."""
        for piece in pieces:
            client.transport.write(piece)
            self.loop.run_ready()

    def wait(self, seconds: float) -> None:
        """Let time pass, in ticks of the worker."""
        end = self.loop.time() + seconds
        while (left := end - self.loop.time()) > 0:
            self.loop.advance(min(left, TICK_S))
            self._tick()

    def wait_for(self, condition: Callable[[], bool], what: str, longest_s: float = STILL_S) -> None:
        """Let time pass until this holds: the proxy's own timeouts are what moves it."""
        end = self.loop.time() + longest_s
        while not condition():
            assert self.loop.time() < end, f"not within {longest_s} s: {what}"
            self.wait(TICK_S)

    def _tick(self) -> None:
        self.loop.call_soon(self.plane.tick, self.loop.time())
        self.loop.run_ready()

    def _caught(self, where: str, bug: BaseException) -> None:
        self.loop.raised.append((where, bug))

    # --- leaving

    def _end(self) -> None:
        """Every client stays until its timeouts end it, and copies until theirs."""
        self.wait_for(lambda: not self.plane.connections, "client connections to be gone")
        self.wait_for(lambda: not any(service.mirror.copies for service in self.plane.services), "copies to end")
        self.loop.run(self.plane.drain(0.0, 0.0), 1.0)
        self._check_nothing_is_left()
        self._check_counts()

    def _check_nothing_is_left(self) -> None:
        loop, plane = self.loop, self.plane
        assert not loop.raised, f"callbacks raised: {loop.raised}"
        for service in plane.services:
            for upstream in (service.serving, service.mirror.upstream):
                assert not upstream.connections
                assert not upstream._tasks
                assert repr(upstream.pool) == "<pool 0 open, 0 idle, 0 waiting>"
        assert plane.budget.used == 0, f"{plane.budget.used} bytes of the budget are still taken"
        assert plane.link.backlog == 0
        assert loop.clock.pending == 0, "a timer is left"

    def _check_counts(self) -> None:
        tally = self.tally
        requests, mirrors = tally.total(REQUESTS), tally.total(MIRRORS)
        assert requests == mirrors, f"{requests} requests, and {mirrors} of them mirrored or not"
        mirrored = tally.total(MIRRORS, result=MirrorResult.MIRRORED)
        offered, dropped = tally.total(PAIRS_OFFERED), tally.total(DROPPED)
        assert mirrored == offered + dropped, f"{mirrored} mirrored, {offered} pairs offered and {dropped} dropped"
        assert offered == len(self.pairs), f"{offered} pairs offered, {len(self.pairs)} arrived"


@cache
def _modules_with_time() -> tuple[ModuleType, ...]:
    """The modules of the proxy that ask for the time."""
    modules: Iterable[ModuleType] = tuple(sys.modules.values())
    own = (module for module in modules if module.__name__.startswith("proxy."))
    return tuple(module for module in own if "monotonic" in module.__dict__)
