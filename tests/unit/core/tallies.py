"""Random tallies, as processes fill them."""

from hypothesis import strategies as st

from proxy.core.families import COMPARISONS, DELTA, DROPPED, MIRROR_IN_FLIGHT, MIRRORS, REQUESTS, Family
from proxy.core.tally import Tally

COUNTERS = (REQUESTS, MIRRORS, DROPPED, COMPARISONS)
_words = st.sampled_from(["a", "b", "other"])


def _labels(family: Family) -> st.SearchStrategy[tuple[str, ...]]:
    return st.tuples(*[_words] * len(family.labels))


_counts = st.sampled_from(COUNTERS).flatmap(
    lambda family: st.tuples(st.just(family), _labels(family), st.integers(0, 1000))
)
_values = st.tuples(_labels(DELTA), st.floats(1e-9, 1e6) | st.just(0.0))
# Whole levels, so that sums do not depend on the order of adding floats.
_levels = st.tuples(_labels(MIRROR_IN_FLIGHT), st.integers(0, 100))


def _tally(
    counts: list[tuple[Family, tuple[str, ...], int]],
    values: list[tuple[tuple[str, ...], float]],
    levels: list[tuple[tuple[str, ...], int]],
) -> Tally:
    tally = Tally()
    for family, labels, by in counts:
        tally.count(family, labels, by)
    for labels, value in values:
        tally.sketch(DELTA, labels).add(value)
    for labels, level in levels:
        tally.gauge(MIRROR_IN_FLIGHT, labels, level)
    return tally


tallies = st.builds(_tally, st.lists(_counts, max_size=8), st.lists(_values, max_size=8), st.lists(_levels, max_size=3))


def added(*parts: Tally) -> Tally:
    """Their sum, made from nothing."""
    total = Tally()
    for part in parts:
        total.add(part)
    return total


def shape(tally: Tally) -> object:
    """What two equal tallies have in common; sums of floats are rounded, their order of adding is not ours."""
    sketches = {
        name: {
            labels: (s.zero, s.count, round(s.sum, 3), s.low, s.high, s.refused, s.buckets)
            for labels, s in table.items()
        }
        for name, table in tally.sketches.items()
    }
    return tally.counts, sketches, tally.gauges
