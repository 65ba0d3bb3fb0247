"""What is mirrored, and what the copy is; what may go wrong is in `tests/faults`."""

import asyncio
from typing import Any

import pytest

from proxy.config.models import Mode
from proxy.ipc.messages import Snapshot
from tests.kit.script import read_request, respond, send, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.wire.rig import GET, Rig, request, sized

ANSWER = sized(b'{"score": 1}', b"Date: x", b"Content-Type: application/json")
POST = request(b"POST /score", b"Content-Length: 5", body=b"hello")
READ_ONLY = {"endpoints": [{"name": "score", "match": "POST /score", "read_only": True}]}


async def test_a_pair_of_equal_answers_reaches_the_judge(rig: Rig) -> None:
    await rig.start(
        candidate=ScriptedBackend(default=respond(ANSWER)), primary=ScriptedBackend(default=respond(ANSWER))
    )
    client = await rig.client()
    for _ in range(3):
        await client.send(GET)
        assert (await client.read_response()).raw == ANSWER
    await rig.quiet()
    await rig.until(lambda: len(rig.pairs) == 3, "three pairs")
    for pair in rig.pairs:
        assert (pair.snapshot, pair.service, pair.endpoint) == (1, 0, 0)
        for side in (pair.primary, pair.candidate):
            assert (side.status, side.body, side.cut, side.failure) == (200, b'{"score": 1}', False, None)
            assert side.fields == b"Date: x\r\nContent-Type: application/json\r\nContent-Length: 12"
    assert (rig.mirrors(), rig.drops()) == ({"mirrored": 3}, {})


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


# --- modes, and who is slow


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
