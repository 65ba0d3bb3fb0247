"""From a cell's turns to figures: medians per contestant, and ratios formed within each round."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from bench.grid.measure import Measured, Turn, done
from bench.load.contestants import DIRECT, SHADOW_PROXY
from bench.load.cost import Cost
from bench.load.report import TRUSTED_SHARE, ratio, within_rounds


@dataclass(frozen=True, slots=True)
class Figure:
    """How to read a figure from a turn; `basis` is the cost whose completeness it depends on."""

    key: str
    label: str
    unit: str
    pick: Callable[[Turn], float | None]
    basis: Callable[[Turn], Cost] | None = None
    has_ratio: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of all contestants; `ratios` are ours to theirs.

    `partial` names who copied or compared less than 99 % of what was asked, or lost a process: its figure is for less
    work than that of the others.
    """

    key: str
    label: str
    unit: str
    values: dict[str, float]
    ratios: dict[str, float]
    partial: tuple[str, ...]


def _saturated(turn: Turn) -> Cost:
    return turn.saturated_cost


def _paced(turn: Turn) -> Cost:
    return turn.paced_cost


def _percent(share: float | None) -> float | None:
    return None if share is None else share * 100


FIGURES = (
    Figure("cpu_us", "CPU per request, paced", "us", lambda turn: turn.paced_cost.cpu_us, _paced),
    Figure("cpu_saturated_us", "CPU per request, saturated", "us", lambda turn: turn.saturated_cost.cpu_us, _saturated),
    Figure("throughput_rps", "throughput, saturated", "req/s", lambda turn: turn.saturation.throughput_rps, _saturated),
    Figure("p50_us", "latency p50, paced", "us", lambda turn: turn.paced.latency.p50_us),
    Figure("p99_us", "latency p99, paced", "us", lambda turn: turn.paced.latency.p99_us),
    Figure("copies", "copies sent, paced", "%", lambda turn: _percent(turn.paced_cost.copies), has_ratio=False),
    Figure("compared", "with a verdict, paced", "%", lambda turn: _percent(turn.paced_cost.coverage), has_ratio=False),
    Figure(
        "copies_saturated", "copies sent, saturated", "%", lambda turn: _percent(turn.saturated_cost.copies),
        has_ratio=False,
    ),
    Figure(
        "compared_saturated", "with a verdict, saturated", "%", lambda turn: _percent(turn.saturated_cost.coverage),
        has_ratio=False,
    ),
    Figure(
        "unanswered", "given up after 2 s, paced", "%", lambda turn: 100 * turn.paced.unanswered / turn.paced.requests,
        has_ratio=False,
    ),
    Figure("errors", "client errors, both loads", "", lambda turn: turn.saturation.errors + turn.paced.errors,
           has_ratio=False),
    Figure("lag_us", "client's lag p99, paced", "us", lambda turn: turn.paced.lag_p99_us, has_ratio=False),
)  # fmt: skip


def rows(measured: Measured) -> list[Row]:
    """Reduce every figure over the rounds."""
    pace = Row("rate_rps", "rate, paced", "req/s", measured.rates_rps, {}, ())
    return [pace, *(_row(figure, measured) for figure in FIGURES)]


def ends(measured: Measured) -> dict[str, dict[str, int]]:
    """Return how our requests ended in all rounds together, by verdict or reason, paced and saturated."""
    sums: dict[str, Counter[str]] = {}
    for turn in measured.turns.get(SHADOW_PROXY, ()):
        for load, spent in (("paced", turn.paced_cost), ("saturated", turn.saturated_cost)):
            sums.setdefault(f"verdicts, {load}", Counter()).update(spent.verdicts)
            sums.setdefault(f"drops, {load}", Counter()).update(spent.drops)
            sums.setdefault(f"not mirrored, {load}", Counter()).update(spent.not_mirrored)
    return {name: dict(counted) for name, counted in sums.items() if counted}


def _row(figure: Figure, measured: Measured) -> Row:
    series = {name: [figure.pick(turn) for turn in turns] for name, turns in measured.turns.items()}
    known = {name: [value for value in values if value is not None] for name, values in series.items()}
    ours = series.get(SHADOW_PROXY, ())
    ratios = {
        name: value
        for name, values in series.items()
        if figure.has_ratio
        and name not in {DIRECT, SHADOW_PROXY}
        and (value := ratio(within_rounds(ours, values))) is not None
    }
    return Row(
        key=figure.key,
        label=figure.label,
        unit=figure.unit,
        values={name: median(values) for name, values in known.items() if values},
        ratios=ratios,
        partial=tuple(name for name in series if figure.basis and _is_partial(figure.basis, name, measured)),
    )


def _is_partial(basis: Callable[[Turn], Cost], name: str, measured: Measured) -> bool:
    costs = [basis(turn) for turn in measured.turns[name]]
    share = measured.cell.setting.share
    # a peer's sample of 1 % is drawn by lot, and a short run draws few: only all or nothing can be checked
    missed = share == 1.0 and median(done(spent, share) for spent in costs) < TRUSTED_SHARE
    return missed or any(spent.restarted for spent in costs)
