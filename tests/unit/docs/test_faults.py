"""Every row of docs/faults.md is there, in order, and names files with tests called after it."""

import re
from pathlib import Path

import pytest

from tests.kit.faults import FAULTS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/faults.md").read_text()
ROW = re.compile(r"^\| (F\d+) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
ROWS = list(ROW.finditer(PAGE))
NAMED = re.compile(r"`([\w/]+\.py)`")


def named_in(text: str) -> list[Path]:
    """The test files that a piece of the page names."""
    return [ROOT / name if "/" in name else ROOT / "tests/faults" / name for name in NAMED.findall(text)]


def test_every_fault_has_its_row() -> None:
    assert [row[1] for row in ROWS] == [f"F{number}" for number in range(1, 35)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1])
def test_a_fault_has_tests_called_after_it(row: "re.Match[str]") -> None:
    called = re.compile(rf"def test_f{int(row[1][1:]):02}_")
    first, *others = named_in(row[4])
    assert called.search(first.read_text())
    assert all(file.is_file() for file in others)


@pytest.mark.parametrize("name", [name for name in FAULTS if name != "healthy"])
def test_every_fault_of_the_kit_belongs_to_a_row(name: str) -> None:
    assert FAULTS[name].row in {row[1] for row in ROWS}
