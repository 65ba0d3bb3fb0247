from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.load.latency import poisson_schedule, quantile, summarise

waits = st.lists(st.floats(0, 10), min_size=1)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50), (0.9, 90), (0.99, 99), (0.999, 100), (1.0, 100), (0.001, 1)]
)
def test_quantile_is_the_nearest_rank(share: float, expected: int) -> None:
    assert quantile(range(1, 101), share) == expected


@given(waits, st.floats(0.001, 1))
def test_quantile_covers_at_least_its_share(values: list[float], share: float) -> None:
    ordered = sorted(values)
    found = quantile(ordered, share)
    assert sum(value <= found for value in ordered) >= share * len(ordered) - 1e-9


@given(waits)
def test_summary_rises_from_median_to_maximum(values: list[float]) -> None:
    seen = summarise(values)
    assert seen.p50_us <= seen.p90_us <= seen.p99_us <= seen.p999_us <= seen.max_us == max(values) * 1e6


def test_schedule_is_the_same_for_every_contestant() -> None:
    assert poisson_schedule(1000, 50) == poisson_schedule(1000, 50)
    assert poisson_schedule(1000, 50) != poisson_schedule(1000, 50, seed=2)


@given(st.floats(1, 1e5), st.integers(2, 200))
def test_schedule_only_rises(rate_rps: float, count: int) -> None:
    schedule = poisson_schedule(rate_rps, count)
    assert len(schedule) == count
    assert all(earlier <= later for earlier, later in pairwise(schedule))


def test_schedule_keeps_its_rate() -> None:
    assert poisson_schedule(2000, 20_000)[-1] == pytest.approx(10, rel=0.03)
