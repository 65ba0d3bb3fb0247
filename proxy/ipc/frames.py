"""Frames on a stream: a 4-byte little-endian length, then that many bytes."""

from struct import Struct
from typing import Final

LENGTH: Final = Struct("<I")
MAX_FRAME: Final = 64 << 20


class FrameError(Exception):
    """The stream does not hold frames: its other end is not one of our processes, or went mad."""


def frame(payload: bytes) -> bytes:
    """One frame, ready to be written."""
    return LENGTH.pack(len(payload)) + payload


class FrameReader:
    """Bytes in, whole payloads out, whatever the splits; a long frame is joined once, when it is whole."""

    __slots__ = ("_parts", "_wanting")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._wanting = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads completed by `data`, in order. Raises FrameError for a length over MAX_FRAME."""
        if self._parts:
            self._parts.append(data)
            self._wanting -= len(data)
            if self._wanting > 0:
                return []
            data = b"".join(self._parts)
            self._parts.clear()
        payloads, at, end = [], 0, len(data)
        self._wanting = LENGTH.size
        while end - at >= LENGTH.size:
            (length,) = LENGTH.unpack_from(data, at)
            if length > MAX_FRAME:
                raise FrameError(f"a frame of {length} bytes is over the limit of {MAX_FRAME}")
            start = at + LENGTH.size
            if end - start < length:
                self._wanting = LENGTH.size + length
                break
            payloads.append(data[start : start + length])
            at = start + length
            self._wanting = LENGTH.size
        if at < end:
            self._parts.append(data[at:])
            self._wanting -= end - at
        return payloads
