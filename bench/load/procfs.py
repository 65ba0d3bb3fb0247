"""What /proc says about a process and its descendants: CPU in nanoseconds, memory in bytes."""

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """One process at one moment; `pss_bytes` is None where the kernel does not let us read it."""

    pid: int
    name: str
    cpu_ns: int
    rss_bytes: int
    pss_bytes: int | None


def run_time_ns(schedstat: str) -> int:
    """Return the time spent on a CPU: the first field of a schedstat file (Documentation/scheduler)."""
    return int(schedstat.split(maxsplit=1)[0])


def parent_and_ticks(stat: str) -> tuple[int, int]:
    """Return parent pid and user + system clock ticks; the name in the parentheses may hold anything (proc(5))."""
    fields = stat.rpartition(")")[2].split()
    return int(fields[1]), int(fields[11]) + int(fields[12])


def kib_field(text: str, field: str) -> int | None:
    """Return a `Name:  123 kB` line of a status or smaps_rollup file, in bytes."""
    for line in text.splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return None


def role(command: list[str], comm: str) -> str:
    """Name a process: the part it plays in the proxy if its command line tells, else the kernel's name for it."""
    words = " ".join(command).replace(".", " ").replace(":", " ").replace("-", " ").split()
    for part in ("supervisor", "control", "worker", "judge"):
        if part in words:
            return part
    return comm


def family(root: int) -> list[int]:
    """Return `root` and its living descendants, parents first."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (stat := _read(entry / "stat")):
            children[parent_and_ticks(stat)[0]].append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(sorted(children[pid]))
    return found


def observe(root: int) -> list[Process]:
    """Measure `root` and its descendants; a process that ends meanwhile is left out."""
    return [seen for pid in family(root) if (seen := _observe_one(pid))]


def _observe_one(pid: int) -> Process | None:
    home = _PROC / str(pid)
    status, stat = _read(home / "status"), _read(home / "stat")
    if not status or not stat:
        return None
    return Process(
        pid=pid,
        name=role(_read(home / "cmdline").split("\0"), _read(home / "comm").strip()),
        cpu_ns=_cpu_ns(home, stat),
        rss_bytes=kib_field(status, "VmRSS") or 0,
        pss_bytes=kib_field(_read(home / "smaps_rollup"), "Pss"),
    )


def _cpu_ns(home: Path, stat: str) -> int:
    """Sum the threads' schedstat; kernels without it count in clock ticks."""
    threads = [text for task in (home / "task").iterdir() if (text := _read(task / "schedstat"))]
    return sum(map(run_time_ns, threads)) if threads else parent_and_ticks(stat)[1] * _TICK_NS


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # the process ended, or is not ours to look into
        return ""
