import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.families import (
    ADDED_LATENCY,
    BACKEND_DURATION,
    BACKEND_FAILURES,
    BACKEND_REQUESTS,
    DROPPED,
    LOOP_LAG,
    MIRROR_BYTES,
    MIRROR_BYTES_LIMIT,
    MIRROR_IN_FLIGHT,
    MIRRORS,
    PAIRS_OFFERED,
    PROTECTED_NOMINATIONS,
    REFUSED,
    REQUEST_DURATION,
    REQUESTS,
)
from proxy.core.gathered import Gathered
from proxy.core.reasons import Drop, FailureKind, MirrorResult, Refused
from proxy.core.sketch import Sketch
from proxy.core.tally import Tally
from proxy.worker.stats import LegStats, ServiceStats, WorkerStats, code_class
from tests.unit.worker.services import service_stats


def dumped(stats: ServiceStats) -> Tally:
    tally = Tally()
    stats.dump(tally)
    return tally


@pytest.mark.parametrize(("status", "code"), [(100, "1xx"), (204, "2xx"), (404, "4xx"), (599, "5xx"), (999, "9xx")])
def test_statuses_are_counted_by_their_first_digit(status: int, code: str) -> None:
    assert code_class(status) == code


def test_ended_requests_are_counted_once_as_request_and_once_as_mirror() -> None:
    stats = service_stats()
    score, other = stats.endpoints
    score.ended("v1", "2xx", MirrorResult.MIRRORED, 0.25, warms_up=False)
    score.ended("proxy", "5xx", MirrorResult.MIRRORED, 0.5, warms_up=False)
    other.ended("v1", "2xx", MirrorResult.METHOD, 0.125, warms_up=False)
    tally = dumped(stats)
    assert tally.counts[REQUESTS.name] == {
        ("ranker", "score", "v1", "2xx"): 1,
        ("ranker", "score", "proxy", "5xx"): 1,
        ("ranker", "other", "v1", "2xx"): 1,
    }
    assert tally.by(MIRRORS, "result") == {"method": 1, "mirrored": 2}
    assert tally.total(REQUESTS) == tally.total(MIRRORS)
    assert tally.sketches[REQUEST_DURATION.name]["ranker", "score", "v1"].count == 1


def test_each_leg_is_counted_under_its_backend_and_role() -> None:
    stats = service_stats()
    stats.endpoints[0].served.answered(200, 0.25)
    stats.endpoints[0].mirrored.answered(503, 0.5)
    stats.endpoints[0].mirrored.failed()
    stats.failure("serve", FailureKind.RESET)
    stats.failure("mirror", FailureKind.TIMEOUT)
    tally = dumped(stats)
    assert tally.counts[BACKEND_REQUESTS.name] == {
        ("ranker", "score", "v1", "primary", "serve", "2xx"): 1,
        ("ranker", "score", "v2", "candidate", "mirror", "5xx"): 1,
        ("ranker", "score", "v2", "candidate", "mirror", "error"): 1,
    }
    assert tally.counts[BACKEND_FAILURES.name] == {
        ("ranker", "v1", "primary", "serve", "reset"): 1,
        ("ranker", "v2", "candidate", "mirror", "timeout"): 1,
    }
    assert tally.sketches[BACKEND_DURATION.name]["ranker", "score", "v2", "candidate", "mirror"].count == 1


def test_drops_offers_and_copies_under_way_are_told() -> None:
    stats = service_stats()
    stats.drop(Drop.JUDGE_FULL)
    stats.drop(Drop.JUDGE_FULL)
    stats.offered["judge-0:1"] = 3
    stats.in_flight = 2
    stats.added.add(0.001)
    tally = dumped(stats)
    assert tally.counts[DROPPED.name] == {("ranker", "judge_full"): 2}
    assert tally.counts[PAIRS_OFFERED.name] == {("ranker", "judge-0:1"): 3}
    assert tally.gauges[MIRROR_IN_FLIGHT.name] == {("ranker",): 2}
    assert tally.sketches[ADDED_LATENCY.name]["ranker",].count == 1


def test_dumping_twice_tells_the_same() -> None:
    stats = service_stats()
    stats.endpoints[0].ended("v1", "2xx", MirrorResult.MIRRORED, 0.25, warms_up=False)
    assert dumped(stats).counts == dumped(stats).counts
    assert dumped(stats).sketches[REQUEST_DURATION.name]["ranker", "score", "v1"].count == 1


def test_refusals_lag_and_the_budget_belong_to_the_worker() -> None:
    stats = WorkerStats("worker-0")
    stats.refuse(Refused.HOST)
    stats.lag.add(0.5)
    tally = Tally()
    stats.dump(tally, 5, 64)
    assert tally.counts[REFUSED.name] == {("host",): 1}
    assert tally.sketches[LOOP_LAG.name]["worker-0",].count == 1
    assert (tally.gauges[MIRROR_BYTES.name], tally.gauges[MIRROR_BYTES_LIMIT.name]) == ({(): 5}, {(): 64})


@given(st.lists(st.floats(0.0, 1e3), max_size=30), st.integers(0, 5))
def test_gathering_loses_no_value(values: list[float], repeated: int) -> None:
    gathered, wanted = Gathered(), Sketch()
    for _ in range(repeated * 50):
        for value in values:
            gathered.add(value)
            wanted.add(value)
    found = gathered.sketch()
    assert (found.count, found.buckets) == (wanted.count, wanted.buckets)
    assert math.isclose(found.sum, wanted.sum, abs_tol=1e-6)


def test_a_leg_without_any_request_is_not_told() -> None:
    assert LegStats().codes == {}
    assert dumped(service_stats()).counts == {}


def test_names_that_may_not_be_nominated_away_are_counted_by_service() -> None:
    stats = service_stats()
    assert PROTECTED_NOMINATIONS.name not in dumped(stats).counts
    stats.protected += 2
    assert dumped(stats).counts[PROTECTED_NOMINATIONS.name] == {("ranker",): 2}
