"""The global acceptance rule: each bound exactly at its limit and just over it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.faults.rule import BOUNDS, MIB, Allowance, Outcome, Side, findings, tail_us, typical_us, verdict
from bench.load.latency import quantile

HAS = Allowance(budget_bytes=64 * MIB, connections=200, clients=32)
BASE = Side(
    requests=20_000,
    errors=0,
    changed=0,
    p50_us=1_000,
    p99_us=20_000,
    p999_us=40_000,
    worker_rss_bytes=50 * MIB,
    judge_rss_bytes=40 * MIB,
    open_files=80,
    lag_p99_ms=1.0,
    lag_max_ms=2.5,
)
FAST = replace(BASE, p99_us=2_000, p999_us=8_000)


def outcome(name: str, on: Side, off: Side = BASE, twin: Side | None = BASE) -> Outcome:
    return next(finding.outcome for finding in findings(off, twin, on, HAS) if finding.name == name)


AT_MOST = {
    "errors": ("errors", 0),
    "changed answers": ("changed", 0),
    "p50, us": ("p50_us", 1_050),
    "p99, us": ("p99_us", 22_000),
    "p99.9, us": ("p999_us", 50_000),
    "worker RSS, bytes": ("worker_rss_bytes", 146 * MIB),
    "judge RSS, bytes": ("judge_rss_bytes", 136 * MIB),
    "open files": ("open_files", 312),
    "loop lag p99, ms": ("lag_p99_ms", 5),
    "loop lag max, ms": ("lag_max_ms", 50),
}


def test_every_bound_is_tried() -> None:
    assert [bound.name for bound in BOUNDS] == list(AT_MOST)


@pytest.mark.parametrize("name", AT_MOST)
def test_a_bound_holds_at_its_limit_and_not_just_over_it(name: str) -> None:
    pick, most = AT_MOST[name]
    assert outcome(name, replace(BASE, **{pick: most})) is Outcome.YES
    assert outcome(name, replace(BASE, **{pick: most + 1})) is Outcome.NO


@pytest.mark.parametrize(("name", "pick", "most"), [("p99, us", "p99_us", 3_000), ("p99.9, us", "p999_us", 13_000)])
def test_a_fast_base_is_given_a_fixed_margin(name: str, pick: str, most: int) -> None:
    assert outcome(name, replace(FAST, **{pick: most}), FAST, FAST) is Outcome.YES
    assert outcome(name, replace(FAST, **{pick: most + 1}), FAST, FAST) is Outcome.NO


def test_as_many_errors_as_without_mirroring_are_no_delta() -> None:
    off = replace(BASE, errors=3)
    assert outcome("errors", replace(BASE, errors=3), off, off) is Outcome.YES
    assert outcome("errors", replace(BASE, errors=4), off, off) is Outcome.NO


@pytest.mark.parametrize("swapped", [False, True])
def test_what_two_equal_sides_break_too_is_noise(*, swapped: bool) -> None:
    slow = replace(BASE, p50_us=1_051)
    off, twin = (slow, BASE) if swapped else (BASE, slow)
    assert outcome("p50, us", replace(BASE, p50_us=2_000), off, twin) is Outcome.NOISE
    assert outcome("p99, us", replace(BASE, p99_us=90_000), off, twin) is Outcome.NO


def test_noise_is_how_far_two_equal_sides_are_apart() -> None:
    for off, twin in ((BASE, replace(BASE, p50_us=1_250)), (replace(BASE, p50_us=1_250), BASE)):
        found = {finding.name: finding.noise for finding in findings(off, twin, BASE, HAS)}
        assert (found["p50, us"], found["p99, us"], found["errors"]) == (1.25, 1.0, None)
    assert {finding.noise for finding in findings(BASE, None, BASE, HAS)} == {None}


def test_noise_is_no_excuse_for_a_bound_that_holds() -> None:
    assert outcome("p50, us", BASE, BASE, replace(BASE, p50_us=9_000)) is Outcome.YES


def test_without_a_twin_pace_is_left_open_and_the_rest_is_judged() -> None:
    bad = Side(20_000, 1, 1, 9e9, 9e9, 9e9, 10**12, 10**12, 10**6, 9e9, 9e9)
    judged = {bound.name: outcome(bound.name, bad, BASE, None) for bound in BOUNDS}
    assert {name for name, found in judged.items() if found is Outcome.OPEN} == {
        bound.name for bound in BOUNDS if bound.is_pace
    }
    assert set(judged.values()) == {Outcome.OPEN, Outcome.NO}


def test_what_was_not_measured_is_left_open() -> None:
    blind = Side(10, 0, 0, None, None, None)
    for off, on in ((blind, BASE), (BASE, blind)):
        found = {finding.name: finding for finding in findings(off, BASE, on, HAS)}
        assert found["p99, us"].outcome is Outcome.OPEN
        assert found["p99, us"].most is None
    assert outcome("loop lag max, ms", BASE, blind) is Outcome.YES


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ("yes open", "yes"),
        ("yes noise", "noise"),
        ("noise NO yes", "NO"),
        ("open", "open"),
        ("", "open"),
    ],
)
def test_the_worst_finding_is_the_rows(outcomes: str, expected: str) -> None:
    assert verdict(Outcome(word) for word in outcomes.split()) == expected


@pytest.mark.parametrize(("share", "enough"), [(0.5, 20), (0.99, 1_000), (0.999, 10_000)])
def test_a_quantile_needs_ten_samples_beyond_it(share: float, enough: int) -> None:
    assert tail_us([1.0] * (enough - 1), share) is None
    assert tail_us([1.0] * enough, share) == 1e6


def test_one_bad_turn_of_three_does_not_make_the_quantile() -> None:
    turns = [[0.001] * 1_000, [0.002] * 1_000, [0.9] * 1_000]
    assert typical_us(turns, 0.99) == 2_000


def test_turns_too_short_for_a_quantile_are_taken_together() -> None:
    assert typical_us([[0.003] * 500, [0.001] * 499], 0.99) is None
    assert typical_us([[0.003] * 500, [0.001] * 500], 0.99) == 3_000


@given(st.lists(st.floats(0, 10), min_size=1, max_size=100))
def test_a_tail_is_the_quantile_in_microseconds(waits: list[float]) -> None:
    ordered = sorted(waits * 20)
    assert tail_us(ordered, 0.5) == quantile(ordered, 0.5) * 1e6
