"""A client that sends exactly the bytes it is told and reads responses with the kit's own strict reader."""

import asyncio
import ssl
from collections.abc import Awaitable
from typing import Self, TypeVar

from tests.kit.framing import RawResponse, read_response
from tests.kit.tls_wire import TlsWire
from tests.kit.watch import DEADLINE_S, deadline
from tests.kit.wire import Ending, Wire, bytewise, cut

T = TypeVar("T")


class RawClient:
    """Use as `async with await RawClient.open(port) as client:`; leaving the block closes the connection.

    Every wait takes at most `deadline_s` seconds, then raises `DeadlineError` with the bytes received so far.
    """

    def __init__(self, wire: Wire, deadline_s: float) -> None:
        self._wire = wire
        self.deadline_s = deadline_s

    @classmethod
    async def open(
        cls,
        port: int,
        host: str = "127.0.0.1",
        *,
        deadline_s: float = DEADLINE_S,
        tls: ssl.SSLContext | None = None,
    ) -> Self:
        """Connect; with `tls`, raises ssl.SSLError when there is no handshake."""
        wire: Wire
        async with deadline(deadline_s, lambda: f"a connection to {host}:{port}"):
            if tls is None:
                _, wire = await asyncio.get_running_loop().create_connection(Wire, host, port)
            else:
                wire = await TlsWire.connect(host, port, tls)
        return cls(wire, deadline_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.abandon()

    @property
    def tls(self) -> TlsWire:
        """What is known of its TLS."""
        assert isinstance(self._wire, TlsWire), "opened without tls"
        return self._wire

    @property
    def received(self) -> bytes:
        """Every byte received since the connection was opened."""
        return bytes(self._wire.received)

    # --- sending

    async def send(self, data: bytes) -> None:
        """Send all of `data`; a peer that reads nothing makes this end with `DeadlineError`."""
        await self._within("the peer to take what was sent", self._wire.send(data))

    async def send_bytewise(self, data: bytes) -> None:
        await self._within("the peer to take single bytes", self._wire.send_pieces(bytewise(data)))

    async def send_cut(self, data: bytes, *offsets: int) -> None:
        """Send `data` in pieces, cut at the given ascending offsets."""
        await self._within("the peer to take the pieces", self._wire.send_pieces(cut(data, *offsets)))

    # --- reading

    async def read_response(self, method: str = "GET") -> RawResponse:
        """The next response; a 1xx counts as one. `method` is that of the request it answers.

        Raises:
            FramingError: the bytes are no correct HTTP/1.1 response.
            ConnectionEnded: the connection ended inside the response (or before it).
        """
        return await self._within(f"a response to {method}", read_response(self._wire, method))

    async def read_exactly(self, size: int) -> bytes:
        """The next `size` bytes, whatever they are: for tunnels and cut responses."""
        return await self._within(f"{size} bytes", self._wire.take(size))

    async def read_until_close(self) -> bytes:
        """All unread bytes up to the peer's FIN or RST."""
        return await self._within("the peer to close", self._wire.take_to_end())

    async def closed(self) -> Ending:
        """Wait for the peer's end and say which; bytes nobody read are an error."""
        rest = await self.read_until_close()
        assert not rest, f"closed, but after unread bytes: {rest!r}"
        return self._wire.ending or Ending.FIN

    def stop_reading(self) -> None:
        self._wire.stop_reading()

    def resume_reading(self) -> None:
        self._wire.resume_reading()

    # --- ending

    async def half_close(self) -> None:
        """Send a FIN and go on reading."""
        self._wire.half_close()
        await asyncio.sleep(0)  # the loop sends it in its next turn

    async def reset(self) -> None:
        """End with a RST."""
        self._wire.reset()
        await self._wire.ended()

    async def abandon(self) -> None:
        """Close without waiting for unsent bytes."""
        self._wire.transport.abort()
        await self._wire.ended()

    async def _within(self, what: str, action: Awaitable[T]) -> T:
        async with deadline(self.deadline_s, lambda: f"{what}; {self._wire.quote()}"):
            return await action
