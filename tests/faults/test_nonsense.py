"""F7-F10: a candidate that answers too much, too little, or what is no answer."""

from typing import Any

import pytest

from comparators import Reason, Verdict
from proxy.core.reasons import FailureKind
from tests.faults.scene import QUESTIONS, QUICK, failures, is_clean_again, is_unnoticed, judged
from tests.kit.fault_backend import FaultBackend
from tests.kit.faults import BODY, FAULTS, PIECE, answer_truly, message
from tests.kit.script import respond, send, send_endlessly
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.scripted_connection import ScriptedConnection
from tests.wire.rig import Rig

ALL = len(QUESTIONS)
CAP = 100_000
IN_THE_KERNEL = 16 << 20
"""Far more than both socket buffers of a connection hold."""


def of(row: str) -> list[str]:
    """The faults of a row."""
    return [name for name, fault in FAULTS.items() if fault.row == row]


async def fails(rig: Rig, fault: str, failure: FailureKind, **settings: Any) -> None:
    """Nobody notices, it is the candidate's error, its connection ends, and the next copy is clean."""
    candidate = FaultBackend(fault)
    await is_unnoticed(rig, candidate, **settings)
    assert (failures(rig), rig.drops()) == ({failure: ALL}, {})
    assert await judged(rig, ALL) == {Verdict.CANDIDATE_ERROR: ALL}
    for connection in candidate.connections:
        await connection.gone()
    assert rig.plane.services[0].mirror.upstream.pool.idle == []
    await is_clean_again(rig)


# --- F7


@pytest.mark.parametrize("fault", of("F7"))
async def test_f07_a_body_without_end_is_cut_at_the_cap_and_cannot_be_compared(rig: Rig, fault: str) -> None:
    candidate = FaultBackend(fault)
    await is_unnoticed(rig, candidate)
    assert (failures(rig), rig.drops()) == ({}, {})
    assert await judged(rig, ALL) == {(Verdict.INCOMPARABLE, Reason.CAPTURE_CAP): ALL}
    assert {(pair.candidate.cut, len(pair.candidate.body)) for pair in rig.pairs} == {(True, CAP)}
    for connection in candidate.connections:
        await connection.gone()
    await is_clean_again(rig)


async def test_f07_what_differs_before_the_end_that_never_comes_is_a_mismatch(rig: Rig) -> None:
    head = message(b"Content-Length: 10000000000", start=b"HTTP/1.1 404 Not Found")
    await is_unnoticed(rig, ScriptedBackend(default=(*respond(head), send_endlessly(PIECE))))
    assert await judged(rig, ALL) == {Verdict.MISMATCH: ALL}


async def test_f07_no_more_is_read_than_the_cap_and_what_the_kernel_holds(rig: Rig) -> None:
    taken = 0

    async def count(connection: ScriptedConnection) -> None:
        nonlocal taken
        taken += 0 if connection.wire.over else len(PIECE)

    endless = (*respond(message(b"Content-Length: 10000000000")), *(send(PIECE), count) * 1000)
    await is_unnoticed(rig, ScriptedBackend(default=endless), QUESTIONS[:1])
    await rig.candidate.connections[0].gone()
    assert taken < CAP + IN_THE_KERNEL


# --- F8

ENDS_EARLY = {
    "fin-in-head": FailureKind.RESET,
    "reset-on-request": FailureKind.RESET,
    "reset-on-connect": FailureKind.RESET,
}


@pytest.mark.parametrize("fault", of("F8"))
async def test_f08_an_end_inside_an_answer_is_an_error_and_never_a_mismatch(rig: Rig, fault: str) -> None:
    await fails(rig, fault, ENDS_EARLY.get(fault, FailureKind.TRUNCATED))
    assert len(rig.primary.connections) == 1  # every request went by the same, also those of the baseline


# --- F9


@pytest.mark.parametrize("fault", of("F9"))
async def test_f09_what_is_no_answer_is_an_error(rig: Rig, fault: str) -> None:
    await fails(rig, fault, FailureKind.PROTOCOL)


# --- F10


@pytest.mark.parametrize("fault", ["length-and-chunked", "two-lengths"])
async def test_f10_a_body_framed_in_two_ways_is_an_error(rig: Rig, fault: str) -> None:
    await fails(rig, fault, FailureKind.PROTOCOL)


async def test_f10_a_body_shorter_than_declared_is_an_error_in_its_time(rig: Rig) -> None:
    await fails(rig, "body-short", FailureKind.TIMEOUT, service=QUICK)


async def test_f10_bytes_behind_an_answer_are_no_part_of_it_nor_of_the_next(rig: Rig) -> None:
    candidate = FaultBackend("body-long")
    primary = ScriptedBackend(default=FAULTS["body-long"].script(0))
    await is_unnoticed(rig, candidate, primary=primary)
    assert (failures(rig), rig.drops()) == ({}, {})
    assert await judged(rig, ALL) == {Verdict.MATCH: ALL}
    assert {pair.candidate.body for pair in rig.pairs} == {BODY}
    assert len(candidate.connections) == ALL
    for connection in candidate.connections:
        await connection.gone()
    primary.play_next((answer_truly,))
