"""What the proxy counted while mirroring was on, and what a row asks of that beyond the global rule."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bench.faults.rule import SPARE_BYTES, Outcome
from bench.load.openloop import CONNECTIONS
from tests.kit.metrics import Metrics

IN_FLIGHT_CAP = 200
BREAKER_FAILURES = 20
_LAG_BUCKET = "shadow_event_loop_lag_seconds_bucket"

Buckets = Counter[float]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Sums over the turns with mirroring on; `in_flight` is the most seen at once, `meddled` how often we meddled.

    `unbalanced` is by how much both accounting identities miss after everything has settled.
    """

    turns: int
    seconds: float
    verdicts: dict[str, int] = field(default_factory=dict)
    drops: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    in_flight: int = 0
    breaker_opened: bool = False
    unbalanced: float = 0.0
    judge_growth_bytes: int | None = None
    meddled: int = 0
    late_closings: int = 0
    candidate: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """What must hold in this row, in words, and whether it does; None is not to be told."""

    says: str
    holds: Callable[[Evidence], bool | None]

    def outcome(self, evidence: Evidence) -> Outcome:
        """Hold it against what was counted."""
        held = self.holds(evidence)
        return Outcome.OPEN if held is None else Outcome.YES if held else Outcome.NO


def only_verdicts(*verdicts: str) -> Check:
    """Every pair that was compared ended in one of these, and at least one was."""
    return Check(
        f"verdicts: only {' or '.join(verdicts)}",
        lambda seen: bool(seen.verdicts) and set(seen.verdicts) <= set(verdicts),
    )


def only_failures(*kinds: str) -> Check:
    """Whatever failed at the candidate failed this way, and something did."""
    return Check(
        f"failures: only {' or '.join(kinds)}", lambda seen: bool(seen.failures) and set(seen.failures) <= set(kinds)
    )


def drops(reason: str) -> Check:
    """Copies were dropped for this reason."""
    return Check(f"some dropped as {reason}", lambda seen: seen.drops.get(reason, 0) > 0)


def meddled(what: str) -> Check:
    """The row's own disturbance took place."""
    return Check(what, lambda seen: seen.meddled > 0)


IDENTITIES = Check("identities exact", lambda seen: seen.unbalanced == 0)
IN_FLIGHT = Check(f"in flight ≤ {IN_FLIGHT_CAP}", lambda seen: seen.in_flight <= IN_FLIGHT_CAP)
BREAKER_OPENS = Check("breaker opens", lambda seen: seen.breaker_opened or seen.drops.get("breaker_open", 0) > 0)
OPENS_IN_TIME = Check(
    f"≤ {BREAKER_FAILURES} failures and what was under way until the breaker opens, ≤ 1 per s after",
    lambda seen: sum(seen.failures.values()) <= seen.turns * (BREAKER_FAILURES + CONNECTIONS) + seen.seconds,
)
JUDGE_SMALL = Check(
    "judge RSS ≤ base + 32 MiB",
    lambda seen: None if seen.judge_growth_bytes is None else seen.judge_growth_bytes <= SPARE_BYTES,
)
CLOSED_IN_TIME = Check("slow heads closed ≤ 1 s after their limit", lambda seen: seen.late_closings == 0)


def lag_buckets(metrics: Metrics) -> Buckets:
    """Return the workers' late timer wake-ups: how many were at most so many seconds late, cumulated."""
    found: Buckets = Counter()
    for labels, count in metrics.samples.get(_LAG_BUCKET, {}).items():
        named = dict(labels)
        if named["process"].startswith("worker"):
            found[float(named["le"])] += int(count)
    return found


def lag_ms(rises: Iterable[Buckets]) -> tuple[float | None, float | None]:
    """Return p99 and maximum in milliseconds, each the upper edge of its bucket; None without a wake-up."""
    total: Buckets = sum(rises, Counter())
    most = max(total.values(), default=0)
    if not most:
        return None, None
    edges = sorted(total)
    p99 = next(edge for edge in edges if total[edge] >= 0.99 * most)
    highest = next(edge for edge in edges if total[edge] == most)
    return p99 * 1000, highest * 1000


def rise(before: Metrics, after: Metrics, name: str, label: str, **fixed: str) -> dict[str, int]:
    """Return by how much a counter rose, by the values of one label; those that did not rise are left out."""
    return dict(Counter(sums(after, name, label, **fixed)) - Counter(sums(before, name, label, **fixed)))


def sums(metrics: Metrics, name: str, label: str, **fixed: str) -> dict[str, int]:
    """Return a counter's samples that carry the `fixed` labels, summed by the values of one label; zeros left out."""
    found: Counter[str] = Counter()
    for labels, count in metrics.samples[name].items():
        if fixed.items() <= labels:
            found[dict(labels)[label]] += int(count)
    return dict(+found)
