"""Limits of what is kept for comparisons: a copy is dropped and counted, the served request notices nothing."""

import asyncio
from typing import Any

import pytest

from proxy.core.families import BACKEND_FAILURES, MIRROR_IN_FLIGHT
from proxy.core.reasons import FailureKind
from tests.kit.script import hang, read_request, respond, send, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.wire.forms import DATE, healthy
from tests.wire.rig import GET, Rig, request, response, sized

READ_ONLY: dict[str, Any] = {"endpoints": [{"name": "score", "match": "POST /score", "read_only": True}]}
ANSWER = sized(b'{"score": 1}', DATE)
KEPT = len(ANSWER) - len(b"HTTP/1.1 200 OK\r\n" + b"\r\n\r\n")
"""Bytes kept of it: its field lines, and its body."""


def both(answer: bytes) -> dict[str, Any]:
    return {side: ScriptedBackend(default=respond(answer)) for side in ("primary", "candidate")}


async def is_served(rig: Rig, count: int = 1) -> None:
    """So many requests on one connection are served right."""
    client = await rig.client()
    for _ in range(count):
        await healthy(rig, client)


# --- bytes


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (lambda size: {"mirror_budget": size}, "memory_full"),
        (lambda size: {"judge": {"queue": size}}, "judge_full"),
    ],
    ids=["mirror_budget", "judge.queue"],
)
async def test_a_pair_that_just_fits_is_compared_and_one_of_a_byte_more_is_not(
    rig: Rig, settings: Any, reason: str
) -> None:
    await rig.start(**both(ANSWER), **settings(2 * KEPT))
    client = await rig.client()
    for target in (b"/", b"/again"):
        await client.send(request(b"GET " + target))
        assert (await client.read_response()).raw == ANSWER
        await rig.quiet()
    await rig.until(lambda: len(rig.pairs) == 2, "both pairs")
    assert rig.drops() == {}
    longer = sized(b'{"score": 10}', DATE)
    for backend in (rig.primary, rig.candidate):
        backend.play_next(respond(longer))
    await client.send(GET)
    assert (await client.read_response()).raw == longer
    await rig.quiet()
    assert (len(rig.pairs), rig.drops()) == (2, {reason: 1})
    await client.send(GET)
    assert (await client.read_response()).raw == ANSWER
    await rig.until(lambda: len(rig.pairs) == 3, "the next pair")


async def test_without_memory_nothing_is_mirrored_and_all_is_served(rig: Rig) -> None:
    await rig.start(mirror_budget=0, service=READ_ONLY)
    client = await rig.client()
    for data in (GET, request(b"POST /score", b"Content-Length: 5", body=b"hello"), GET):
        await client.send(data)
        assert (await client.read_response()).status == 200
    await rig.quiet()
    assert rig.drops() == {"memory_full": 3}


async def test_an_answer_that_outgrows_the_memory_gives_up_the_comparison_only(rig: Rig) -> None:
    big = sized(b"x" * 300_000, DATE)
    await rig.start(respond(big), mirror_budget="100KiB")
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).raw == big
    await rig.quiet()
    assert rig.drops() == {"memory_full": 1}
    await healthy(rig, client)


