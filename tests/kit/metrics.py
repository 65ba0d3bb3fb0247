"""Prometheus text as plain numbers, and the two accounting identities that must hold in it."""

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]
Samples = dict[str, dict[Labels, float]]


@dataclass(frozen=True, slots=True)
class Metrics:
    """`samples[name][labels]` is a value; a metric declared without a sample is an empty table."""

    samples: Samples

    def total(self, name: str, **labels: str) -> float:
        """Sum over the samples of `name` that carry all of `labels`; KeyError for an undeclared name."""
        if name not in self.samples:
            raise KeyError(f"no metric {name}; there are: {', '.join(sorted(self.samples))}")
        wanted = labels.items()
        return sum(value for found, value in self.samples[name].items() if wanted <= found)


@dataclass(frozen=True, slots=True)
class Identity:
    """Two sums that must be equal."""

    name: str
    left: float
    right: float

    @property
    def balanced(self) -> bool:
        return self.left == self.right

    def __str__(self) -> str:
        sign = "=" if self.balanced else "≠"
        return f"{self.name}: {self.left:g} {sign} {self.right:g} (difference {self.left - self.right:g})"


def parse(text: str) -> Metrics:
    """Read a scrape. A counter is found under its full name, `…_total`."""
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        samples.setdefault(f"{family.name}_total" if family.type == "counter" else family.name, {})
        for sample in family.samples:
            samples.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return Metrics(samples)


def identities(text: str) -> tuple[Identity, Identity]:
    """Requests against mirrors, and mirrored requests against verdicts and drops: equal once nothing is in
    flight.
    """
    metrics = parse(text)
    requests = metrics.total("shadow_requests_total")
    mirrors = metrics.total("shadow_mirrors_total")
    mirrored = metrics.total("shadow_mirrors_total", result="mirrored")
    ended = metrics.total("shadow_comparisons_total") + metrics.total("shadow_dropped_total")
    return Identity("requests = mirrors", requests, mirrors), Identity(
        "mirrored = comparisons + dropped", mirrored, ended
    )


def balanced(text: str) -> bool:
    return all(identity.balanced for identity in identities(text))


def assert_identities(text: str) -> None:
    """Raise AssertionError with both sides of both identities and the samples they were summed from."""
    if balanced(text):
        return
    sides = "\n".join(f"  {identity}" for identity in identities(text))
    names = (
        "shadow_requests_total",
        "shadow_mirrors_total",
        "shadow_comparisons_total",
        "shadow_dropped_total",
    )
    lines = "\n".join(f"  {line}" for line in text.splitlines() if line.startswith(names))
    raise AssertionError(f"the accounting does not balance:\n{sides}\nsummed from:\n{lines}")
