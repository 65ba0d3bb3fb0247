"""The supervisor: starts control, workers and judges, watches them, starts them again, ends them in order.

It does nothing else, so that it does not crash: no network, no configuration changes, no event loop. It
sleeps until a child dies, a signal comes or a restart is due. SIGHUP is passed on to control, which reads
the configuration. SIGUSR1 pulls the kill switch, for which workers look by themselves. Ending goes with the data:
workers first, which drain, then judges, which compare what is left, then control, which hears their last reports.
Who is told twice to end does not wait for the workers.
"""

import json
import os
import resource
import selectors
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, time, time_ns
from types import FrameType
from typing import Protocol

import structlog

from proxy.config.models import Settings
from proxy.config.sources import Sources
from proxy.ipc.boot import CONTROL_SOCKET, PROCESSES_FILE, RELOADED, SOURCES_FILE, Boot, prepare_settings
from proxy.ipc.kill_switch import KillSwitch
from proxy.supervisor.children import Child
from proxy.supervisor.environment import inherited
from proxy.supervisor.lock import StateLock
from proxy.supervisor.post_mortem import examined
from proxy.supervisor.pulling import Pulling
from proxy.supervisor.sockets import StartError, address_of, listen, listen_unix

READY_WITHIN_S = 20.0
JUDGE_END_S = 5.0
CONTROL_END_S = 5.0
KILL_AFTER_DRAIN_S = 10.0
LEFT_PORTS_S = 5.0
"""How long to try ports that processes of a killed supervisor may still be closing."""
IDLE_S = 60.0


class _Open(Protocol):
    """A socket or a file."""

    def fileno(self) -> int:
        """Its descriptor."""


@dataclass(frozen=True, slots=True)
class Started:
    """Where a started proxy is: addresses as `host:port`, port 0 resolved."""

    listen: str
    admin: str


