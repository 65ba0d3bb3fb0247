"""From turns to a table: medians per contestant, ratios within each round, limits held or not.

A ratio is formed inside a round, between turns a few seconds apart, and the median is taken over the rounds:
so a slow minute of the machine touches both sides of it. A limit holds when the median over the rounds of
`ours - limit * theirs` is on the right side of zero, which also works where `theirs` is zero or negative.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from statistics import median

from bench.load.contestants import DIRECT, ENVOY, NGINX, NGINX_PLAIN, RELAY, SHADOW_PROXY
from bench.load.cost import Cost
from bench.load.procfs import Process
from bench.load.run import Results, Turn

TRUSTED_SHARE = 0.99
WORKER_LIMIT_MB = 60.0
PEERS = (NGINX, NGINX_PLAIN, ENVOY, RELAY)

Pick = Callable[[Turn, Turn | None], float | None]


@dataclass(frozen=True, slots=True)
class Metric:
    """A row to be: how to read it from a turn (and the direct turn of its round), and what must hold."""

    label: str
    unit: str
    decimals: int
    pick: Pick
    limits: dict[str, float] = field(default_factory=dict)
    more_is_better: bool = False
    basis: Callable[[Turn], Cost] | None = None
    has_ratio: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """A finished row; `held` by peer or `limit`, `invalid` names whose figure not to trust."""

    label: str
    unit: str
    decimals: int
    values: dict[str, float]
    ratios: dict[str, float]
    limits: dict[str, float]
    held: dict[str, bool]
    invalid: tuple[str, ...] = ()


def _added(quantile: str) -> Pick:
    def pick(turn: Turn, direct: Turn | None) -> float | None:
        if direct is None or direct is turn:
            return None
        return float(getattr(turn.paced.latency, quantile) - getattr(direct.paced.latency, quantile))

    return pick


def _waited(quantile: str) -> Pick:
    return lambda turn, _: float(getattr(turn.paced.latency, quantile))


METRICS = (
    Metric(
        "CPU per request, closed loop", "us", 1, lambda turn, _: turn.closed_cost.cpu_us,
        {NGINX: 0.7, NGINX_PLAIN: 0.7, ENVOY: 1.0}, basis=lambda turn: turn.closed_cost,
    ),
    Metric("  copies sent", "%", 2, lambda turn, _: _percent(turn.closed_cost.copies), has_ratio=False),
    Metric("  compared (coverage)", "%", 2, lambda turn, _: _percent(turn.closed_cost.coverage), has_ratio=False),
    Metric(
        "CPU per request, paced", "us", 1, lambda turn, _: turn.paced_cost.cpu_us,
        {NGINX: 0.7, NGINX_PLAIN: 0.7, ENVOY: 1.0}, basis=lambda turn: turn.paced_cost,
    ),
    Metric("  copies sent", "%", 2, lambda turn, _: _percent(turn.paced_cost.copies), has_ratio=False),
    Metric("  compared (coverage)", "%", 2, lambda turn, _: _percent(turn.paced_cost.coverage), has_ratio=False),
    Metric(
        "throughput, saturated", "req/s", 0, lambda turn, _: turn.saturation.throughput_rps,
        {ENVOY: 1.0}, more_is_better=True,
    ),
    Metric("  copies sent", "%", 2, lambda turn, _: _percent(turn.saturation_cost.copies), has_ratio=False),
    Metric("  compared (coverage)", "%", 2, lambda turn, _: _percent(turn.saturation_cost.coverage), has_ratio=False),
    Metric("latency p50, paced", "us", 0, _waited("p50_us")),
    Metric("latency p90", "us", 0, _waited("p90_us")),
    Metric("latency p99", "us", 0, _waited("p99_us")),
    Metric("latency p99.9", "us", 0, _waited("p999_us")),
    Metric("latency max", "us", 0, _waited("max_us")),
    Metric("added p50 over direct", "us", 0, _added("p50_us"), {NGINX: 1.0, NGINX_PLAIN: 1.0}),
    Metric("added p99 over direct", "us", 0, _added("p99_us"), {NGINX: 1.0, NGINX_PLAIN: 1.0}),
    Metric("client's lag p99", "us", 0, lambda turn, _: turn.paced.lag_p99_us, has_ratio=False),
    Metric("errors", "", 0, lambda turn, _: _errors(turn), has_ratio=False),
)  # fmt: skip


def rows(results: Results) -> list[Row]:
    """Reduce every metric over the rounds, then add the memory."""
    return [_row(metric, results.turns) for metric in METRICS] + memory_rows(results)


def memory_rows(results: Results) -> list[Row]:
    """Compare the memory of whole contestants, and hold the idle worker to its absolute limit."""
    idle = results.idle.get(SHADOW_PROXY, ())
    workers = [process.rss_bytes / 1e6 for process in idle if process.name == "worker"]
    largest = {SHADOW_PROXY: max(workers)} if workers else {}
    held = {"limit": max(workers) <= WORKER_LIMIT_MB} if workers else {}
    return [
        _memory_row("memory idle, sum of RSS", results.idle, lambda process: process.rss_bytes),
        _memory_row("memory idle, PSS", results.idle, lambda process: process.pss_bytes or 0),
        _memory_row("memory after load, PSS", results.loaded, lambda process: process.pss_bytes or 0),
        Row("idle worker, RSS", "MB", 1, largest, {}, {"limit": WORKER_LIMIT_MB}, held),
    ]


def notes(results: Results) -> list[str]:
    """Say where our CPU went and how the comparisons ended, in the closed loops of all rounds together."""
    costs = [turn.closed_cost for turn in results.turns.get(SHADOW_PROXY, ())]
    if not costs:
        return []
    names = sorted({name for cost in costs for name in cost.cpu_us_by_process})
    split = (f"{name} {median(cost.cpu_us_by_process.get(name, 0.0) for cost in costs):.1f}" for name in names)
    verdicts: Counter[str] = Counter()
    drops: Counter[str] = Counter()
    for cost in costs:
        verdicts.update(cost.verdicts)
        drops.update(cost.drops)
    return [
        f"{SHADOW_PROXY}, closed loop: CPU us per request: {', '.join(split)}",
        f"{SHADOW_PROXY}, closed loop: verdicts {dict(verdicts)}, drops {dict(drops)}",
    ]


def within_rounds(ours: Sequence[float | None], theirs: Sequence[float | None]) -> list[tuple[float, float]]:
    """Pair the rounds in which both sides have a figure."""
    return [(our, their) for our, their in zip(ours, theirs, strict=False) if our is not None and their is not None]


def ratio(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return the median ratio, or None when a peer's figure is not above zero."""
    if not pairs or any(their <= 0 for _, their in pairs):
        return None
    return median(our / their for our, their in pairs)


