"""Control's Unix socket: every worker and judge says Hello and reports for as long as it lives.

Workers get the snapshot, with the credentials of backends in it; a judge hears what it needs from its worker.
A peer that sends anything else is disconnected and counted; so is one that does not read what it is sent.
"""

import asyncio
from typing import Protocol, cast

import structlog

from proxy.core.evidence import Report
from proxy.ipc.frames import FrameError, FrameReader, frame
from proxy.ipc.messages import Hello, Message, MessageError, Snapshot, decode, encode

log = structlog.get_logger()

WORKERS = "worker-"
"""What the names of those begin with who are told what is in force."""
MAX_LINKS = 256
HELLO_S = 5.0
MAX_UNREAD = 16 << 20
"""Bytes a peer may leave unread before it is disconnected; a snapshot is far smaller."""


class Listener(Protocol):
    """Who hears what the peers say."""

    def saw(self, hello: Hello) -> None:
        """A process said who it is."""

    def take(self, report: Report) -> None:
        """A process reported."""


class Links:
    """All connected peers."""

    def __init__(self, listener: Listener) -> None:
        self.refused = 0
        """Peers disconnected because of what they sent, or did not."""
        self._listener = listener
        self._links: set[Link] = set()
        self._payload = b""
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def connected(self) -> frozenset[str]:
        """The names of the processes that have said Hello and are still there."""
        return frozenset(link.hello.process for link in self._links if link.hello)

    def publish(self, snapshot: Snapshot) -> None:
        """Send a snapshot to every worker, now and at its Hello."""
        self._payload = frame(encode(snapshot))
        for link in tuple(self._links):
            if link.hello:
                self._tell(link, link.hello)

    def _tell(self, link: "Link", hello: Hello) -> None:
        if hello.process.startswith(WORKERS):
            link.send(self._payload)

    async def all_gone(self, within: float) -> bool:
        """Wait until no peer is left, `within` seconds at most; whether none is."""
        try:
            await asyncio.wait_for(self._empty.wait(), within)
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Disconnect everybody."""
        for link in tuple(self._links):
            link.abort()

    def joined(self, link: "Link") -> None:
        """A peer connected."""
        self._links.add(link)
        self._empty.clear()
        if len(self._links) > MAX_LINKS:
            self.refuse(link, "too many peers")

    def left(self, link: "Link") -> None:
        """A peer is gone."""
        self._links.discard(link)
        if not self._links:
            self._empty.set()

    def refuse(self, link: "Link", why: str) -> None:
        """Disconnect a peer that is none of ours, or went mad."""
        self.refused += 1
        log.warning("peer disconnected", peer=link.hello.process if link.hello else "unknown", why=why)
        link.abort()

    def heard(self, link: "Link", message: Message) -> None:
        """One message of a peer. Raises MessageError for one that is out of place."""
        match message:
            case Hello() if link.hello is None:
                link.hello = message
                self._listener.saw(message)
                self._tell(link, message)
            case Report(process, incarnation) if link.hello and (process, incarnation) == (
                link.hello.process,
                link.hello.incarnation,
            ):
                self._listener.take(message)
            case _:
                raise MessageError(f"a {type(message).__name__} is out of place here")


class Link(asyncio.Protocol):
    """One connection of one peer."""

    def __init__(self, links: Links) -> None:
        self.hello: Hello | None = None
        self._links = links
        self._frames = FrameReader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Await its Hello."""
        self._transport = cast("asyncio.Transport", transport)
        self._silence = asyncio.get_running_loop().call_later(HELLO_S, self._still_silent)
        self._links.joined(self)

    def data_received(self, data: bytes) -> None:
        """Hear every whole message."""
        try:
            for payload in self._frames.feed(data):
                self._links.heard(self, decode(payload))
        except (FrameError, MessageError) as wrong:
            self._links.refuse(self, str(wrong))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  why it ended changes nothing
        """It ended, or was ended."""
        self._silence.cancel()
        self._links.left(self)

    def send(self, data: bytes) -> None:
        """Write, unless the peer has stopped reading."""
        if self._transport.get_write_buffer_size() > MAX_UNREAD:
            self._links.refuse(self, "it does not read")
        else:
            self._transport.write(data)

    def abort(self) -> None:
        """End it without ceremony."""
        self._transport.abort()

    def _still_silent(self) -> None:
        if self.hello is None:
            self._links.refuse(self, f"no Hello within {HELLO_S:g} s")
