from dataclasses import replace

import pytest

from bench.faults.rule import MIB, Outcome
from bench.soak.homecoming import Process, Sample, Totals, lines
from bench.soak.rotation import FAULTS, STEP_S, Deed, cues, fault

WORKER = Process("worker", 50 * MIB, 40 * MIB, 30, 4)
CONTROL = Process("control", 60 * MIB, 50 * MIB, 17, 8)
START = Sample(0.0, (WORKER, CONTROL), 0, 0)
ROTATED = Sample(600.0, (replace(WORKER, rss_bytes=60 * MIB), CONTROL), 0, 0)
END = replace(ROTATED, at_s=1800.0)
TOTALS = Totals(requests=1000)


def wrong(end: Sample, totals: Totals = TOTALS, rotated: Sample | None = ROTATED) -> list[str]:
    return [line.name for line in lines(START, rotated, end, totals) if line.outcome is Outcome.NO]


def with_worker(rss_bytes: int = 60 * MIB, open_files: int = 30, threads: int = 4) -> Sample:
    worker = replace(WORKER, rss_bytes=rss_bytes, open_files=open_files, threads=threads)
    return replace(END, processes=(worker, CONTROL))


def test_a_proxy_that_came_back_holds() -> None:
    assert wrong(END) == []


@pytest.mark.parametrize(
    ("end", "name"),
    [
        (with_worker(rss_bytes=67 * MIB), "worker RSS, MiB"),
        (with_worker(open_files=31), "worker open files"),
        (with_worker(threads=5), "worker threads"),
    ],
)
def test_what_a_worker_keeps_is_named(end: Sample, name: str) -> None:
    assert wrong(end) == [name]


def test_memory_may_be_a_little_more_with_time() -> None:
    assert wrong(with_worker(rss_bytes=66 * MIB)) == []  # 60, 4 to spare, 1 in each 600 s


def test_control_may_keep_a_few_files() -> None:
    grown = replace(END, processes=(END.processes[0], replace(CONTROL, open_files=22)))
    assert wrong(grown) == []
    assert wrong(replace(END, processes=(END.processes[0], replace(CONTROL, open_files=23)))) == ["control open files"]


@pytest.mark.parametrize(
    ("end", "totals", "name"),
    [
        (replace(END, in_flight=1), TOTALS, "copies in flight"),
        (replace(END, mirror_bytes=1), TOTALS, "mirror bytes"),
        (END, replace(TOTALS, errors=1), "client errors"),
        (END, replace(TOTALS, changed=1), "changed answers"),
        (END, replace(TOTALS, unbalanced=1), "identities, difference"),
    ],
)
def test_what_must_be_nothing_is_nothing(end: Sample, totals: Totals, name: str) -> None:
    assert wrong(end, totals) == [name]


def test_before_a_full_rotation_memory_is_not_judged() -> None:
    assert wrong(with_worker(rss_bytes=10**12, threads=99), rotated=None) == []


def test_every_fault_has_its_turn() -> None:
    assert [fault(step) for step in range(len(FAULTS))] == list(FAULTS)
    assert fault(len(FAULTS)) == FAULTS[0]


def test_every_deed_is_done_in_one_rotation_and_in_order() -> None:
    rotation = [list(cues(step)) for step in range(len(FAULTS))]
    assert {cue.deed for step in rotation for cue in step} == set(Deed)
    for step in rotation:
        assert [cue.at_s for cue in step] == sorted(cue.at_s for cue in step)
        assert all(0 < cue.at_s < STEP_S for cue in step)


@pytest.mark.parametrize(("done", "undone"), [(Deed.PRIMARY, Deed.SHADOW), (Deed.KILL_SWITCH, Deed.REARM)])
def test_mirroring_that_is_stopped_goes_on_in_the_same_step(done: Deed, undone: Deed) -> None:
    for step in range(len(FAULTS)):
        deeds = [cue.deed for cue in cues(step)]
        assert deeds.count(done) == deeds.count(undone)
        assert done not in deeds or deeds.index(done) < deeds.index(undone)


def test_a_shorter_step_is_the_same_in_less_time() -> None:
    assert [cue.at_s for cue in cues(11, 2.0)] == [pytest.approx(cue.at_s / 10) for cue in cues(11)]
