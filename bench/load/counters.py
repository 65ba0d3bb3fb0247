"""What the other side counted: requests at a backend, verdicts and drops at the proxy."""

import re
from dataclasses import dataclass

from bench.load.child import fetch

_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def requests_in(stub_status: str) -> int:
    """Return the third number under `server accepts handled requests` (ngx_http_stub_status_module)."""
    return int(stub_status.splitlines()[2].split()[2])


@dataclass(frozen=True, slots=True)
class Pairs:
    """Where requests and their copies ended, as the proxy counts them since its start."""

    requests: int
    mirrored: int
    compared: int
    dropped: int
    verdicts: dict[str, int]
    drops: dict[str, int]
    not_mirrored: dict[str, int]

    @property
    def settled(self) -> bool:
        """Whether every mirrored request has its verdict or its counted drop."""
        return self.mirrored == self.compared + self.dropped


def pairs(port: int) -> Pairs:
    """Ask the admin port."""
    return pairs_in(fetch(port, "/metrics"))


def pairs_in(exposition: str) -> Pairs:
    """Read the accounting identity out of a Prometheus text exposition."""
    results = _by_label(exposition, "shadow_mirrors_total", "result")
    verdicts = _by_label(exposition, "shadow_comparisons_total", "verdict")
    drops = _by_label(exposition, "shadow_dropped_total", "reason")
    return Pairs(
        requests=sum(results.values()),
        mirrored=results.pop("mirrored", 0),
        compared=sum(verdicts.values()),
        dropped=sum(drops.values()),
        verdicts=verdicts,
        drops=drops,
        not_mirrored=results,
    )


def _by_label(exposition: str, metric: str, label: str) -> dict[str, int]:
    totals: dict[str, int] = {}
    for name, labels, value in _SAMPLE.findall(exposition):
        if name == metric and (found := re.search(rf'(?:^|,){label}="([^"]*)"', labels)):
            totals[found[1]] = totals.get(found[1], 0) + int(float(value))
    return {key: total for key, total in totals.items() if total}
