"""The turns of a row: mirroring off, on, and off again, over and over in changing order."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, field
from enum import StrEnum

from bench.faults import client
from bench.faults.client import Played
from bench.faults.footprint import Footprint
from bench.faults.meddling import Meddles
from bench.faults.rows import Row
from bench.faults.scene import Config, Scene
from bench.load.latency import poisson_schedule
from tests.kit.metrics import Metrics

WARM_S = 0.2
_LOOK_S = 0.25
_LOOKS_PER_SCRAPE = 4


class Part(StrEnum):
    """Which side a turn belongs to; `twin` is `off` a second time."""

    OFF = "off"
    ON = "on"
    TWIN = "twin"


@dataclass(frozen=True, slots=True)
class Load:
    """How hard and how long: `requests` at `rate_rps` in each turn, and `rounds` turns of each of the `parts`."""

    rate_rps: float
    requests: int
    rounds: int
    parts: tuple[Part, ...]


@dataclass(slots=True)
class Peaks:
    """The most that was seen during a turn; `rss_bytes` by role."""

    rss_bytes: dict[str, int] = field(default_factory=dict)
    open_files: int = 0
    in_flight: int = 0
    breaker_opened: bool = False

    def see(self, processes: Iterable[Footprint]) -> None:
        """Take in what the processes take up now."""
        for seen in processes:
            self.rss_bytes[seen.role] = max(self.rss_bytes.get(seen.role, 0), seen.peak_bytes)
            if seen.role == "worker":
                self.open_files = max(self.open_files, seen.open_files)

    def scrape(self, metrics: Metrics) -> None:
        """Take in the gauges."""
        self.in_flight = max(self.in_flight, int(metrics.total("shadow_mirror_in_flight")))
        self.breaker_opened |= any(metrics.samples.get("shadow_breaker_open", {}).values())


@dataclass(frozen=True, slots=True)
class Turn:
    """One load on one side, with the scrapes before and after; the first `warm` requests do not count."""

    part: Part
    played: Played
    warm: int
    peaks: Peaks
    before: Metrics
    after: Metrics
    unbalanced: float
    acts: int
    late: int

    @property
    def waits_s(self) -> list[float | None]:
        """Seconds, by request; None for an error."""
        return self.played.waits_s[self.warm :]

    @property
    def digests(self) -> list[bytes | None]:
        """Answers, by request."""
        return self.played.digests[self.warm :]


def rotated(parts: Sequence[Part], by: int) -> tuple[Part, ...]:
    """Return the parts in another order for each round, so that none always follows the same one."""
    start = by % len(parts)
    return (*parts[start:], *parts[:start])


@dataclass(frozen=True, slots=True)
class Stage:
    """All that a row is played with; `clients` is another process, which plays them."""

    row: Row
    config: Config
    scene: Scene
    load: Load
    clients: Executor


def play(stage: Stage) -> Iterator[Turn]:
    """Play all turns of a row; each ends with every copy dealt with."""
    before, _ = stage.scene.settle(0)
    for number in range(stage.load.rounds):
        for part in rotated(stage.load.parts, number):
            turn = _turn(stage, part, number, before)
            before = turn.after
            yield turn


def _turn(stage: Stage, part: Part, number: int, before: Metrics) -> Turn:
    scene, row, load = stage.scene, stage.row, stage.load
    warm = round(load.rate_rps * WARM_S)
    schedule = poisson_schedule(load.rate_rps, warm + load.requests, seed=number)
    peaks = Peaks()
    scene.switch("shadow" if part is Part.ON else "primary")
    scene.reset_peaks()
    with (row.meddling if part is Part.ON else Meddles)(scene, stage.config) as meddler:
        running = stage.clients.submit(client.play, scene.port, row.workload, schedule, number * len(schedule))
        _watch(running, scene, peaks, meddler)
        played = running.result()
        peaks.see(scene.footprints())
    scene.switch("primary")
    answered = len(schedule) - played.errors
    after, unbalanced = scene.settle(int(before.total("shadow_requests_total")) + answered)
    return Turn(part, played, warm, peaks, before, after, unbalanced, meddler.acts, meddler.late)


def _watch(running: Future[Played], scene: Scene, peaks: Peaks, meddler: Meddles) -> None:
    """Look now and then until the load is over, and let the meddler act."""
    looks = 0
    while not wait([running], _LOOK_S).done:
        looks += 1
        peaks.see(scene.footprints())
        if looks % _LOOKS_PER_SCRAPE == 0:
            peaks.scrape(scene.metrics())
        meddler.tick()
