r"""Selectors: where a rule applies.

Grammar, an RFC 9535 subset for bodies::

    selector   = "$" *segment  |  "header:" name ["*"]  |  "status"
    segment    = child | ".." descendant
    child      = "." name | "." "*" | "[" inside "]"
    descendant = name | "*" | "[" inside "]"
    inside     = quoted | index | "*"
    name       = (letter | "_" | non-ASCII) *(letter | digit | "_" | non-ASCII)
    quoted     = a '...' or "..." string with the escapes of RFC 9535 §2.3.1
    index      = "0" | non-zero-digit *digit

>>> for segment in parse("$.user['first name']..[0]").segments:
...     print(segment)
Segment(name='user', index=None, descends=False)
Segment(name='first name', index=None, descends=False)
Segment(name=None, index=0, descends=True)
>>> parse("header:X-Shard-*")
Selector(text='header:X-Shard-*', part='header', segments=(), header='x-shard-', prefix=True)

A segment matches whole names only: `$.user.id` does not touch `user.identity`. What the subset leaves out is refused
with its position, never read as something else:

>>> parse("$.items[-1]")
Traceback (most recent call last):
comparators.selectors.SelectorError: at 8: negative indices are not supported: '$.items[-1]'
>>> parse("$.items[?@.price]")
Traceback (most recent call last):
comparators.selectors.SelectorError: at 8: filters are not supported: '$.items[?@.price]'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Part = Literal["body", "header", "status"]

LARGEST_INDEX: Final = 2**53 - 1

_name: Final = re.compile(r"[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*")
_index: Final = re.compile(r"0(?!\d)|[1-9]\d*", re.ASCII)
_header: Final = re.compile(r"([!#$%&'+.^_`|~0-9A-Za-z-]*)(\*?)")
_quoted: Final = {
    quote: re.compile(rf"{quote}((?:[^{quote}\\\x00-\x1f]|\\(?:[bfnrt/\\{quote}]|u[0-9A-Fa-f]{{4}}))*){quote}")
    for quote in "'\""
}
_escape: Final = re.compile(r"\\(?:u([Dd][89ABab][0-9A-Fa-f]{2})\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|(.))")
_named_escapes: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_left_out: Final = {
    "-": "negative indices are not supported",
    "?": "filters are not supported",
    ":": "slices are not supported",
    ",": "unions are not supported",
    "(": "functions and scripts are not supported",
}


class SelectorError(ValueError):
    """A selector that cannot be read; `position` counts characters from 0."""

    def __init__(self, text: str, position: int, reason: str) -> None:
        super().__init__(f"at {position}: {reason}: {text!r}")
        self.text, self.position, self.reason = text, position, reason


@dataclass(frozen=True, slots=True)
class Segment:
    """One step: a member name, a list index, or any child (both None); `descends` allows any depth before it."""

    name: str | None = None
    index: int | None = None
    descends: bool = False

    @property
    def wild(self) -> bool:
        """Whether it takes any child."""
        return self.name is None and self.index is None

    def takes(self, step: str | int | None) -> bool:
        """Whether a child by that name or index (None: one that no selector mentions) is selected."""
        if self.wild:
            return True
        return step is not None and step == (self.index if isinstance(step, int) else self.name)


@dataclass(frozen=True, slots=True)
class Selector:
    """A parsed selector: segments for a body, a lower-case name (or its beginning, if `prefix`) for a header."""

    text: str
    part: Part
    segments: tuple[Segment, ...] = ()
    header: str = ""
    prefix: bool = False

    @property
    def specificity(self) -> tuple[int, int, int]:
        """Larger is more specific: fewer `..`, then fewer wildcards, then more literal segments."""
        descents = sum(segment.descends for segment in self.segments)
        wildcards = sum(segment.wild for segment in self.segments) + self.prefix
        literals = len(self.segments) - wildcards if self.part == "body" else len(self.header)
        return -descents, -wildcards, literals


def parse(text: str) -> Selector:
    """Read a selector; a `SelectorError` says where and why it cannot be."""
    if text == "status":
        return Selector(text, "status")
    if text.startswith("header:"):
        return _parse_header(text)
    if not text.startswith("$"):
        raise SelectorError(text, 0, "a selector starts with '$', 'header:' or is 'status'")
    segments: list[Segment] = []
    at = 1
    while at < len(text):
        segment, at = _parse_segment(text, at)
        segments.append(segment)
    return Selector(text, "body", tuple(segments))


def _parse_header(text: str) -> Selector:
    start = len("header:")
    found = _header.match(text, start)
    if not found or found.end() < len(text) or found.end() == start:
        position = found.end() if found else start
        raise SelectorError(text, position, "a header name, possibly ended by one '*', is expected")
    return Selector(text, "header", header=found[1].lower(), prefix=bool(found[2]))


def _parse_segment(text: str, at: int) -> tuple[Segment, int]:
    descends = text.startswith("..", at)
    dotted = text[at] == "."
    at += 2 if descends else dotted
    if text.startswith("[", at) and (descends or not dotted):
        return _parse_bracket(text, at + 1, descends=descends)
    if not dotted:
        raise SelectorError(text, at, "'.' or '[' is expected")
    if text.startswith("*", at):
        return Segment(descends=descends), at + 1
    found = _name.match(text, at)
    if not found:
        raise SelectorError(text, at, "a name or '*' is expected; other names are written ['...']")
    if text[found.end() : found.end() + 1] == "-":
        raise SelectorError(text, found.end(), "a name with '-' is written ['...']")
    return Segment(found[0], descends=descends), found.end()


def _parse_bracket(text: str, at: int, *, descends: bool) -> tuple[Segment, int]:
    first = text[at : at + 1]
    if first == "*":
        segment, end = Segment(descends=descends), at + 1
    elif first in _quoted:
        found = _quoted[first].match(text, at)
        if not found:
            raise SelectorError(text, at, "the quoted name does not end, or holds an unknown escape")
        segment, end = Segment(_unescape(text, at, found[1]), descends=descends), found.end()
    elif digits := _index.match(text, at):
        if int(digits[0]) > LARGEST_INDEX:
            raise SelectorError(text, at, "the index is too large")
        segment, end = Segment(index=int(digits[0]), descends=descends), digits.end()
    else:
        raise SelectorError(text, at, _left_out.get(first, "a quoted name, an index or '*' is expected"))
    if not text.startswith("]", end):
        raise SelectorError(text, end, _left_out.get(text[end : end + 1], "']' is expected"))
    return segment, end + 1


def _unescape(text: str, at: int, quoted: str) -> str:
    def one(found: re.Match[str]) -> str:
        high, low, single, named = found.groups()
        if high:
            return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF))
        return chr(int(single, 16)) if single else _named_escapes.get(named, named)

    name = _escape.sub(one, quoted)
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise SelectorError(text, at, "half of a surrogate pair")
    return name
