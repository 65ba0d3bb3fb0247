"""The grid: a base point and lines through it. Not every combination, which would take a day and say little more."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.load.answers import SMALL
from bench.load.contestants import WHOLE, Setting


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination: what clients send over how many connections, what is answered, what the proxies are told.

    `rate_rps` is the paced rate: the same along a line as far as possible, since a request costs more when fewer come.
    """

    name: str
    workload: str = "get"
    answer_bytes: int = SMALL
    connections: int = 32
    setting: Setting = WHOLE
    hung: bool = False
    rate_rps: float = 1000.0


BASE = Cell("base")

CELLS = (
    BASE,
    Cell("post", workload="post"),
    Cell("answer-10k", answer_bytes=10_000),
    Cell("answer-100k", answer_bytes=100_000, rate_rps=200.0),
    Cell("answer-1m", answer_bytes=1_000_000, rate_rps=20.0),
    Cell("connections-1", connections=1),
    Cell("connections-256", connections=256),
    Cell("connections-1000", connections=1000),
    Cell("mirror-off", setting=Setting(share=0.0)),
    Cell("mirror-1", setting=Setting(share=0.01)),
    Cell("workers-2", setting=Setting(workers=2)),
    Cell("hung", hung=True, rate_rps=500.0),
)
NAMES = tuple(cell.name for cell in CELLS)


def along(attribute: str, cells: Sequence[Cell] = CELLS) -> list[Cell]:
    """Return the line through the base point on which only this attribute (and the rate) differs, in rising order."""
    same = {"name": BASE.name, "rate_rps": BASE.rate_rps, attribute: getattr(BASE, attribute)}
    line = [cell for cell in cells if replace(cell, **same) == BASE]
    return sorted(line, key=lambda cell: float(getattr(cell, attribute)))
