from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.faults.evidence import (
    BREAKER_OPENS,
    CLOSED_IN_TIME,
    IDENTITIES,
    IN_FLIGHT,
    JUDGE_SMALL,
    OPENS_IN_TIME,
    Check,
    Evidence,
    drops,
    lag_buckets,
    lag_ms,
    meddled,
    only_failures,
    only_verdicts,
    rise,
    sums,
)
from bench.faults.rule import MIB, Outcome
from tests.kit.metrics import parse

SEEN = Evidence(
    turns=4,
    seconds=10.0,
    verdicts={"candidate_error": 20},
    drops={"in_flight_full": 5, "breaker_open": 7},
    failures={"timeout": 20},
    in_flight=200,
    judge_growth_bytes=32 * MIB,
    meddled=1,
)
EMPTY = Evidence(turns=1, seconds=1.0)


@pytest.mark.parametrize(
    ("check", "seen", "expected"),
    [
        (IDENTITIES, SEEN, "yes"),
        (IDENTITIES, replace(SEEN, unbalanced=1), "NO"),
        (IN_FLIGHT, SEEN, "yes"),
        (IN_FLIGHT, replace(SEEN, in_flight=201), "NO"),
        (BREAKER_OPENS, SEEN, "yes"),
        (BREAKER_OPENS, replace(EMPTY, breaker_opened=True), "yes"),
        (BREAKER_OPENS, EMPTY, "NO"),
        (OPENS_IN_TIME, replace(SEEN, failures={"connect": 4 * (20 + 32) + 10}), "yes"),
        (OPENS_IN_TIME, replace(SEEN, failures={"connect": 4 * (20 + 32) + 11}), "NO"),
        (JUDGE_SMALL, SEEN, "yes"),
        (JUDGE_SMALL, replace(SEEN, judge_growth_bytes=32 * MIB + 1), "NO"),
        (JUDGE_SMALL, EMPTY, "open"),
        (CLOSED_IN_TIME, SEEN, "yes"),
        (CLOSED_IN_TIME, replace(SEEN, late_closings=1), "NO"),
        (only_verdicts("match", "candidate_error"), SEEN, "yes"),
        (only_verdicts("match"), SEEN, "NO"),
        (only_verdicts("match"), EMPTY, "NO"),
        (only_failures("timeout"), SEEN, "yes"),
        (only_failures("tls"), SEEN, "NO"),
        (only_failures("timeout"), EMPTY, "NO"),
        (drops("in_flight_full"), SEEN, "yes"),
        (drops("shed"), SEEN, "NO"),
        (meddled("it happened"), SEEN, "yes"),
        (meddled("it happened"), EMPTY, "NO"),
    ],
)
def test_a_check_holds_up_to_its_limit(check: Check, seen: Evidence, expected: str) -> None:
    assert check.outcome(seen) == Outcome(expected)


LAG = """\
# TYPE shadow_event_loop_lag_seconds histogram
shadow_event_loop_lag_seconds_bucket{le="0.001",process="worker-0"} 90
shadow_event_loop_lag_seconds_bucket{le="0.005",process="worker-0"} 99
shadow_event_loop_lag_seconds_bucket{le="0.05",process="worker-0"} 100
shadow_event_loop_lag_seconds_bucket{le="+Inf",process="worker-0"} 100
shadow_event_loop_lag_seconds_bucket{le="0.001",process="judge-0"} 7
"""


def test_lag_is_read_of_workers_only_and_as_edges() -> None:
    buckets = lag_buckets(parse(LAG))
    assert buckets == {0.001: 90, 0.005: 99, 0.05: 100, float("inf"): 100}
    assert lag_ms([buckets]) == (5.0, 50.0)


def test_lag_of_turns_is_pooled() -> None:
    late = Counter({0.005: 0, 0.05: 1})
    calm = Counter({0.001: 50, 0.005: 50, 0.05: 50})
    assert lag_ms([calm, calm]) == (1.0, 1.0)
    assert lag_ms([calm, late]) == (50.0, 50.0)
    assert lag_ms([]) == (None, None)


COUNTS = """\
# TYPE shadow_backend_failures counter
shadow_backend_failures_total{service="ranker",side="candidate",role="mirror",kind="timeout"} %d
shadow_backend_failures_total{service="other",side="candidate",role="mirror",kind="timeout"} 1
shadow_backend_failures_total{service="ranker",side="candidate",role="mirror",kind="tls"} 0
shadow_backend_failures_total{service="ranker",side="primary",role="serve",kind="reset"} 9
"""
FAILURES = "shadow_backend_failures_total"


def test_counts_are_summed_by_one_label_without_zeros() -> None:
    assert sums(parse(COUNTS % 4), FAILURES, "kind") == {"timeout": 5, "reset": 9}
    assert sums(parse(COUNTS % 4), FAILURES, "kind", role="mirror") == {"timeout": 5}


@given(st.integers(0, 1_000), st.integers(0, 1_000))
def test_a_rise_is_what_came_meanwhile(before: int, more: int) -> None:
    found = rise(parse(COUNTS % before), parse(COUNTS % (before + more)), FAILURES, "kind", role="mirror")
    assert found == ({"timeout": more} if more else {})


def test_an_unknown_counter_is_an_error_of_ours() -> None:
    with pytest.raises(KeyError):
        sums(parse(LAG), FAILURES, "kind")
