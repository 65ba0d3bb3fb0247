"""Every item of docs/http.md has a row, and every row names files with tests called after it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/http.md").read_text()
ITEMS = [f"{part}{at}" for part, last in zip("ABCDE", (15, 23, 24, 16, 10), strict=True) for at in range(1, last + 1)]
ROW = re.compile(r"^\| ([A-E]\d+) \| (.+) \| (.+) \|$", re.MULTILINE)
NAMED = re.compile(r"`([\w/]+\.py)`")


def named_in(text: str) -> list[Path]:
    """The test files that a piece of the page names."""
    return [ROOT / name if "/" in name else ROOT / "tests/wire" / name for name in NAMED.findall(text)]


def test_every_item_has_its_row() -> None:
    assert [row[1] for row in ROW.finditer(PAGE)] == ITEMS


@pytest.mark.parametrize("row", list(ROW.finditer(PAGE)), ids=lambda row: row[1])
def test_an_item_has_tests_called_after_it(row: "re.Match[str]") -> None:
    files = named_in(row[3])
    assert files
    called = re.compile(rf"def test_{row[1].lower()}_")
    assert any(called.search(file.read_text()) for file in files)


def test_every_file_named_exists() -> None:
    assert not [str(file) for file in named_in(PAGE) if not file.is_file()]
