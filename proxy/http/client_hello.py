"""What a TLS client offers to speak, read off its first message. Pure.

OpenSSL, as Python uses it, goes on without a protocol when client and server have none in common; RFC 7301
§3.2 wants a fatal alert. A client that speaks HTTP/2 only would otherwise hear of it after its first request.
"""

from enum import Enum
from typing import Final

from proxy.config.certificates import HTTP_1_1

_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_ALPN: Final = 16
_RECORD_HEAD: Final = 5
_MESSAGE_HEAD: Final = 4
_BEFORE_SESSION: Final = _MESSAGE_HEAD + 2 + 32
_MAX_RECORD: Final = 16 << 10


class ClientHello(Enum):
    """What is known of the first message."""

    INCOMPLETE = 0
    """More of it must come: at most one record, 16 KiB."""
    WITHOUT_HTTP_1 = 1
    """The client offers protocols, and HTTP/1.1 is not among them."""
    OTHER = 2
    """Anything else, also what is no TLS: OpenSSL knows what to say to it."""


class _MalformedError(Exception):
    pass


def read_hello(data: bytes | bytearray) -> ClientHello:
    """Judge the first bytes of a connection, from its beginning. RFC 8446 §4.1.2, §5.1.

    Until the message is whole only its heads are looked at, however often this is asked. A message cut into
    several records is left to OpenSSL: to join them here would cost more than the alert is worth.
    """
    if data and data[0] != _HANDSHAKE:
        return ClientHello.OTHER
    if len(data) < _RECORD_HEAD:
        return ClientHello.INCOMPLETE
    length = int.from_bytes(data[3:_RECORD_HEAD])
    if not _MESSAGE_HEAD <= length <= _MAX_RECORD:
        return ClientHello.OTHER
    return _read_message(data, length)


def _read_message(data: bytes | bytearray, length: int) -> ClientHello:
    """Judge the message in the first record, which holds `length` bytes. RFC 8446 §4."""
    head = data[_RECORD_HEAD : _RECORD_HEAD + _MESSAGE_HEAD]
    if head and head[0] != _CLIENT_HELLO:
        return ClientHello.OTHER
    if len(head) < _MESSAGE_HEAD:
        return ClientHello.INCOMPLETE
    end = _MESSAGE_HEAD + int.from_bytes(head[1:])
    if end > length:
        return ClientHello.OTHER
    if len(data) < _RECORD_HEAD + end:
        return ClientHello.INCOMPLETE
    return _judge(bytes(data[_RECORD_HEAD : _RECORD_HEAD + end]))


def _judge(message: bytes) -> ClientHello:
    try:
        offered = _offered(message)
    except _MalformedError:
        return ClientHello.OTHER
    return ClientHello.WITHOUT_HTTP_1 if offered and HTTP_1_1.encode() not in offered else ClientHello.OTHER


def _offered(message: bytes) -> list[bytes]:
    """The protocols of the ALPN extension; empty if there is none."""
    at = _BEFORE_SESSION
    for width in (1, 2, 1):  # session id, cipher suites, compression methods
        _, at = _vector(message, at, width)
    if at == len(message):
        return []
    extensions, _ = _vector(message, at, 2)
    at = 0
    while at < len(extensions):
        kind = extensions[at : at + 2]
        value, at = _vector(extensions, at + 2, 2)
        if int.from_bytes(kind) == _ALPN:
            return _names(_vector(value, 0, 2)[0])
    return []


def _names(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        name, at = _vector(data, at, 1)
        found.append(name)
    return found


def _vector(data: bytes, at: int, width: int) -> tuple[bytes, int]:
    """A vector with its length in `width` bytes before it, and where it ends. RFC 8446 §3.4."""
    start = at + width
    end = start + int.from_bytes(data[at:start])
    if start > len(data) or end > len(data):
        raise _MalformedError
    return data[start:end], end
