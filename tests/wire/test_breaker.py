"""A candidate that gives no answers is asked no more, but for single probes; clients are served as ever.

What takes the breaker's own half minute runs in memory on a fake clock, the rest on sockets.
"""

import asyncio
from time import monotonic
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from proxy.config.models import Mode
from proxy.core.breaker import PROBE_EVERY_S, State
from proxy.core.families import BACKEND_FAILURES, BREAKER_OPEN, BREAKER_OPENED_AT, MIRRORS
from proxy.core.reasons import FailureKind
from proxy.ipc.messages import Snapshot
from tests.kit.memory_plane import OK, MemoryBackend, MemoryPlane
from tests.kit.memory_plane import settings as configured
from tests.kit.polling import wait_until_async
from tests.kit.ports import black_hole_port, refusing_port
from tests.kit.script import hang, read_request, reset, respond, send, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.wire import Wire
from tests.wire.forms import healthy
from tests.wire.rig import GET, Rig, sized
from tests.wire.test_reload import adopt, backend

RESET = (read_request(), reset())
QUICK = {"failures": 3, "open": "50ms", "probes": 2}


def quickly(**breaker: Any) -> dict[str, Any]:
    """A service whose breaker takes no half minute."""
    return {"mirror": {"breaker": {**QUICK, **breaker}}}


def state(rig: Rig) -> State:
    return rig.plane.services[0].mirror.breaker.state


def is_said_open(rig: Rig) -> float:
    return rig.plane.tally().gauges[BREAKER_OPEN.name]["ranker", "v2"]


async def asks(rig: Rig, count: int = 1) -> None:
    """So many requests are served right, and each copy has ended before the next."""
    client = await rig.client()
    for _ in range(count):
        await healthy(rig, client)
        await rig.quiet()


# --- it opens


async def test_a_candidate_that_refuses_connections_is_asked_twenty_times(rig: Rig) -> None:
    with refusing_port() as port:
        await rig.start(candidate=port)
        await asks(rig, 20)
        assert (rig.drops(), is_said_open(rig)) == ({}, 1)
        await asks(rig, 10)
    assert rig.drops() == {"breaker_open": 10}
    assert rig.plane.tally().by(BACKEND_FAILURES, "kind") == {"connect": 20}
    await rig.until(lambda: len(rig.pairs) == 20, "the pairs of the others")
    assert {pair.candidate.failure for pair in rig.pairs} == {FailureKind.CONNECT}


async def test_a_candidate_that_swallows_connections_is_asked_no_more(rig: Rig) -> None:
    with black_hole_port() as port:
        mirror = {"connect_timeout": "30ms", "breaker": {**QUICK, "open": "30s"}}
        await rig.start(candidate=port, service={"mirror": mirror})
        await asks(rig, 7)
    assert rig.drops() == {"breaker_open": 4}
    assert rig.plane.tally().by(BACKEND_FAILURES, "kind") == {"timeout": 3}


@pytest.mark.parametrize(
    "script",
    [
        RESET,
        (read_request(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), reset()),
        respond(b"220 mail.example ESMTP\r\n"),
        (read_request(), hang()),
    ],
    ids=["reset", "truncated", "protocol", "timeout"],
)
async def test_whatever_is_no_answer_counts(rig: Rig, script: Any) -> None:
    service = {"mirror": {"deadline": "50ms", "breaker": {**QUICK, "open": "30s"}}}
    await rig.start(candidate=ScriptedBackend(default=script), service=service)
    await asks(rig, 5)
    assert (rig.drops(), len(rig.candidate.requests)) == ({"breaker_open": 2}, 3)


async def test_an_answer_that_is_an_error_is_an_answer(rig: Rig) -> None:
    failing = respond(sized(b"down", b"Content-Type: text/plain").replace(b"200 OK", b"503 Down"))
    await rig.start(candidate=ScriptedBackend(default=failing), service=quickly(failures=1))
    await asks(rig, 5)
    await rig.until(lambda: len(rig.pairs) == 5, "every pair")
    assert (rig.drops(), is_said_open(rig)) == ({}, 0)


