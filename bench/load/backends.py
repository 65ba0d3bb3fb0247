"""Primary and candidate: two nginx processes that answer from memory and count what they receive."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from bench.load import templates
from bench.load.child import Child, fetch, free_port
from bench.load.counters import requests_in


class Backend:
    """One backend process and its request counter."""

    def __init__(self, name: str, binary: str, directory: Path) -> None:
        self.port = free_port()
        self._asked = 0
        config = templates.fill("backend.conf", directory, name=name, port=self.port)
        self.child = Child(name, [binary, "-p", str(directory), "-c", str(config)], directory)

    def received(self) -> int:
        """Return the requests received so far, these questions left out."""
        self._asked += 1
        return requests_in(fetch(self.port, "/received")) - self._asked


@dataclass(frozen=True, slots=True)
class Backends:
    """Both sides of the mirror."""

    primary: Backend
    candidate: Backend


def executable() -> str | None:
    """Return the path of nginx, or None when it is not installed."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
