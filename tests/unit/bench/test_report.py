from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.load import report, table
from bench.load.cost import Cost
from bench.load.latency import Latency
from bench.load.openloop import OpenLoop
from bench.load.procfs import Process
from bench.load.report import Row
from bench.load.run import Results, Turn
from bench.load.wrk import Saturation

positive = st.floats(0.1, 1e6)


def turn(cpu_us: float | None, throughput_rps: float, p50_us: float, coverage: float | None = None) -> Turn:
    cost = Cost(1000, cpu_us, copies=None if cpu_us is None else 1.0, coverage=coverage)
    loop = OpenLoop(1000, 0, Latency(p50_us, p50_us, p50_us * 3, p50_us * 4, p50_us * 5), 100)
    return Turn(Saturation(1000, 0, throughput_rps), cost, loop, cost, loop, cost)


def results(coverage: float = 1.0) -> Results:
    return Results(
        turns={
            "direct": [turn(None, 90_000, 100), turn(None, 50_000, 120), turn(None, 80_000, 100)],
            "shadow-proxy": [turn(cpu, 15_000, 200, coverage) for cpu in (45, 90, 44)],
            "nginx": [turn(cpu, 12_000, 300) for cpu in (70, 140, 70)],
            "envoy": [turn(cpu, 14_000, 400) for cpu in (75, 150, 40)],
        }
    )


def row(rows: list[Row], label: str) -> Row:
    return next(row for row in rows if row.label == label)


def test_ratios_are_formed_within_rounds() -> None:
    cpu = row(report.rows(results()), "CPU per request, closed loop")
    assert cpu.values == {"shadow-proxy": 45, "nginx": 70, "envoy": 75}
    assert cpu.ratios["nginx"] == pytest.approx(45 / 70)
    assert cpu.ratios["envoy"] == pytest.approx(0.6)
    assert cpu.held == {"nginx": True, "envoy": True}
    assert table.outcome(cpu) == "yes"


def test_throughput_holds_when_it_is_higher() -> None:
    throughput = row(report.rows(results()), "throughput, saturated")
    assert throughput.held == {"envoy": True}
    assert not report.holds([(9, 10)], 1.0, more_is_better=True)


def test_added_latency_is_taken_from_the_direct_turn_of_the_round() -> None:
    added = row(report.rows(results()), "added p50 over direct")
    assert added.values == {"shadow-proxy": 100, "nginx": 200, "envoy": 300}


def test_cpu_without_coverage_is_invalid_and_said_loudly() -> None:
    rows = report.rows(results(coverage=0.98))
    assert table.outcome(row(rows, "CPU per request, closed loop")) == "INVALID"
    text = table.render(rows, {})
    assert "45.0!" in text
    assert "INVALID  CPU per request, closed loop: shadow-proxy" in text


def test_a_restarted_process_spoils_the_cpu() -> None:
    cost = Cost(1000, 40.0, copies=1.0, coverage=1.0)
    assert report.trusted([cost, cost, cost])
    assert not report.trusted([cost, cost, replace(cost, restarted=True)])


def test_an_absent_contestant_is_named_and_its_rows_say_nothing() -> None:
    measured = results()
    del measured.turns["shadow-proxy"]
    rows = report.rows(measured)
    assert all(table.outcome(row) == "" for row in rows)
    assert "ABSENT shadow-proxy: not installed" in table.render(rows, {"shadow-proxy": "not installed"})


@pytest.mark.parametrize(("rss_mb", "held"), [(59, True), (61, False)])
def test_idle_worker_is_held_to_sixty_megabytes(rss_mb: int, held: bool) -> None:  # noqa: FBT001
    idle = [Process(1, "control", 0, 90_000_000, None), Process(2, "worker", 0, rss_mb * 1_000_000, None)]
    memory = row(report.memory_rows(Results(idle={"shadow-proxy": idle})), "idle worker, RSS")
    assert memory.held == {"limit": held}


@given(st.lists(st.tuples(positive, positive), min_size=1, max_size=9).filter(lambda pairs: len(pairs) % 2 == 1))
def test_ratio_and_limit_agree_where_both_exist(pairs: list[tuple[float, float]]) -> None:
    ratio = report.ratio(pairs)
    assert ratio is not None
    if ratio != pytest.approx(1.0):
        assert report.holds(pairs, 1.0, more_is_better=False) == (ratio < 1)


def test_ratio_to_nothing_is_left_out_while_the_limit_still_speaks() -> None:
    assert report.ratio([(5, 0)]) is None
    assert report.ratio([]) is None
    assert report.holds([(-3, 0)], 1.0, more_is_better=False)