@pytest.mark.parametrize(
    ("mirror", "reason"),
    [({"max_connections": 1}, "in_flight_full"), ({"lifetime": "30ms"}, "too_large")],
    ids=["no connection left", "served answer too long"],
)
async def test_what_we_drop_ourselves_does_not_count(rig: Rig, mirror: dict[str, Any], reason: str) -> None:
    release = asyncio.Event()
    slow = (read_request(), wait_for(release), send(sized(b"ok")))
    service = {"mirror": {**mirror, "breaker": {**QUICK, "failures": 1}}}
    await rig.start(primary=ScriptedBackend(default=slow), candidate=ScriptedBackend(default=slow), service=service)
    clients = [await rig.client() for _ in range(4)]
    for client in clients:
        await client.send(GET)
    await rig.primary.received_requests(4)
    await rig.until(lambda: len(rig.plane.services[0].mirror.copies) < 2, "copies to be dropped")
    release.set()
    for client in clients:
        assert (await client.read_response()).body == b"ok"
    await rig.quiet()
    assert (set(rig.drops()), state(rig)) == ({reason}, State.CLOSED)


# --- and closes


async def test_probes_that_are_answered_close_it(rig: Rig) -> None:
    await rig.start(candidate=ScriptedBackend([RESET] * 3), service=quickly())
    await asks(rig, 3)
    assert state(rig) is State.OPEN

    async def closes() -> bool:
        await asks(rig)
        return state(rig) is State.CLOSED

    await wait_until_async(closes, "the breaker to close")
    dropped = rig.drops()
    assert set(dropped) == {"breaker_open"}
    assert len(rig.candidate.requests) == 3 + QUICK["probes"]  # type: ignore[operator]  # a number
    await asks(rig, 5)
    assert (rig.drops(), is_said_open(rig)) == (dropped, 0)


async def test_no_two_connections_are_tried_within_a_second_while_it_is_open(rig: Rig) -> None:
    """The candidate resets each, so every probe is a connection."""
    await rig.start(candidate=ScriptedBackend(default=RESET), service=quickly(failures=1, open="1ms"))
    await asks(rig)
    since, before = monotonic(), len(rig.candidate.connections)
    client = await rig.client()

    async def is_probed_thrice() -> bool:
        await healthy(rig, client)
        return len(rig.candidate.connections) >= before + 3

    await wait_until_async(is_probed_thrice, "three probes")
    elapsed = monotonic() - since
    assert len(rig.candidate.connections) - before <= elapsed / PROBE_EVERY_S + 1
    await rig.quiet()


# --- on a fake clock, with the defaults


class Target(MemoryBackend):
    """A candidate that resets connections until it `works`, and answers what it is asked unless it is `silent`."""

    works = False
    silent = False

    def heard(self, wire: Wire) -> None:
        if not self.works:
            wire.transport.abort()
        elif not self.silent:
            super().heard(wire)


def ask_for(plane: MemoryPlane, seconds: float, every_s: float = 0.1) -> None:
    client = plane.client()
    for _ in range(round(seconds / every_s)):
        plane.say(client, GET)
        plane.wait(every_s)


def drops(plane: MemoryPlane) -> int:
    return plane.tally.by(MIRRORS, "result")["mirrored"] - len(plane.pairs)


def test_a_dead_candidate_is_tried_every_half_minute_and_five_good_probes_bring_it_back() -> None:
    candidate = Target()
    with MemoryPlane(candidate=candidate) as plane:
        ask_for(plane, 95.0)
        assert len(candidate.connections) == 20 + 3
        candidate.works = True
        ask_for(plane, 34.0)
        breaker = plane.plane.services[0].mirror.breaker
        assert (breaker.state, len(candidate.connections)) == (State.CLOSED, 20 + 3 + 1)
        before = drops(plane)
        ask_for(plane, 5.0)
        assert drops(plane) == before


