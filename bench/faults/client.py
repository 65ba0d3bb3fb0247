"""An open-loop client that keeps every wait and what every answer said.

`bench.load.openloop` measures peers that are well; here anything may go wrong. So a request that is not answered
is an error and not the end of the run, large bodies are sent while answers are read, and each answer's bytes are
kept as a digest, to be held against the answer the same request got with mirroring off.

As there, a wait runs from the *scheduled* time to the last byte, and a schedule of zeros is a closed loop.
"""

import gc
import re
import socket
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from select import select

from bench.load.latency import quantile
from bench.load.openloop import CONNECTIONS, answer_length
from bench.load.workload import Workload

ANSWER_S = 15.0
_LOOK_S = 0.5
_HEAD_START_S = 0.02
_DATE = re.compile(rb"\r\nDate: [^\r]*", re.IGNORECASE)
_OK = b"HTTP/1.1 200 "
_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Played:
    """One pass over a schedule, request by request: seconds waited and digest of the answer, None for an error."""

    elapsed_s: float
    waits_s: list[float | None]
    digests: list[bytes | None]
    lag_p99_us: float

    @property
    def errors(self) -> int:
        """Requests without a complete answer of status 200."""
        return self.waits_s.count(None)


def digest(answer: bytes) -> bytes:
    """Return eight bytes for the bytes of an answer; the Date field, which only tells the time, is left out."""
    return blake2b(_DATE.sub(b"", answer, count=1), digest_size=8).digest()


class _Connection:
    """A kept-alive connection with at most one request on its way."""

    def __init__(self, port: int) -> None:
        self.number = -1
        self.due = self.since = 0.0
        self.unsent = memoryview(b"")
        self.received = bytearray()
        self._port = port
        self._socket: socket.socket | None = None

    def fileno(self) -> int:
        """Let select() take the connection itself."""
        return -1 if self._socket is None else self._socket.fileno()

    def start(self, number: int, request: bytes, due: float, now: float) -> None:
        """Send what the kernel takes of a request; OSError if the peer takes nothing at all."""
        self.number, self.due, self.since = number, due, now
        self.received.clear()
        self.unsent = memoryview(request)
        self._opened()
        self.send()

    def send(self) -> None:
        """Send more of the request."""
        with suppress(BlockingIOError):
            self.unsent = self.unsent[self._opened().send(self.unsent) :]

    def receive(self) -> bytes | None:
        """Read once; the whole answer when that was its end, nothing if the peer left, None for more to come."""
        try:
            chunk = self._opened().recv(_CHUNK)
        except BlockingIOError:
            return None
        if not chunk:
            return b""
        self.received += chunk
        length = answer_length(bytes(self.received))
        return bytes(self.received) if length is not None and len(self.received) >= length else None

    def close(self) -> None:
        """Close the socket; the next request opens another one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self.unsent = memoryview(b"")

    def _opened(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=1)
            self._socket.setblocking(False)  # noqa: FBT003  the socket module's own signature
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket


class _Run:
    """One pass over the schedule; times are seconds since its start."""

    def __init__(self, port: int, workload: Workload, schedule: Sequence[float], first: int) -> None:
        self._workload = workload
        self._schedule = schedule
        self._first = first
        self._idle = deque(_Connection(port) for _ in range(CONNECTIONS))
        self._busy: set[_Connection] = set()
        self._waits: list[float | None] = [None] * len(schedule)
        self._digests: list[bytes | None] = [None] * len(schedule)
        self._lags: list[float] = []
        self._looked = 0.0

    def play(self) -> Played:
        self._start = time.perf_counter() + _HEAD_START_S
        try:
            while self._busy or self._unsent:
                self._send_due()
                self._transfer()
        finally:
            for connection in (*self._idle, *self._busy):
                connection.close()
        lag_s = quantile(sorted(self._lags), 0.99)
        return Played(self._now(), self._waits, self._digests, lag_s * 1e6)

    def _now(self) -> float:
        return time.perf_counter() - self._start

    @property
    def _unsent(self) -> bool:
        return len(self._lags) < len(self._schedule)

    def _send_due(self) -> None:
        while self._idle and self._unsent:
            number, now = len(self._lags), self._now()
            due = self._schedule[number]
            if due > now:
                return
            self._lags.append(now - due)
            connection = self._idle.popleft()
            try:
                connection.start(number, self._workload.render(self._first + number), due, now)
            except OSError:
                self._failed(connection)
            else:
                self._busy.add(connection)

    def _transfer(self) -> None:
        sending = [connection for connection in self._busy if connection.unsent]
        readable, writable, _ = select(self._busy, sending, (), self._pause())
        for connection in writable:
            try:
                connection.send()
            except OSError:  # an answer may have come before the end: reading tells
                connection.unsent = memoryview(b"")
        for connection in readable:
            self._receive(connection)
        if (now := self._now()) - self._looked > _LOOK_S:
            self._looked = now
            for connection in [late for late in self._busy if now - late.since > ANSWER_S]:
                self._failed(connection)

    def _pause(self) -> float:
        if self._idle and self._unsent:
            return min(max(self._schedule[len(self._lags)] - self._now(), 0.0), _LOOK_S)
        return _LOOK_S

    def _receive(self, connection: _Connection) -> None:
        try:
            answer = connection.receive()
        except (OSError, ValueError):
            answer = b""
        if answer is None:
            return
        if not answer.startswith(_OK):
            self._failed(connection)
            return
        self._waits[connection.number] = self._now() - connection.due
        self._digests[connection.number] = digest(answer)
        if connection.unsent or b"\r\nconnection: close" in answer.lower():
            connection.close()
        self._busy.discard(connection)
        self._idle.append(connection)

    def _failed(self, connection: _Connection) -> None:
        connection.close()
        self._busy.discard(connection)
        self._idle.append(connection)


def play(port: int, workload: Workload, schedule: Sequence[float], first: int = 0) -> Played:
    """Send requests `first`, `first + 1`, … to `127.0.0.1:port` at the scheduled seconds (at least one of them)."""
    run = _Run(port, workload, schedule, first)
    gc.collect()
    gc.disable()
    try:
        return run.play()
    finally:
        gc.enable()
