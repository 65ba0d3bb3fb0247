"""The judge process: `python -m proxy.judge.process BOOT`.

Theory of operation. One loop over two sockets: pairs come from the worker, reports go to control. Nothing
here needs an event loop: a judge does one thing at a time, and when it is killed in the middle of a pair its
worker and control reckon what was lost. Every report is cumulative, so a report that cannot be sent now is
replaced by the next one.

A pair that holds it is its end: see `watchdog`. It does not come back, since whoever dies takes its line with it.

A line that says what it cannot ends this judge: its successor begins a new one, and what was on this one is
reckoned like that of any judge that died.
"""

import gc
import os
import selectors
import signal
import socket
import sys
from math import inf
from time import monotonic

import structlog

from proxy.config.models import Settings
from proxy.core.evidence import Report
from proxy.ipc.boot import Boot, enter
from proxy.ipc.frames import FrameError, FrameReader, frame
from proxy.ipc.messages import Hello, encode
from proxy.ipc.pairs import Greeting, Pair, decode_line
from proxy.ipc.whereabouts import WhereaboutsFile
from proxy.judge.verdict_loop import VerdictLoop
from proxy.judge.watchdog import Watchdog

REPORT_S = 1.0
RETRY_S = 0.1
READ_BYTES = 1 << 20
NICENESS = 5
YIELD_EVERY = 4
LAST_WORDS_S = 3.0


class Judge:
    """Connects, reads, compares, reports."""

    def __init__(self, boot: Boot) -> None:
        self._boot = boot
        self._worker_name = boot.process.replace("judge", "worker")
        self._worker_path = boot.judge_socket(self._worker_name)
        self._hello = frame(encode(Hello(boot.process, boot.incarnation, os.getpid())))
        self._watchdog = Watchdog(WhereaboutsFile(boot.whereabouts, boot.incarnation))
        self._loop = VerdictLoop(self._watchdog, boot.kills)
        self._selector = selectors.DefaultSelector()
        self._worker: socket.socket | None = None
        self._control: socket.socket | None = None
        self._pairs = FrameReader()
        self._unsent = b""
        self._ends_at: float | None = None
        self._next_report = monotonic() + REPORT_S
        self._selector.register(boot.fds["alive"], selectors.EVENT_READ, self.end_with_worker)

    def end(self) -> None:
        """Judge what the worker still sends, for a few seconds at most, then report and leave."""
        self._end(LAST_WORDS_S)

    def end_with_worker(self) -> None:
        """The supervisor is gone: judge what the worker still sends while it drains, then report and leave."""
        self._selector.unregister(self._boot.fds["alive"])
        self._end(inf)

    def _end(self, within: float) -> None:
        at = monotonic() + within
        self._ends_at = at if self._ends_at is None else min(self._ends_at, at)

    def run(self) -> None:
        """Work until told to end."""
        while not self._is_over():
            self._connect()
            if monotonic() >= self._next_report:
                self._report()
            for key, _ in self._selector.select(self._wait()):
                key.data()
        if self._control is not None:
            self._control.settimeout(LAST_WORDS_S)
        self._report()

    def _is_over(self) -> bool:
        return self._ends_at is not None and (self._worker is None or monotonic() > self._ends_at)

    def _wait(self) -> float:
        longest = RETRY_S if self._worker is None or self._control is None or self._ends_at else REPORT_S
        return max(0.0, min(longest, self._next_report - monotonic()))

    def _connect(self) -> None:
        if self._worker is None and self._ends_at is None:
            self._worker = self._dial(self._worker_path)
            if self._worker is not None:
                self._pairs = FrameReader()
                self._selector.register(self._worker, selectors.EVENT_READ, self._read_pairs)
        if self._control is None:
            self._control = self._dial(self._boot.control_socket)
            self._unsent = b""
            if self._control is not None:
                self._next_report = 0.0  # who begins says so: only then is it known what the one before took with it
                self._selector.register(self._control, selectors.EVENT_READ, self._read_control)

    def _dial(self, path: str) -> socket.socket | None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(path)
            sock.sendall(self._hello)
        except OSError:
            sock.close()
            return None
        sock.setblocking(False)  # noqa: FBT003  the socket API
        return sock

    def _read_pairs(self) -> None:
        worker = self._worker
        assert worker is not None
        try:
            data = worker.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        for number, payload in enumerate(self._pairs.feed(data)):
            self._hear(payload)
            if number % YIELD_EVERY == 0:
                os.sched_yield()  # a batch is milliseconds of work, and a worker on this core waits for none
        self._watchdog.rests()
        if not data:
            self._selector.unregister(worker)
            worker.close()
            self._worker = None

    def _hear(self, payload: bytes) -> None:
        said = decode_line(payload)
        if isinstance(said, Pair):
            self._loop.judge(said)
            return
        self._watchdog.rests()
        if isinstance(said, Greeting):
            self._watchdog.serves(said.worker)
            self._loop.greet(self._worker_name, said.worker)
        else:
            self._loop.adopt(said.snapshot, Settings.model_validate_json(said.settings))

    def _read_control(self) -> None:
        """What is in force here comes from the worker, in its place among the pairs; control's end matters."""
        control = self._control
        assert control is not None
        try:
            data = control.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up(control)

    def _report(self) -> None:
        self._next_report = monotonic() + REPORT_S
        gc.collect()
        self._send_rest()
        if self._control is not None and not self._unsent:
            report = Report(self._boot.process, self._boot.incarnation, self._loop.tally())
            self._unsent = frame(encode(report))
            self._send_rest()

    def _send_rest(self) -> None:
        control = self._control
        try:
            while control is not None and self._unsent:
                self._unsent = self._unsent[control.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            if control is not None:
                self._hang_up(control)

    def _hang_up(self, control: socket.socket) -> None:
        self._selector.unregister(control)
        control.close()
        self._control = None
        self._unsent = b""


def main() -> None:
    """Run the judge this command line describes."""
    boot = enter(sys.argv[1])
    os.nice(NICENESS)
    judge = Judge(boot)
    signal.signal(signal.SIGTERM, lambda *_: judge.end())
    gc.collect()
    gc.freeze()
    gc.disable()
    boot.announce_ready()
    try:
        judge.run()
    except (FrameError, ValueError, LookupError) as wrong:
        structlog.get_logger().critical("the worker's line makes no sense: this judge ends", why=type(wrong).__name__)
        sys.exit(1)


if __name__ == "__main__":
    main()