def test_it_takes_a_line_to_open_and_one_to_close_and_never_two_within_ten_seconds() -> None:
    structlog.reset_defaults()
    flapping = configured({"mirror": {"breaker": {"failures": 2, "open": "10ms", "probes": 1}}})
    with capture_logs() as lines:
        candidate = Target()
        with MemoryPlane(candidate=candidate) as plane:
            ask_for(plane, 60.0)
            candidate.works = True
            ask_for(plane, 40.0)
        assert [line["event"] for line in lines] == ["breaker_open", "breaker_closed"]
        assert (lines[0]["service"], lines[0]["backend"], lines[1]["after_s"]) == ("ranker", "v2", 64)
        lines.clear()
        candidate = Target()
        with MemoryPlane(flapping, candidate=candidate) as plane:
            for _ in range(20):
                candidate.works = not candidate.works
                ask_for(plane, 3.0)
                for wire in candidate.connections:
                    wire.transport.abort()
        assert 2 < len(lines) <= 60 / 10 + 1
        assert sum(line["unsaid"] for line in lines) > 0


def test_there_is_one_probe_at_a_time_and_one_that_is_dropped_makes_room() -> None:
    candidate = Target()
    settings = configured({"mirror": {"deadline": "1h", "lifetime": "2h"}})
    with MemoryPlane(settings, candidate=candidate) as plane:
        ask_for(plane, 5.0)
        candidate.works = candidate.silent = True
        ask_for(plane, 60.0)
        assert len(candidate.connections) == 21
        plane.plane.adopt(Snapshot(2, settings, {"ranker": Mode.PRIMARY}))
        plane.plane.adopt(Snapshot(3, settings, {"ranker": Mode.SHADOW}))
        candidate.silent = False
        plane.say(plane.client(), GET)
        assert len(candidate.connections) == 22
        ask_for(plane, 5.0)
        assert plane.plane.services[0].mirror.breaker.state is State.CLOSED


def test_since_when_it_is_open_is_said_as_long_as_it_is() -> None:
    with MemoryPlane(candidate=Target()) as plane:
        assert plane.tally.gauges[BREAKER_OPEN.name] == {("ranker", "v2"): 0}
        ask_for(plane, 40.0)
        tally = plane.tally
        assert tally.gauges[BREAKER_OPEN.name] == {("ranker", "v2"): 1}
        assert list(tally.gauges[BREAKER_OPENED_AT.name]) == [("ranker", "v2", "worker-0")]


# --- other settings


@pytest.mark.parametrize(
    "change", [{}, {"endpoints": [{"name": "all", "match": "GET /{rest}"}]}], ids=["nothing", "endpoints"]
)
async def test_a_reload_that_leaves_the_target_as_it_was_leaves_it_open(rig: Rig, change: dict[str, Any]) -> None:
    await rig.start(candidate=ScriptedBackend(default=RESET), service=quickly(open="30s"))
    await asks(rig, 3)
    adopt(rig, **change)
    await asks(rig, 2)
    assert (rig.drops(), is_said_open(rig)) == ({"breaker_open": 2}, 1)


async def test_another_target_is_asked_at_once(rig: Rig) -> None:
    await rig.start(candidate=ScriptedBackend(default=RESET), service=quickly(open="30s"))
    await asks(rig, 3)
    async with ScriptedBackend(default=respond(OK)) as new:
        adopt(rig, candidate=backend("v2", new.port))
        assert is_said_open(rig) == 0
        await asks(rig, 2)
        assert (rig.drops(), len(new.requests)) == ({}, 2)
        adopt(rig, candidate=backend("v2", rig.candidate.port))


async def test_while_nothing_is_mirrored_it_is_not_said_to_be_open(rig: Rig) -> None:
    await rig.start(candidate=ScriptedBackend(default=RESET), service=quickly(open="30s"))
    await asks(rig, 3)
    assert is_said_open(rig) == 1
    adopt(rig, Mode.PRIMARY)
    assert (is_said_open(rig), state(rig)) == (0, State.OPEN)


async def test_other_settings_of_the_mirror_try_again(rig: Rig) -> None:
    await rig.start(candidate=ScriptedBackend([RESET] * 3), service=quickly(open="30s"))
    await asks(rig, 3)
    assert is_said_open(rig) == 1
    adopt(rig, **quickly(open="20s"))
    await asks(rig, 2)
    assert (rig.drops(), is_said_open(rig)) == ({}, 0)
