"""Closed lists of reasons. Each is the label set of one metric: what peers send is never a label.

MirrorResult   why a request was, or by policy was not, mirrored     shadow_mirrors_total{result}
Drop           why a mirrored request has no verdict                 shadow_dropped_total{reason}
Refused        why bytes were refused before a service was known     shadow_refused_requests_total{reason}
FailureKind    how a backend failed to answer                        shadow_backend_failures_total{kind}
Suspension     why a worker starts no copies for now                 shadow_mirroring_suspended{cause}
"""

from enum import StrEnum


class MirrorResult(StrEnum):
    """Policy: every client request has exactly one of these."""

    MIRRORED = "mirrored"
    MODE = "mode"
    METHOD = "method"
    ENDPOINT_OFF = "endpoint_off"
    NOT_SAMPLED = "not_sampled"
    EXCLUDED = "excluded"
    UPGRADE = "upgrade"
    LOOP = "loop"
    DRAINING = "draining"


class Drop(StrEnum):
    """Capacity and accidents: a mirrored request without a verdict has exactly one of these."""

    CLIENT_GONE = "client_gone"
    INCOMPLETE = "incomplete"
    TOO_LARGE = "too_large"
    IN_FLIGHT_FULL = "in_flight_full"
    MEMORY_FULL = "memory_full"
    BREAKER_OPEN = "breaker_open"
    JUDGE_FULL = "judge_full"
    JUDGE_KILLED = "judge_killed"
    JUDGE_LOST = "judge_lost"
    SHED = "shed"
    DRAINING = "draining"


class Refused(StrEnum):
    """A request we answer ourselves because of what it is, before any backend is asked."""

    TLS = "tls"
    REQUEST_LINE = "request_line"
    TARGET = "target"
    METHOD = "method"
    VERSION = "version"
    FIELD = "field"
    HOST = "host"
    FRAMING = "framing"
    CODING = "coding"
    MAX_FORWARDS = "max_forwards"
    HEADER_BYTES = "header_bytes"
    HEADER_COUNT = "header_count"
    TRAILERS = "trailers"
    CHUNK = "chunk"
    CHUNK_OVERHEAD = "chunk_overhead"
    BODY_BYTES = "body_bytes"
    REQUEST_HEAD = "request_head"
    REQUEST_BODY_IDLE = "request_body_idle"
    LOOP = "loop"
    NO_SERVICE = "no_service"
    CONNECT = "connect"
    TRACE = "trace"
    OVERLOADED = "overloaded"
    INTERNAL = "internal"


class FailureKind(StrEnum):
    """How a backend failed to answer; the last two are our own doing and never count against it."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    RESET = "reset"
    TRUNCATED = "truncated"
    PROTOCOL = "protocol"
    POOL = "pool"
    INTERNAL = "internal"


class Suspension(StrEnum):
    """What this worker lacks, so that it mirrors nothing: time, memory, descriptors, or trust in its own code."""

    LAG = "lag"
    MEMORY = "memory"
    FILES = "files"
    BUGS = "bugs"
