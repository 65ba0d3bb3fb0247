"""A strict reader of HTTP/1.1 messages, written from RFC 9112 and independent of the proxy's parser.

It reads what a correct sender may send and refuses the rest with `FramingError`: it stands on the far sides
of the proxy, where every byte is the proxy's own responsibility. Field lines are kept as raw bytes, so
order, case, duplicates and spacing can be asserted.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from tests.kit.wire import Wire

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TEXT = rb"[\t\x20-\x7e\x80-\xff]*"
REQUEST_LINE = re.compile(rb"(%b) ([\x21-\x7e]+) (HTTP/1\.[01])" % _TOKEN)
STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) ([1-9][0-9]{2}) (%b)" % _TEXT)
FIELD_LINE = re.compile(rb"(%b):[ \t]*(%b)" % (_TOKEN, _TEXT))
_EXTENSION_VALUE = rb'(?:%b|"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*")' % _TOKEN
_EXTENSION = rb"[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*%b)?" % (_TOKEN, _EXTENSION_VALUE)
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:%b)*[ \t]*" % _EXTENSION)
CONTENT_LENGTH = re.compile(rb"[0-9]{1,19}")
NO_CONTENT = 204
NOT_MODIFIED = 304


class FramingError(AssertionError):
    """The peer sent bytes that are no correct HTTP/1.1 message."""


class Delimited(Enum):
    """How a body without a declared length ends."""

    CHUNKED = "chunked"
    CLOSE = "close"


Framing = int | Delimited
"""Body length in bytes (0: no body), or what ends the body."""


def field_values(lines: Sequence[bytes], name: bytes) -> list[bytes]:
    """Trimmed values of the field lines called `name` (any case), in order."""
    pairs = (line.split(b":", 1) for line in lines)
    return [value.strip(b" \t") for key, value in pairs if key.lower() == name.lower()]


@dataclass(frozen=True, slots=True)
class Head:
    start_line: bytes
    lines: list[bytes]
    start: int  # offset of the first byte in what the connection received


@dataclass(frozen=True, slots=True)
class Message:
    """`lines` and `trailers` are raw field lines, `body` is decoded, `raw` is the message as it came."""

    start_line: bytes
    lines: list[bytes]
    body: bytes
    trailers: list[bytes]
    raw: bytes

    def values(self, name: bytes) -> list[bytes]:
        return field_values(self.lines, name)


class RawRequest(Message):
    @property
    def method(self) -> bytes:
        return self.start_line.split(b" ")[0]

    @property
    def target(self) -> bytes:
        return self.start_line.split(b" ")[1]


class RawResponse(Message):
    @property
    def status_line(self) -> bytes:
        return self.start_line

    @property
    def status(self) -> int:
        return int(self.start_line.split(b" ")[1])

    @property
    def reason(self) -> bytes:
        return self.start_line.split(b" ", 2)[2]


async def read_head(wire: Wire, start_line: re.Pattern[bytes]) -> Head:
    start = wire.position
    first = await wire.take_line()
    _require(start_line.fullmatch(first), "start line", first, wire)
    return Head(first, await _read_field_lines(wire), start)


async def read_request_rest(wire: Wire, head: Head) -> RawRequest:
    framing = _declared_framing(head, wire)
    body, trailers = await _read_body(wire, 0 if framing is None else framing)
    return RawRequest(head.start_line, head.lines, body, trailers, wire.slice(head.start, wire.position))


async def read_response(wire: Wire, method: str) -> RawResponse:
    """The next response, interim ones (1xx) included; `method` is that of the request it answers."""
    head = await read_head(wire, STATUS_LINE)
    body, trailers = await _read_body(wire, _response_framing(head, method, wire))
    return RawResponse(head.start_line, head.lines, body, trailers, wire.slice(head.start, wire.position))


def _response_framing(head: Head, method: str, wire: Wire) -> Framing:
    """RFC 9112 §6.3, and §6.1 of it with RFC 9110 §8.6 for what 1xx and 204 may not carry."""
    status = int(head.start_line.split(b" ")[1])
    declared = _declared_framing(head, wire)
    if status < 200 or status == NO_CONTENT:
        _require(declared is None, f"framing of a {status}", head.start_line, wire)
        return 0
    if method == "HEAD" or status == NOT_MODIFIED:
        return 0
    return Delimited.CLOSE if declared is None else declared


def _declared_framing(head: Head, wire: Wire) -> Framing | None:
    lengths = field_values(head.lines, b"content-length")
    codings = field_values(head.lines, b"transfer-encoding")
    if codings:
        one_chunked = [coding.lower() for coding in codings] == [b"chunked"]
        allowed = one_chunked and not lengths and b"HTTP/1.1" in head.start_line
        _require(allowed, "Transfer-Encoding", b", ".join(codings), wire)
        return Delimited.CHUNKED
    if lengths:
        valid = len(lengths) == 1 and CONTENT_LENGTH.fullmatch(lengths[0])
        _require(valid, "Content-Length", b", ".join(lengths), wire)
        return int(lengths[0])
    return None


async def _read_body(wire: Wire, framing: Framing) -> tuple[bytes, list[bytes]]:
    if framing is Delimited.CHUNKED:
        return await _read_chunks(wire), await _read_field_lines(wire)
    if framing is Delimited.CLOSE:
        return await _read_to_fin(wire), []
    return await wire.take(framing), []


async def _read_chunks(wire: Wire) -> bytes:
    chunks: list[bytes] = []
    while size := await _read_chunk_size(wire):
        chunks.append(await wire.take(size))
        end = await wire.take(2)
        _require(end == b"\r\n", "end of a chunk", end, wire)
    return b"".join(chunks)


async def _read_chunk_size(wire: Wire) -> int:
    line = await wire.take_line()
    match = CHUNK_SIZE.fullmatch(line)
    _require(match, "chunk size", line, wire)
    assert match is not None
    return int(match[1], 16)


async def _read_to_fin(wire: Wire) -> bytes:
    body = await wire.take_to_end()
    _require(wire.error is None, "end of a body that lasts until the close", b"reset", wire)
    return body


async def _read_field_lines(wire: Wire) -> list[bytes]:
    lines: list[bytes] = []
    while line := await wire.take_line():
        _require(FIELD_LINE.fullmatch(line), "field line", line, wire)
        lines.append(line)
    return lines


def _require(valid: object, what: str, found: bytes, wire: Wire) -> None:
    if not valid:
        raise FramingError(f"bad {what}: {found!r}; {wire.quote()}")
