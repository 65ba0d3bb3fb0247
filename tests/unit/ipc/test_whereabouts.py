import mmap
from pathlib import Path

import pytest

from proxy.core.quarantine import Suspect
from proxy.ipc.whereabouts import Whereabouts, WhereaboutsFile, mark, read_whereabouts

LONGEST = "n" * 63
ENDPOINT = Suspect("endpoint", LONGEST, LONGEST, "0" * 16)
RULE, INNER = (Suspect("rule", "ranker", name, "0" * 16) for name in ("outer", "inner"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "judge-0.at"


@pytest.fixture
def file(path: Path) -> WhereaboutsFile:
    file = WhereaboutsFile(path, "judge-0:1")
    file.serves("worker-0:1")
    return file


def suspect(path: Path) -> Suspect | None:
    found = read_whereabouts(path)
    return found.suspect if found else None


def test_a_judge_that_compares_nothing_is_nowhere(file: WhereaboutsFile, path: Path) -> None:
    assert suspect(path) is None
    file.compares(mark(ENDPOINT))
    file.rests()
    assert suspect(path) is None


def test_it_is_known_what_is_compared_for_whom_and_for_how_long(file: WhereaboutsFile, path: Path) -> None:
    file.waits(12.5)
    file.compares(mark(ENDPOINT))
    assert read_whereabouts(path) == Whereabouts("judge-0:1", "worker-0:1", ENDPOINT, 12.5)


def test_a_rule_is_at_work_until_it_is_done_and_then_the_one_around_it(file: WhereaboutsFile, path: Path) -> None:
    file.compares(mark(ENDPOINT))
    before = file.applies(mark(RULE))
    within = file.applies(mark(INNER))
    assert suspect(path) == INNER
    file.applies(within)
    assert suspect(path) == RULE
    file.applies(before)
    assert suspect(path) == ENDPOINT


def test_a_successor_begins_with_an_empty_page(file: WhereaboutsFile, path: Path) -> None:
    file.compares(mark(ENDPOINT))
    WhereaboutsFile(path, "judge-0:2")
    assert suspect(path) is None


def test_a_judge_works_on_where_no_file_can_be_written(tmp_path: Path) -> None:
    nowhere = tmp_path / "gone" / "judge-0.at"
    WhereaboutsFile(nowhere, "judge-0:1").compares(mark(ENDPOINT))
    assert suspect(nowhere) is None


@pytest.mark.parametrize("content", [b"", b"\0" * mmap.PAGESIZE, b"[1,2]", b"{}" * 200, b"\xff" * mmap.PAGESIZE])
def test_a_file_that_makes_no_sense_is_nowhere(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert suspect(path) is None
