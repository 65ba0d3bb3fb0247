"""Budgets: how much work one pair may cost. They count work, never time, so a replay gives the same verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
DEEPEST: Final = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """What one comparison may look at; more makes it `incomparable`, with the limit's name as the reason.

    Attributes:
        decoded_cap: bytes a body may have once its content codings are undone.
        decoded_ratio: the same, as a multiple of the received bytes (a decompression bomb's signature).
        depth: levels of nesting the walk enters, 200 at most: it is recursive, and the interpreter's stack is finite.
        leaves: members the walk looks at, both sides of a pair counted once.
        recorded: differences kept in a `Comparison`; counting goes on beyond.
    """

    decoded_cap: int = 4 * MIB
    decoded_ratio: int = 100
    depth: int = DEEPEST
    leaves: int = 200_000
    recorded: int = 50

    def __post_init__(self) -> None:
        if self.depth > DEEPEST:
            raise ValueError(f"depth may be {DEEPEST} at most, not {self.depth}")


MAX_STATES: Final = 2_000
"""States of an endpoint's automaton; more is a configuration error that names the `..` rules."""
