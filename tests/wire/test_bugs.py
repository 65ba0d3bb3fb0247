"""A bug of ours beside the serving path is counted, costs one comparison and reaches no client."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from proxy.config.models import Mode
from proxy.core.breaker import State
from proxy.core.exchange import Command, Event, Exchange
from proxy.core.families import MIRRORING_SUSPENDED
from proxy.http.backend_connection import BackendConnection
from proxy.http.turn import Lane
from proxy.ipc.messages import Snapshot
from proxy.worker.capture import Capture
from proxy.worker.stats import LegStats
from tests.kit.ports import refusing_port
from tests.kit.script import answer, hang, read_request, reset, respond, send, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.wire.rig import GET, Rig, sized


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("a bug")


def broken_on(broken_event: Event) -> Callable[[Exchange, Event], tuple[Command, ...]]:
    """`Exchange.on`, but for one event."""
    sound = Exchange.on
    return lambda exchange, event: broken() if event is broken_event else sound(exchange, event)


async def healthy(rig: Rig, monkeypatch: pytest.MonkeyPatch, bugs: int = 1) -> None:
    """One comparison was lost and accounted for; the next one works."""
    await rig.quiet()
    assert (rig.plane.bugs.count, rig.drops()) == (bugs, {"incomplete": 1})
    monkeypatch.undo()


@pytest.mark.interpreted
async def test_a_bug_while_an_answer_is_kept(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.start(respond(sized(b"1")), candidate=ScriptedBackend.mute())
    monkeypatch.setattr(Capture, "take", broken)
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).body == b"1"
    await healthy(rig, monkeypatch)
    await client.send(GET)
    assert (await client.read_response()).status == 200
    await client.abandon()
    await rig.candidate.received_heads(1)
    await rig.plane.drain(0.0, 0.0)


@pytest.mark.interpreted
@pytest.mark.parametrize("last", ["answered", "mirrored"])
async def test_a_bug_while_a_pair_is_offered(rig: Rig, monkeypatch: pytest.MonkeyPatch, last: str) -> None:
    release = asyncio.Event()
    held, quick = (read_request(), wait_for(release), send(sized(b"1"))), respond(sized(b"1"))
    scripts = (held, quick) if last == "answered" else (quick, held)
    await rig.start(scripts[0], candidate=ScriptedBackend([scripts[1]]))
    monkeypatch.setattr("proxy.worker.judge_link.encode_pair", broken)
    client = await rig.client()
    await client.send(GET)
    if last == "answered":
        await rig.candidate.received_requests(1)
        await rig.until(lambda: not rig.plane.services[0].mirror.copies, "the copy's outcome")
        release.set()
    assert (await client.read_response()).body == b"1"
    release.set()
    await healthy(rig, monkeypatch)
    await client.send(GET)
    assert (await client.read_response()).status == 200
    await rig.until(lambda: len(rig.pairs) == 1, "the next pair")


@pytest.mark.interpreted
@pytest.mark.parametrize("what", ["Capture.body", "LegStats.answered", "Breaker.probe_answered"])
async def test_a_bug_as_a_copy_ends(rig: Rig, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """The exchange is told, and what the copy held is free again."""
    release = asyncio.Event()
    held, quick = (read_request(), wait_for(release), send(sized(b"1"))), respond(sized(b"1"))
    await rig.start(held, candidate=ScriptedBackend([quick]))
    if what == "Breaker.probe_answered":
        one_probe(rig)
    where = {"Capture": "capture", "LegStats": "stats", "Breaker": "mirror"}[what.partition(".")[0]]
    monkeypatch.setattr(f"proxy.worker.{where}.{what}", broken)
    client = await rig.client()
    await client.send(GET)
    await rig.until(lambda: rig.plane.bugs.count, "the bug")
    assert not rig.plane.services[0].mirror.copies
    monkeypatch.undo()
    release.set()
    assert (await client.read_response()).body == b"1"
    await healthy(rig, monkeypatch)
    assert rig.plane.services[0].mirror.breaker.state is not State.OPEN
    await client.send(GET)
    assert (await client.read_response()).status == 200


@pytest.mark.interpreted
@pytest.mark.parametrize("what", ["send", "tick", "failed", "not_connected"])
async def test_a_bug_on_the_way_to_a_copys_end(rig: Rig, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Each way into a copy has an edge: the clock of the others and the loop hear nothing of it."""
    with refusing_port() as port:
        scripts = {"tick": hang(), "failed": reset()}
        candidate = ScriptedBackend([(read_request(), scripts.get(what, hang()))], default=answer())
        mirror = {"deadline": "30ms"} if what == "tick" else {}
        await rig.start(candidate=port if what == "not_connected" else candidate, service={"mirror": mirror})
        if what == "send":
            sound = BackendConnection.send
            lane = Lane.MIRROR
            monkeypatch.setattr(
                BackendConnection,
                "send",
                lambda self, *given, **named: broken() if self._lane is lane else sound(self, *given, **named),
            )
        else:
            monkeypatch.setattr(LegStats, "failed", broken)
        client = await rig.client()
        await client.send(GET)
        assert (await client.read_response()).status == 200
        await healthy(rig, monkeypatch)
        assert rig.plane.services[0].stats.in_flight == 0


