"""Every family the processes count: its name, its labels, what it says.

Worker and judge fill a `Tally` with them, control adds tallies up and exports them. A family whose name
does not begin with `shadow_` stays inside: it feeds the accounting and the status page, not the metrics.
"""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """How values of a family combine."""

    COUNTER = "counter"
    SKETCH = "histogram"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Family:
    """A metric family; `labels` in the order every label tuple has."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str

    @property
    def exported(self) -> bool:
        """Whether it is shown at `/metrics`."""
        return self.name.startswith("shadow_")


def _counter(name: str, labels: str, text: str) -> Family:
    return Family(name, Kind.COUNTER, tuple(labels.split()), text)


def _sketch(name: str, labels: str, text: str) -> Family:
    return Family(name, Kind.SKETCH, tuple(labels.split()), text)


def _gauge(name: str, labels: str, text: str) -> Family:
    return Family(name, Kind.GAUGE, tuple(labels.split()), text)


REQUESTS = _counter("shadow_requests", "service endpoint backend code", "Client requests that ended.")
REQUEST_DURATION = _sketch(
    "shadow_request_duration_seconds", "service endpoint backend", "First request byte to last answer byte."
)
REFUSED = _counter("shadow_refused_requests", "reason", "Requests refused before any service was known.")
BACKEND_REQUESTS = _counter(
    "shadow_backend_requests",
    "service endpoint backend side role code",
    "Requests sent to a backend; code error when no answer came.",
)
BACKEND_DURATION = _sketch(
    "shadow_backend_request_duration_seconds",
    "service endpoint backend side role",
    "Request fully sent to last answer byte.",
)
BACKEND_FAILURES = _counter(
    "shadow_backend_failures", "service backend side role kind", "Backends that failed to answer."
)
ADDED_LATENCY = _sketch("shadow_added_latency_seconds", "service", "Client duration minus backend duration.")
MIRRORS = _counter(
    "shadow_mirrors",
    "service endpoint result",
    "Each client request once: mirrored, or the policy against it.",
)
DROPPED = _counter("shadow_dropped", "service reason", "Mirrored requests that end without a verdict.")
COMPARISONS = _counter("shadow_comparisons", "service endpoint verdict", "Compared exchanges by verdict.")
COMPARISON_DURATION = _sketch("shadow_comparison_duration_seconds", "service", "Judge time per pair.")
DIFFERENCES = _counter("shadow_differences", "service endpoint kind", "Differences found, by kind.")
DELTA = _sketch("shadow_prediction_delta_ratio", "service endpoint", "Relative delta of numeric leaves, zero included.")
LATENCY_RATIO = _sketch("shadow_latency_ratio", "service endpoint", "Candidate duration divided by primary duration.")
PROTECTED_NOMINATIONS = _counter(
    "shadow_protected_nominations",
    "service",
    "Protected names that a Connection field asked to remove; such fields are forwarded.",
)
LOOP_LAG = _sketch("shadow_event_loop_lag_seconds", "process", "Late timer wake-ups.")
MIRROR_IN_FLIGHT = _gauge("shadow_mirror_in_flight", "service", "Copies under way.")
MIRROR_BYTES = _gauge("shadow_mirror_bytes", "", "Bytes held for mirrors and pairs.")
MIRROR_BYTES_LIMIT = _gauge("shadow_mirror_bytes_limit", "", "The budget those bytes are held against.")

PAIRS_OFFERED = _counter("pairs_offered", "service judge", "Pairs handed to one incarnation of a judge.")
PAIRS_JUDGED = _counter(
    "pairs_judged",
    "service endpoint backend code worker",
    "Verdicts on the pairs of one incarnation of a worker, by how its client request ended.",
)
GREETINGS = _counter("greetings", "process worker", "Incarnations of a worker whose pairs a judge was to get.")
DIFFERENCE_PATHS = _counter(
    "difference_paths",
    "service endpoint path kind",
    "Exchanges touched by a difference at a normalised path.",
)

FAMILIES = {
    family.name: family
    for family in (
        REQUESTS,
        REQUEST_DURATION,
        REFUSED,
        BACKEND_REQUESTS,
        BACKEND_DURATION,
        BACKEND_FAILURES,
        ADDED_LATENCY,
        MIRRORS,
        DROPPED,
        COMPARISONS,
        COMPARISON_DURATION,
        DIFFERENCES,
        DELTA,
        LATENCY_RATIO,
        PROTECTED_NOMINATIONS,
        LOOP_LAG,
        MIRROR_IN_FLIGHT,
        MIRROR_BYTES,
        MIRROR_BYTES_LIMIT,
        PAIRS_OFFERED,
        PAIRS_JUDGED,
        GREETINGS,
        DIFFERENCE_PATHS,
    )
}
