from hypothesis import given
from hypothesis import strategies as st

from proxy.supervisor.restart import FIRST_S, LONGEST_S, STEADY_S, Restarts


def test_the_first_restart_is_almost_at_once() -> None:
    restarts = Restarts()
    restarts.started(100.0)
    assert restarts.died(101.0) == 101.0 + FIRST_S
    assert restarts.count == 1


def test_a_process_that_keeps_dying_is_started_ever_later_up_to_a_limit() -> None:
    restarts = Restarts()
    waits = []
    for _ in range(12):
        restarts.started(0.0)
        waits.append(restarts.died(0.0))
    assert waits == sorted(waits)
    assert waits[1] == 2 * waits[0]
    assert waits[-1] == LONGEST_S


def test_a_process_that_ran_steadily_starts_afresh() -> None:
    restarts = Restarts()
    for _ in range(5):
        restarts.started(0.0)
        restarts.died(0.0)
    restarts.started(0.0)
    assert restarts.died(STEADY_S) == STEADY_S + FIRST_S


@given(st.lists(st.floats(0.0, 300.0), max_size=40))
def test_a_restart_is_never_in_the_past_nor_further_than_the_limit(runs: list[float]) -> None:
    restarts = Restarts()
    now = 0.0
    for run in runs:
        restarts.started(now)
        now += run
        due = restarts.died(now)
        assert now + FIRST_S <= due <= now + LONGEST_S
        now = due
    assert restarts.count == len(runs)
