import pytest

from proxy.core.message import Cause, Failure
from proxy.core.reasons import FailureKind

# What happened → how it is counted: a contract with dashboards, so it stands here in full.
KINDS = {
    FailureKind.RESOLVE: {Cause.RESOLVE},
    FailureKind.CONNECT: {Cause.CONNECT_REFUSED},
    FailureKind.TLS: {Cause.TLS},
    FailureKind.RESET: {Cause.RESET},
    FailureKind.TRUNCATED: {Cause.TRUNCATED},
    FailureKind.PROTOCOL: {Cause.PROTOCOL, Cause.RESPONSE_HEAD, Cause.INTERIM},
    FailureKind.TIMEOUT: {
        Cause.RESOLVE_TIMEOUT,
        Cause.CONNECT_TIMEOUT,
        Cause.TLS_TIMEOUT,
        Cause.FIRST_BYTE_TIMEOUT,
        Cause.RESPONSE_IDLE,
        Cause.TOTAL_TIMEOUT,
        Cause.DEADLINE,
    },
    FailureKind.POOL: {Cause.POOL_FULL, Cause.POOL_WAIT, Cause.TUNNELS, Cause.OVERLOADED},
    FailureKind.INTERNAL: {Cause.INTERNAL},
}


@pytest.mark.parametrize("kind", FailureKind)
def test_each_kind_counts_these_causes(kind: FailureKind) -> None:
    assert {cause for cause in Cause if Failure(cause).kind is kind} == KINDS[kind]


def test_only_our_own_limits_and_bugs_are_ours() -> None:
    ours = {Cause.POOL_FULL, Cause.POOL_WAIT, Cause.TUNNELS, Cause.OVERLOADED, Cause.INTERNAL}
    assert {cause for cause in Cause if Failure(cause).is_ours} == ours


def test_equal_failures_are_equal() -> None:
    assert Failure(Cause.RESET) == Failure(Cause.RESET) != Failure(Cause.TRUNCATED)