async def test_a_bug_while_mirrors_make_room_reaches_nobody_who_needs_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.start()
    monkeypatch.setattr("proxy.worker.roster.Roster.make_room", broken)
    rig.plane.files.ran_out()
    assert rig.plane.bugs.count == 1


def one_probe(rig: Rig) -> None:
    """The breaker is open, and has been for long enough."""
    breaker = rig.plane.services[0].mirror.breaker
    for _ in range(20):
        breaker.failed(0.0, 0.0)
    assert breaker.state is State.OPEN


@pytest.mark.interpreted
async def test_a_bug_as_the_answer_ends(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.start(respond(sized(b"1")))
    monkeypatch.setattr(Exchange, "on", broken_on(Event.SERVED))
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).body == b"1"
    await healthy(rig, monkeypatch)
    await client.send(GET)
    assert (await client.read_response()).status == 200
    await rig.until(lambda: len(rig.pairs) == 1, "the next pair")


@pytest.mark.interpreted
async def test_a_bug_as_the_client_leaves(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.start(primary=ScriptedBackend([(wait_for(asyncio.Event()),)], default=answer()))
    monkeypatch.setattr(Exchange, "on", broken_on(Event.CLIENT_GONE))
    client = await rig.client()
    await client.send(GET)
    await rig.primary.received_heads(1)
    await client.reset()
    await rig.until(lambda: rig.plane.bugs.count, "the bug")
    await healthy(rig, monkeypatch)
    assert (await rig.ask()).status == 200
    await rig.until(lambda: len(rig.pairs) == 1, "the next pair")


@pytest.mark.interpreted
@pytest.mark.parametrize(("where", "how"), [("copy", "mode"), ("pair", "reload")])
async def test_after_three_bugs_nothing_is_mirrored_until_somebody_decides_anew(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, where: str, how: str
) -> None:
    def is_suspended() -> float:
        return rig.plane.tally().gauges[MIRRORING_SUSPENDED.name]["worker-0", "bugs"]

    await rig.start()
    assert is_suspended() == 0
    what = {"copy": "proxy.worker.mirror.MirroredCopy._keep", "pair": "proxy.worker.judge_link.encode_pair"}[where]
    monkeypatch.setattr(what, broken)
    client = await rig.client()
    for _ in range(5):
        await client.send(GET)
        assert (await client.read_response()).status == 200
        await rig.quiet()
    assert (rig.plane.bugs.count, rig.drops(), is_suspended()) == (3, {"incomplete": 3, "shed": 2}, 1)
    monkeypatch.undo()
    settings = rig.plane.settings
    rig.plane.adopt(Snapshot(2, settings, {"ranker": Mode.SHADOW}))  # another snapshot that decides nothing here
    assert is_suspended() == 1
    if how == "mode":
        rig.plane.adopt(Snapshot(3, settings, {"ranker": Mode.PRIMARY}))
        rig.plane.adopt(Snapshot(4, settings, {"ranker": Mode.SHADOW}))
    else:
        rig.plane.adopt(Snapshot(3, settings, {"ranker": Mode.SHADOW}, 3))
    assert is_suspended() == 0
    await client.send(GET)
    assert (await client.read_response()).status == 200
    await rig.until(lambda: len(rig.pairs) == 1, "a pair")
