"""The rounds: every contestant saturated, then in a closed loop, then paced, in turn, and again."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.load import backends, contestants, cost, openloop, procfs, wrk
from bench.load.backends import Backends
from bench.load.contestants import DIRECT, RECIPES, WHOLE, Contestant, Setting
from bench.load.cost import Cost
from bench.load.latency import poisson_schedule
from bench.load.openloop import OpenLoop
from bench.load.workload import Workload
from bench.load.wrk import Saturation

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, and for how long; `rate_rps` None means half of the slowest proxy's saturation."""

    names: tuple[str, ...]
    workload: Workload
    rounds: int
    saturation_s: int
    requests: int
    rate_rps: float | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One contestant's share of one round: three loads, and what each cost it."""

    saturation: Saturation
    saturation_cost: Cost
    closed: OpenLoop
    closed_cost: Cost
    paced: OpenLoop
    paced_cost: Cost


@dataclass(slots=True)
class Results:
    """Everything measured: turns by contestant in the order of the rounds, processes idle and after the load."""

    rate_rps: float = 0.0
    absent: dict[str, str] = field(default_factory=dict)
    turns: dict[str, list[Turn]] = field(default_factory=dict)
    idle: dict[str, list[procfs.Process]] = field(default_factory=dict)
    loaded: dict[str, list[procfs.Process]] = field(default_factory=dict)


def run(plan: Plan, nginx: str, directory: Path, say: Say) -> Results:
    """Start everything in `directory`, measure, end everything."""
    results = Results()
    template = directory / "request.txt"
    template.write_text(plan.workload.template, newline="")
    with ExitStack() as stack:
        sides = start_backends(backends.start(nginx, directory), stack)
        line_up = list(_line_up(plan, sides, directory, stack, results))
        results.idle = _processes(line_up)
        results.rate_rps = plan.rate_rps or _half_of_slowest(line_up, template, plan, say)
        schedule = poisson_schedule(results.rate_rps, plan.requests)
        for number in range(1, plan.rounds + 1):
            for contestant in line_up:
                turn = _turn(contestant, sides, plan, template, schedule)
                results.turns.setdefault(contestant.name, []).append(turn)
                say(f"round {number}/{plan.rounds}  {describe(contestant.name, turn)}")
        results.loaded = _processes(line_up)
    return results


def describe(name: str, turn: Turn) -> str:
    """Return a turn as one line of progress."""
    spent = turn.closed_cost
    cpu = "" if spent.cpu_us is None else f"  cpu {spent.cpu_us:6.1f} us"
    coverage = "" if spent.coverage is None else f"  coverage {spent.coverage:.1%}"
    latency = turn.paced.latency
    return (
        f"{name:<13}{turn.saturation.throughput_rps:9,.0f} req/s"
        f"  p50 {latency.p50_us:6.0f} us  p99 {latency.p99_us:7.0f} us{cpu}{coverage}"
    )


def start_backends(sides: Backends, stack: ExitStack) -> Backends:
    """Wait until every backend answers, and leave its end to the stack."""
    for side in sides.all():
        stack.enter_context(side.child)
    for side in sides.all():
        side.child.wait_until_answering(side.port, "/received")
    return sides


def start_contestant(
    name: str, sides: Backends, directory: Path, stack: ExitStack, setting: Setting = WHOLE
) -> Contestant | str:
    """Start a contestant and leave its end to the stack, or say why it is absent."""
    if name == DIRECT:
        return Contestant(DIRECT, sides.primary.port)
    recipe = RECIPES[name]
    if refusal := recipe.refusal(setting):
        return refusal
    binary = recipe.executable()
    if binary is None:
        return f"not installed; install {recipe.install}"
    return contestants.start(recipe, binary, sides, directory, stack, setting=setting)


def _line_up(plan: Plan, sides: Backends, directory: Path, stack: ExitStack, results: Results) -> Sequence[Contestant]:
    present = []
    for name in plan.names:
        contestant = start_contestant(name, sides, directory, stack)
        if isinstance(contestant, str):
            results.absent[name] = contestant
            continue
        present.append(contestant)
    return present


def _half_of_slowest(line_up: Sequence[Contestant], template: Path, plan: Plan, say: Say) -> float:
    proxies = [contestant for contestant in line_up if contestant.child] or line_up
    slowest = min(wrk.saturate(proxy.port, template, plan.saturation_s).throughput_rps for proxy in proxies)
    say(f"calibration  slowest saturation {slowest:,.0f} req/s, so the paced load is {slowest / 2:,.0f} req/s")
    return slowest / 2


def _turn(contestant: Contestant, sides: Backends, plan: Plan, template: Path, schedule: Sequence[float]) -> Turn:
    def play(due: Sequence[float]) -> tuple[OpenLoop, Cost]:
        return cost.measure(contestant, sides, lambda: openloop.play(contestant.port, plan.workload, due))

    saturation, saturation_cost = cost.measure(
        contestant, sides, lambda: wrk.saturate(contestant.port, template, plan.saturation_s)
    )
    closed, closed_cost = play([0.0] * plan.requests)
    paced, paced_cost = play(schedule)
    return Turn(saturation, saturation_cost, closed, closed_cost, paced, paced_cost)


def _processes(line_up: Sequence[Contestant]) -> dict[str, list[procfs.Process]]:
    return {contestant.name: procfs.observe(contestant.child.pid) for contestant in line_up if contestant.child}
