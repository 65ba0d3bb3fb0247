"""Which bucket of a sketch a number is in.

Bucket `i` holds the values in (γ^(i-1), γ^i] with γ = 1.01/0.99, so its representative 2·γ^i/(γ+1) is
within 1 % of each (DDSketch, VLDB 2019, §2).
"""

from math import ceil, log
from typing import Final

GAMMA: Final = 1.01 / 0.99
PER_LOG: Final = 1 / log(GAMMA)


def bucket_of(value: float) -> int:
    """The bucket of a positive number."""
    return ceil(log(value) * PER_LOG)


def counted(values: list[float]) -> dict[int, int]:
    """How many of these positive numbers are in each bucket."""
    counts: dict[int, int] = {}
    for value in values:
        index = ceil(log(value) * PER_LOG)
        counts[index] = counts.get(index, 0) + 1
    return counts
