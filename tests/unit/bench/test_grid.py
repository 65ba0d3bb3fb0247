from dataclasses import fields, replace

import pytest

from bench.grid.cells import BASE, CELLS, NAMES, Cell, along
from bench.grid.figures import ends, rows
from bench.grid.measure import Measured, Pace, Turn, done, rates
from bench.grid.table import render
from bench.load.contestants import Setting
from bench.load.cost import Cost
from bench.load.latency import Latency
from bench.load.openloop import OpenLoop
from bench.load.workload import WORKLOADS
from bench.load.wrk import Saturation

LATENCY = Latency(100, 200, 300, 400, 500)


def cost(cpu_us: float | None, coverage: float | None = None, copies: float | None = 1.0) -> Cost:
    return Cost(1000, cpu_us, copies=copies, coverage=coverage, verdicts={"tolerated": 10}, drops={"shed": 1})


def turn(cpu_us: float, throughput_rps: float, spent: Cost | None = None, unanswered: int = 0) -> Turn:
    spent = spent or cost(cpu_us)
    return Turn(Saturation(1000, 0, throughput_rps), spent, OpenLoop(1000, 2, LATENCY, 10, unanswered), replace(spent))


def measured(coverage: float = 1.0) -> Measured:
    ours = [turn(cpu, 9000, cost(cpu, coverage)) for cpu in (40, 80, 44)]
    return Measured(
        BASE,
        rates_rps={"shadow-proxy": 4000.0, "nginx": 4000.0},
        missing={"envoy": "not installed"},
        turns={"shadow-proxy": ours, "nginx": [turn(cpu, 9000, unanswered=250) for cpu in (80, 160, 44)]},
    )


def test_every_cell_differs_from_the_base_in_one_thing() -> None:
    names = [field.name for field in fields(Cell) if field.name not in {"name", "rate_rps"}]
    for cell in CELLS:
        changed = [name for name in names if getattr(cell, name) != getattr(BASE, name)]
        assert len(changed) == (cell is not BASE), cell
    assert len(set(NAMES)) == len(CELLS)


def test_lines_go_through_the_base_in_rising_order() -> None:
    assert [cell.answer_bytes for cell in along("answer_bytes")] == [500, 10_000, 100_000, 1_000_000]
    assert [cell.connections for cell in along("connections")] == [1, 32, 256, 1000]
    assert BASE in along("connections")


def test_every_workload_is_known() -> None:
    assert {cell.workload for cell in CELLS} <= set(WORKLOADS)


@pytest.mark.parametrize(
    ("copies", "coverage", "share", "expected"),
    [
        (1.0, 0.5, 1.0, 0.5),
        (1.001, None, 1.0, 1.0),
        (0.01, 0.005, 0.01, 0.5),
        (0.0, 0.0, 0.0, 1.0),
        (None, None, 1.0, 1.0),
    ],
)
def test_done_is_the_part_of_the_share_that_was_copied_and_compared(
    copies: float | None, coverage: float | None, share: float, expected: float
) -> None:
    assert done(cost(1, coverage, copies), share) == pytest.approx(expected)


def test_all_are_paced_alike_but_slow_proxies_in_python_at_half_of_what_they_do() -> None:
    throughputs = {"direct": 90_000, "shadow-proxy": 900, "nginx": 10_000, "aiohttp-mirror": 1500, "diffy-style": 0}
    seen = rates(BASE, {name: Saturation(1, 0, value) for name, value in throughputs.items()})
    assert seen == {"direct": 1000, "shadow-proxy": 1000, "nginx": 1000, "aiohttp-mirror": 750, "diffy-style": 100}


def test_a_slow_load_goes_on_to_its_least_number_of_requests() -> None:
    pace = Pace(rounds=1, saturation_s=1, paced_s=2.0, least_requests=100)
    assert [len(pace.schedule(rate_rps)) for rate_rps in (10, 50, 400)] == [100, 100, 800]


def test_values_are_medians_and_ratios_are_formed_within_rounds() -> None:
    cpu = next(row for row in rows(measured()) if row.key == "cpu_us")
    assert cpu.values == {"shadow-proxy": 44, "nginx": 80}
    assert cpu.ratios == {"nginx": 0.5}
    assert cpu.partial == ()


def test_a_figure_for_less_than_the_whole_work_is_marked() -> None:
    seen = measured(coverage=0.9)
    reduced = rows(seen)
    assert next(row for row in reduced if row.key == "cpu_us").partial == ("shadow-proxy",)
    assert next(row for row in reduced if row.key == "p99_us").partial == ()
    text = render(seen, reduced)
    assert "44.0!" in text
    assert "ABSENT envoy: not installed" in text


def test_a_share_drawn_by_lot_is_not_held_to_its_count() -> None:
    seen = replace_cell(measured(coverage=0.004), Cell("mirror-1", setting=Setting(share=0.01)))
    assert all(not row.partial for row in rows(seen))


def test_requests_given_up_are_a_percentage() -> None:
    unanswered = next(row for row in rows(measured()) if row.key == "unanswered")
    assert unanswered.values == {"shadow-proxy": 0, "nginx": 25}


def test_endings_are_summed_over_the_rounds() -> None:
    assert ends(measured())["drops, paced"] == {"shed": 3}
    assert ends(measured())["verdicts, saturated"] == {"tolerated": 30}


def replace_cell(seen: Measured, cell: Cell) -> Measured:
    seen.cell = cell
    return seen
