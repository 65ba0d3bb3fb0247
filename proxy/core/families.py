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
WARM_UP_REQUESTS = _counter(
    "shadow_warm_up_requests",
    " ".join(REQUESTS.labels),
    "Those of shadow_requests that began while one side may have been cold: no evidence.",
)
WARM_UP_COMPARISONS = _counter(
    "shadow_warm_up_comparisons",
    " ".join(COMPARISONS.labels),
    "Those of shadow_comparisons on such requests.",
)
COMPARISON_DURATION = _sketch("shadow_comparison_duration_seconds", "service", "Judge time per pair.")
DIFFERENCES = _counter("shadow_differences", "service endpoint kind", "Differences found, by kind.")
DELTA = _sketch("shadow_prediction_delta_ratio", "service endpoint", "Relative delta of numeric leaves, zero included.")
LATENCY_RATIO = _sketch("shadow_latency_ratio", "service endpoint", "Candidate duration divided by primary duration.")
PROTECTED_NOMINATIONS = _counter(
    "shadow_protected_nominations",
    "service",
    "Protected names that a Connection field asked to remove; such fields are forwarded.",
)
START_SKEW = _sketch(
    "shadow_mirror_start_skew_seconds",
    "service",
    "Between the served request and its copy being fully sent, whichever came first.",
)
LOOP_LAG = _sketch("shadow_event_loop_lag_seconds", "process", "Late timer wake-ups.")
RULE_QUARANTINED = _gauge(
    "shadow_rule_quarantined", "service rule", "Judges that no longer apply it, after three that died of it."
)
ENDPOINT_QUARANTINED = _gauge(
    "shadow_endpoint_quarantined",
    "service endpoint",
    "Judges that no longer compare its pairs, after three that died of them.",
)
MIRROR_IN_FLIGHT = _gauge("shadow_mirror_in_flight", "service", "Copies under way.")
MIRROR_BYTES = _gauge("shadow_mirror_bytes", "", "Bytes held for mirrors and pairs.")
MIRROR_BYTES_LIMIT = _gauge("shadow_mirror_bytes_limit", "", "The budget those bytes are held against.")
BREAKER_OPEN = _gauge("shadow_breaker_open", "service backend", "Workers that have paused copies to it.")
MIRRORING_SUSPENDED = _gauge(
    "shadow_mirroring_suspended", "process cause", "1 while this worker starts no copies, by what it lacks."
)
MEMORY = _gauge("shadow_memory_bytes", "process", "Bytes that count against the memory limit that is nearest.")
MEMORY_LIMIT = _gauge("shadow_memory_bytes_limit", "process", "That limit; absent where there is none.")

PAIRS_OFFERED = _counter("pairs_offered", "service judge", "Pairs handed to one incarnation of a judge.")
PAIRS_JUDGED = _counter(
    "pairs_judged",
    "service endpoint backend code worker",
    "Verdicts on the pairs of one incarnation of a worker, by how its client request ended.",
)
PAIRS_KILLED = _counter("pairs_killed", "service worker judge", "The pair that an incarnation of a judge died of.")
BREAKER_OPENED_AT = _gauge("breaker_opened_at", "service backend process", "Unix seconds.")
WARM_UP_JUDGED = _counter("warm_up_pairs_judged", " ".join(PAIRS_JUDGED.labels), "The same, as `pairs_judged`.")
WARM_UP_LEFT = _gauge("warm_up_left_seconds", "service process", "How long this worker still warms up.")
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
        WARM_UP_REQUESTS,
        WARM_UP_COMPARISONS,
        COMPARISON_DURATION,
        DIFFERENCES,
        DELTA,
        LATENCY_RATIO,
        PROTECTED_NOMINATIONS,
        START_SKEW,
        LOOP_LAG,
        RULE_QUARANTINED,
        ENDPOINT_QUARANTINED,
        MIRROR_IN_FLIGHT,
        MIRROR_BYTES,
        MIRROR_BYTES_LIMIT,
        BREAKER_OPEN,
        MIRRORING_SUSPENDED,
        MEMORY,
        MEMORY_LIMIT,
        PAIRS_OFFERED,
        PAIRS_JUDGED,
        PAIRS_KILLED,
        WARM_UP_JUDGED,
        WARM_UP_LEFT,
        BREAKER_OPENED_AT,
        GREETINGS,
        DIFFERENCE_PATHS,
    )
}
