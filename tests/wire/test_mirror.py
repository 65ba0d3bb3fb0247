"""What the candidate may do to a client: nothing. And every request is accounted for."""

import asyncio
from typing import Any

import pytest

from proxy.config.models import Mode
from proxy.core.families import BACKEND_FAILURES
from proxy.core.reasons import FailureKind
from proxy.ipc.messages import Snapshot
from tests.kit.ports import black_hole_port, refusing_port
from tests.kit.script import close, hang, read_request, reset, respond, send, send_endlessly, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.scripted_connection import Script, ScriptedConnection
from tests.kit.wire import bytewise
from tests.wire.rig import GET, Rig, request, response, sized

ANSWER = sized(b'{"score": 1}', b"Date: x", b"Content-Type: application/json")
POST = request(b"POST /score", b"Content-Length: 5", body=b"hello")
READ_ONLY = {"endpoints": [{"name": "score", "match": "POST /score", "read_only": True}]}
QUICK = {"mirror": {"deadline": "200ms", "lifetime": "2s", "connect_timeout": "100ms", "max_body": 10_000}}


async def drips(connection: ScriptedConnection) -> None:
    """Send the answer byte by byte, far slower than anybody waits."""
    for piece in bytewise(ANSWER):
        if connection.wire.over:
            return
        await connection.wire.send(piece)
        await asyncio.sleep(0.05)  # the slowness is the behaviour; nothing waits by it


async def client_sees_the_primary_only(rig: Rig, count: int = 3) -> None:
    """Some requests on one connection: each gets the primary's answer, byte for byte."""
    client = await rig.client()
    for _ in range(count):
        await client.send(GET)
        assert (await client.read_response()).raw == ANSWER
    assert client.received == ANSWER * count


def failures(rig: Rig) -> dict[str, int]:
    return rig.plane.tally().by(BACKEND_FAILURES, "kind", role="mirror")


async def test_a_pair_of_equal_answers_reaches_the_judge(rig: Rig) -> None:
    await rig.start(
        candidate=ScriptedBackend(default=respond(ANSWER)), primary=ScriptedBackend(default=respond(ANSWER))
    )
    await client_sees_the_primary_only(rig)
    await rig.quiet()
    await rig.until(lambda: len(rig.pairs) == 3, "three pairs")
    for pair in rig.pairs:
        assert (pair.snapshot, pair.service, pair.endpoint) == (1, 0, 0)
        for side in (pair.primary, pair.candidate):
            assert (side.status, side.body, side.cut, side.failure) == (200, b'{"score": 1}', False, None)
            assert side.fields == b"Date: x\r\nContent-Type: application/json\r\nContent-Length: 12"
    assert (rig.mirrors(), rig.drops()) == ({"mirrored": 3}, {})


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        ((read_request(), reset()), FailureKind.RESET),
        ((reset(),), FailureKind.RESET),
        ((read_request(), send(response(b"Content-Length: 10", body=b"hello")), close()), FailureKind.TRUNCATED),
        ((read_request(), send(response(b"Content-Length: 10", body=b"hello")), reset()), FailureKind.TRUNCATED),
        (respond(b"garbage\r\n\r\n"), FailureKind.PROTOCOL),
        (respond(response(b"X: " + b"x" * 200_000)), FailureKind.PROTOCOL),
        (respond(response(*[b"X: 1"] * 10_000)), FailureKind.PROTOCOL),
        (respond(response(start=b"HTTP/1.1 103 E") * 1000), FailureKind.PROTOCOL),
        (respond(response(b"Content-Length: 5", b"Transfer-Encoding: chunked")), FailureKind.PROTOCOL),
        ((hang(),), FailureKind.TIMEOUT),
        ((read_request(), drips), FailureKind.TIMEOUT),
        ((read_request(), send(response(b"Content-Length: 10", body=b"hello")), hang()), FailureKind.TIMEOUT),
    ],
    ids=[
        "reset", "reset early", "FIN in the body", "RST in the body", "garbage", "200 KB head", "10,000 fields",
        "1,000 interim",
        "length and chunked", "mute", "drips", "body stops",
    ],
)  # fmt: skip
async def test_a_failing_candidate_is_evidence_and_no_more(rig: Rig, script: Script, failure: FailureKind) -> None:
    await rig.start(
        primary=ScriptedBackend(default=respond(ANSWER)), candidate=ScriptedBackend(default=script), service=QUICK
    )
    await client_sees_the_primary_only(rig)
    await rig.quiet()
    await rig.until(lambda: len(rig.pairs) == 3, "three pairs")
    assert {(pair.primary.status, pair.candidate.failure) for pair in rig.pairs} == {(200, failure)}
    assert failures(rig) == {failure: 3}
    assert rig.drops() == {}
    assert rig.plane.services[0].mirror.upstream.pool.idle == []


