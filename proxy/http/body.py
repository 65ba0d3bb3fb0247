"""Message bodies: framing removed and checked, bytes in, payload out. RFC 9112 §6, §7.

A body takes the bytes as they come and gives back what of them is payload. `done` tells that the message
is complete, `rest` then holds the bytes after it, untouched; `fault` tells that the framing is broken and
the body is dead: more input changes nothing.
"""

import re
from enum import Enum, StrEnum
from typing import Final, Protocol

from proxy.config.models import Limits
from proxy.http.fields import Special, is_protected, name_of, read_line

FINAL_CHUNK: Final = b"0\r\n\r\n"


class BodyFault(StrEnum):
    """What is wrong with a body's framing."""

    CHUNK = "chunk"
    CHUNK_OVERHEAD = "chunk_overhead"
    TRAILERS = "trailers"


class Body(Protocol):
    """What every kind of body offers."""

    done: bool
    rest: bytes
    fault: BodyFault | None
    trailers: list[bytes]

    def feed(self, data: bytes) -> bytes:
        """The payload in `data`."""
        ...

    def end(self) -> bool:
        """Whether the end of the connection completes this body."""
        ...


def chunk(payload: bytes) -> bytes:
    """One chunk, ready to be written; nothing for an empty payload, which would end the body."""
    return b"%x\r\n%b\r\n" % (len(payload), payload) if payload else b""


def last_chunk(trailers: list[bytes]) -> bytes:
    """The end of a chunked body."""
    if not trailers:
        return FINAL_CHUNK
    return b"0\r\n" + b"\r\n".join(trailers) + b"\r\n\r\n"


class LengthBody:
    """A body of a declared length."""

    __slots__ = ("_left", "done", "fault", "rest", "trailers")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0
        self.rest = b""
        self.fault: BodyFault | None = None
        self.trailers: list[bytes] = []

    def feed(self, data: bytes) -> bytes:
        """The payload in `data`: at most what is left of the length."""
        size = len(data)
        if size < self._left:
            self._left -= size
            return data
        payload, self.rest = data[: self._left], data[self._left :]
        self._left = 0
        self.done = True
        return payload

    def end(self) -> bool:
        """Only a complete one ends well."""
        return self.done


class EofBody:
    """A response body that ends with its connection: complete only then."""

    __slots__ = ("done", "fault", "rest", "trailers")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self.fault: BodyFault | None = None
        self.trailers: list[bytes] = []

    def feed(self, data: bytes) -> bytes:
        """All of it."""
        return data

    def end(self) -> bool:
        """The end of the connection is the end of the body."""
        self.done = True
        return True


class _Step(Enum):
    """Where in a chunked body the next byte belongs."""

    SIZE = 1
    DATA = 2
    DATA_END = 3
    TRAILERS = 4


