"""F3-F6, F13-F15: a candidate that takes its time, or takes nothing; and uploads, which wait for nobody."""

import asyncio

import pytest

from comparators import Verdict
from proxy.config.models import Mode
from proxy.core.families import MIRROR_IN_FLIGHT
from proxy.core.reasons import FailureKind
from tests.faults.scene import (
    QUESTIONS,
    QUICK,
    ask_all,
    failures,
    get,
    is_clean_again,
    is_unnoticed,
    judged,
    mirror,
    post,
    start,
    switch,
)
from tests.kit.fault_backend import FaultBackend
from tests.kit.faults import ANSWER, BODY, answer_truly
from tests.kit.script import read_request, send, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.scripted_connection import ScriptedConnection
from tests.wire.rig import Rig, request

ALL = len(QUESTIONS)
MIB = 1 << 20


async def are_given_up(candidate: FaultBackend) -> None:
    """The proxy ended every connection."""
    for connection in candidate.connections:
        if not connection.wire.transport.is_reading():
            connection.wire.resume_reading()
        await connection.gone()


# --- F3


@pytest.mark.parametrize("fault", ["mute", "deaf"])
async def test_f03_a_candidate_that_never_answers_is_an_error_in_its_time(rig: Rig, fault: str) -> None:
    candidate = FaultBackend(fault)
    await is_unnoticed(rig, candidate, service=QUICK)
    assert (failures(rig), rig.drops()) == ({FailureKind.TIMEOUT: ALL}, {})
    assert await judged(rig, ALL) == {Verdict.CANDIDATE_ERROR: ALL}
    await are_given_up(candidate)
    await is_clean_again(rig)


async def test_f03_copies_over_the_cap_are_dropped_and_none_waits(rig: Rig) -> None:
    candidate = FaultBackend("mute")
    await is_unnoticed(rig, candidate, QUESTIONS * 4, service=mirror(in_flight=3, deadline="700ms"))
    failed = failures(rig)[FailureKind.TIMEOUT]
    assert rig.drops() == {"in_flight_full": 4 * ALL - failed}
    assert failed >= 3
    assert len(candidate.connections) == failed
    assert await judged(rig, failed) == {Verdict.CANDIDATE_ERROR: failed}
    await is_clean_again(rig)


# --- F4


async def test_f04_an_upload_it_stops_reading_is_an_error_in_its_time(rig: Rig) -> None:
    candidate = FaultBackend("stops-reading")
    uploads = [post(b"x" * 9 * MIB), post(b"y" * 900_000)]
    await is_unnoticed(rig, candidate, uploads, service=mirror(max_body="10MiB", deadline="700ms"))
    assert (failures(rig), rig.drops()) == ({FailureKind.TIMEOUT: 2}, {})
    assert await judged(rig, 2) == {Verdict.CANDIDATE_ERROR: 2}
    await are_given_up(candidate)
    await is_clean_again(rig)


async def test_f04_an_upload_too_large_to_keep_is_not_sent_at_all(rig: Rig) -> None:
    candidate = FaultBackend("stops-reading")
    await is_unnoticed(rig, candidate, [post(b"x" * 10 * MIB)])
    assert (failures(rig), rig.drops()) == ({}, {"too_large": 1})
    assert candidate.connections == []
    await is_clean_again(rig)


async def test_f04_uploads_it_does_not_read_cost_no_more_than_the_budget(rig: Rig) -> None:
    candidate = FaultBackend("deaf")
    await start(rig, candidate, service=mirror(max_body="1MiB", deadline="5s"), mirror_budget="3MiB")
    switch(rig, Mode.SHADOW)
    client = await rig.client()
    for _ in range(8):
        await ask_all(client, [post(b"x" * 900_000)])
        assert 0 < rig.plane.budget.used <= 3 * MIB
    assert rig.drops()["memory_full"] >= 4
    switch(rig, Mode.PRIMARY)  # or they would all wait for their deadline
    await rig.quiet()


# --- F5, F6


async def test_f05_a_head_that_drips_is_an_error_in_its_time(rig: Rig) -> None:
    await _drips(rig, FaultBackend("drips-head", delay_s=0.02))


async def test_f06_a_body_that_drips_is_an_error_in_its_time(rig: Rig) -> None:
    await _drips(rig, FaultBackend("drips-body", delay_s=0.3))


