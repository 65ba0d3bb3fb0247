"""The demo's processes: two scoring services, the proxy between them and the load, started and ended together.

Each leads a process group of its own: Ctrl-C in a terminal reaches only the demo, which ends them in order.
Should the demo itself be killed, the kernel ends them (prctl(2), PR_SET_PDEATHSIG). What they print is kept
in the demo's folder, which is also the proxy's state directory, for the moment one of them ends unasked.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import StrEnum
from importlib.resources import files
from itertools import count
from pathlib import Path
from time import monotonic, sleep

from proxy.config.token import TOKEN_FILE
from proxy.demo.load import LoadResult

START_S = 30.0
END_S = 10.0
TICK_S = 0.02
LAST_LINES = 8
HOST = "127.0.0.1"
_KERNEL = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Ports(StrEnum):
    """Where the demo listens."""

    USUAL = "usual"  # 8080, 8081, 9101, 9102, or the next ones that are free
    AUTO = "auto"  # whatever is free


class StageError(Exception):
    """A process of the demo ended unasked or did not start; the message names it and quotes its last lines."""


class Child:
    """One process: `python -m` with these words."""

    def __init__(self, name: str, words: list[str], folder: Path) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter and modules
                [sys.executable, "-m", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(os.environ),
                process_group=0,
                preexec_fn=_end_with_parent,  # noqa: PLW1509  the demo has no threads
            )

    @property
    def printed(self) -> str:
        """All it has printed so far."""
        return self._log.read_text(errors="backslashreplace")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until it has printed a line. Raises StageError."""
        give_up = monotonic() + START_S
        while not (found := re.search(pattern, self.printed, re.MULTILINE)):
            if not self.is_up():
                raise self.lost()
            if monotonic() > give_up:
                raise self._error(f"is not ready after {START_S:.0f} s")
            sleep(TICK_S)
        return found

    def is_up(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def lost(self) -> StageError:
        """The error that tells of its end."""
        code = self._process.returncode
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return self._error(how)

    def end(self, longest_s: float = END_S) -> int:
        """Ask it to end, wait, and kill it if it does not; the exit code."""
        if self.is_up():
            self._process.terminate()
        try:
            return self._process.wait(longest_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _error(self, what: str) -> StageError:
        said = "\n".join(f"  {line}" for line in self.printed.splitlines()[-LAST_LINES:])
        return StageError(f"{self.name} {what}" + (f"; its last lines:\n{said}" if said else "; it printed nothing"))


class Stage:
    """Everything that runs. `urls` by name: `v1`, `v2`, `proxy`, `admin`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: list[Child] = []
        self.urls: dict[str, str] = {}

    @property
    def token_file(self) -> Path:
        """Where the admin token is kept while the demo runs."""
        return self._folder / TOKEN_FILE

    def start(self, bugs: str, ports: Ports) -> None:
        """Start the services, then the proxy, and wait until it answers clients. Raises StageError."""
        where = addresses(ports)
        services = [
            self._child(version, "proxy.demo.service", "--version", version, "--listen", where[version], *more)
            for version, more in {"v1": (), "v2": ("--bugs", bugs)}.items()
        ]
        for service in services:
            self.urls[service.name] = service.wait_for(r"^listening on (\S+)$")[1]
        proxy = self._child(
            "proxy", "proxy.cli.main", "serve", "--config", str(files("proxy.demo").joinpath("shadow-proxy.yaml")),
            "--primary", self.urls["v1"], "--candidate", self.urls["v2"],
            "--listen", where["proxy"], "--admin-listen", where["admin"],
            "--state-dir", str(self._folder), "--log-format", "json",
        )  # fmt: skip
        ready = json.loads(proxy.wait_for(r'^\{"event": "ready".*\}$')[0])
        self.urls |= {"proxy": f"http://{ready['listen']}", "admin": f"http://{ready['admin']}"}

    def play(self, rate: float, seconds: float | None) -> None:
        """Start the load: `rate` requests a second, for `seconds` or until `end_load`."""
        limit = () if seconds is None else ("--seconds", str(seconds))
        self._load = self._child("load", "proxy.demo.load", "--to", self.urls["proxy"], "--rate", str(rate), *limit)

    def is_playing(self) -> bool:
        """Whether the load goes on. Raises StageError when a process has ended that should not have."""
        ended = [child for child in self._children if not child.is_up()]
        if ended == [self._load] and not self._load.end():
            return False
        if ended:
            raise ended[0].lost()
        return True

    def end_load(self) -> LoadResult:
        """End the load once its last request is answered; what became of all of them. Raises StageError."""
        if self._load.end():
            raise self._load.lost()
        return LoadResult(**json.loads(self._load.printed.splitlines()[-1]))

    def end(self) -> None:
        """End everything, last started first."""
        while self._children:
            self._children[-1].end()
            self._children.pop()

    def _child(self, name: str, *words: str) -> Child:
        child = Child(name, list(words), self._folder)
        self._children.append(child)
        return child


@contextmanager
def stage() -> Iterator[Stage]:
    """An empty stage. At the end nothing is left of what was started on it, folder included."""
    folder = Path(tempfile.mkdtemp(prefix="shadow-demo-"))
    built = Stage(folder)
    try:
        yield built
    finally:
        try:
            built.end()
        finally:  # a second Ctrl-C is for those in a hurry: a proxy told twice to end does so at once
            with _deaf_to_the_terminal():
                built.end()
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _deaf_to_the_terminal() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """What the demo's processes get: settings meant for another shadow-proxy stay out."""
    return {name: value for name, value in given.items() if not name.startswith("SHADOW_PROXY_")}


def addresses(ports: Ports) -> dict[str, str]:
    """`host:port` to listen at, by name."""
    names = ("proxy", "admin", "v1", "v2")
    if ports is Ports.AUTO:
        return dict.fromkeys(names, f"{HOST}:0")
    chosen: dict[str, int] = {}
    for name, usual in zip(names, (8080, 8081, 9101, 9102), strict=True):
        chosen[name] = next(port for port in count(usual) if port not in chosen.values() and is_free(port))
    return {name: f"{HOST}:{port}" for name, port in chosen.items()}


def is_free(port: int) -> bool:
    """Whether one could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind((HOST, port))
            return True
    return False


def _end_with_parent() -> None:
    _KERNEL.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
