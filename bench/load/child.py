"""A process this run started, with its log; ended by pid together with what it started itself."""

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from bench.load import procfs

_START_S = 20.0
_STOP_S = 5.0
_POLL_S = 0.05


class ChildError(Exception):
    """A process did not come up or went away; the message ends with the tail of its log."""


class Child:
    """Runs a command in its own session, so that Ctrl-C reaches only us and we end the others in order."""

    def __init__(
        self, name: str, command: list[str], directory: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = directory / f"{name}.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Ask for the end, wait, then kill whatever of the family is left."""
        family = procfs.family(self.pid)
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in family[1:]:
            if Path(f"/proc/{pid}").exists() and os.getsid(pid) == self.pid:
                os.kill(pid, signal.SIGKILL)

    def check_alive(self) -> None:
        """Raise ChildError if the process has ended."""
        if self._process.poll() is not None:
            tail = self.log.read_text(errors="replace")[-2000:]
            raise ChildError(f"{self.name} ended with code {self._process.returncode}; its log ends:\n{tail}")

    def wait_until_answering(self, port: int, target: str) -> None:
        """Wait until `GET target` on `127.0.0.1:port` answers 200."""
        self._wait_until(lambda: _answers(port, target), "answer 200")

    def wait_until_accepting(self, port: int) -> None:
        """Wait until `127.0.0.1:port` accepts connections."""
        self._wait_until(lambda: _accepts(port), "accept connections")

    def _wait_until(self, ready: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            self.check_alive()
            if ready():
                return
            time.sleep(_POLL_S)
        tail = self.log.read_text(errors="replace")[-2000:]
        raise ChildError(f"{self.name} did not {what} within {_START_S:.0f} s; its log ends:\n{tail}")


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fetch(port: int, target: str) -> str:
    """Return the body of `GET target` from `127.0.0.1:port`; OSError or HTTPException when there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        body = response.read().decode()
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise http.client.HTTPException(f"{target} answered {response.status}")
    return body


def _answers(port: int, target: str) -> bool:
    try:
        fetch(port, target)
    except (OSError, http.client.HTTPException):
        return False
    return True


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
