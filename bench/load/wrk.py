"""Saturation by wrk: one thread, a closed loop on every connection."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 64
_SCRIPT = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True, slots=True)
class Saturation:
    """What wrk saw."""

    requests: int
    errors: int
    throughput_rps: float


def executable() -> str | None:
    """Return the path of wrk, or None when it is not installed."""
    return shutil.which("wrk")


def parse(output: str) -> Saturation:
    """Read the JSON line that the script's `done` prints after wrk's own report."""
    line = next(line for line in reversed(output.splitlines()) if line.startswith("{"))
    seen = json.loads(line)
    return Saturation(seen["requests"], seen["errors"], seen["requests"] / seen["duration_us"] * 1e6)


def saturate(port: int, template: Path, seconds: int, connections: int = CONNECTIONS) -> Saturation:
    """Load `127.0.0.1:port` for `seconds` with the requests of the template file."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(_SCRIPT)]
    finished = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/", "--", str(template)],
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds + 30,
    )
    return parse(finished.stdout)
