import pytest

from bench.load.cost import Moment, between
from bench.load.counters import Pairs
from bench.load.procfs import Process


def process(pid: int, name: str, cpu_us: int) -> Process:
    return Process(pid, name, cpu_us * 1000, 0, None)


BEFORE = Moment(
    primary=100,
    candidate=50,
    pairs=Pairs(100, 100, 90, 10, {"tolerated": 90}, {"judge_full": 10}, {}),
    processes=[process(1, "worker", 500), process(2, "judge", 40)],
)
AFTER = Moment(
    primary=1100,
    candidate=1049,
    pairs=Pairs(1100, 1100, 1085, 15, {"tolerated": 1080, "match": 5}, {"judge_full": 15}, {"method": 2}),
    processes=[process(1, "worker", 40_500), process(2, "judge", 20_040)],
)


def test_cpu_is_shared_out_per_request_and_process() -> None:
    cost = between(BEFORE, AFTER)
    assert cost.requests == 1000
    assert cost.cpu_us == pytest.approx(60)
    assert cost.cpu_us_by_process == {"worker": 40, "judge": 20}


def test_copies_and_coverage_are_shares_of_the_requests() -> None:
    cost = between(BEFORE, AFTER)
    assert cost.copies == pytest.approx(0.999)
    assert cost.coverage == pytest.approx(0.995)
    assert cost.verdicts == {"tolerated": 990, "match": 5}
    assert cost.drops == {"judge_full": 5}
    assert cost.not_mirrored == {"method": 2}


def test_a_replaced_process_is_seen() -> None:
    restarted = Moment(1100, 1049, AFTER.pairs, [process(1, "worker", 40_500), process(3, "judge", 10)])
    assert not between(BEFORE, AFTER).restarted
    assert between(BEFORE, restarted).restarted


def test_peer_has_no_coverage_and_direct_no_cpu() -> None:
    nginx = between(Moment(0, 0, None, [process(1, "nginx", 0)]), Moment(10, 10, None, [process(1, "nginx", 700)]))
    assert (nginx.cpu_us, nginx.copies, nginx.coverage) == (70, 1, None)
    direct = between(Moment(0, 0), Moment(10, 0))
    assert (direct.requests, direct.cpu_us, direct.copies) == (10, None, None)
