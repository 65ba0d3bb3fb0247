"""Response bounds: what one rule asks of all its numbers in one response together (`comparators.tolerance`)."""

from __future__ import annotations

from math import inf
from typing import Final

from comparators.automaton import BoundRule
from comparators.path import Path, render
from comparators.tolerance import Bounds, Number, exceeded
from comparators.verdict import Difference, Kind

WORST_SHOWN: Final = 3


class Aggregate:
    """The relative deltas that one rule with response bounds decided, and the leaves where they were largest."""

    __slots__ = ("_bounds", "_path", "_worst", "deltas")

    def __init__(self, rule: BoundRule, bounds: Bounds) -> None:
        self._path: Path = (rule.selector.text,)
        self._bounds = bounds
        self._worst: list[tuple[float, Path, Number, Number]] = []
        self.deltas: list[float] = []

    def add(self, off: float, path: Path, primary: Number, candidate: Number) -> None:
        """Count a delta; its leaf is kept if it is among the worst, and a NaN is worst of all."""
        self.deltas.append(off)
        worst = self._worst
        if not off or (len(worst) == WORST_SHOWN and off <= worst[-1][0]):
            return
        worst.append((off, path, primary, candidate))
        worst.sort(key=lambda leaf: min(inf, leaf[0]), reverse=True)
        del worst[WORST_SHOWN:]

    def difference(self, *, differed: bool) -> Difference | None:
        """What is wrong with the response as a whole, once all leaves are known.

        `required` is asked of answers that differ only: one that is the same as the primary's lacks nothing.
        """
        if not self.deltas:
            return Difference(self._path, Kind.MISSING, None, None) if self._bounds.required and differed else None
        statistic = exceeded(self.deltas, self._bounds)
        if statistic is None:
            return None
        primary = {render(path): number for _, path, number, _ in self._worst}
        candidate = {render(path): number for _, path, _, number in self._worst}
        return Difference(self._path, Kind.AGGREGATE, primary, candidate, statistic)
