"""The supervisor's view of the processes: `processes.json` in the runtime directory."""

from dataclasses import dataclass
from pathlib import Path

import orjson


@dataclass(frozen=True, slots=True)
class Process:
    """One process as the supervisor last saw it."""

    process: str
    incarnation: str
    up: bool
    restarts: int


@dataclass(frozen=True, slots=True)
class Processes:
    """All of them, and when the supervisor started (Unix seconds); None and empty before it has written once."""

    started_at: float | None = None
    members: tuple[Process, ...] = ()


def read_processes(path: Path) -> Processes:
    """The file's content; empty when it is missing or not what the supervisor writes."""
    try:
        body = orjson.loads(path.read_bytes())
        members = tuple(
            Process(str(row["process"]), str(row["incarnation"]), bool(row["up"]), int(row["restarts"]))
            for row in body["processes"]
        )
        return Processes(float(body["supervisor"]["started_at"]), members)
    except (OSError, ValueError, TypeError, KeyError):
        return Processes()
