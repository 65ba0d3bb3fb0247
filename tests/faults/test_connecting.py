"""F1, F2, F11, F12: a candidate that cannot be reached."""

import socket
import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Event
from typing import Any

import pytest

from comparators import Verdict
from proxy.config.models import Mode
from proxy.core.reasons import FailureKind
from tests.faults.scene import QUESTIONS, QUICK, ask_all, failures, get, is_unnoticed, judged, mirror, start, switch
from tests.kit.certificates import Authority
from tests.kit.fault_backend import FaultBackend
from tests.kit.faults import answer_truly
from tests.kit.ports import black_hole_port, refusing_port
from tests.kit.scripted_backend import ScriptedBackend
from tests.wire.rig import Rig

ALL = len(QUESTIONS)
Port = Callable[[], AbstractContextManager[int]]


async def is_an_error_of_the_candidate(rig: Rig, failure: FailureKind) -> None:
    """Every copy failed so, and is compared as that."""
    assert failures(rig) == {failure: ALL}
    assert rig.drops() == {}
    assert await judged(rig, ALL) == {Verdict.CANDIDATE_ERROR: ALL}


# --- F1


async def test_f01_a_refused_connection_is_the_candidates_error(rig: Rig) -> None:
    with refusing_port() as port:
        await is_unnoticed(rig, port)
    await is_an_error_of_the_candidate(rig, FailureKind.CONNECT)
    async with ScriptedBackend(port=port, default=(answer_truly,)) as candidate:  # it comes up
        await ask_all(await rig.client())
        await rig.quiet()
        assert len(candidate.requests) == ALL
    assert await judged(rig, 2 * ALL) == {Verdict.CANDIDATE_ERROR: ALL, Verdict.MATCH: ALL}


async def test_f01_the_breaker_opens_and_then_nothing_is_sent(rig: Rig) -> None:
    with refusing_port() as port:
        await start(rig, port, service=mirror(breaker={"failures": 5, "open": "60s"}))
        switch(rig, Mode.SHADOW)
        await ask_quietly(rig, 20)
    assert failures(rig) == {FailureKind.CONNECT: 5}
    assert rig.drops() == {"breaker_open": 15}
    assert await judged(rig, 5) == {Verdict.CANDIDATE_ERROR: 5}


async def ask_quietly(rig: Rig, count: int) -> None:
    """So many requests, each when all came of the one before that will."""
    client = await rig.client()
    for _ in range(count):
        await ask_all(client, [get()])
        await rig.quiet()


# --- F2


async def test_f02_a_syn_black_hole_is_a_timeout_and_holds_no_more_than_its_share(rig: Rig) -> None:
    with black_hole_port() as port:
        await is_unnoticed(
            rig, port, QUESTIONS * 4, service=mirror(in_flight=3, max_connections=3, connect_timeout="100ms")
        )
    dropped = rig.drops()
    assert dropped.keys() == {"in_flight_full"}
    failed = 4 * ALL - dropped["in_flight_full"]
    assert failed >= 3
    assert failures(rig) == {FailureKind.TIMEOUT: failed}
    assert await judged(rig, failed) == {Verdict.CANDIDATE_ERROR: failed}


# --- F11


@pytest.mark.parametrize("name", ["127.0.0.1", "other.example"], ids=["expired", "for another host"])
async def test_f11_a_bad_certificate_is_the_candidates_error(rig: Rig, authority: Authority, name: str) -> None:
    days = -1 if name == "127.0.0.1" else 2
    candidate = ScriptedBackend(tls=authority.server(name, days), default=(answer_truly,))
    await is_unnoticed(rig, candidate, of_candidate={"tls": {"ca": str(authority.certificate)}})
    await is_an_error_of_the_candidate(rig, FailureKind.TLS)
    assert candidate.connections == []


async def test_f11_verification_is_on_unless_switched_off(rig: Rig, authority: Authority) -> None:
    candidate = ScriptedBackend(tls=authority.server(), default=(answer_truly,))
    await is_unnoticed(rig, candidate)
    await is_an_error_of_the_candidate(rig, FailureKind.TLS)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_f11_an_old_protocol_is_the_candidates_error(rig: Rig, authority: Authority) -> None:
    context = authority.server()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    ca = {"tls": {"ca": str(authority.certificate)}}
    await is_unnoticed(rig, ScriptedBackend(tls=context, default=(answer_truly,)), of_candidate=ca)
    await is_an_error_of_the_candidate(rig, FailureKind.TLS)


async def test_f11_a_handshake_that_hangs_is_given_up(rig: Rig) -> None:
    candidate = FaultBackend("tls-hang")
    await is_unnoticed(rig, candidate, service=mirror(tls_timeout="100ms"))
    await is_an_error_of_the_candidate(rig, FailureKind.TIMEOUT)
    for connection in candidate.connections:
        connection.wire.resume_reading()
        await connection.gone()


# --- F12


async def test_f12_an_unknown_name_is_the_candidates_error(rig: Rig) -> None:
    await is_unnoticed(rig, f"http://{'x' * 64}.example")  # longer than any name may be: nobody is asked
    await is_an_error_of_the_candidate(rig, FailureKind.RESOLVE)


async def test_f12_lookups_of_the_candidate_that_hang_delay_none_of_the_primary(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = Event()
    look_up = socket.getaddrinfo

    def resolver(host: str, *rest: Any, **options: Any) -> Any:
        if host == "hangs.example":
            release.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "no name server")
        return look_up(host, *rest, **options)

    async with ScriptedBackend(default=(answer_truly,)) as primary:
        monkeypatch.setattr(socket, "getaddrinfo", resolver)
        await rig.start(
            primary=f"http://localhost:{primary.port}",
            candidate="http://hangs.example",
            mode=Mode.PRIMARY,
            service=QUICK,
            pool={"dns_ttl": "0s", "max_idle": 0},  # every request looks the primary up
        )
        without = await ask_all(await rig.client())
        switch(rig, Mode.SHADOW)
        try:
            assert await ask_all(await rig.client(), QUESTIONS * 2) == without * 2
        finally:
            release.set()
        await rig.quiet()
    assert failures(rig).keys() <= {FailureKind.TIMEOUT, FailureKind.RESOLVE}
    assert sum(failures(rig).values()) == 2 * ALL
