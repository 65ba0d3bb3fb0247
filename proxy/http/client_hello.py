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
_BEFORE_SESSION: Final = 4 + 2 + 32
_MAX_BYTES: Final = 64 << 10


class Hello(Enum):
    """What is known of the first message."""

    INCOMPLETE = 0
    """More of it must come."""
    WITHOUT_HTTP_1 = 1
    """The client offers protocols, and HTTP/1.1 is not among them."""
    OTHER = 2
    """Anything else, also what is no TLS: OpenSSL knows what to say to it."""


class _MalformedError(Exception):
    pass


def read_hello(data: bytes) -> Hello:
    """Judge the first bytes of a connection, from its beginning. RFC 8446 §4.1.2, §5.1."""
    message = b""
    while len(data) >= _RECORD_HEAD and data[0] == _HANDSHAKE:
        end = _RECORD_HEAD + int.from_bytes(data[3:5])
        message += data[_RECORD_HEAD:end]
        whole = len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4])  # noqa: PLR2004  its own head
        if whole or message[:1] not in {b"", bytes([_CLIENT_HELLO])}:
            return _judge(message)
        if len(data) < end or end > _MAX_BYTES or end == _RECORD_HEAD:
            break
        data = data[end:]
    is_tls = data[:1] in {b"", bytes([_HANDSHAKE])}
    return Hello.INCOMPLETE if is_tls and len(message) + len(data) <= _MAX_BYTES else Hello.OTHER


def _judge(message: bytes) -> Hello:
    if message[0] != _CLIENT_HELLO:
        return Hello.OTHER
    try:
        offered = _offered(message[: 4 + int.from_bytes(message[1:4])])
    except _MalformedError:
        return Hello.OTHER
    return Hello.WITHOUT_HTTP_1 if offered and HTTP_1_1.encode() not in offered else Hello.OTHER


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