@pytest.mark.parametrize(
    ("port", "failure"),
    [(refusing_port, FailureKind.CONNECT), (black_hole_port, FailureKind.TIMEOUT)],
    ids=["refuses", "black hole"],
)
async def test_a_candidate_that_cannot_be_reached_is_evidence_and_no_more(
    rig: Rig, port: Any, failure: FailureKind
) -> None:
    with port() as candidate:
        await rig.start(primary=ScriptedBackend(default=respond(ANSWER)), candidate=candidate, service=QUICK)
        await client_sees_the_primary_only(rig)
        await rig.quiet()
    assert failures(rig) == {failure: 3}
    assert rig.drops() == {}


async def test_an_endless_candidate_is_cut_at_the_cap(rig: Rig) -> None:
    endless = (read_request(), send(response(b"Content-Length: 10000000000")), send_endlessly(b"x" * 65536))
    candidate = ScriptedBackend(default=endless)
    await rig.start(primary=ScriptedBackend(default=respond(ANSWER)), candidate=candidate, service=QUICK)
    await client_sees_the_primary_only(rig)
    await rig.quiet()
    await rig.until(lambda: len(rig.pairs) == 3, "three pairs")
    assert [(pair.candidate.cut, len(pair.candidate.body)) for pair in rig.pairs] == [(True, 10_000)] * 3
    for connection in candidate.connections:
        await connection.gone()


async def test_a_candidate_that_does_not_read_costs_budget_until_its_deadline(rig: Rig) -> None:
    body = b"x" * 900_000
    upload = request(b"POST /score", b"Content-Length: %d" % len(body), body=body)
    service = {**READ_ONLY, "mirror": {"deadline": "300ms"}}
    await rig.start(candidate=ScriptedBackend.deaf(), service=service, mirror_budget="3MiB")
    client = await rig.client()
    for _ in range(8):
        await client.send(upload)
        assert (await client.read_response()).status == 200
        assert rig.plane.budget.used <= rig.plane.budget.limit
    assert rig.plane.budget.used > 0
    await rig.quiet()
    assert rig.drops().get("memory_full", 0) >= 4
    assert failures(rig).keys() <= {FailureKind.TIMEOUT}


# --- what is mirrored, and what the copy is


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_the_copy_is_the_served_request_marked(rig: Rig, framing: str) -> None:
    await rig.start(service={"mirror": {"methods": ["POST"], "headers": {"remove": ["Cookie"]}}})
    chunked = request(
        b"POST /score", b"Cookie: c", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
    )
    data = (
        chunked if framing == "chunked" else request(b"POST /score", b"Cookie: c", b"Content-Length: 5", body=b"hello")
    )
    assert (await rig.ask(data)).status == 200
    await rig.quiet()
    (served,), (copy,) = rig.primary.requests, rig.candidate.requests
    assert (copy.start_line, copy.body, copy.trailers) == (served.start_line, served.body, served.trailers)
    assert sorted(copy.lines) == sorted(
        [*(line for line in served.lines if line != b"Cookie: c"), b"X-Shadow-Request: 1"]
    )
    assert served.values(b"x-shadow-request") == []
    assert served.values(b"cookie") == [b"c"]


async def test_a_body_in_pieces_is_copied_whole(rig: Rig) -> None:
    await rig.start(service=READ_ONLY)
    client = await rig.client()
    await client.send_bytewise(POST)
    assert (await client.read_response()).status == 200
    await rig.quiet()
    assert rig.candidate.requests[0].body == b"hello"


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PATCH", b"DELETE", b"FOO"])
async def test_what_may_write_is_not_mirrored(rig: Rig, method: bytes) -> None:
    await rig.start()
    assert (await rig.ask(request(method + b" /score"))).status == 200
    await rig.quiet()
    assert (rig.mirrors(), rig.candidate.connections) == ({"method": 1}, [])


async def test_a_read_only_endpoint_is_mirrored_whatever_its_method(rig: Rig) -> None:
    await rig.start(service=READ_ONLY)
    assert (await rig.ask(POST)).status == 200
    assert (await rig.ask(request(b"POST /other"))).status == 200
    await rig.quiet()
    assert rig.mirrors() == {"method": 1, "mirrored": 1}
    assert [copy.target for copy in rig.candidate.requests] == [b"/score"]


