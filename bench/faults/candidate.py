"""The faulty candidate: the test kit's fault backend as a process of its own that runs when nobody else wants to.

In production it runs on another machine. Here it shares the cores with the proxy, so it gives way to it.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bench.load.child import ChildError

ROOT = Path(__file__).parents[2]
_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of tests.kit.fault_backend; without a name nothing runs, and `url` leads nowhere."""

    name: str
    delay_s: float | None = None
    url: str = ""


NO_SUCH_NAME = Fault("", url="http://candidate.invalid:80")


class Candidate:
    """`with Candidate(fault) as candidate:` plays the fault at `candidate.url` until the block ends."""

    def __init__(self, fault: Fault) -> None:
        self.url = fault.url
        self._fault = fault
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if self._fault.name:
            self._process = subprocess.Popen(
                _command(self._fault),
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            where = self._line()
            self.url = f"{where['scheme']}://127.0.0.1:{where['port']}"
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.close()
            self._process.wait(_STOP_S)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def counts(self) -> dict[str, int]:
        """Ask what came so far: connections, open ones, requests, bytes received."""
        if self._process is None:
            return {}
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._line()

    def _line(self) -> dict[str, Any]:
        assert self._process
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise ChildError(f"the candidate that is to play {self._fault.name!r} ended with {self._process.wait()}")
        said: dict[str, Any] = json.loads(line)
        return said


def _command(fault: Fault) -> list[str]:
    delay = [] if fault.delay_s is None else ["--delay", str(fault.delay_s)]
    return ["chrt", "--idle", "0", sys.executable, "-m", "tests.kit.fault_backend", "--fault", fault.name, *delay]