@pytest.mark.parametrize("cut", ["whole", "before the limit", "at the limit", "bytewise"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_request_too_large_to_keep_is_not_copied_and_still_served(rig: Rig, cut: str, framing: str) -> None:
    """The size is that of the body as it is sent on."""
    await rig.start(service={**READ_ONLY, "mirror": {"max_body": 300}})
    client = await rig.client()
    for excess in (0, 1):
        if framing == "length":
            body = b"x" * (300 + excess)
            head = request(b"POST /score", b"Content-Length: %d" % len(body))
        else:  # one chunk however it comes: two size lines would be two bytes over
            data = b"x" * (300 + excess - len(b"120\r\n" + b"\r\n0\r\n\r\n"))
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
            head = request(b"POST /score", b"Transfer-Encoding: chunked")
        whole = head + body
        offsets = {"whole": (), "before the limit": (299,), "at the limit": (300,), "bytewise": range(1, len(body))}
        at = [len(head) + offset for offset in offsets[cut] if offset < len(body)]
        if framing == "chunked" and cut != "whole":
            at = [len(head)]  # what a chunk is cut into is sent on as so many chunks
        await client.send_cut(whole, *at)
        assert (await client.read_response()).status == 200
    await rig.quiet()
    assert rig.drops() == {"too_large": 1}
    assert [len(copy.body) for copy in rig.candidate.requests] == [len(rig.primary.requests[0].body)]
    assert len(rig.primary.requests) == 2
    await healthy(rig, client)


@pytest.mark.parametrize("framing", ["length", "chunked", "until the end"])
@pytest.mark.parametrize("size", [1000, 1001, 300_000])
async def test_an_answer_too_large_to_keep_is_cut_for_the_comparison_only(rig: Rig, size: int, framing: str) -> None:
    body = b"x" * size
    answers = {
        "length": sized(body, DATE),
        "chunked": response(DATE, b"Transfer-Encoding: chunked", body=b"%x\r\n%b\r\n0\r\n\r\n" % (size, body)),
        "until the end": response(DATE, b"Connection: close", body=body),
    }

    async def end(connection: Any) -> None:
        if framing == "until the end":
            connection.wire.close()

    script = (read_request(), send(answers[framing]), end)
    await rig.start(script, candidate=ScriptedBackend([script]), service={"mirror": {"max_body": 1000}})
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).body == body
    await rig.quiet()
    await rig.until(lambda: rig.pairs, "the pair")
    (pair,) = rig.pairs
    expected = (size > 1000, b"x" * 1000)
    assert [(side.cut, side.body) for side in (pair.primary, pair.candidate)] == [expected] * 2
    assert rig.drops() == {}
    await healthy(rig, client)


# --- copies


@pytest.mark.parametrize("limit", ["in_flight", "max_connections"])
async def test_copies_over_the_limit_are_dropped_and_none_waits(rig: Rig, limit: str) -> None:
    release = asyncio.Event()
    held = (read_request(), wait_for(release), send(ANSWER))
    await rig.start(candidate=ScriptedBackend(default=held), service={"mirror": {limit: 2}})
    client = await rig.client()
    for _ in range(2):
        await healthy(rig, client)
    await rig.candidate.received_heads(2)
    assert rig.drops() == {}
    for _ in range(3):
        await healthy(rig, client)
    assert rig.drops() == {"in_flight_full": 3}
    assert rig.plane.tally().gauges[MIRROR_IN_FLIGHT.name]["ranker",] == 2
    release.set()
    await rig.quiet()
    assert rig.plane.tally().gauges[MIRROR_IN_FLIGHT.name]["ranker",] == 0
    await healthy(rig, client)
    await rig.quiet()
    assert len(rig.candidate.requests) == 3
    assert len(rig.candidate.connections) == 2


# --- time: each ends a copy whatever the candidate does


def failures(rig: Rig) -> dict[str, int]:
    return rig.plane.tally().by(BACKEND_FAILURES, "kind", role="mirror")


@pytest.mark.parametrize("limit", ["deadline", "lifetime"])
async def test_a_copy_without_an_answer_is_a_failure_after_its_time(rig: Rig, limit: str) -> None:
    await rig.start(candidate=ScriptedBackend(default=(hang(),)), service={"mirror": {limit: "100ms"}})
    await is_served(rig, 2)
    await rig.until(lambda: len(rig.pairs) == 2, "the pairs")
    assert [(pair.primary.status, pair.candidate.failure) for pair in rig.pairs] == [(200, FailureKind.TIMEOUT)] * 2
    assert (failures(rig), rig.drops()) == ({FailureKind.TIMEOUT: 2}, {})
    for connection in rig.candidate.connections:
        await connection.gone()


async def test_the_deadline_begins_when_the_served_answer_ends(rig: Rig) -> None:
    release = asyncio.Event()
    await rig.start(
        (read_request(), wait_for(release), send(ANSWER)),
        candidate=ScriptedBackend([(read_request(), hang())]),
        service={"mirror": {"deadline": "100ms"}},
    )
    client = await rig.client()
    await client.send(GET)
    await rig.candidate.received_requests(1)
    ticks = iter(range(20))  # of 10 ms: twice the deadline
    await rig.until(lambda: next(ticks, 20) == 20, "more time than the deadline")
    assert len(rig.plane.services[0].mirror.copies) == 1
    release.set()
    assert (await client.read_response()).raw == ANSWER
    await rig.until(lambda: len(rig.pairs) == 1, "the pair")
    assert rig.pairs[0].candidate.failure is FailureKind.TIMEOUT
    await healthy(rig, client)


async def test_a_copy_is_dropped_after_its_lifetime_while_the_served_answer_still_runs(rig: Rig) -> None:
    release = asyncio.Event()
    await rig.start(
        (read_request(), send(ANSWER[:-1]), wait_for(release), send(ANSWER[-1:])),
        candidate=ScriptedBackend([(read_request(), hang())]),
        service={"mirror": {"lifetime": "100ms"}},
    )
    client = await rig.client()
    await client.send(GET)
    await rig.candidate.received_requests(1)
    await rig.candidate.connections[0].gone()
    release.set()
    assert (await client.read_response()).raw == ANSWER
    await rig.quiet()
    assert (rig.pairs, failures(rig), rig.drops()) == ([], {}, {"too_large": 1})
    await healthy(rig, client)
