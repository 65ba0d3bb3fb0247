"""TLS over a TCP connection: a protocol to the transport below, a transport to the protocol above.

Theory of operation. OpenSSL works on two buffers in memory; this class carries bytes between them, the TCP
transport and the protocol above. Nothing waits here: what is read is decrypted and passed on at once, what is
written is encrypted and written at once. All flow control is therefore that of the transport below, whose
pauses, limits and buffers are passed through, and a reader that stops costs no more memory than without TLS.

    below:  bytes  →  decrypt  →  data_received        the peer's close_notify   →  eof_received
            bytes  ←  encrypt  ←  write                 write_eof, close          →  our close_notify

What the event loops' own TLS lacks, and a proxy needs: half-closing, so that a client that ends early gets its
answer and a refused one sees it; an end without close_notify that can be told from one with it, so that a body
which runs until the end cannot be cut unseen (RFC 9112 §9.8); a connection that is counted and timed from the
moment it is accepted, not from its handshake; the alert for a client that speaks no HTTP/1.1 (RFC 7301 §3.2).
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast

from proxy.http.client_hello import ClientHello, read_hello

_READ_BYTES: Final = 256 << 10
_NO_APPLICATION_PROTOCOL: Final = bytes([21, 3, 3, 0, 2, 2, 120])  # an alert record, fatal; RFC 8446 §6, RFC 7301 §3.2


class TlsTransport(asyncio.Transport, asyncio.Protocol):
    """See the module's theory of operation; `ServedTls` and `DialledTls` are its two ends."""

    __slots__ = (
        "_above", "_below", "_incoming", "_is_open", "_outgoing", "_read_ended", "_tls", "_write_ended", "_wrong",
    )  # fmt: skip

    def __init__(self, above: asyncio.Protocol, context: ssl.SSLContext, server_name: str | None) -> None:
        super().__init__()
        self._above = above
        self._below: asyncio.Transport | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_name is None, server_hostname=server_name
        )
        self._is_open = False
        self._read_ended = False
        self._write_ended = False
        self._wrong: Exception | None = None

    # --- what the two ends do differently

    def _connected(self) -> None:
        """There is a TCP connection."""

    def _opened(self) -> None:
        """The handshake is done."""

    def _refused(self, wrong: ssl.SSLError) -> None:
        """The handshake has failed."""

    # --- the transport below

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._below = cast("asyncio.Transport", transport)
        self._connected()

    def data_received(self, data: bytes) -> None:
        """Encrypted bytes; those behind the end are nobody's."""
        if self._read_ended:
            return
        self._incoming.write(data)
        if self._is_open:
            self._read()
        else:
            self._shake_hands()

    def eof_received(self) -> bool:
        """The peer ended without close_notify: it may have been anybody on the way who did."""
        if not self._read_ended:
            self._wrong = ssl.SSLEOFError("ended without close_notify")
            self._end_reading()
        return self._below is not None and not self._below.is_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The TCP connection has ended."""
        self._below = None
        self._above.connection_lost(exc or self._wrong)

    def pause_writing(self) -> None:
        """Passed on."""
        self._above.pause_writing()

    def resume_writing(self) -> None:
        """Passed on."""
        self._above.resume_writing()

    # --- the protocol above

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and write."""
        if self._write_ended or not self._is_open:
            return
        try:
            written = self._tls.write(data) if data else 0
            while written < len(data):  # a record holds 16 KiB
                written += self._tls.write(memoryview(data)[written:])
        except ssl.SSLError as wrong:
            self._break(wrong)
        else:
            self._flush()

    def can_write_eof(self) -> bool:
        """It can, unlike the event loops' own TLS."""
        return True

    def write_eof(self) -> None:
        """Send close_notify and go on reading."""
        self._end_writing()
        if self._below is not None and self._below.can_write_eof():
            self._below.write_eof()

    def close(self) -> None:
        """Send what is left and close_notify, then end."""
        self._end_writing()
        self._read_ended = True
        if self._below is not None:
            self._below.close()

    def abort(self) -> None:
        """End now, without close_notify: the peer can tell that something is missing."""
        self._write_ended = self._read_ended = True
        if self._below is not None:
            self._below.abort()

    def is_closing(self) -> bool:
        """Whether it ends or has ended."""
        return self._below is None or self._below.is_closing()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Put another protocol above."""
        self._above = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol above."""
        return self._above

    def pause_reading(self) -> None:
        """Passed on: nothing encrypted is kept here, so nothing more can come."""
        if self._below is not None:
            self._below.pause_reading()

    def resume_reading(self) -> None:
        """Passed on."""
        if self._below is not None:
            self._below.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Those of the transport below."""
        if self._below is not None:
            self._below.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """That of the transport below."""
        return 0 if self._below is None else self._below.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """`ssl_object`, and what the transport below knows."""
        if name == "ssl_object":
            return self._tls
        return default if self._below is None else self._below.get_extra_info(name, default)

    # --- inside

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and self._below is not None:
            self._below.write(data)

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as wrong:
            self._flush()  # the alert
            self._refuse(wrong)
        else:
            self._flush()
            self._is_open = True
            self._opened()
            self._read()

    def _refuse(self, wrong: ssl.SSLError) -> None:
        self._wrong = wrong
        self._refused(wrong)
        self.close()

    def _read(self) -> None:
        """Decrypt and pass on all there is."""
        pieces: list[bytes] = []
        ended, wrong = False, None
        try:
            while not ended and (self._incoming.pending or self._tls.pending()):
                pieces.append(self._tls.read(_READ_BYTES))
                ended = not pieces[-1]  # close_notify
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:  # close_notify too, when ours was sent before
            ended = True
        except ssl.SSLError as broken:
            wrong = broken
        self._flush()  # what TLS itself has to answer
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if data and not self._read_ended:
            self._above.data_received(data)
        if wrong is not None:
            self._break(wrong)
        elif ended and not self._read_ended:
            self._end_reading()

    def _end_reading(self) -> None:
        """The peer sends no more."""
        self._read_ended = True
        if not self._is_open:
            self._refuse(ssl.SSLEOFError("ended during the handshake"))
        elif not self._above.eof_received():
            self.close()

    def _end_writing(self) -> None:
        if self._is_open and not self._write_ended:
            with suppress(ssl.SSLError):  # it says that the peer has not ended yet
                self._tls.unwrap()
            self._flush()
        self._write_ended = True

    def _break(self, wrong: ssl.SSLError) -> None:
        """The peer broke the protocol."""
        self._wrong = wrong
        self.abort()


class ServedTls(TlsTransport):
    """A client's end. The protocol above has its connection at once, and its first byte after the handshake.

    `refused` hears of a handshake that failed, and whether the client spoke HTTP without TLS: it then says what to
    answer, in clear. A client that leaves without a byte has not failed.
    """

    __slots__ = ("_hello", "_say_refused")

    def __init__(self, above: asyncio.Protocol, context: ssl.SSLContext, refused: Callable[[bool], bytes]) -> None:
        super().__init__(above, context, None)
        self._say_refused = refused
        self._hello: bytearray | None = bytearray()

    def data_received(self, data: bytes) -> None:
        """Encrypted bytes; the first message is read here too, for what OpenSSL lets pass."""
        if self._hello is not None:
            self._hello += data
            found = read_hello(self._hello)
            if found is ClientHello.INCOMPLETE:
                return
            data, self._hello = bytes(self._hello), None
            if found is ClientHello.WITHOUT_HTTP_1:
                self._refuse_protocol()
                return
        super().data_received(data)

    def _connected(self) -> None:
        self._above.connection_made(self)

    def _refused(self, wrong: ssl.SSLError) -> None:
        has_spoken = self._hello is None or len(self._hello) > 0
        if has_spoken and self._below is not None:
            self._below.write(self._say_refused(getattr(wrong, "reason", "") == "HTTP_REQUEST"))

    def _refuse_protocol(self) -> None:
        if self._below is not None:
            self._below.write(_NO_APPLICATION_PROTOCOL)
        self._refuse(ssl.SSLError("no common application protocol"))


class DialledTls(TlsTransport):
    """A backend's end. The protocol above has its connection once the handshake is done."""

    __slots__ = ("_is_told", "ready")

    def __init__(self, above: asyncio.Protocol, context: ssl.SSLContext, server_name: str) -> None:
        super().__init__(above, context, server_name)
        self._is_told = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done after the handshake; ssl.SSLError or ConnectionError if it failed."""

    def _connected(self) -> None:
        self._shake_hands()

    def _opened(self) -> None:
        self._is_told = True
        self._above.connection_made(self)
        if not self.ready.done():
            self.ready.set_result(None)

    def _refused(self, wrong: ssl.SSLError) -> None:
        self._fail(wrong)

    def connection_lost(self, exc: Exception | None) -> None:
        """The TCP connection has ended, maybe before there was anything above."""
        if self._is_told:
            super().connection_lost(exc)
        else:
            self._fail(exc or ConnectionResetError("ended during the handshake"))

    def _fail(self, wrong: Exception) -> None:
        if not self.ready.done():
            self.ready.set_exception(wrong)
            self.ready.exception()  # nobody may be waiting any more: it needs no log