_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(?:([ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)|([ \t]*))")
_EXTENSIONS: Final = re.compile(
    rb"(?:[ \t]*;[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
    rb"(?:[ \t]*=[ \t]*(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|\"(?:[^\"\\]|\\.)*\"))?)+"
)
_MAX_CHUNK: Final = 2**63 - 1
_FREE_OVERHEAD: Final = 16
_TRAILER_FORBIDDEN: Final = re.compile(
    rb"te|trailer|cookie|set-cookie|authorization|www-authenticate|max-forwards|cache-control|expect|pragma|date|"
    rb"expires|age|location|retry-after|vary|warning|connection|keep-alive|upgrade|proxy.*|transfer-encoding|"
    rb"x-shadow-request"
)


class ChunkedBody:
    """A chunked body; extensions are checked and dropped, trailers kept if they may be forwarded.

    `padded` allows blanks after a chunk size or its extensions, which some backends send. `nominated` are names of
    the head's Connection field, in lower case: trailers of these names go no further either.
    """

    __slots__ = (
        "_data_bytes", "_held", "_left", "_limits", "_nominated", "_overhead", "_padded", "_step", "_trailer_bytes",
        "_trailer_count", "done", "fault", "rest", "trailers",
    )  # fmt: skip

    def __init__(self, limits: Limits, nominated: tuple[bytes, ...] = (), *, padded: bool = False) -> None:
        self._limits = limits
        self._nominated = nominated
        self._padded = padded
        self._step = _Step.SIZE
        self._held = b""
        self._left = 0
        self._overhead = 0
        self._data_bytes = 0
        self._trailer_bytes = 0
        self._trailer_count = 0
        self.done = False
        self.rest = b""
        self.fault: BodyFault | None = None
        self.trailers: list[bytes] = []

    def end(self) -> bool:
        """Only a complete one ends well."""
        return self.done

    def feed(self, data: bytes) -> bytes:
        """The payload in `data`, in one piece."""
        if self.done or self.fault:
            return b""
        held = self._held + data if self._held else data
        at, pieces = 0, []
        while not self.done:
            if self._step is _Step.DATA:
                piece = held[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
                self._step = _Step.DATA_END
            end = held.find(b"\n", at)
            if end < 0:
                self._check_partial(held[at:])
                break
            line = held[at : end + 1]
            at = end + 1
            if line[-2:] != b"\r\n" or not self._line(line[:-2]):
                self._blame(line)
                break
        self._held = b"" if self.done or self.fault else held[at:]
        self.rest = held[at:] if self.done else b""
        return b"".join(pieces) if len(pieces) != 1 else pieces[0]

    def _check_partial(self, line: bytes) -> None:
        """Refuse a line that cannot become a good one, before more of it is held."""
        limits = self._limits
        if self._step is _Step.DATA_END and line not in {b"", b"\r"}:
            self.fault = BodyFault.CHUNK
        elif self._step is _Step.TRAILERS and line != b"\r" and self._trailer_bytes + len(line) > limits.trailer_bytes:
            self.fault = BodyFault.TRAILERS
        elif self._step is _Step.SIZE:
            if line and not re.match(rb"[0-9A-Fa-f]{1,16}(?:[ \t;\r]|\Z)", line):
                self.fault = BodyFault.CHUNK
            elif self._is_over(len(line)):
                self.fault = BodyFault.CHUNK_OVERHEAD

    def _blame(self, line: bytes) -> None:
        """Say what is wrong with a line: what would have been seen first had it come byte by byte."""
        if self.fault is None:
            self._check_partial(line[:-1])
        self.fault = self.fault or BodyFault.CHUNK

    def _line(self, line: bytes) -> bool:
        if self._step is _Step.SIZE:
            return self._size_line(line)
        if self._step is _Step.DATA_END:
            self._step = _Step.DATA_END if line else _Step.SIZE
            return not line
        return self._trailer_line(line)

    def _size_line(self, line: bytes) -> bool:
        found = _SIZE.fullmatch(line)
        if found is None or (found[3] and not self._padded) or (found[2] and not self._is_extension(found[2])):
            return False
        size = int(found[1], 16)
        if size > _MAX_CHUNK:
            return False
        if self._is_over(len(line) + 2):
            self.fault = BodyFault.CHUNK_OVERHEAD
            return False
        self._overhead += max(0, len(line) + 2 - _FREE_OVERHEAD)
        self._data_bytes += size
        self._left = size
        self._step = _Step.DATA if size else _Step.TRAILERS
        return True

    def _is_extension(self, text: bytes) -> bool:
        return _EXTENSIONS.fullmatch(text.rstrip(b" \t") if self._padded else text) is not None

    def _is_over(self, line_bytes: int) -> bool:
        """Whether framing outgrows the data: bytes above 16 a chunk, minus twice the data so far.

        Data gives credit to the sum of the lines and not to any one of them: a line is held until it ends, and looked
        at again whenever more of it comes.
        """
        allowed = self._limits.chunk_overhead
        above = max(0, line_bytes - _FREE_OVERHEAD)
        return above > allowed or self._overhead + above > allowed + 2 * self._data_bytes

    def _trailer_line(self, line: bytes) -> bool:
        if not line:
            self.done = True
            return True
        self._trailer_bytes += len(line) + 2
        self._trailer_count += 1
        if self._trailer_bytes > self._limits.trailer_bytes or self._trailer_count > self._limits.trailer_count:
            self.fault = BodyFault.TRAILERS
            return False
        field = read_line(line)
        if field is not None and field.special is Special.BAD:
            self.fault = BodyFault.CHUNK
            return False
        name = name_of(line)
        kept = not is_protected(name) and not _TRAILER_FORBIDDEN.fullmatch(name) and name not in self._nominated
        if field is None and kept:
            self.trailers.append(line)
        return True