def run(
    settings: Settings,
    sources: Sources,
    state_dir: Path,
    instance: str,
    on_ready: Callable[[Started], None] = lambda _: None,
) -> int:
    """Run the proxy until SIGTERM or SIGINT; the exit code. Raises StartError."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # settings hold credentials
    with StateLock(state_dir, settings.timeouts.drain) as lock:
        return Supervisor(settings, sources, lock, instance).run(on_ready)


class Supervisor:
    """See the module's docstring."""

    def __init__(self, settings: Settings, sources: Sources, lock: StateLock, instance: str) -> None:
        self._log = structlog.get_logger()
        self._runtime_dir = runtime_dir = lock.runtime_dir
        self._started_at = time()
        patience = LEFT_PORTS_S if lock.is_after_a_kill else 0.0
        self._listeners = listen(settings.listen, settings.workers, "clients", patience)
        self._admin = listen(settings.admin.listen, 1, "the admin port", patience)[0]
        self._own: list[socket.socket] = []
        self._alive, self._alive_end = os.pipe()
        self._ready, self._ready_end = os.pipe()
        self._killed = KillSwitch.shared()
        self._pulling = Pulling(KillSwitch(lock.state_dir, self._killed))
        prepare_settings(runtime_dir, settings)()
        (runtime_dir / SOURCES_FILE).write_text(sources.encode())
        run_id = f"{time_ns():x}"
        shared = {"alive": self._alive, "ready": self._ready_end, "killed": self._killed}
        base = Boot("", "", run_id, instance, str(runtime_dir), str(lock.state_dir), shared, settings.log_format)
        environ = inherited(os.environ, settings)
        unix = self._unix(CONTROL_SOCKET)
        self._control = self._child("control", base, {"admin": self._admin, "control": unix, "lock": lock.of_control})
        self._workers = [
            self._child(f"worker-{n}", base, {"listen": listener, "judge": self._unix(f"worker-{n}.sock")}, environ)
            for n, listener in enumerate(self._listeners)
        ]
        self._judges = [self._child(f"judge-{n}", base, {}, environ) for n in range(settings.workers)]
        self._first_drain_s = settings.timeouts.drain
        self._ending = 0
        self._reload_due = False
        self._reload_asked_of = ""

    @property
    def _children(self) -> list[Child]:
        return [self._control, *self._judges, *self._workers]

    def _unix(self, name: str) -> socket.socket:
        sock = listen_unix(self._runtime_dir / name)
        self._own.append(sock)
        return sock

    def _child(
        self, name: str, base: Boot, files: Mapping[str, _Open], environ: Mapping[str, str] | None = None
    ) -> Child:
        fds = {purpose: file.fileno() for purpose, file in files.items()}
        boot = replace(base, process=name, fds={**base.fds, **fds})
        return Child(f"proxy.{name.partition('-')[0]}.process", boot, environ)

    def run(self, on_ready: Callable[[Started], None]) -> int:
        """Run until told to end."""
        selector = selectors.DefaultSelector()
        wake, wake_end = socket.socketpair()
        for sock in (wake, wake_end):
            sock.setblocking(False)  # noqa: FBT003  the socket API
        signal.set_wakeup_fd(wake_end.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self._pulling.listen()
        selector.register(wake, selectors.EVENT_READ)
        selector.register(self._ready, selectors.EVENT_READ)
        waiting: set[str] | None = {child.name for child in self._children}
        give_up = monotonic() + READY_WITHIN_S
        try:
            while not self._ending:
                self._start_due()
                for key, _ in selector.select(self._wait(give_up if waiting is not None else None)):
                    if key.fileobj is wake:
                        wake.recv(4096)
                    else:
                        ready = self._hear_ready()
                        waiting = None if waiting is None else waiting - ready
                self._reap()
                self._pass_reload_on()
                if waiting is not None and not waiting:
                    waiting = None
                    on_ready(Started(str(address_of(self._listeners[0])), str(address_of(self._admin))))
                if waiting is not None and monotonic() > give_up:
                    missing = ", ".join(sorted(waiting))
                    raise StartError(
                        f"{missing} did not get ready within {READY_WITHIN_S:.0f} s; the log above says why"
                    )
        finally:
            self._end()
            signal.set_wakeup_fd(-1)
        return 0 if self._ending == 1 else 1

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._reload_due, self._reload_asked_of = True, ""
        elif number in {signal.SIGTERM, signal.SIGINT}:
            self._ending += 1
            if self._ending > 1:
                for worker in self._workers:
                    worker.signal(signal.SIGKILL)

    def _hear_ready(self) -> set[str]:
        """Who says that it is at work now."""
        ready = set(os.read(self._ready, 4096).decode().split())
        for child in self._children:
            child.is_ready = child.is_ready or child.name in ready
        if RELOADED in ready and self._reload_asked_of:
            self._reload_due = False
        return ready

    def _pass_reload_on(self) -> None:
        """Ask control to read the configuration again, once it can hear us; its successor, should it die of it."""
        control = self._control
        if self._reload_due and control.is_ready and self._reload_asked_of != control.boot.incarnation:
            self._reload_asked_of = control.boot.incarnation
            control.signal(signal.SIGHUP)

    def _wait(self, give_up: float | None) -> float:
        times = [child.due for child in self._children if child.due is not None]
        if give_up is not None:
            times.append(give_up)
        return max(0.0, min(times, default=monotonic() + IDLE_S) - monotonic())

    def _start_due(self) -> None:
        now = monotonic()
        due = [child for child in self._children if child.due is not None and child.due <= now]
        for child in due:
            try:
                child.start()
            except OSError as wrong:
                child.due = child.restarts.died(now)
                self._log.error("process_not_started", child=child.name, why=str(wrong))
        if due:
            self._write_processes()

    def _reap(self) -> None:
        for child in self._children:
            code = child.reap()
            if code is not None:
                self._log.warning("process_ended", child=child.name, exit_code=code, restarts=child.restarts.count)
                if child in self._judges:
                    child.boot = examined(child.boot, code, monotonic())
                self._write_processes()

    def _write_processes(self) -> None:
        """Tell control who runs; replaced in one step, so that it never reads half of it."""
        view = {
            "supervisor": {"pid": os.getpid(), "started_at": self._started_at},
            "processes": [child.describe() for child in self._children],
        }
        fresh = self._runtime_dir / f"{PROCESSES_FILE}.new"
        try:
            fresh.write_text(json.dumps(view))
            fresh.replace(self._runtime_dir / PROCESSES_FILE)
        except OSError as wrong:
            self._log.error("processes_not_written", why=str(wrong))

    def _end(self) -> None:
        for listener in self._listeners:
            listener.close()  # the workers close theirs: who comes now is refused, not left waiting
        _end_all(self._workers, self._drain_s() + KILL_AFTER_DRAIN_S)
        for sock in self._own:
            sock.close()  # a judge may wait in its ended worker's backlog: now it hears that nobody comes
        _end_all(self._judges, JUDGE_END_S)
        _end_all([self._control], CONTROL_END_S)
        self._admin.close()
        self._pulling.end()
        for fd in (self._alive, self._alive_end, self._ready, self._ready_end):
            os.close(fd)

    def _drain_s(self) -> float:
        """As in force now; as at the start where somebody has tidied the settings away: there is an end to come to."""
        try:
            return self._control.boot.settings().timeouts.drain
        except (OSError, ValueError) as wrong:
            self._log.error("settings_not_read", why=type(wrong).__name__, drain_s=self._first_drain_s)
            return self._first_drain_s


def _end_all(group: list[Child], longest_s: float) -> None:
    """End a group together; the slowest decides how long it takes, `longest_s` at most."""
    end = monotonic() + longest_s
    for child in group:
        child.signal(signal.SIGTERM)
    for child in group:
        child.end(max(0.0, end - monotonic()))