def holds(pairs: Sequence[tuple[float, float]], limit: float, *, more_is_better: bool) -> bool:
    """Tell whether our figures stay within `limit` times theirs in the median round (at least one)."""
    margin = median(our - limit * their for our, their in pairs)
    return margin >= 0 if more_is_better else margin <= 0


def trusted(costs: Sequence[Cost]) -> bool:
    """Tell whether nearly every request was copied and, by a contestant that compares, compared."""
    if any(cost.restarted for cost in costs):
        return False
    shares = [[share for share in (cost.copies, cost.coverage) if share is not None] for cost in costs]
    return median(min(known, default=1.0) for known in shares) >= TRUSTED_SHARE


def _row(metric: Metric, turns: dict[str, list[Turn]]) -> Row:
    figures = {name: _figures(metric, name, turns) for name in turns}
    known = {name: [figure for figure in series if figure is not None] for name, series in figures.items()}
    paired = {peer: within_rounds(figures.get(SHADOW_PROXY, ()), figures.get(peer, ())) for peer in PEERS}
    paired = {peer: pairs for peer, pairs in paired.items() if pairs}
    return Row(
        label=metric.label,
        unit=metric.unit,
        decimals=metric.decimals,
        values={name: median(series) for name, series in known.items() if series},
        ratios={
            peer: value for peer, pairs in paired.items() if metric.has_ratio and (value := ratio(pairs)) is not None
        },
        limits=metric.limits,
        held={
            peer: holds(paired[peer], limit, more_is_better=metric.more_is_better)
            for peer, limit in metric.limits.items()
            if peer in paired
        },
        invalid=tuple(
            name
            for name, series in turns.items()
            if metric.basis and not trusted([metric.basis(turn) for turn in series])
        ),
    )


def _figures(metric: Metric, name: str, turns: dict[str, list[Turn]]) -> list[float | None]:
    direct: Sequence[Turn] = turns.get(DIRECT, ())
    return [metric.pick(turn, beside) for turn, beside in zip_longest(turns[name], direct) if turn]


def _memory_row(label: str, seen: dict[str, list[Process]], size: Callable[[Process], int]) -> Row:
    values = {name: sum(map(size, processes)) / 1e6 for name, processes in seen.items()}
    ours = values.get(SHADOW_PROXY)
    ratios = {peer: ours / values[peer] for peer in PEERS if ours is not None and values.get(peer)}
    return Row(label, "MB", 1, values, ratios, {}, {})


def _errors(turn: Turn) -> float:
    return float(turn.saturation.errors + turn.closed.errors + turn.paced.errors)


def _percent(share: float | None) -> float | None:
    return None if share is None else share * 100
