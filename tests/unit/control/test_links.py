import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from proxy.config.models import Mode
from proxy.control import links as module
from proxy.control.links import Link, Links
from proxy.core.evidence import Report
from proxy.core.families import REQUESTS
from proxy.core.tally import Tally
from proxy.ipc.frames import LENGTH, MAX_FRAME, FrameReader, frame
from proxy.ipc.messages import Hello, Snapshot, decode, encode
from tests.kit.polling import wait_until_async
from tests.unit.control.settings import settings

HELLO = Hello("worker-0", "w1", 1)


@dataclass
class Ear:
    """Remembers what the links were told."""

    hellos: list[Hello] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)

    def saw(self, hello: Hello) -> None:
        self.hellos.append(hello)

    def take(self, report: Report) -> None:
        self.reports.append(report)


class Peer:
    """The other end of a link, over a real socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._frames = FrameReader()

    def say(self, message: Hello | Report | Snapshot) -> None:
        self.writer.write(frame(encode(message)))

    async def hear(self) -> Snapshot:
        while True:
            data = await self.reader.read(1 << 16)
            assert data, "disconnected"
            for payload in self._frames.feed(data):
                message = decode(payload)
                assert isinstance(message, Snapshot)
                return message

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()

    async def is_disconnected(self) -> bool:
        try:
            return await self.reader.read(1 << 16) == b""
        except ConnectionResetError:
            return True


class Exchange:
    """Links served on a Unix socket."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.ear = Ear()
        self.links = Links(self.ear)
        self.peers: list[Peer] = []
        self.publish(1, Mode.SHADOW)

    def publish(self, version: int, mode: Mode) -> None:
        self.links.publish(Snapshot(version, settings(), {"ranker": mode}))

    async def connect(self) -> Peer:
        self.peers.append(Peer(*await asyncio.open_unix_connection(self.path)))
        return self.peers[-1]


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "c"))
        made.listen()
        made.setblocking(False)  # noqa: FBT003  the standard library's signature
        yield made


@pytest.fixture
async def exchange(listener: socket.socket, no_blocking: None) -> AsyncIterator[Exchange]:  # noqa: ARG001  it watches
    made = Exchange(listener.getsockname())
    server = await asyncio.get_running_loop().create_unix_server(lambda: Link(made.links), sock=listener)
    yield made
    for peer in made.peers:
        await peer.close()
    server.close()
    made.links.close()
    assert await made.links.all_gone(5)


def report(requests: int, incarnation: str = "w1") -> Report:
    tally = Tally()
    tally.count(REQUESTS, ("ranker", "score", "v1", "2xx"), requests)
    return Report("worker-0", incarnation, tally)


async def test_hello_is_answered_with_the_snapshot_and_changes_follow(exchange: Exchange) -> None:
    peer = await exchange.connect()
    peer.say(HELLO)
    assert (await peer.hear()).version == 1
    assert exchange.ear.hellos == [HELLO]
    assert exchange.links.connected == {"worker-0"}
    exchange.publish(2, Mode.PRIMARY)
    assert (await peer.hear()).modes == {"ranker": Mode.PRIMARY}


async def test_a_judge_is_told_nothing(exchange: Exchange) -> None:
    judge, worker = await exchange.connect(), await exchange.connect()
    judge.say(Hello("judge-0", "j1", 2))
    worker.say(HELLO)
    await worker.hear()
    exchange.publish(2, Mode.PRIMARY)
    assert (await worker.hear()).version == 2
    exchange.links.close()
    assert await judge.is_disconnected()


async def test_reports_are_passed_on(exchange: Exchange) -> None:
    peer = await exchange.connect()
    peer.say(HELLO)
    peer.say(report(3))

    async def heard() -> list[Report]:
        return exchange.ear.reports

    assert [one.tally.total(REQUESTS) for one in await wait_until_async(heard, "the report")] == [3]


async def test_a_peer_that_leaves_is_no_longer_connected(exchange: Exchange) -> None:
    peer = await exchange.connect()
    peer.say(HELLO)
    await peer.hear()
    assert not await exchange.links.all_gone(0)
    peer.writer.close()
    assert await exchange.links.all_gone(5)
    assert exchange.links.connected == frozenset()


GARBAGE = {
    "no message": frame(b"garbage"),
    "no frame": LENGTH.pack(MAX_FRAME + 1),
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a report before hello": frame(encode(report(1))),
    "a snapshot": frame(encode(HELLO)) + frame(encode(Snapshot(1, settings(), {}))),
    "hello twice": frame(encode(HELLO)) * 2,
    "another's report": frame(encode(HELLO)) + frame(encode(report(1, "w2"))),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
async def test_a_peer_that_sends_garbage_is_disconnected_and_counted_and_others_stay(
    exchange: Exchange, garbage: bytes
) -> None:
    good, bad = await exchange.connect(), await exchange.connect()
    good.say(Hello("worker-1", "w2", 2))
    await good.hear()
    bad.writer.write(garbage)

    async def refused() -> int:
        return exchange.links.refused

    assert await wait_until_async(refused, "a refused peer") == 1
    assert exchange.links.connected == {"worker-1"}
    assert exchange.ear.reports == []
    exchange.publish(2, Mode.PRIMARY)
    assert (await good.hear()).version == 2


async def test_a_peer_that_says_nothing_is_disconnected(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HELLO_S", 0.01)
    assert await (await exchange.connect()).is_disconnected()
    assert exchange.links.refused == 1


async def test_a_peer_that_does_not_read_is_disconnected(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNREAD", 1 << 16)
    peer = await exchange.connect()
    peer.say(HELLO)
    await peer.hear()
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of both directions
    for version in range(2, 5000):
        exchange.publish(version, Mode.SHADOW)
        if exchange.links.refused:
            break
    assert exchange.links.refused == 1


async def test_too_many_peers_are_refused(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINKS", 2)
    peers = [await exchange.connect() for _ in range(3)]
    assert await peers[2].is_disconnected()
    peers[0].say(HELLO)
    assert (await peers[0].hear()).version == 1
