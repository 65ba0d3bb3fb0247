"""The hour itself: a constant load in windows of one step, each with another fault and the deeds of its score."""

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from bench.faults import client
from bench.faults.candidate import Candidate, Fault
from bench.faults.client import Played
from bench.faults.driver import driver
from bench.faults.evidence import sums
from bench.faults.primary import Primary
from bench.faults.rows import GET
from bench.faults.rule import MIB, tail_us
from bench.faults.scene import Config, Scene
from bench.load import procfs
from bench.load.latency import poisson_schedule
from bench.soak import rotation
from bench.soak.homecoming import Process, Sample, Totals
from bench.soak.rotation import Cue, Deed
from tests.kit.metrics import Metrics

REST_S = 30.0
_SAMPLE_S = 5.0
_LOOK_S = 0.2
_IDLE_S = 6.0  # longer than `pool.idle`: kept connections are closed by then
_MIRROR = {"deadline": "2s", "breaker": {"open": "2s"}}

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how hard: steps of `step_s` seconds until `seconds` are over, at `rate_rps`."""

    seconds: float
    rate_rps: float
    step_s: float = rotation.STEP_S


@dataclass(frozen=True, slots=True)
class Window:
    """What clients saw of one step."""

    fault: str
    requests: int
    errors: int
    changed: int
    p50_us: float | None
    p99_us: float | None


@dataclass(slots=True)
class Results:
    """Everything that was seen; `rotated` is the rest after the first full rotation, if it came to that."""

    windows: list[Window] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    deeds: dict[str, int] = field(default_factory=lambda: dict.fromkeys(Deed, 0))
    verdicts: dict[str, int] = field(default_factory=dict)
    drops: dict[str, int] = field(default_factory=dict)
    start: Sample | None = None
    rotated: Sample | None = None
    end: Sample | None = None
    unbalanced: float = 0.0
    failure: str = ""

    def totals(self) -> Totals:
        """Sum up the windows."""
        return Totals(
            sum(window.requests for window in self.windows),
            sum(window.errors for window in self.windows),
            sum(window.changed for window in self.windows),
            self.unbalanced,
        )


class Soak:
    """`with Soak(directory, plan, say) as soak:` has a proxy under it; `play` fills `results`."""

    def __init__(self, directory: Path, plan: Plan, say: Say) -> None:
        self.results = Results()
        self._directory = directory
        self._plan = plan
        self._say = say
        self._stack = ExitStack()
        self._expected: list[bytes | None] = []
        self._running: Future[Played] | None = None
        self._fault = Fault("healthy")
        self._sampled = 0.0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._primary = stack.enter_context(Primary(self._directory))
            self._clients: Executor = stack.enter_context(driver())
            self._candidate = Candidate(self._fault).__enter__()
            stack.callback(self._end_candidate)
            self._config = Config(self._primary.url, self._candidate.url, _MIRROR)
            self._scene = stack.enter_context(Scene(self._config, self._directory / "proxy"))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # --- the score

    def play(self) -> None:
        """Step by step until the time is over."""
        self.results.start = self._rest()
        self._scene.switch("shadow")
        self._began = time.monotonic()
        step = 0
        while time.monotonic() - self._began < self._plan.seconds:
            self._play_step(step)
            step += 1
            if step == len(rotation.FAULTS):
                self.results.rotated = self._rest()

    def come_home(self) -> None:
        """All faults off, load off: the last rest. A window that was interrupted is played to its end first."""
        self._end_window()
        self._take(Fault("healthy"))
        self._do(Deed.REARM)
        self._scene.switch("shadow")
        self.results.end = self._rest()

    def _play_step(self, step: int) -> None:
        self._take(rotation.fault(step))
        rate, length = self._plan.rate_rps, self._plan.step_s
        schedule = poisson_schedule(rate, max(round(rate * length), 1), seed=step)
        self._running = self._clients.submit(client.play, self._scene.port, GET, schedule)
        self._act_until_over(self._running, list(rotation.cues(step, length)))
        self._end_window()

    def _end_window(self) -> None:
        if self._running is not None:
            window = self._window(self._running.result())
            self._running = None
            self.results.windows.append(window)
            self._say(self._progress(window))

    def _act_until_over(self, running: Future[Played], cues: list[Cue]) -> None:
        began = time.monotonic()
        while not wait([running], _LOOK_S).done:
            now = time.monotonic()
            while cues and cues[0].at_s <= now - began:
                self._do(cues.pop(0).deed)
            if now - self._sampled >= _SAMPLE_S:
                self._sampled = now
                self.results.samples.append(self._sample())
        for cue in cues:  # those that undo others, if the load was over early
            self._do(cue.deed)

    def _take(self, fault: Fault) -> None:
        """Start the next candidate, lead copies there by a reload, end the last one."""
        self._fault = fault
        last, self._candidate = self._candidate, Candidate(fault).__enter__()
        self._config = Config(self._primary.url, self._candidate.url, _MIRROR)
        self._scene.write(self._config)
        self._scene.reload()
        last.__exit__()

    def _end_candidate(self) -> None:
        self._candidate.__exit__()

    def _do(self, deed: Deed) -> None:
        self.results.deeds[deed] += 1
        match deed:
            case Deed.PRIMARY:
                self._scene.switch("primary")
            case Deed.SHADOW:
                self._scene.switch("shadow")
            case Deed.RELOAD:
                timeouts = {"first_byte": f"{60 + self.results.deeds[deed]}s"}
                self._scene.write(Config(self._primary.url, self._candidate.url, _MIRROR, {"timeouts": timeouts}))
                self._scene.reload()
            case Deed.BAD_RELOAD:
                self._scene.spoil()
                self._scene.reload()
            case Deed.KILL_SWITCH:
                self._scene.kill_switch.touch()
            case Deed.REARM:
                self._scene.kill_switch.unlink(missing_ok=True)
            case Deed.KILL_JUDGE:
                self._scene.kill("judge")

    # --- looking

    def _window(self, played: Played) -> Window:
        """Every window sends the same requests: their answers must be those of the first one."""
        self._expected = self._expected or played.digests
        pairs = zip(played.digests, self._expected, strict=True)
        ordered = sorted(wait_s for wait_s in played.waits_s if wait_s is not None)
        return Window(
            self._fault.name or self._fault.url,
            len(played.waits_s),
            played.errors,
            sum(None not in (answer, expected) and answer != expected for answer, expected in pairs),
            tail_us(ordered, 0.5),
            tail_us(ordered, 0.99),
        )

    def _rest(self) -> Sample:
        """Without load: wait until everything has ended and kept connections are closed, then look."""
        answered = sum(window.requests - window.errors for window in self.results.windows)
        metrics, self.results.unbalanced = self._scene.settle(answered)
        self.results.verdicts = sums(metrics, "shadow_comparisons_total", "verdict")
        self.results.drops = sums(metrics, "shadow_dropped_total", "reason")
        time.sleep(_IDLE_S)
        deadline = time.monotonic() + REST_S
        while (sample := self._sample()).in_flight or sample.mirror_bytes:
            if time.monotonic() > deadline:
                break
            time.sleep(1)
        self.results.samples.append(sample)
        return sample

    def _sample(self) -> Sample:
        metrics = self._scene.metrics()
        pss = {seen.pid: seen.pss_bytes for seen in procfs.observe(self._scene.pid)}
        processes = tuple(
            Process(seen.role, seen.rss_bytes, pss.get(seen.pid), seen.open_files, seen.threads)
            for seen in self._scene.footprints()
        )
        return Sample(self._elapsed(), processes, *(_level(metrics, name) for name in ("in_flight", "bytes")))

    def _elapsed(self) -> float:
        return round(time.monotonic() - self._began, 1) if self.results.start else 0.0

    def _progress(self, window: Window) -> str:
        totals = self.results.totals()
        last = self.results.samples[-1]
        memory = ", ".join(f"{process.role} {process.rss_bytes / MIB:.0f}" for process in last.processes)
        return (
            f"{self._elapsed() / 60:5.1f} min  {window.fault:29} {totals.requests:9,} requests"
            f"  {totals.errors} errors  p99 {(window.p99_us or 0) / 1000:6.1f} ms  RSS MiB: {memory}"
        )


def _level(metrics: Metrics, name: str) -> int:
    return int(metrics.total(f"shadow_mirror_{name}"))
