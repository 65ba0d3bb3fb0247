"""What a process takes up: memory at its highest, open files, threads. Cheap to read, unlike PSS."""

import os
from dataclasses import dataclass
from pathlib import Path

from bench.load import procfs

_PEAK_RESET = "5"  # proc(5), clear_refs: VmHWM starts again from the present VmRSS


@dataclass(frozen=True, slots=True)
class Footprint:
    """One process at one moment; `peak_bytes` is its largest RSS since its start or the last `reset_peaks`."""

    pid: int
    role: str
    rss_bytes: int
    peak_bytes: int
    open_files: int
    threads: int


def footprints(root: int) -> list[Footprint]:
    """Look at `root` and its descendants; a process that ends meanwhile is left out."""
    return [seen for pid in procfs.family(root) if (seen := _footprint(pid, "supervisor" if pid == root else "other"))]


def reset_peaks(root: int) -> None:
    """Let every process's peak start again."""
    for pid in procfs.family(root):
        try:
            Path(f"/proc/{pid}/clear_refs").write_text(_PEAK_RESET)
        except OSError:  # it ended
            continue


def _footprint(pid: int, otherwise: str) -> Footprint | None:
    home = Path(f"/proc/{pid}")
    try:
        status = (home / "status").read_text()
        command = (home / "cmdline").read_text().split("\0")
        open_files = len(os.listdir(home / "fd"))  # noqa: PTH208  only their number matters
    except OSError:
        return None
    return Footprint(
        pid=pid,
        role=procfs.role(command, otherwise),
        rss_bytes=procfs.kib_field(status, "VmRSS") or 0,
        peak_bytes=procfs.kib_field(status, "VmHWM") or 0,
        open_files=open_files,
        threads=_number(status, "Threads"),
    )


def _number(status: str, field: str) -> int:
    line = next((line for line in status.splitlines() if line.startswith(field + ":")), ":0")
    return int(line.partition(":")[2])
