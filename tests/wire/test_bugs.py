"""A bug of ours beside the serving path is counted, costs one comparison and reaches no client."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from proxy.core.exchange import Command, Event, Exchange
from proxy.worker.capture import Capture
from tests.kit.script import answer, read_request, respond, send, wait_for
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
