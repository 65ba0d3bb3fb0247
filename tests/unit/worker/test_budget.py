from hypothesis import given
from hypothesis import strategies as st

from proxy.worker.budget import ByteBudget


def test_what_fits_is_taken_and_what_does_not_is_not() -> None:
    budget = ByteBudget(10)
    assert budget.take(6)
    assert not budget.take(5)
    assert budget.used == 6
    assert budget.take(4)
    budget.release(10)
    assert budget.used == 0


@given(st.integers(0, 100), st.lists(st.integers(0, 60)))
def test_it_is_never_over_and_returns_to_nothing(limit: int, sizes: list[int]) -> None:
    budget = ByteBudget(limit)
    held = [size for size in sizes if budget.take(size)]
    assert budget.used == sum(held) <= limit
    for size in held:
        budget.release(size)
    assert budget.used == 0
