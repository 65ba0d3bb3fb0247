"""A wire with TLS on it, for either side: OpenSSL in memory and no event loop's TLS, so that it sees every end.

What it sends and keeps is what TLS carries; `send_raw` puts bytes on the line as they are.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from tests.kit.wire import Wire


class TlsWire(Wire):
    """A client names the server; a server names none. `on_connected(wire)` is called after the handshake."""

    def __init__(
        self, context: ssl.SSLContext, server_name: str | None, on_connected: Callable[[Wire], None] | None = None
    ) -> None:
        super().__init__()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_name is None, server_hostname=server_name
        )
        self._on_open = on_connected
        self._is_open = False
        self._refused: ssl.SSLError | None = None
        self.close_notified = False
        """Whether the other side ended by close_notify; without it something may be missing."""

    @classmethod
    async def connect(cls, host: str, port: int, context: ssl.SSLContext, hello_pieces: int = 1) -> Self:
        """Connect and shake hands; the first message goes in so many pieces. Raises ssl.SSLError."""
        _, wire = await asyncio.get_running_loop().create_connection(lambda: cls(context, host), host, port)
        try:
            wire._step()
            hello = wire._outgoing.read()
            size = -(-len(hello) // hello_pieces)
            for start in range(0, len(hello), size):
                await wire.send_raw(hello[start : start + size])
            await wire.until(lambda: wire._is_open or wire._refused is not None or wire.over)
            if not wire._is_open:
                raise wire._refused or ssl.SSLEOFError("ended during the handshake")
        except BaseException:
            wire.transport.abort()
            await wire.ended()
            raise
        return wire

    @property
    def certificate(self) -> bytes:
        """What the other side showed, as DER."""
        return self._tls.getpeercert(binary_form=True) or b""

    @property
    def protocol(self) -> str | None:
        """What was agreed on by ALPN."""
        return self._tls.selected_alpn_protocol()

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        if self._is_open or self._shake_hands():
            self._read()
        elif self._refused:
            self.transport.close()

    def eof_received(self) -> bool:
        return super().eof_received() and self._is_open  # before a handshake nobody is there who would end it

    async def send(self, data: bytes) -> None:
        with suppress(ssl.SSLError):  # the other side is gone: then so is this
            self._tls.write(data)
        await self.send_raw(self._outgoing.read())

    async def send_raw(self, data: bytes) -> None:
        """Bytes as they are, without encryption."""
        await super().send(data)

    def half_close(self) -> None:
        """Send close_notify, and no FIN."""
        if self._is_open and not self.lost:
            with suppress(ssl.SSLError):
                self._tls.unwrap()
            self.transport.write(self._outgoing.read())

    def close(self) -> None:
        """Send close_notify and FIN."""
        self.half_close()
        super().close()

    def _shake_hands(self) -> bool:
        """Go on with the handshake; whether it is done."""
        self._step()
        self.transport.write(self._outgoing.read())
        self._watch.changed()
        if self._is_open and self._on_open:
            self._on_open(self)
        return self._is_open

    def _step(self) -> None:
        try:
            self._tls.do_handshake()
            self._is_open = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as wrong:
            self._refused = wrong

    def _read(self) -> None:
        try:
            while piece := self._tls.read(1 << 16):
                super().data_received(piece)
        except ssl.SSLWantReadError:
            return
        except ssl.SSLZeroReturnError:  # the end, when ours was sent before
            pass
        self.close_notified = True
        self.eof_received()
