"""Counts by family and labels: what processes report, and what adds up to evidence."""

from dataclasses import dataclass, field

from proxy.core.families import Family
from proxy.core.sketch import Sketch

Labels = tuple[str, ...]


@dataclass(slots=True)
class Tally:
    """Mergeable sums. Adding is associative and commutative, so reports may come in any order and grouping."""

    counts: dict[str, dict[Labels, int]] = field(default_factory=dict)
    sketches: dict[str, dict[Labels, Sketch]] = field(default_factory=dict)
    gauges: dict[str, dict[Labels, float]] = field(default_factory=dict)

    def count(self, family: Family, labels: Labels, by: int = 1) -> None:
        """Add to a counter; adding 0 makes its label set exist."""
        table = self.counts.setdefault(family.name, {})
        table[labels] = table.get(labels, 0) + by

    def sketch(self, family: Family, labels: Labels) -> Sketch:
        """The sketch of these labels, made at first use."""
        return self.sketches.setdefault(family.name, {}).setdefault(labels, Sketch())

    def gauge(self, family: Family, labels: Labels, value: float) -> None:
        """Set a gauge; gauges of several processes add up."""
        self.gauges.setdefault(family.name, {})[labels] = value

    def add(self, other: "Tally") -> None:
        """Add another tally's counts, sketches and gauges to this one."""
        for name, counts in other.counts.items():
            table = self.counts.setdefault(name, {})
            for labels, value in counts.items():
                table[labels] = table.get(labels, 0) + value
        for name, sketches in other.sketches.items():
            held = self.sketches.setdefault(name, {})
            for labels, sketch in sketches.items():
                held.setdefault(labels, Sketch()).merge(sketch)
        for name, gauges in other.gauges.items():
            levels = self.gauges.setdefault(name, {})
            for labels, level in gauges.items():
                levels[labels] = levels.get(labels, 0.0) + level

    def total(self, family: Family, **labels: str) -> int:
        """The sum over all label sets that carry these values, e.g. `total(DROPPED, service="ranker")`."""
        at = [(family.labels.index(name), value) for name, value in labels.items()]
        table = self.counts.get(family.name, {})
        return sum(value for key, value in table.items() if all(key[i] == wanted for i, wanted in at))

    def by(self, family: Family, label: str, **labels: str) -> dict[str, int]:
        """Totals by the values of one label, e.g. `by(COMPARISONS, "verdict", service="ranker")`."""
        index = family.labels.index(label)
        at = [(family.labels.index(name), value) for name, value in labels.items()]
        sums: dict[str, int] = {}
        for key, value in self.counts.get(family.name, {}).items():
            counted = value if all(key[i] == wanted for i, wanted in at) else 0
            sums[key[index]] = sums.get(key[index], 0) + counted
        return dict(sorted(sums.items()))

    def without_gauges(self) -> "Tally":
        """The same sums of a process that is gone: levels end with it."""
        return Tally(self.counts, self.sketches)
