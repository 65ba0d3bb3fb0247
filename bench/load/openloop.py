"""An open-loop client: requests leave when the schedule says so, not when the last answer came.

Each wait is measured from the *scheduled* time to the last byte of the answer. A request that finds all
connections busy waits here and the clock runs on, so a stall shows in every request it delayed (no
coordinated omission). `lag` is how late a request left, for whichever reason; where even the direct
contestant shows a high lag the machine was too busy, and the latencies of that round say little.
With a schedule of zeros every connection sends again as soon as it is answered: a closed loop over a fixed
number of requests, of which only the cost means anything.

Clients without patience wait for every answer. With patience, a request without an answer that long after its
scheduled time is given up, and its connection with it, so that no server can make a run endless. Such a request counts
among the quantiles with the patience it was given: a p99 equal to the patience means "that or longer".

One thread, one `select()` over an epoll: its timeout is in microseconds, whereas epoll's own and uvloop's timers tick
in milliseconds, which is longer than most of the waits measured here.
"""

import gc
import socket
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from select import EPOLLIN, epoll, select

from bench.load.latency import Latency, quantile, summarise
from bench.load.workload import Workload

CONNECTIONS = 32
_HEAD_START_S = 0.02
_STALL_S = 10.0
_READ_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """The outcome of one schedule.

    `errors` are answers without status 200 and connections that ended; `unanswered` are requests given up.
    """

    requests: int
    errors: int
    latency: Latency
    lag_p99_us: float
    unanswered: int = 0


class Connection:
    """A kept-alive connection with at most one request on its way; one that `ended` must be opened again."""

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
        self._head = b""
        self._left = 0
        with suppress(ConnectionError):  # then the next read finds the end
            self._socket.sendall(request)

    def receive(self) -> bool | None:
        """Read once: True for a complete 200, False for anything else that ends the request, None for more to come."""
        chunk = self._read()
        if not chunk:
            self.ended = True
            return False
        if not self._left:
            self._head += chunk
            length = answer_length(self._head)
            if length is None:
                return None
            self._left = length - len(self._head)
        else:
            self._left -= len(chunk)
        return None if self._left > 0 else self._head.startswith(b"HTTP/1.1 200 ")

    def reopen(self) -> None:
        """Replace the connection by a new one."""
        self.close()
        self._open()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _read(self) -> bytes:
        try:
            return self._socket.recv(_READ_BYTES)
        except ConnectionError:
            return b""

    def _open(self) -> None:
        self.ended = False
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
    """One pass over the schedule; times are seconds since its start.

    Send times only rise, so requests that go unanswered are given up in the order in which they were sent.
    """

    def __init__(
        self, port: int, workload: Workload, schedule: Sequence[float], connections: int, patience_s: float | None
    ) -> None:
        self._workload = workload
        self._schedule = schedule
        self._patience_s = patience_s
        self._arrivals = epoll()
        self._idle = deque(Connection(port) for _ in range(connections))
        self._busy: dict[int, Connection] = {}
        self._next = 0
        self._waits: list[float] = []
        self._lags: list[float] = []
        self._errors = 0
        self._unanswered = 0

    def play(self) -> OpenLoop:
        start = time.perf_counter() + _HEAD_START_S
        try:
            while len(self._waits) + self._errors + self._unanswered < len(self._schedule):
                if self._patience_s is not None:
                    self._give_up(time.perf_counter() - start - self._patience_s)
                now = self._send_due(start)
                self._receive(start, self._pause(now))
        finally:
            for connection in (*self._idle, *self._busy.values()):
                connection.close()
            self._arrivals.close()
        waits = self._waits + [self._patience_s or 0.0] * self._unanswered
        if not waits:
            raise ConnectionError("not one request was answered with 200")
        lag = quantile(sorted(self._lags or [0.0]), 0.99) * 1e6
        return OpenLoop(len(self._schedule), self._errors, summarise(waits), lag, self._unanswered)

    def _send_due(self, start: float) -> float:
        now = time.perf_counter() - start
        while self._idle and self._unsent and (due := self._schedule[self._next]) <= now:
            connection = self._idle.popleft()
            connection.send(self._workload.render(self._next), due)
            self._busy[connection.fileno()] = connection
            self._arrivals.register(connection, EPOLLIN)
            self._next += 1
            self._lags.append(now - due)
            now = time.perf_counter() - start
        return now

    def _give_up(self, too_old: float) -> None:
        """End what was due at `too_old` seconds or before, sent or not."""
        while self._busy and (oldest := next(iter(self._busy.values()))).due <= too_old:
            oldest.ended = True
            self._release(oldest)
            self._unanswered += 1
        while self._unsent and self._schedule[self._next] <= too_old:
            self._next += 1
            self._unanswered += 1

    @property
    def _unsent(self) -> bool:
        return self._next < len(self._schedule)

    def _pause(self, now: float) -> float:
        if not self._busy and not self._unsent:
            return 0.0
        events = [self._schedule[self._next]] if self._idle and self._unsent else []
        if self._patience_s is not None and self._busy:
            events.append(next(iter(self._busy.values())).due + self._patience_s)
        return max(min(events) - now, 0.0) if events else _STALL_S

    def _receive(self, start: float, pause: float) -> None:
        readable, _, _ = select((self._arrivals,), (), (), pause)
        if not readable:
            if pause == _STALL_S:
                raise TimeoutError(f"no answer within {_STALL_S:.0f} s; {len(self._busy)} requests on their way")
            return
        for number, _ in self._arrivals.poll(0):
            connection = self._busy[number]
            succeeded = connection.receive()
            if succeeded is None:
                continue
            self._release(connection)
            if succeeded:
                self._waits.append(time.perf_counter() - start - connection.due)
            else:
                self._errors += 1

    def _release(self, connection: Connection) -> None:
        del self._busy[connection.fileno()]
        self._arrivals.unregister(connection)
        if connection.ended:
            connection.reopen()
        self._idle.append(connection)


def play(
    port: int,
    workload: Workload,
    schedule: Sequence[float],
    connections: int = CONNECTIONS,
    patience_s: float | None = None,
) -> OpenLoop:
    """Send the workload's requests to `127.0.0.1:port` at the scheduled seconds and wait for the answers.

    Without patience every answer is waited for, and ten seconds without any raise TimeoutError.
    """
    run = _Run(port, workload, schedule, connections, patience_s)
    gc.collect()
    gc.disable()
    try:
        return run.play()
    finally:
        gc.enable()
