from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.reasons import Suspension
from proxy.core.shedding import Shedding

MOST = 0.05
LAGS = st.one_of(st.floats(0, 0.3), st.sampled_from([0.0, 0.019, 0.02, 0.05, 0.051]))
PAUSES = st.one_of(st.floats(0.001, 1.5), st.sampled_from([0.05, 1.0]))
SHARES = st.one_of(st.floats(0, 1.2), st.sampled_from([0.0, 0.7499, 0.75, 0.8, 0.8999, 0.9, 0.95]))


def is_late(shedding: Shedding) -> bool:
    return Suspension.LAG in shedding.causes


def is_full(shedding: Shedding) -> bool:
    return Suspension.MEMORY in shedding.causes


def test_nothing_is_shed_before_anything_was_measured() -> None:
    shedding = Shedding()
    assert not shedding.is_on
    assert not shedding.is_overloaded
    assert not shedding.causes


# --- lag


@given(st.lists(st.tuples(PAUSES, LAGS), max_size=40), st.sampled_from([0.005, 0.02, MOST, 1.0]))
def test_lag_holds_from_a_late_reading_until_a_second_without_a_middling_one(
    readings: list[tuple[float, float]], most: float
) -> None:
    shedding = Shedding()
    times = list(accumulate((pause for pause, _ in readings), initial=100.0))[1:]
    late_at = None  # the newest reading that was too late, if mirroring has not been resumed since
    not_calm_at = 0.0
    for now, (_, lag) in zip(times, readings, strict=True):
        shedding.lagged(now, lag, most)
        if lag > most:
            late_at = now
        if lag >= min(0.02, most):
            not_calm_at = now
        elif now - not_calm_at >= 1.0:
            late_at = None
        assert is_late(shedding) is (late_at is not None)
        assert shedding.is_on is is_late(shedding)


def test_after_a_stall_a_second_of_calm_is_enough() -> None:
    shedding = Shedding()
    shedding.lagged(10.0, 0.2, MOST)
    for step in range(1, 20):
        shedding.lagged(10.0 + step * 0.05, 0.0, MOST)
        assert is_late(shedding)
    shedding.lagged(11.0, 0.0, MOST)
    assert not is_late(shedding)


def test_a_lag_that_is_allowed_sheds_nothing() -> None:
    shedding = Shedding()
    shedding.lagged(10.0, MOST, MOST)
    assert not shedding.is_on


# --- memory


@pytest.mark.parametrize(
    ("shares", "full", "overloaded"),
    [
        ([0.79], False, False),
        ([0.8], True, False),
        ([0.8, 0.75], True, False),
        ([0.8, 0.749], False, False),
        ([0.949], True, False),
        ([0.95], True, True),
        ([0.95, 0.9], True, True),
        ([0.95, 0.899], True, False),
        ([0.95, 0.899, 0.94], True, False),
        ([1.0, 0.0], False, False),
    ],
    ids=str,
)
def test_memory_has_two_thresholds_and_each_ends_lower_than_it_begins(
    shares: list[float],
    full: bool,  # noqa: FBT001  a column of the table
    overloaded: bool,  # noqa: FBT001  a column of the table
) -> None:
    shedding = Shedding()
    for share in shares:
        shedding.filled(share, share)
    assert (is_full(shedding), shedding.is_overloaded) == (full, overloaded)


@given(st.lists(SHARES, max_size=40))
def test_whoever_is_overloaded_mirrors_nothing(shares: list[float]) -> None:
    shedding = Shedding()
    for share in shares:
        shedding.filled(share, share)
        assert is_full(shedding) or not shedding.is_overloaded


@given(st.lists(SHARES, max_size=20), SHARES, st.floats(0, 0.049))
def test_a_share_that_trembles_changes_each_decision_once_at_most(before: list[float], share: float, by: float) -> None:
    shedding = Shedding()
    for earlier in before:
        shedding.filled(earlier, earlier)
    seen = []
    for trembling in (share, share - by) * 5:
        shedding.filled(trembling, trembling)
        seen.append((is_full(shedding), shedding.is_overloaded))
    for decisions in zip(*seen, strict=True):
        assert sum(one is not next_one for one, next_one in pairwise(decisions)) <= 1


def test_a_limit_that_fewer_clients_do_not_relieve_costs_copies_only() -> None:
    shedding = Shedding()
    shedding.filled(1.0, 0.94)
    assert (is_full(shedding), shedding.is_overloaded) == (True, False)
    shedding.filled(1.0, 0.95)
    assert shedding.is_overloaded
    shedding.filled(1.0, 0.89)
    assert (is_full(shedding), shedding.is_overloaded) == (True, False)


# --- descriptors, and what others say


def test_descriptors_that_run_short_suspend_until_there_were_others_for_a_second() -> None:
    shedding = Shedding()
    shedding.ran_short(10.0)
    shedding.has_files(10.9)
    assert shedding.causes == {Suspension.FILES}
    shedding.ran_short(10.9)
    shedding.has_files(11.5)
    assert shedding.is_on
    shedding.has_files(11.9)
    assert not shedding.is_on


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(Suspension)), max_size=30))
def test_no_copy_is_started_while_any_cause_holds(said: list[tuple[bool, Suspension]]) -> None:
    shedding = Shedding()
    holding = set()
    for holds, cause in said:
        if holds:
            shedding.suspend(cause)
            holding.add(cause)
        else:
            shedding.resume(cause)
            holding.discard(cause)
        assert shedding.causes == holding
        assert shedding.is_on is bool(holding)
