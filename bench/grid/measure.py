"""One cell: every contestant saturated in turn, then paced in turn, and again.

The paced rate is one that all but the proxies in Python do wholly, so that is where costs are compared. Cost and
throughput at saturation stand beside it, with what was left undone. A proxy in Python that does less than twice that
rate is paced at half of what it does, which flatters its latency.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.grid.cells import Cell
from bench.load import backends, cost, openloop, wrk
from bench.load.backends import Backends
from bench.load.contestants import AIOHTTP_MIRROR, DIFFY_STYLE, DIRECT, ENVOY, NGINX, SHADOW_PROXY, Contestant
from bench.load.cost import Cost
from bench.load.latency import poisson_schedule
from bench.load.openloop import OpenLoop
from bench.load.run import start_backends, start_contestant
from bench.load.workload import WORKLOADS
from bench.load.wrk import Saturation

Say = Callable[[str], None]

IN_PYTHON = (AIOHTTP_MIRROR, DIFFY_STYLE)
CONTESTANTS = (DIRECT, SHADOW_PROXY, NGINX, ENVOY, *IN_PYTHON)
PATIENCE_S = 2.0
_HUNG_SETTLE_S = 2.0


@dataclass(frozen=True, slots=True)
class Pace:
    """For how long each load lasts, and how often; a slow paced one goes on to its least number of requests."""

    rounds: int
    saturation_s: int
    paced_s: float
    least_requests: int

    def schedule(self, rate_rps: float) -> list[float]:
        """Return the send times of one paced load, in seconds from its start."""
        return poisson_schedule(rate_rps, max(round(rate_rps * self.paced_s), self.least_requests))


@dataclass(frozen=True, slots=True)
class Turn:
    """One contestant's share of one round: two loads, and what each cost it."""

    saturation: Saturation
    saturated_cost: Cost
    paced: OpenLoop
    paced_cost: Cost


@dataclass(slots=True)
class Measured:
    """What a cell gave: turns by contestant in the order of the rounds, and why some are missing."""

    cell: Cell
    rates_rps: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    turns: dict[str, list[Turn]] = field(default_factory=dict)


def measure(cell: Cell, pace: Pace, nginx: str, directory: Path, say: Say) -> Measured:
    """Start everything in `directory`, measure, end everything."""
    measured = Measured(cell)
    template = directory / "request.txt"
    template.write_text(WORKLOADS[cell.workload].template, newline="")
    with ExitStack() as stack:
        sides = start_backends(backends.start(nginx, directory, cell.answer_bytes, hung=cell.hung), stack)
        line_up = _line_up(measured, sides, directory, stack)
        for number in range(1, pace.rounds + 1):
            saturated = [_saturate(contestant, sides, cell, template, pace) for contestant in line_up]
            seen = {one.name: saturation for one, (saturation, _) in zip(line_up, saturated, strict=True)}
            measured.rates_rps = measured.rates_rps or rates(cell, seen)
            for contestant, (saturation, saturated_cost) in zip(line_up, saturated, strict=True):
                schedule = pace.schedule(measured.rates_rps[contestant.name])
                turn = Turn(saturation, saturated_cost, *_pace(contestant, sides, cell, schedule))
                measured.turns.setdefault(contestant.name, []).append(turn)
                say(f"{cell.name} {number}/{pace.rounds}  {describe(contestant.name, turn)}")
    return measured


def rates(cell: Cell, saturated: Mapping[str, Saturation]) -> dict[str, float]:
    """Return for each contestant the requests per second it is to be paced at, a tenth of the cell's at least."""
    common, least = cell.rate_rps, cell.rate_rps / 10
    return {
        name: max(min(common, saturation.throughput_rps / 2), least) if name in IN_PYTHON else common
        for name, saturation in saturated.items()
    }


def done(spent: Cost, share: float) -> float:
    """Return how much of what was to be copied and compared was, from 0 to 1."""
    shares = [part for part in (spent.copies, spent.coverage) if part is not None]
    return min([1.0, *(part / share for part in shares)]) if share else 1.0


def describe(name: str, turn: Turn) -> str:
    """Return a turn as one line of progress."""
    spent, latency = turn.paced_cost, turn.paced.latency
    cpu = "" if spent.cpu_us is None else f"  cpu {spent.cpu_us:8.1f} us"
    copies = "" if spent.copies is None else f"  copies {spent.copies:.1%}"
    coverage = "" if spent.coverage is None else f"  compared {spent.coverage:.1%}"
    return (
        f"{name:<15}{turn.saturation.throughput_rps:9,.0f} req/s"
        f"  p50 {latency.p50_us:7,.0f} us  p99 {latency.p99_us:9,.0f} us{cpu}{copies}{coverage}"
    )


def _line_up(measured: Measured, sides: Backends, directory: Path, stack: ExitStack) -> list[Contestant]:
    present = []
    for name in CONTESTANTS:
        contestant = start_contestant(name, sides, directory, stack, measured.cell.setting)
        if isinstance(contestant, str):
            measured.missing[name] = contestant
        else:
            present.append(contestant)
    return present


def _saturate(
    contestant: Contestant, sides: Backends, cell: Cell, template: Path, pace: Pace
) -> tuple[Saturation, Cost]:
    def load() -> Saturation:
        return wrk.saturate(contestant.port, template, pace.saturation_s, cell.connections)

    return cost.measure(contestant, sides, load, _settle_s(cell))


def _pace(contestant: Contestant, sides: Backends, cell: Cell, schedule: Sequence[float]) -> tuple[OpenLoop, Cost]:
    def load() -> OpenLoop:
        return openloop.play(contestant.port, WORKLOADS[cell.workload], schedule, cell.connections, PATIENCE_S)

    return cost.measure(contestant, sides, load, _settle_s(cell))


def _settle_s(cell: Cell) -> float:
    """A hung candidate's copies end when their sender gives up, which is not waited for."""
    return _HUNG_SETTLE_S if cell.hung else cost.SETTLE_S
