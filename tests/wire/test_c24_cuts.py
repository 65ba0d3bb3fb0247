"""It must not matter in which pieces the bytes of an exchange arrive.

Every exchange of `tests.wire.exchanges` is cut at every offset, and into single bytes, in memory, where each
piece is a read of its own; and at some offsets again on real sockets, on both loops.
"""

import asyncio
from collections.abc import Iterable, Sequence
from random import Random
from typing import NamedTuple

import pytest

from tests.kit.memory_plane import MemoryBackend, MemoryPlane, settings
from tests.kit.script import answer
from tests.kit.scripted_connection import Script, ScriptedConnection
from tests.kit.watch import Watch
from tests.kit.wire import Wire, cut
from tests.wire.exchanges import REQUESTS, RESPONSES, Exchange, Message, told
from tests.wire.rig import Rig

COPIED = {"mirror": {"methods": ["GET", "HEAD", "OPTIONS", "POST"]}}
SETTINGS = settings(COPIED)
SAMPLE = 5
Offsets = Sequence[int]


class Heard(NamedTuple):
    """What each party heard of an exchange; `pairs`: status, fields and body of what the client was served."""

    client: list[Message]
    primary: list[Message]
    candidate: list[Message]
    pairs: list[tuple[int, bytes, bytes]]


class ScriptedMemoryBackend(MemoryBackend):
    """A `ScriptedBackend` in memory."""

    def __init__(self, scripts: Iterable[Script] = ()) -> None:
        super().__init__()
        self.played: list[ScriptedConnection] = []
        self._scripts = iter(scripts)
        self._playing: set[asyncio.Task[None]] = set()

    def connected(self, wire: Wire) -> None:
        connection = ScriptedConnection(wire, Watch())
        self.played.append(connection)
        self._playing.add(asyncio.get_running_loop().create_task(connection.play((), self._next_script)))

    def heard(self, wire: Wire) -> None:
        """The script reads."""

    @property
    def requests(self) -> list[Message]:
        """The complete requests of all connections."""
        return [Message.of(request) for connection in self.played for request in connection.requests]

    def _next_script(self) -> Script:
        return next(self._scripts, answer())


def heard_in_memory(exchange: Exchange, sent_at: Offsets, answered_at: Offsets) -> Heard:
    """What the client, both backends and the judge hear when the bytes are cut at these offsets."""
    primary = ScriptedMemoryBackend(exchange.scripts(*answered_at))
    candidate = ScriptedMemoryBackend()
    with MemoryPlane(SETTINGS, primary=primary, candidate=candidate) as plane:
        client = plane.client()
        plane.say(client, *cut(exchange.sent, *sent_at))
        messages = plane.loop.run(told(client, exchange.methods))
        assert client.unread == b""
        assert client.over == exchange.closes
        copies = sorted(candidate.requests, key=repr)
        pairs = [(pair.primary.status, pair.primary.fields, pair.primary.body) for pair in plane.pairs]
    return Heard(messages, primary.requests, copies, pairs)


def every_cut(size: int) -> Iterable[Offsets]:
    """Cut once at every offset, and once into single bytes."""
    yield from ((offset,) for offset in range(1, size))
    yield range(1, size)


@pytest.mark.parametrize("exchange", REQUESTS, ids=str)
def test_c24_a_request_is_heard_the_same_however_it_is_cut(exchange: Exchange) -> None:
    whole = heard_in_memory(exchange, (), ())
    for offsets in every_cut(len(exchange.sent)):
        assert heard_in_memory(exchange, offsets, ()) == whole, offsets


@pytest.mark.parametrize("exchange", RESPONSES, ids=str)
def test_c24_a_response_is_heard_the_same_however_it_is_cut(exchange: Exchange) -> None:
    whole = heard_in_memory(exchange, (), ())
    for offsets in every_cut(exchange.answered):
        assert heard_in_memory(exchange, (), offsets) == whole, offsets


EVERY = [*REQUESTS, *RESPONSES]


@pytest.mark.parametrize("exchange", EVERY, ids=str)
def test_c24_an_exchange_is_heard_the_same_in_single_bytes_both_ways(exchange: Exchange) -> None:
    bytewise = heard_in_memory(exchange, range(1, len(exchange.sent)), range(1, exchange.answered))
    assert bytewise == heard_in_memory(exchange, (), ())


def some_cuts(exchange: Exchange) -> Iterable[tuple[Offsets, Offsets]]:
    """Single bytes both ways, and a few offsets, the same ones in every run."""
    yield range(1, len(exchange.sent)), range(1, exchange.answered)
    random = Random(exchange.name)
    for _ in range(SAMPLE):
        yield (random.randrange(1, len(exchange.sent)),), (random.randrange(1, max(2, exchange.answered)),)


def all_cuts(exchange: Exchange) -> Iterable[tuple[Offsets, Offsets]]:
    """Every offset of the request, then every offset of the response."""
    yield from (((at,), ()) for at in range(1, len(exchange.sent)))
    yield from (((), (at,)) for at in range(1, exchange.answered))


@pytest.mark.parametrize("exchange", EVERY, ids=str)
async def test_c24_sockets_make_no_difference(rig: Rig, exchange: Exchange) -> None:
    await is_heard_the_same(rig, exchange, list(some_cuts(exchange)))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("exchange", EVERY, ids=str)
async def test_c24_sockets_make_no_difference_at_any_offset(rig: Rig, exchange: Exchange) -> None:
    await is_heard_the_same(rig, exchange, list(all_cuts(exchange)))


async def is_heard_the_same(rig: Rig, exchange: Exchange, cuts: list[tuple[Offsets, Offsets]]) -> None:
    """On sockets, however it is cut, as whole and in memory."""
    whole = heard_in_memory(exchange, (), ())
    await rig.start(service={"mirror": {"share": 0.0}})
    for sent_at, answered_at in cuts:
        for script in reversed(exchange.scripts(*answered_at)):
            rig.primary.play_next(script)
        client = await rig.client()
        await client.send_cut(exchange.sent, *sent_at)
        assert await told(client._wire, exchange.methods) == whole.client, (sent_at, answered_at)
        assert client._wire.unread == b""
        if exchange.closes:
            await client._wire.until(lambda: client._wire.over)  # noqa: B023  awaited here
        await client.abandon()
    assert sorted(map(repr, map(Message.of, rig.primary.requests))) == sorted(map(repr, whole.primary * len(cuts)))
