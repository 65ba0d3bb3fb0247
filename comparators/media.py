"""Media types and content codings: what the header fields say about a body."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

LONGEST_CACHED: Final = 200
_TYPE: Final = b"\r\ncontent-type:"
_ENCODING: Final = b"\r\ncontent-encoding:"


@dataclass(frozen=True, slots=True)
class Media:
    """A `content-type`: essence and charset in lower case, the other parameters apart from a boundary; "" if absent.

    Attributes:
        is_json: the body is one JSON text (RFC 8259, RFC 6839).
        is_text: it is text in a charset.
    """

    essence: str = ""
    charset: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    is_json: bool = field(init=False)
    is_text: bool = field(init=False)

    def __post_init__(self) -> None:
        is_json = self.essence in ("application/json", "text/json") or self.essence.endswith("+json")
        object.__setattr__(self, "is_json", is_json)
        object.__setattr__(self, "is_text", self.essence.startswith("text/") and not is_json)


ABSENT: Final = Media()


def parse_media(value: bytes) -> Media:
    """Read a `content-type` value; anything odd stays part of the essence or of a parameter."""
    return _cached(value) if len(value) <= LONGEST_CACHED else _parse(value)


def _parse(value: bytes) -> Media:
    essence, *rest = value.decode("latin-1").split(";")
    pairs = [part.partition("=")[::2] for part in rest if part.strip()]
    named = [(name.strip().lower(), text.strip().strip('"')) for name, text in pairs]
    charset = next((text.lower() for name, text in named if name == "charset"), "")
    others = tuple(sorted((name, text) for name, text in named if name not in ("charset", "boundary")))
    return Media(essence.strip().lower(), charset, others)


_cached: Final = lru_cache(maxsize=256)(_parse)


def content_of(fields: bytes) -> tuple[Media, tuple[str, ...]]:
    """What field lines say about the body: media type, and content codings in the order of application."""
    lines = b"\r\n" + fields + b"\r\n"
    lowered = lines.lower()
    media = ABSENT
    codings: tuple[str, ...] = ()
    at = lowered.find(_TYPE)
    if at >= 0:
        at += len(_TYPE)
        media = parse_media(lines[at : lines.find(b"\r\n", at)])
    at = lowered.find(_ENCODING)
    if at >= 0:
        at += len(_ENCODING)
        codings = parse_codings(lines[at : lines.find(b"\r\n", at)])
    return media, codings


def parse_codings(value: bytes) -> tuple[str, ...]:
    """Read a `content-encoding` value."""
    names = (name.strip() for name in value.decode("latin-1").lower().split(","))
    return tuple(name for name in names if name not in ("", "identity"))
