from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.gathered import GATHERED, Gathered
from proxy.core.sketch import MAX_BUCKETS, Sketch

positive = st.floats(1e-9, 1e9, exclude_min=True)
values = st.lists(positive | st.just(0.0), min_size=1, max_size=200)
shares = st.floats(0.0, 1.0)


def sketch_of(numbers: list[float]) -> Sketch:
    sketch = Sketch()
    for number in numbers:
        sketch.add(number)
    return sketch


@given(values, shares)
def test_quantiles_are_within_one_percent_of_the_value_at_that_rank(numbers: list[float], share: float) -> None:
    exact = sorted(numbers)[int(share * (len(numbers) - 1))]
    found = sketch_of(numbers).quantile(share)
    assert found == pytest.approx(exact, rel=0.01 + 1e-9, abs=1e-9)


@given(values, values)
def test_the_merge_of_parts_is_the_sketch_of_the_whole(left: list[float], right: list[float]) -> None:
    merged = sketch_of(left)
    merged.merge(sketch_of(right))
    whole = sketch_of(left + right)
    assert merged.buckets == whole.buckets
    assert (merged.zero, merged.count, merged.low, merged.high) == (whole.zero, whole.count, whole.low, whole.high)
    assert merged.sum == pytest.approx(whole.sum)


@given(st.lists(st.floats(), max_size=50))
def test_many_at_once_count_like_one_by_one(numbers: list[float]) -> None:
    sketch = Sketch()
    sketch.add_all(numbers)
    single = sketch_of(numbers)
    assert sketch.sum == pytest.approx(single.sum)
    assert (sketch.buckets, sketch.zero, sketch.count, sketch.low, sketch.high, sketch.refused) == (
        single.buckets,
        single.zero,
        single.count,
        single.low,
        single.high,
        single.refused,
    )


@given(st.lists(st.tuples(positive | st.just(0.0), st.integers(0, GATHERED + 1)), max_size=4))
def test_gathering_loses_no_value_and_holds_few(runs: list[tuple[float, int]]) -> None:
    singly, at_once, whole = Gathered(), Gathered(), Sketch()
    for value, times in runs:
        for _ in range(times):
            singly.add(value)
        at_once.add_all([value] * times)
        whole.add_all([value] * times)
        assert len(singly._values) < GATHERED
        assert len(at_once._values) < GATHERED
    for found in (singly.sketch(), at_once.sketch(), at_once.sketch()):
        assert (found.buckets, found.zero, found.count) == (whole.buckets, whole.zero, whole.count)


@given(values)
def test_counts_below_edges_never_fall_and_end_at_the_count(numbers: list[float]) -> None:
    below = sketch_of(numbers).below((1e-6, 1e-3, 1.0, 1e3, 1e10))
    assert below == sorted(below)
    assert below[-1] == len(numbers)


@given(values, st.floats(1e-6, 1e6))
def test_counts_below_an_edge_are_off_by_values_within_a_bucket_of_it_only(numbers: list[float], edge: float) -> None:
    (below,) = sketch_of(numbers).below((edge,))
    assert sum(n <= edge / 1.03 for n in numbers) <= below <= sum(n <= edge * 1.03 for n in numbers)


@pytest.mark.parametrize("refused", [-1.0, -inf, nan])
def test_negative_values_and_nan_are_counted_apart(refused: float) -> None:
    sketch = sketch_of([refused, 1.0])
    assert (sketch.refused, sketch.count, sketch.sum) == (1, 1, 1.0)


def test_infinity_is_counted_and_the_sum_stays_finite() -> None:
    sketch = sketch_of([inf] * 1000)
    assert sketch.count == 1000
    assert sketch.sum < inf
    assert sketch.quantile(0.5) == sketch.high


def test_an_empty_sketch_has_no_quantile() -> None:
    assert Sketch().quantile(0.5) is None
    assert Sketch().below((1.0,)) == [0]


def test_zeros_are_zeros() -> None:
    sketch = sketch_of([0.0, 0.0, 5.0])
    assert sketch.quantile(0.0) == 0.0
    assert sketch.below((1e-12, 10.0)) == [2, 3]


def test_buckets_are_bounded_and_the_tail_stays_exact() -> None:
    numbers = [1.03**power for power in range(-600, 3000)]
    sketch = sketch_of(numbers)
    assert len(sketch.buckets) <= MAX_BUCKETS
    assert sketch.count == len(numbers)
    assert sketch.quantile(0.99) == pytest.approx(sorted(numbers)[int(0.99 * (len(numbers) - 1))], rel=0.011)
