"""What is measured, how often, and what an operator sees of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from proxy.config.bugs import Bugs
from proxy.config.models import Shed
from proxy.core.families import MEMORY, MEMORY_LIMIT, MIRRORING_SUSPENDED
from proxy.core.reasons import Suspension
from proxy.core.shedding import Shedding
from proxy.core.tally import Tally
from proxy.http.open_files import OpenFiles
from proxy.worker.memory import Memory
from proxy.worker.pressure import Pressure

LIMIT = 1000


def open_to_all(_nothing_left: bool) -> None:  # noqa: FBT001  the callback's only word
    """Nobody minds."""


class Group:
    """A control group with a limit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "cgroup").write_text("0::/\n")
        (folder / "statm").write_text("0 0 0 0 0 0 0\n")
        (folder / "memory.max").write_text(f"{LIMIT}\n")
        (folder / "memory.stat").write_text("inactive_file 0\n")
        self.uses(0)
        self.memory = Memory(folder, folder)

    def uses(self, used: int) -> None:
        (self.folder / "memory.current").write_text(f"{used}\n")


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Group]:
    group = Group(tmp_path)
    yield group
    group.memory.close()


def under_pressure(
    bugs: Bugs | None = None, give_back: Callable[[bool], None] = open_to_all, **limits: Any
) -> tuple[Pressure, Shedding]:
    shedding, files = Shedding(), OpenFiles(open_to_all)
    pressure = Pressure("worker-0", Shed(**limits), shedding, files, bugs=bugs or Bugs(), give_back=give_back)
    return pressure, shedding


def gauges(pressure: Pressure) -> dict[str, dict[tuple[str, ...], float]]:
    tally = Tally()
    pressure.dump(tally)
    return tally.gauges


def test_memory_is_looked_at_four_times_a_second(group: Group) -> None:
    pressure, shedding = under_pressure()
    pressure.memory = group.memory
    pressure.woke(10.0, 0.0)
    group.uses(900)
    pressure.woke(10.2, 0.0)
    assert not shedding.is_on
    pressure.woke(10.25, 0.0)
    assert shedding.causes == {Suspension.MEMORY}


def test_gauges_say_what_is_used_and_why_nothing_is_mirrored(group: Group) -> None:
    pressure, _ = under_pressure()
    pressure.memory = group.memory
    group.uses(960)
    pressure.woke(10.0, 1.0)
    found = gauges(pressure)
    assert found[MIRRORING_SUSPENDED.name] == {
        ("worker-0", "lag"): 1.0, ("worker-0", "memory"): 1.0, ("worker-0", "files"): 0.0, ("worker-0", "bugs"): 0.0,
    }  # fmt: skip
    assert found[MEMORY.name] == {("worker-0",): 960}
    assert found[MEMORY_LIMIT.name] == {("worker-0",): LIMIT}


def test_without_a_limit_there_is_no_figure_of_memory() -> None:
    pressure, _ = under_pressure()
    pressure.woke(10.0, 0.0)
    assert MEMORY.name not in gauges(pressure)


def test_descriptors_are_looked_for_once_they_ran_short() -> None:
    pressure, shedding = under_pressure()
    shedding.ran_short(10.0)
    pressure.woke(10.5, 0.0)
    assert shedding.is_on
    pressure.woke(11.0, 0.0)
    assert not shedding.is_on


def test_what_mirrors_hold_is_given_back_while_memory_is_nearly_full_and_copies_when_it_is(group: Group) -> None:
    asked: list[bool] = []
    pressure, _ = under_pressure(give_back=asked.append)
    pressure.memory = group.memory
    for second, used in enumerate((0, 850, 940, 850, 960, 990, 0, 960)):
        group.uses(used)
        pressure.woke(10.0 + second, 0.0)
    assert asked == [False, False, False, True, False, True]


def test_memory_is_given_back_once_a_second_however_often_it_is_looked_at(group: Group) -> None:
    asked: list[bool] = []
    pressure, _ = under_pressure(give_back=asked.append)
    pressure.memory = group.memory
    group.uses(850)
    for quarter in range(9):
        pressure.woke(10.0 + quarter / 4, 0.0)
    assert asked == [False, False, False]


def test_an_unreadable_figure_is_a_bug_once_and_descriptors_are_looked_for_all_the_same(group: Group) -> None:
    bugs = Bugs()
    pressure, shedding = under_pressure(bugs)
    pressure.memory = group.memory
    (group.folder / "statm").write_text("nonsense")
    shedding.ran_short(10.0)
    group.uses(900)
    for second in range(3):
        pressure.woke(10.0 + second, 0.0)
    assert shedding.causes == {Suspension.MEMORY}
    assert bugs.count == 1


def test_a_limit_of_lag_that_was_read_anew_is_in_force() -> None:
    pressure, shedding = under_pressure()
    pressure.limits = Shed(loop_lag="2s")
    pressure.woke(10.0, 1.0)
    assert not shedding.is_on


def test_what_begins_and_what_ends_is_a_line_in_the_log(group: Group) -> None:
    pressure, _ = under_pressure()
    pressure.memory = group.memory
    with capture_logs() as lines:
        group.uses(960)
        pressure.woke(10.0, 0.0)
        pressure.woke(10.1, 0.0)
        group.uses(0)
        pressure.woke(11.0, 0.0)
    assert [line["event"] for line in lines] == [
        "mirroring_suspended", "overloaded", "mirroring_resumed", "overload_ended",
    ]  # fmt: skip
    assert (lines[0]["causes"], lines[0]["memory"], lines[0]["limit"]) == ("memory", 960, LIMIT)


def test_what_begins_again_and_again_is_said_once_in_ten_seconds() -> None:
    pressure, _ = under_pressure()
    with capture_logs() as lines:
        for second in range(0, 100, 2):
            pressure.woke(100.0 + second, 0.2)
            pressure.woke(101.0 + second, 0.0)
    assert [line["event"] for line in lines] == ["mirroring_suspended", "mirroring_resumed"] * 10


def test_who_suspends_for_bugs_says_so_itself() -> None:
    pressure, shedding = under_pressure()
    shedding.suspend(Suspension.BUGS)
    with capture_logs() as lines:
        pressure.woke(10.0, 0.0)
    assert lines == []