async def _drips(rig: Rig, candidate: FaultBackend) -> None:
    await is_unnoticed(rig, candidate, service=QUICK)
    assert (failures(rig), rig.drops()) == ({FailureKind.TIMEOUT: ALL}, {})
    assert await judged(rig, ALL) == {Verdict.CANDIDATE_ERROR: ALL}
    await are_given_up(candidate)
    await is_clean_again(rig)


# --- F13, F14


async def test_f13_a_slow_candidate_under_load_costs_its_cap_and_the_rest_is_dropped(rig: Rig) -> None:
    """Eight clients at once, and every copy hangs for longer than all of them ask."""
    candidate = FaultBackend("slow", delay_s=60)
    await start(rig, candidate, service=mirror(in_flight=10, deadline="60s", lifetime="60s"))
    without = await ask_all(await rig.client())
    switch(rig, Mode.SHADOW)
    clients = [await rig.client() for _ in range(8)]
    assert await asyncio.gather(*map(ask_all, clients)) == [without] * 8
    await candidate.received_requests(10)
    assert rig.drops() == {"in_flight_full": 8 * ALL - 10}
    assert rig.plane.tally().gauges[MIRROR_IN_FLIGHT.name]["ranker",] == 10
    assert len(candidate.connections) == 10
    switch(rig, Mode.PRIMARY)
    await rig.quiet()
    assert rig.drops() == {"in_flight_full": 8 * ALL - 10, "draining": 10}
    assert rig.plane.tally().gauges[MIRROR_IN_FLIGHT.name]["ranker",] == 0
    switch(rig, Mode.SHADOW)
    await is_clean_again(rig)


async def test_f14_the_next_request_on_a_connection_waits_for_no_copy(rig: Rig) -> None:
    """Every answer comes while every copy hangs; let go, they are all compared."""
    release = asyncio.Event()

    async def when_released(connection: ScriptedConnection) -> None:
        await release.wait()
        await answer_truly(connection)

    await start(rig, ScriptedBackend(default=(when_released,)), service=mirror(deadline="60s", lifetime="60s"))
    without = await ask_all(await rig.client())
    switch(rig, Mode.SHADOW)
    assert await ask_all(await rig.client()) == without
    assert len(rig.plane.services[0].mirror.copies) == ALL
    release.set()
    await rig.quiet()
    assert await judged(rig, ALL) == {Verdict.MATCH: ALL}


async def test_f14_an_answer_that_comes_too_late_is_an_error(rig: Rig) -> None:
    await is_unnoticed(rig, FaultBackend("slow", delay_s=60), service=QUICK)
    assert (failures(rig), rig.drops()) == ({FailureKind.TIMEOUT: ALL}, {})
    await is_clean_again(rig)


# --- F15


@pytest.mark.parametrize("size", [50_000, 10 * MIB], ids=["copied", "too large to copy"])
async def test_f15_an_upload_streams_to_the_primary_while_it_comes(rig: Rig, size: int) -> None:
    """Its first bytes are there before the last are sent; the copy begins with the last one."""
    primary = ScriptedBackend(default=(answer_truly,))
    await start(rig, FaultBackend("healthy"), primary=primary)
    switch(rig, Mode.SHADOW)
    client = await rig.client()
    head = request(b"POST /score", b"Content-Length: %d" % size)
    for part in (b"a" * (size // 2), b"b" * (size // 2)):
        await client.send(head + part)
        head = b""
        await rig.until(lambda: primary.connections and primary.connections[0].received.endswith(part[-9:]), "the part")  # noqa: B023
        if part[:1] == b"a":
            assert rig.candidate.connections == []
    assert (await client.read_response()).status == 200
    await rig.quiet()
    is_copied = size < MIB
    assert rig.drops() == ({} if is_copied else {"too_large": 1})
    assert [copy.body for copy in rig.candidate.requests] == ([primary.requests[0].body] if is_copied else [])


async def test_f15_an_answer_streams_to_the_client_while_it_comes(rig: Rig) -> None:
    release = asyncio.Event()
    script = (read_request(), send(ANSWER[:-5]), wait_for(release), send(ANSWER[-5:]))
    await start(rig, FaultBackend("mute"), primary=ScriptedBackend(default=script), service=QUICK)
    switch(rig, Mode.SHADOW)
    client = await rig.client()
    await client.send(get().raw)
    assert await client.read_exactly(len(ANSWER) - 5) == ANSWER[:-5]
    release.set()
    assert await client.read_exactly(5) == BODY[-5:]
    await rig.quiet()
