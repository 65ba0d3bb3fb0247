"""When to send, and what the waiting times say: pure functions over seconds."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Latency:
    """Quantiles in microseconds, from the scheduled time to the last byte of the answer."""

    p50_us: float
    p90_us: float
    p99_us: float
    p999_us: float
    max_us: float


def poisson_schedule(rate_rps: float, count: int, seed: int = 1) -> list[float]:
    """Return `count` rising send times in seconds: independent arrivals, the same ones for the same seed."""
    draws = random.Random(seed)
    return list(accumulate(draws.expovariate(rate_rps) for _ in range(count)))


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the sorted values do not exceed (nearest rank)."""
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def summarise(waits_s: Sequence[float]) -> Latency:
    """Reduce waiting times in seconds (at least one) to their quantiles."""
    ordered = sorted(wait * 1e6 for wait in waits_s)
    return Latency(*(quantile(ordered, share) for share in (0.5, 0.9, 0.99, 0.999, 1.0)))
