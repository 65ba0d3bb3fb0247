"""Whether everything came back: the proxy at rest, after the load, beside the proxy at rest before. Pure.

A process keeps the memory and threads it needed once, so these are held against the rest after the first full
rotation; all else against the rest before the first request. The worker must close every file it opened; the others
may keep a few, as control does for its database.
"""

from dataclasses import dataclass

from bench.faults.rule import MIB, Outcome

SPARE_BYTES = 4 * MIB
SLOPE_BYTES_PER_S = MIB / 600
SPARE_FILES = 5


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the proxy, by role; `pss_bytes` is None where the kernel does not tell."""

    role: str
    rss_bytes: int
    pss_bytes: int | None
    open_files: int
    threads: int


@dataclass(frozen=True, slots=True)
class Sample:
    """The proxy at one moment, `at_s` seconds after the first request."""

    at_s: float
    processes: tuple[Process, ...]
    in_flight: int
    mirror_bytes: int

    def of(self, role: str) -> Process | None:
        """Return the process of a role."""
        return next((process for process in self.processes if process.role == role), None)


@dataclass(frozen=True, slots=True)
class Totals:
    """Over the whole run; `unbalanced` is by how much the identities miss at the end."""

    requests: int = 0
    errors: int = 0
    changed: int = 0
    unbalanced: float = 0.0


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that must have come back."""

    name: str
    value: float
    most: float

    @property
    def outcome(self) -> Outcome:
        """Whether it has."""
        return Outcome.YES if self.value <= self.most else Outcome.NO


def lines(start: Sample, rotated: Sample | None, end: Sample, totals: Totals) -> list[Line]:
    """Hold the end against the start, and its memory against the rest after the first rotation, if there was one."""
    found = [
        Line("client errors", totals.errors, 0),
        Line("changed answers", totals.changed, 0),
        Line("identities, difference", totals.unbalanced, 0),
        Line("copies in flight", end.in_flight, 0),
        Line("mirror bytes", end.mirror_bytes, 0),
    ]
    for process in end.processes:
        role = process.role
        if before := start.of(role):
            spare = 0 if role == "worker" else SPARE_FILES
            found.append(Line(f"{role} open files", process.open_files, before.open_files + spare))
        if rotated and (grown := rotated.of(role)):
            most = grown.rss_bytes + SPARE_BYTES + SLOPE_BYTES_PER_S * (end.at_s - rotated.at_s)
            found.append(Line(f"{role} threads", process.threads, grown.threads))
            found.append(Line(f"{role} RSS, MiB", round(process.rss_bytes / MIB, 1), round(most / MIB, 1)))
    return found
