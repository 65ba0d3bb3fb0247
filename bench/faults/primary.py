"""The primary as a process of its own."""

import sys
from pathlib import Path
from typing import Self

from bench.load.child import Child, free_port

TAKES_S = 0.005
_ROOT = Path(__file__).parents[2]
_NAME = "primary"


class Primary:
    """`with Primary(directory) as primary:` answers at `primary.url`, after so many seconds, until the block ends."""

    def __init__(self, directory: Path, takes_s: float = TAKES_S) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        command = [sys.executable, str(_ROOT / "bench" / "faults" / "api.py"), str(self._port), str(takes_s)]
        self._child = Child(_NAME, command, directory)

    def __enter__(self) -> Self:
        try:
            self._child.wait_until_answering(self._port, "/")
        except BaseException:
            self._child.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._child.__exit__()
