"""A mergeable sketch of a distribution: log buckets, every quantile within 1 %.

Merging adds bucket counts: it is associative and commutative, and the merge of parts equals the sketch of the
whole.
"""

from dataclasses import dataclass, field
from math import inf, log
from typing import Final

from proxy.core.buckets import GAMMA, PER_LOG, bucket_of, counted

MAX_BUCKETS: Final = 2048
_ZERO: Final = 1e-12
_HIGHEST: Final = 1e200  # sums of such values stay finite


@dataclass(slots=True)
class Sketch:
    """Counts of non-negative numbers; at most 1e-12 counts as zero. Negative values and NaN are counted apart."""

    zero: int = 0
    count: int = 0
    sum: float = 0.0
    low: float = inf
    high: float = 0.0
    refused: int = 0
    buckets: dict[int, int] = field(default_factory=dict)

    def add(self, value: float) -> None:
        """Count one value; infinity lands in the highest bucket there is room for."""
        if not value >= 0.0:
            self.refused += 1
            return
        value = min(value, _HIGHEST)
        self.count += 1
        self.sum += value
        self.low = min(self.low, value)
        self.high = max(self.high, value)
        if value <= _ZERO:
            self.zero += 1
            return
        index = bucket_of(value)
        buckets = self.buckets
        buckets[index] = buckets.get(index, 0) + 1
        if len(buckets) > MAX_BUCKETS:
            self._collapse()

    def add_all(self, values: list[float]) -> None:
        """Count many values; cheaper than one by one."""
        if not values:
            return
        low, total = min(values), sum(values)
        if not (low > _ZERO and total < _HIGHEST):  # zeros, negatives, infinities, NaN
            self._add_unusual(values)
            values = [value for value in values if _ZERO < value < _HIGHEST]
            if not values:
                return
            low, total = min(values), sum(values)
        buckets = self.buckets
        for index, count in counted(values).items():
            buckets[index] = buckets.get(index, 0) + count
        self.count += len(values)
        self.sum += total
        self.low = min(self.low, low)
        self.high = max(self.high, max(values))  # noqa: PLW3301  unpacking them would copy
        if len(buckets) > MAX_BUCKETS:
            self._collapse()

    def _add_unusual(self, values: list[float]) -> None:
        """Count the values that have no logarithm, or a sum that may not be finite; most of them are plain zeros."""
        zeros = values.count(0.0)
        if zeros:
            self.add(0.0)
            self.zero += zeros - 1
            self.count += zeros - 1
        for value in values:
            if value and not _ZERO < value < _HIGHEST:
                self.add(value)

    def merge(self, other: "Sketch") -> None:
        """Add another sketch's counts to this one."""
        self.zero += other.zero
        self.count += other.count
        self.sum += other.sum
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)
        self.refused += other.refused
        for index, count in other.buckets.items():
            self.buckets[index] = self.buckets.get(index, 0) + count
        if len(self.buckets) > MAX_BUCKETS:
            self._collapse()

    def _collapse(self) -> None:
        """Merge the lowest buckets upwards, so that tails stay exact."""
        indices = sorted(self.buckets)
        keep = indices[len(indices) - MAX_BUCKETS]
        for index in indices:
            if index >= keep:
                break
            self.buckets[keep] += self.buckets.pop(index)

    def quantile(self, share: float) -> float | None:
        """The value at `share` (in [0, 1]) of the counts, within 1 %; None when nothing was counted."""
        if not self.count:
            return None
        rank = share * (self.count - 1)
        seen = self.zero
        if rank < seen:
            return 0.0
        for index in sorted(self.buckets):
            seen += self.buckets[index]
            if rank < seen:
                middle: float = 2 * GAMMA**index / (GAMMA + 1)
                return min(max(middle, self.low), self.high)
        return self.high

    def below(self, edges: tuple[float, ...]) -> list[int]:
        """How many values are at most each edge (ascending), within the 1 % of a bucket's width."""
        counts, seen, at = [], self.zero, 0
        indices = sorted(self.buckets)
        for edge in edges:
            highest = log(edge) * PER_LOG
            while at < len(indices) and indices[at] <= highest + 0.5:
                seen += self.buckets[indices[at]]
                at += 1
            counts.append(seen)
        return counts
