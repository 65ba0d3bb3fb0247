"""The rule every row is held to: a faulty candidate may change nothing for a client.

`findings(off, twin, on, allowance)` holds the side with mirroring on against the one without, B: same process,
build, load and primary, in turns that alternate. The twin is mirroring off a second time. Where the same bound
does not hold between the two equal sides either, the machine was too noisy to tell, and a failure says so. Without a
twin nothing that depends on the machine's pace is judged at all.

A quantile needs ten samples beyond it, or it is left open. Where every turn has them it is the median of the turns', so
that one moment in which the machine did something else counts once; else it is that of all turns together.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from bench.load.latency import quantile

MIB = 1024 * 1024
SPARE_BYTES = 32 * MIB
_BEYOND = 10


class Outcome(StrEnum):
    """Whether something holds: as shown in the table and written to the JSON."""

    YES = "yes"
    NO = "NO"
    NOISE = "noise"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Side:
    """What one side showed in all its turns; None is what was not measured, or too seldom.

    `changed` counts the answers whose bytes are not those that mirroring off gave to the same request. Memory is the
    highest of the turns with mirroring on and the lowest of those without, as what was used once is kept.
    `client_lag_us` is how late the client sent, p99 of its worst turn: where it is high the machine was too busy.
    """

    requests: int
    errors: int
    changed: int
    p50_us: float | None
    p99_us: float | None
    p999_us: float | None
    worker_rss_bytes: int | None = None
    judge_rss_bytes: int | None = None
    open_files: int | None = None
    lag_p99_ms: float | None = None
    lag_max_ms: float | None = None
    client_lag_us: float | None = None


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the configuration lets mirroring use: bytes held, connections to the mirror target.

    `clients` connections may each have one to the primary that is open on one side and not yet on the other.
    """

    budget_bytes: int
    connections: int
    clients: int


@dataclass(frozen=True, slots=True)
class Bound:
    """One line of the rule: what is read from a side, and the most it may be, given B.

    `is_pace` says that it depends on what else the machine does; `needs_base`, that `most` looks at B.
    """

    name: str
    pick: Callable[[Side], float | None]
    most: Callable[[float, Allowance], float]
    is_pace: bool = False
    needs_base: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """One bound held against a row; `most` is None where the bound could not be formed."""

    name: str
    off: float | None
    twin: float | None
    on: float | None
    most: float | None
    outcome: Outcome

    @property
    def noise(self) -> float | None:
        """The larger of the two equal sides, as a multiple of the smaller one: 1 on a quiet machine."""
        if not self.off or not self.twin:
            return None
        return max(self.off, self.twin) / min(self.off, self.twin)


BOUNDS = (
    Bound("errors", lambda side: side.errors, lambda base, _: base),
    Bound("changed answers", lambda side: side.changed, lambda *_: 0.0, needs_base=False),
    Bound("p50, us", lambda side: side.p50_us, lambda base, _: 1.05 * base, is_pace=True),
    Bound("p99, us", lambda side: side.p99_us, lambda base, _: max(1.10 * base, base + 1_000), is_pace=True),
    Bound("p99.9, us", lambda side: side.p999_us, lambda base, _: max(1.25 * base, base + 5_000), is_pace=True),
    Bound("worker RSS, bytes", lambda side: side.worker_rss_bytes, lambda base, has: base + _memory(has)),
    Bound("judge RSS, bytes", lambda side: side.judge_rss_bytes, lambda base, has: base + _memory(has)),
    Bound("open files", lambda side: side.open_files, lambda base, has: base + has.connections + has.clients),
    Bound("loop lag p99, ms", lambda side: side.lag_p99_ms, lambda *_: 5.0, is_pace=True, needs_base=False),
    Bound("loop lag max, ms", lambda side: side.lag_max_ms, lambda *_: 50.0, is_pace=True, needs_base=False),
)


def _memory(allowance: Allowance) -> float:
    return allowance.budget_bytes + SPARE_BYTES


def findings(off: Side, twin: Side | None, on: Side, allowance: Allowance) -> tuple[Finding, ...]:
    """Hold every bound."""
    return tuple(_finding(bound, off, twin, on, allowance) for bound in BOUNDS)


def _finding(bound: Bound, off: Side, twin: Side | None, on: Side, allowance: Allowance) -> Finding:
    most, holds = _held(bound, off, on, allowance)
    if holds is None or (bound.is_pace and twin is None):
        outcome = Outcome.OPEN
    elif holds:
        outcome = Outcome.YES
    else:
        outcome = Outcome.NOISE if twin and _is_noisy(bound, off, twin, allowance) else Outcome.NO
    again = bound.pick(twin) if twin else None
    return Finding(bound.name, bound.pick(off), again, bound.pick(on), most, outcome)


def _held(bound: Bound, base: Side, other: Side, allowance: Allowance) -> tuple[float | None, bool | None]:
    before, now = bound.pick(base), bound.pick(other)
    if now is None or (before is None and bound.needs_base):
        return None, None
    most = bound.most(before or 0.0, allowance)
    return most, now <= most


def _is_noisy(bound: Bound, off: Side, twin: Side, allowance: Allowance) -> bool:
    """Whether two equal sides break the bound, whichever is taken for B."""
    return any(_held(bound, base, other, allowance)[1] is False for base, other in ((off, twin), (twin, off)))


def verdict(outcomes: Iterable[Outcome]) -> Outcome:
    """Reduce the findings of a row: one NO is a NO, then noise; what was left open does not count."""
    found = set(outcomes)
    for worst in (Outcome.NO, Outcome.NOISE):
        if worst in found:
            return worst
    return Outcome.YES if Outcome.YES in found else Outcome.OPEN


def typical_us(turns_s: Sequence[Sequence[float]], share: float) -> float | None:
    """Return a quantile of the rising waits of some turns, in microseconds; None where there are too few of them."""
    each = [tail_us(ordered_s, share) for ordered_s in turns_s]
    known = [found for found in each if found is not None]
    if len(known) == len(each):
        return median(known)
    return tail_us(sorted(wait for ordered_s in turns_s for wait in ordered_s), share)


def tail_us(ordered_s: Sequence[float], share: float) -> float | None:
    """Return a quantile of rising waits in seconds, or None where fewer than ten of them lie beyond it."""
    if len(ordered_s) * (1 - share) < _BEYOND - 1e-9:
        return None
    return quantile(ordered_s, share) * 1e6
