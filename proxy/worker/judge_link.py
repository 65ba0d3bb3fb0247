"""Pairs to the judge: a bounded queue before a non-blocking socket.

The worker never waits for its judge. Frames are gathered for a few milliseconds and written in one go, so
that a pair costs a fraction of a system call; when the queue is full, or no judge is there, a pair is
refused with its reason. What a judge took with it when it died is reckoned by control from `offered`.

A judge that says who it is hears who we are, and then, before the first pair of each snapshot, the settings
these pairs were made under.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Container
from typing import Final

from proxy.core.reasons import Drop
from proxy.http.open_files import OpenFiles
from proxy.ipc.frames import FrameError, FrameReader
from proxy.ipc.messages import Hello, MessageError, decode
from proxy.ipc.pairs import SETTINGS_KEPT, Side, encode_greeting, encode_pair, encode_settings
from proxy.worker.budget import ByteBudget
from proxy.worker.stats import ServiceStats

GATHER_S: Final = 0.02
GATHER_BYTES: Final = 128 << 10


class JudgeLink:
    """The link to whichever judge is connected. `queue` is the most bytes on their way, of `budget`.

    `worker` is the incarnation of the process this runs in.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: socket.socket,
        queue: int,
        budget: ByteBudget,
        worker: str = "",
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._worker = worker
        self.queue = queue
        self.budget = budget
        self._settings: dict[int, bytes] = {}
        self._told: dict[int, None] = {}
        self._judge: socket.socket | None = None
        self._incarnation = ""
        self._reader = FrameReader()
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0
        self._flush_timer: asyncio.TimerHandle | None = None
        self._is_accepting = False
        self.files: OpenFiles | None = None
        """Who is told when there is no descriptor for a judge."""
        listener.setblocking(False)  # noqa: FBT003  the socket API
        self.resume()

    def describe(self, snapshot: int, settings: bytes, in_use: Container[int]) -> None:
        """From now on there may be pairs of this snapshot; of the earlier ones only those `in_use` are."""
        self._settings = {kept: said for kept, said in self._settings.items() if kept in in_use}
        self._settings[snapshot] = settings
        self._told.pop(snapshot, None)

    def offer(
        self,
        stats: ServiceStats,
        snapshot: int,
        service: int,
        endpoint: int,
        pair: tuple[Side, Side],
        *,
        warms_up: bool = False,
    ) -> Drop | None:
        """Send a pair; the reason if it was dropped. Its bytes must already be taken from the budget."""
        size = pair[0].size + pair[1].size
        if not self._incarnation:
            self.budget.release(size)
            return Drop.JUDGE_LOST
        if self._gathered_bytes + self._unsent_bytes + size > self.queue:
            self.budget.release(size)
            return Drop.JUDGE_FULL
        frame = encode_pair(snapshot, service, endpoint, *pair, warms_up=warms_up)
        if snapshot not in self._told:
            self._tell(snapshot)
        overhead = len(frame[0])
        self.budget.used += overhead
        self._gathered += frame
        self._gathered_bytes += size + overhead
        stats.offered[self._incarnation] = stats.offered.get(self._incarnation, 0) + 1
        if self._gathered_bytes >= GATHER_BYTES:
            self._flush()
        elif self._flush_timer is None:
            self._flush_timer = self._loop.call_later(GATHER_S, self._flush)
        return None

    @property
    def backlog(self) -> int:
        """Bytes not yet with the judge."""
        return self._gathered_bytes + self._unsent_bytes

    def flush(self) -> None:
        """Write what is gathered now."""
        if self._gathered:
            self._flush()

    def resume(self) -> None:
        """Accept a judge again, if one could not be."""
        if not self._is_accepting:
            self._is_accepting = True
            self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """End the link: the judge reads what is in the socket and then its end."""
        self._pause()
        self._disconnect()

    def _pause(self) -> None:
        self._is_accepting = False
        self._loop.remove_reader(self._listener)

    def _accept(self) -> None:
        try:
            judge, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:  # it would be ready again at once: until the next tick a judge can wait
            self._pause()
            if self.files is not None:
                self.files.refused(error)
            return
        self._disconnect()
        judge.setblocking(False)  # noqa: FBT003  the socket API
        self._judge = judge
        self._reader = FrameReader()
        self._loop.add_reader(judge, self._hear, judge)

    def _hear(self, judge: socket.socket) -> None:
        """The judge says who it is, and nothing else until it ends."""
        try:
            data = judge.recv(4096)
            for payload in self._reader.feed(data):
                message = decode(payload)
                if isinstance(message, Hello):
                    self._incarnation = message.incarnation
                    self._gather(encode_greeting(self._worker))
                    self._flush()
        except BlockingIOError:
            return
        except (OSError, FrameError, MessageError):
            data = b""
        if not data and judge is self._judge:
            self._disconnect()

    def _tell(self, snapshot: int) -> None:
        """The settings of a snapshot, before its first pair; a judge forgets the oldest as we do here."""
        if len(self._told) == SETTINGS_KEPT:
            del self._told[next(iter(self._told))]
        self._told[snapshot] = None
        self._gather(encode_settings(snapshot, self._settings[snapshot]))

    def _gather(self, frame: bytes) -> None:
        """Put a frame of our own before what follows. Few and needed, they are not refused for want of budget."""
        self.budget.used += len(frame)
        self._gathered.append(frame)
        self._gathered_bytes += len(frame)

    def _flush(self) -> None:
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        if not self._gathered:
            return
        self._unsent.append(b"".join(self._gathered))
        self._unsent_bytes += self._gathered_bytes
        self._gathered.clear()
        self._gathered_bytes = 0
        if len(self._unsent) == 1:
            self._send()

    def _send(self) -> None:
        judge = self._judge
        if judge is None:
            return
        try:
            while self._unsent:
                data = self._unsent[0]
                sent = judge.send(data)
                self.budget.release(sent)
                self._unsent_bytes -= sent
                if sent < len(data):
                    self._unsent[0] = data[sent:]
                else:
                    self._unsent.popleft()
        except BlockingIOError:
            self._loop.add_writer(judge, self._send)
            return
        except OSError:
            self._disconnect()
            return
        self._loop.remove_writer(judge)

    def _disconnect(self) -> None:
        judge, self._judge, self._incarnation = self._judge, None, ""
        self._told.clear()
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        self.budget.release(self.backlog)
        self._gathered.clear()
        self._unsent.clear()
        self._gathered_bytes = self._unsent_bytes = 0
        if judge is not None:
            self._loop.remove_reader(judge)
            self._loop.remove_writer(judge)
            judge.close()
