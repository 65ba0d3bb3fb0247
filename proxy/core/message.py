"""Outcomes of a backend's leg. A peer's failure is a value, never an exception.

Cause → FailureKind         what happened → how it is counted
├─ resolve, resolve_timeout                           resolve, timeout
├─ connect_refused, connect_timeout                   connect, timeout
├─ tls, tls_timeout                                   tls, timeout
├─ reset                    no full response head     reset
├─ truncated                body cut after the head   truncated
├─ protocol, response_head, interim                   protocol
├─ first_byte_timeout, response_idle, total_timeout, deadline    timeout
└─ pool_full, pool_wait, tunnels, overloaded · internal    pool · internal: ours, never held against a backend
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from proxy.core.reasons import FailureKind


class Cause(StrEnum):
    """What happened; the `reason` of the answer a client gets for it."""

    RESOLVE = "resolve"
    RESOLVE_TIMEOUT = "resolve_timeout"
    CONNECT_REFUSED = "connect_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS = "tls"
    TLS_TIMEOUT = "tls_timeout"
    RESET = "reset"
    TRUNCATED = "truncated"
    PROTOCOL = "protocol"
    RESPONSE_HEAD = "response_head"
    INTERIM = "interim"
    FIRST_BYTE_TIMEOUT = "first_byte_timeout"
    RESPONSE_IDLE = "response_idle"
    TOTAL_TIMEOUT = "total_timeout"
    DEADLINE = "deadline"
    POOL_FULL = "pool_full"
    POOL_WAIT = "pool_wait"
    TUNNELS = "tunnels"
    OVERLOADED = "overloaded"
    INTERNAL = "internal"


_KINDS: Final = {
    Cause.RESOLVE: FailureKind.RESOLVE,
    Cause.RESOLVE_TIMEOUT: FailureKind.TIMEOUT,
    Cause.CONNECT_REFUSED: FailureKind.CONNECT,
    Cause.CONNECT_TIMEOUT: FailureKind.TIMEOUT,
    Cause.TLS: FailureKind.TLS,
    Cause.TLS_TIMEOUT: FailureKind.TIMEOUT,
    Cause.RESET: FailureKind.RESET,
    Cause.TRUNCATED: FailureKind.TRUNCATED,
    Cause.PROTOCOL: FailureKind.PROTOCOL,
    Cause.RESPONSE_HEAD: FailureKind.PROTOCOL,
    Cause.INTERIM: FailureKind.PROTOCOL,
    Cause.FIRST_BYTE_TIMEOUT: FailureKind.TIMEOUT,
    Cause.RESPONSE_IDLE: FailureKind.TIMEOUT,
    Cause.TOTAL_TIMEOUT: FailureKind.TIMEOUT,
    Cause.DEADLINE: FailureKind.TIMEOUT,
    Cause.POOL_FULL: FailureKind.POOL,
    Cause.POOL_WAIT: FailureKind.POOL,
    Cause.TUNNELS: FailureKind.POOL,
    Cause.OVERLOADED: FailureKind.POOL,
    Cause.INTERNAL: FailureKind.INTERNAL,
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A leg without a usable answer."""

    cause: Cause

    @property
    def kind(self) -> FailureKind:
        """How it is counted."""
        return _KINDS[self.cause]

    @property
    def is_ours(self) -> bool:
        """Whether our own limits or bugs made it: then it is no evidence against the backend."""
        return self.kind in {FailureKind.POOL, FailureKind.INTERNAL}
