"""One child process: started, watched, started again."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import monotonic, time_ns

from proxy.ipc.boot import Boot
from proxy.supervisor.restart import Restarts


@dataclass(slots=True)
class Child:
    """A process of ours. `boot` is renewed at each start; `due` is when to start it, None while it runs.

    `environ` is its environment, None for ours. `is_ready` tells whether it has said that it is at work.
    """

    module: str
    boot: Boot
    environ: Mapping[str, str] | None = None
    restarts: Restarts = field(default_factory=Restarts)
    process: subprocess.Popen[bytes] | None = None
    due: float | None = 0.0
    is_ready: bool = False
    _stamp: int = 0

    @property
    def name(self) -> str:
        """Its process name."""
        return self.boot.process

    @property
    def is_up(self) -> bool:
        """Whether it runs."""
        return self.process is not None

    def start(self) -> None:
        """Start it, in a process group of its own: a terminal's Ctrl-C is for the supervisor only."""
        self._stamp = max(time_ns(), self._stamp + 1)  # later incarnations sort later, whatever becomes of the clock
        self.boot = replace(self.boot, incarnation=f"{self.boot.process}:{self._stamp:016x}")
        # -P: a folder named `proxy` where we happen to be started is not ours.
        argv = [sys.executable, "-P", "-m", self.module, self.boot.encode()]
        self.process = subprocess.Popen(  # noqa: S603  our own interpreter and module
            argv,
            pass_fds=tuple(self.boot.fds.values()),
            env=self.environ,
            stdin=subprocess.DEVNULL,
            process_group=0,
        )
        self.due = None
        self.restarts.started(monotonic())

    def reap(self) -> int | None:
        """The exit code if it has just ended: it is then due to be started again."""
        code = None if self.process is None else self.process.poll()
        if code is not None:
            self.process = None
            self.is_ready = False
            self.due = self.restarts.died(monotonic())
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, number)

    def end(self, longest_s: float) -> None:
        """Ask it to end, wait, and kill it if it does not."""
        if self.process is None:
            return
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(longest_s)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.process.wait()
        self.process = None

    def describe(self) -> dict[str, object]:
        """Its row in `processes.json`."""
        return {
            "process": self.name,
            "pid": self.process.pid if self.process else None,
            "incarnation": self.boot.incarnation,
            "up": self.is_up,
            "restarts": self.restarts.count,
        }