@pytest.mark.parametrize(
    ("options", "data", "result"),
    [
        ({"mode": Mode.PRIMARY}, GET, "mode"),
        ({"service": {"mirror": {"share": 0.0}}}, GET, "not_sampled"),
        ({"service": {"endpoints": [{"name": "root", "match": "GET /", "mirror": False}]}}, GET, "endpoint_off"),
        ({}, request(b"GET /", b"X-Shadow-Request: 1"), "loop"),
    ],
    ids=["mode", "share", "endpoint", "a copy itself"],
)
async def test_policy_against_mirroring_is_counted(rig: Rig, options: dict[str, Any], data: bytes, result: str) -> None:
    await rig.start(**options)
    assert (await rig.ask(data)).status == 200
    await rig.quiet()
    assert (rig.mirrors(), rig.drops(), rig.candidate.connections) == ({result: 1}, {}, [])


async def test_a_share_of_the_requests_is_mirrored(rig: Rig) -> None:
    await rig.start(service={"mirror": {"share": 0.5}})
    client = await rig.client()
    await client.send(GET * 100)
    for _ in range(100):
        assert (await client.read_response()).status == 200
    await rig.quiet()
    assert 48 <= rig.mirrors()["mirrored"] <= 52


# --- the judge


async def test_without_a_judge_pairs_are_dropped(rig: Rig) -> None:
    await rig.start(has_judge=False)
    assert (await rig.ask()).status == 200
    await rig.quiet()
    assert rig.drops() == {"judge_lost": 1}


async def test_a_judge_that_dies_costs_only_comparisons(rig: Rig) -> None:
    await rig.start()
    client = await rig.client()
    await client.send(GET)
    await client.read_response()
    await rig.until(lambda: rig.pairs, "the first pair")
    await rig.lose_judge()
    await client.send(GET)
    assert (await client.read_response()).status == 200
    await rig.quiet()
    assert rig.drops() == {"judge_lost": 1}
    await rig.connect_judge()
    await client.send(GET)
    assert (await client.read_response()).status == 200
    await rig.until(lambda: len(rig.pairs) == 2, "a pair for the new judge")


async def test_leaving_shadow_mode_drops_the_copies_under_way(rig: Rig) -> None:
    await rig.start(candidate=ScriptedBackend.mute())
    assert (await rig.ask()).status == 200
    await rig.candidate.received_heads(1)
    rig.plane.adopt(_snapshot(rig, Mode.PRIMARY))
    await rig.candidate.connections[0].gone()
    await rig.quiet()
    assert rig.drops() == {"draining": 1}
    assert (await rig.ask()).status == 200
    assert rig.mirrors() == {"mirrored": 1, "mode": 1}
    rig.plane.adopt(_snapshot(rig, Mode.SHADOW))
    assert (await rig.ask()).status == 200
    await rig.candidate.received_heads(2)
    rig.plane.adopt(_snapshot(rig, Mode.PRIMARY))


def _snapshot(rig: Rig, mode: Mode) -> Snapshot:
    return Snapshot(2, rig.plane.settings, {"ranker": mode})


async def test_a_failing_primary_is_the_clients_answer_and_the_candidate_is_never_substituted(rig: Rig) -> None:
    await rig.start((read_request(), reset()), candidate=ScriptedBackend(default=respond(ANSWER)))
    assert (await rig.ask()).status == 502
    await rig.quiet()
    await rig.until(lambda: rig.pairs, "the pair")
    (pair,) = rig.pairs
    assert (pair.primary.failure, pair.candidate.status) == (FailureKind.RESET, 200)


async def test_a_slow_candidate_does_not_delay_the_next_request(rig: Rig) -> None:
    release = asyncio.Event()
    held = (read_request(), wait_for(release), send(ANSWER))
    await rig.start(candidate=ScriptedBackend(default=held), primary=ScriptedBackend(default=respond(ANSWER)))
    await client_sees_the_primary_only(rig, 10)  # every one of them answered while every copy hangs
    assert len(rig.plane.services[0].mirror.copies) == 10
    release.set()
    await rig.quiet()
    await rig.until(lambda: len(rig.pairs) == 10, "ten pairs")


async def test_a_fast_candidate_waits_for_the_slow_primary(rig: Rig) -> None:
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), send(ANSWER)))
    client = await rig.client()
    await client.send(GET)
    await rig.candidate.received_requests(1)
    await rig.until(lambda: not rig.plane.services[0].mirror.copies, "the copy's outcome")
    assert rig.pairs == []
    release.set()
    assert (await client.read_response()).raw == ANSWER
    await rig.until(lambda: rig.pairs, "the pair")
