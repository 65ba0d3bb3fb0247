"""Primary, candidate and secondary: nginx processes that answer from memory and count what they receive.

A hung candidate is `peers/hung.py` instead: it counts as well, and answers nobody.
"""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.load import answers, templates
from bench.load.child import Child, fetch, free_port
from bench.load.counters import requests_in

_HUNG = Path(__file__).parent / "peers" / "hung.py"


class Backend:
    """One backend process and its request counter."""

    def __init__(self, name: str, command: list[str], port: int, directory: Path) -> None:
        self.port = port
        self._asked = 0
        self.child = Child(name, command, directory)

    def received(self) -> int:
        """Return the requests received so far, these questions left out."""
        self._asked += 1
        return requests_in(fetch(self.port, "/received")) - self._asked


@dataclass(frozen=True, slots=True)
class Backends:
    """Both sides of the mirror, and the second primary that a Diffy asks as well."""

    primary: Backend
    candidate: Backend
    secondary: Backend
    hung: bool = False
    """Whether the candidate takes requests and never answers."""

    def all(self) -> tuple[Backend, ...]:
        """Return every backend there is."""
        return (self.primary, self.candidate, self.secondary)


def start(binary: str, directory: Path, answer_bytes: int = answers.SMALL, *, hung: bool = False) -> Backends:
    """Start all of them; a hung candidate takes requests and never answers. The caller ends their children."""

    def answering(name: str, digit: int) -> Backend:
        port, answer = free_port(), answers.directives(answer_bytes, digit)
        config = templates.fill("backend.conf", directory, name=name, port=port, answer=answer)
        return Backend(name, [binary, "-p", str(directory), "-c", str(config)], port, directory)

    def silent(name: str) -> Backend:
        port = free_port()
        return Backend(name, [sys.executable, str(_HUNG), str(port)], port, directory)

    candidate = silent("candidate") if hung else answering("candidate", 2)
    return Backends(answering("primary", 1), candidate, answering("secondary", 1), hung)


def executable() -> str | None:
    """Return the path of nginx, or None when it is not installed."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
