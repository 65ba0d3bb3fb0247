"""An open-loop client: requests leave when the schedule says so, not when the last answer came.

Each wait is measured from the *scheduled* time to the last byte of the answer. A request that finds all
connections busy waits here and the clock runs on, so a stall shows in every request it delayed (no
coordinated omission). `lag` is how late a request left, for whichever reason; where even the direct
contestant shows a high lag the machine was too busy, and the latencies of that round say little.
With a schedule of zeros every connection sends again as soon as it is answered: a closed loop over a fixed
number of requests, of which only the cost means anything.

One thread, one `select()`: its timeout is in microseconds, whereas epoll's and uvloop's timers tick in
milliseconds, which is longer than most of the waits measured here.
"""

import gc
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from select import select

from bench.load.latency import Latency, quantile, summarise
from bench.load.workload import Workload

CONNECTIONS = 32
_HEAD_START_S = 0.02
_STALL_S = 10.0


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """The outcome of one schedule; `errors` are answers without status 200 and connections that ended."""

    requests: int
    errors: int
    latency: Latency
    lag_p99_us: float


class Connection:
    """A kept-alive connection with at most one request on its way."""

    def __init__(self, port: int) -> None:
        self.due = 0.0
        self._port = port
        self._open()

    def fileno(self) -> int:
        """Let select() take the connection itself."""
        return self._socket.fileno()

    def send(self, request: bytes, due: float) -> None:
        """Send a request whose wait counts from `due`."""
        self.due = due
        self._received = b""
        self._socket.sendall(request)

    def receive(self) -> bool | None:
        """Read once: True for a complete 200, False for anything else that ends the request, None for more to come."""
        chunk = self._socket.recv(65536)
        self._received += chunk
        complete = answer_length(self._received)
        if chunk and (complete is None or len(self._received) < complete):
            return None
        if not chunk:
            self.close()
            self._open()
            return False
        return self._received.startswith(b"HTTP/1.1 200 ")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _open(self) -> None:
        self._received = b""
        self._socket = socket.create_connection(("127.0.0.1", self._port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def answer_length(received: bytes) -> int | None:
    """Return the bytes of the whole answer, or None while its head is incomplete.

    Raises ValueError for an answer without Content-Length: the backends always send one, and nobody may drop it.
    """
    head, end, _ = received.partition(b"\r\n\r\n")
    if not end:
        return None
    _, found, length = head.lower().partition(b"\r\ncontent-length:")
    if not found:
        raise ValueError(f"an answer without Content-Length: {head!r}")
    return len(head) + len(end) + int(length.partition(b"\r\n")[0])


class _Run:
    """One pass over the schedule; times are seconds since its start."""

    def __init__(self, port: int, workload: Workload, schedule: Sequence[float]) -> None:
        self._workload = workload
        self._schedule = schedule
        self._idle = deque(Connection(port) for _ in range(CONNECTIONS))
        self._busy: set[Connection] = set()
        self._waits: list[float] = []
        self._lags: list[float] = []
        self._errors = 0

    def play(self) -> OpenLoop:
        start = time.perf_counter() + _HEAD_START_S
        try:
            while len(self._waits) + self._errors < len(self._schedule):
                now = self._send_due(start)
                self._receive(start, self._pause(now))
        finally:
            for connection in (*self._idle, *self._busy):
                connection.close()
        if not self._waits:
            raise ConnectionError("not one request was answered with 200")
        lag = quantile(sorted(self._lags), 0.99) * 1e6
        return OpenLoop(len(self._schedule), self._errors, summarise(self._waits), lag)

    def _send_due(self, start: float) -> float:
        now = time.perf_counter() - start
        while self._idle and self._unsent and (due := self._schedule[len(self._lags)]) <= now:
            connection = self._idle.popleft()
            connection.send(self._workload.render(len(self._lags)), due)
            self._busy.add(connection)
            self._lags.append(now - due)
            now = time.perf_counter() - start
        return now

    @property
    def _unsent(self) -> bool:
        return len(self._lags) < len(self._schedule)

    def _pause(self, now: float) -> float:
        if self._idle and self._unsent:
            return max(self._schedule[len(self._lags)] - now, 0.0)
        return _STALL_S

    def _receive(self, start: float, pause: float) -> None:
        readable, _, _ = select(self._busy, (), (), pause)
        if not readable and pause == _STALL_S:
            raise TimeoutError(f"no answer within {_STALL_S:.0f} s; {len(self._busy)} requests on their way")
        for connection in readable:
            succeeded = connection.receive()
            if succeeded is None:
                continue
            self._busy.remove(connection)
            self._idle.append(connection)
            if succeeded:
                self._waits.append(time.perf_counter() - start - connection.due)
            else:
                self._errors += 1


def play(port: int, workload: Workload, schedule: Sequence[float]) -> OpenLoop:
    """Send the workload's requests to `127.0.0.1:port` at the scheduled seconds and wait for every answer."""
    run = _Run(port, workload, schedule)
    gc.collect()
    gc.disable()
    try:
        return run.play()
    finally:
        gc.enable()
