"""The worker process: `python -m proxy.worker.process BOOT`."""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from time import monotonic

import uvloop

from proxy.config.certificates import CertificateError
from proxy.config.models import Mode
from proxy.core.evidence import Report
from proxy.http.turn import Turn
from proxy.ipc.boot import Boot, enter
from proxy.ipc.channel import ControlChannel
from proxy.ipc.messages import Hello, Snapshot
from proxy.worker.app import TICK_S, DataPlane
from proxy.worker.budget import ByteBudget
from proxy.worker.judge_link import JudgeLink
from proxy.worker.listener import Listener
from proxy.worker.lookout import Lookout
from proxy.worker.memory import Memory
from proxy.worker.pulse import Pulse

REPORT_S = 1.0
FIRST_SNAPSHOT_S = 2.0


class Worker:
    """Ties the data plane to its sockets, its clock and control."""

    def __init__(self, boot: Boot) -> None:
        self._boot = boot
        settings = boot.settings()
        budget = ByteBudget(settings.mirror_budget)
        loop = asyncio.get_running_loop()
        link = JudgeLink(loop, socket.socket(fileno=boot.fds["judge"]), settings.judge.queue, budget, boot.incarnation)
        self._plane = DataPlane(boot.process, boot.instance, settings, link, Turn(loop.call_soon))
        self._lookout = Lookout(boot.kill_switch)
        self._plane.kill(pulled=self._lookout.tick())  # before anything else can be in force
        self._listener = Listener(socket.socket(fileno=boot.fds["listen"]), self._plane, Path(boot.runtime_dir))
        self._plane.pressure.memory = Memory()
        hello = Hello(boot.process, boot.incarnation, os.getpid())
        self._configuration = 0
        self._channel = ControlChannel(boot.control_socket, hello, self._adopt)
        self._ending = asyncio.Event()
        self._failed = False

    async def run(self) -> int:
        """Serve until told to end; then drain, report and leave with an exit code."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._plane.bugs.handle)
        loop.add_signal_handler(signal.SIGTERM, self._ending.set)
        loop.add_reader(self._boot.fds["alive"], self._end_with_supervisor)
        control = loop.create_task(self._channel.run())
        ticker = loop.create_task(self._tick())
        reporter = loop.create_task(self._report())
        await self._first_snapshot()
        try:
            await self._listener.open()
        except CertificateError:
            return 1
        gc.collect()
        gc.freeze()
        pulse = Pulse(loop, self._plane.woke)
        self._boot.announce_ready()
        await self._end_or_failure(control, ticker, reporter)
        await self._listener.close()
        await self._plane.drain(self._plane.settings.timeouts.drain)
        pulse.stop()
        for task in (reporter, ticker):
            task.cancel()
        await self._channel.send_last(self._report_now(), longest_s=1.0)
        control.cancel()
        return 1 if self._failed else 0

    def _adopt(self, snapshot: Snapshot) -> None:
        self._plane.adopt(snapshot)
        if snapshot.configuration != self._configuration:  # read again, though its text may be the same
            self._configuration = snapshot.configuration
            self._listener.reload_certificate()

    async def _end_or_failure(self, *own: asyncio.Task[None]) -> None:
        """Wait for the end; a task of ours that dies first is one: a worker without clock or control is no worker."""
        ending = asyncio.create_task(self._ending.wait())
        done, _ = await asyncio.wait({ending, *own}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {ending}:
            self._failed = True
            bug = task.exception()
            if bug is not None:
                self._plane.bugs.caught("worker", bug)

    def _end_with_supervisor(self) -> None:
        asyncio.get_running_loop().remove_reader(self._boot.fds["alive"])
        self._ending.set()

    async def _first_snapshot(self) -> None:
        """Wait for control to say what is in force; without it, serve and mirror nothing."""
        try:
            async with asyncio.timeout(FIRST_SNAPSHOT_S):
                await self._channel.heard.wait()
        except TimeoutError:
            settings = self._plane.settings
            self._plane.adopt(Snapshot(0, settings, dict.fromkeys(settings.services, Mode.PRIMARY)))

    async def _tick(self) -> None:
        due = monotonic() + TICK_S
        while True:
            await asyncio.sleep(max(0.0, due - monotonic()))
            now = monotonic()
            self._plane.kill(pulled=self._lookout.tick())
            self._plane.tick(now)
            self._listener.tick(now)
            due = max(due + TICK_S, now)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            self._channel.send(self._report_now())

    def _report_now(self) -> Report:
        return Report(self._boot.process, self._boot.incarnation, self._plane.tally())


def main() -> None:
    """Run the worker this command line describes."""
    boot = enter(sys.argv[1])
    _raise_file_limit()

    async def serve() -> int:
        return await Worker(boot).run()

    sys.exit(uvloop.run(serve()))


def _raise_file_limit() -> None:
    """Use all the open files this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 1 << 20)), hard))


if __name__ == "__main__":
    main()
