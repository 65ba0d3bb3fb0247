"""Response heads: bytes in, a `ResponseHead` or a `Malformed` out. RFC 9112 §4, §5, §6.

Theory of operation. As with requests, a head is handed over whole and forwarded as the bytes that came in.
Parsing is lenient only where a backend that works today must keep working behind the proxy: bare LF as
line end, blanks before a colon and folded lines are repaired and then read strictly. Whatever remains
ambiguous, above all in the framing, makes the response unusable and the connection with it.
"""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from proxy.config.models import Limits
from proxy.http.fields import (
    LINES,
    NOMINATE_NOTHING,
    Field,
    Special,
    length_of,
    name_of,
    nominated_lines,
)

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
_FOLD: Final = re.compile(rb"(?<![ \t])[ \t]*\r\n[ \t]+")
_BLANK_BEFORE_COLON: Final = re.compile(rb"^([^\s:]+)[ \t]+:", re.MULTILINE)
_MOST_STATUSES: Final = 64
_LONGEST_STATUS: Final = 64
_FIRST_FINAL: Final = 200
VERSION: Final = b"HTTP/1."
_NO_CONTENT: Final = 204
BODILESS: Final = (_NO_CONTENT, 304)
"""Statuses whose responses have no body, RFC 9110 §15.3.5, §15.4.5."""
_CONNECTION: Final = Special.CONNECTION


class Malformed(StrEnum):
    """Why a backend's bytes cannot be relayed."""

    PROTOCOL = "protocol"
    RESPONSE_HEAD = "response_head"


class ResponseHead:
    """A response head that was accepted.

    Attributes:
        status: 100-999.
        start: our status line, without CRLF; the reason phrase is the backend's.
        fields: the field lines to forward, joined by CRLF, without a last one; hop-by-hop is out.
        length: the declared Content-Length, or -1.
        chunked: whether the body is chunked; never where none may follow whatever is said, in a 1xx and a 204.
        keep_alive: whether the backend will take another request on this connection.
        idle_s: for how long it said it would, in seconds, or -1.
        has_date: whether it carries a Date.
        trailer: the names of the trailers it announces, as sent.
        nominated: the members of its Connection field, in lower case.
        upgrades: the protocols of its Upgrade field, as spelt.
        rewrites_length: whether its Content-Length was repeated or spelt in an unusual way.
    """

    status: int
    start: bytes
    fields: bytes
    length: int = -1
    chunked: bool = False
    keep_alive: bool = True
    idle_s: int = -1
    has_date: bool = False
    trailer: bytes = b""
    nominated: tuple[bytes, ...] = ()
    upgrades: tuple[bytes, ...] = ()
    rewrites_length: bool = False

    def __init__(self, status: int, start: bytes) -> None:
        self.status = status
        self.start = start

    @property
    def is_final(self) -> bool:
        """Whether this is the answer, not an interim 1xx before it."""
        return self.status >= _FIRST_FINAL

    def has_body(self, *, to_head: bool) -> bool:
        """Whether body bytes follow; `to_head`: the request's method was HEAD. RFC 9112 §6.3."""
        return not (to_head or self.status < _FIRST_FINAL or self.status in BODILESS)


def split_response_head(data: bytes, start: int = 0) -> tuple[bytes, bytes] | None:
    """The head in `data`, without its empty line, and what follows; None if more bytes are needed.

    `start`: no end begins before it, as an earlier call saw. A bare LF ends a line as well, so what looks like the end
    is one only if the head has none of these in an earlier one.
    """
    if start == 0:
        head, end, rest = data.partition(b"\r\n\r\n")
        if end and not (head.endswith(b"\n") or b"\n\n" in head or b"\n\r\n" in head):
            return head, rest
    strict = data.find(b"\n\r\n", start)
    bare = data.find(b"\n\n", start, strict + 1 if strict >= 0 else len(data))
    at, length = (bare, 2) if bare >= 0 else (strict, 3)
    if at < 0:
        return None
    return data[: at - 1 if data[at - 1 : at] == b"\r" else at], data[at + length :]


def parse_response_head(head: bytes, limits: Limits) -> ResponseHead | Malformed:
    """Read a whole head, without its empty line."""
    if len(head) > limits.response_header_bytes:
        return Malformed.RESPONSE_HEAD if head.startswith(VERSION) else Malformed.PROTOCOL
    parsed = _parse(head, limits.response_header_count)
    if parsed is Malformed.PROTOCOL:
        repaired = _repair(head)
        if repaired != head:
            return _parse(repaired, limits.response_header_count)
    return parsed


def _repair(head: bytes) -> bytes:
    """Undo what RFC 9112 §2.2, §5.1 and §5.2 let a client of a backend repair; a fold of the status line is not."""
    start, end, fields = re.sub(rb"(?<!\r)\n", b"\r\n", head).partition(b"\r\n")
    return start + end + _BLANK_BEFORE_COLON.sub(rb"\1:", _FOLD.sub(b" ", fields))


class StatusLine:
    """What a status line says, and ours in its place."""

    def __init__(self, status: int, start: bytes, *, is_old: bool) -> None:
        self.status = status
        self.start = start
        self.is_old = is_old


_STATUS_LINES: Final[dict[bytes, StatusLine]] = {}
"""Those read before: a backend has few."""


def _status_line(line: bytes) -> StatusLine | None:
    """What a status line says, None if it is none. RFC 9112 §4."""
    known = _STATUS_LINES.get(line)
    if known is not None:
        return known
    found = _STATUS_LINE.fullmatch(line)
    if found is None:
        return None
    minor, status, reason = found.groups()
    read = StatusLine(int(status), b"HTTP/1.1 %b %b" % (status, reason or b""), is_old=minor == b"0")
    if len(line) <= _LONGEST_STATUS:
        if len(_STATUS_LINES) >= _MOST_STATUSES:
            _STATUS_LINES.clear()
        _STATUS_LINES[line] = read
    return read


def _parse(head: bytes, most: int) -> ResponseHead | Malformed:
    """Read a head of at most `most` fields strictly."""
    start, line_end, fields = head.partition(b"\r\n")
    said = _status_line(start)
    if said is None:
        return Malformed.PROTOCOL
    lines = fields.split(b"\r\n") if line_end else []
    if len(lines) > most:
        return Malformed.RESPONSE_HEAD
    parsed = ResponseHead(said.status, said.start)
    if said.is_old:
        parsed.keep_alive = False
    known = LINES
    removed: list[bytes] = []
    for field in [field for line in lines if (field := known.meaning(line))]:
        if not _READ[field.special](parsed, field, removed):
            return Malformed.PROTOCOL
        if field.special is _CONNECTION and field.tokens not in NOMINATE_NOTHING:
            parsed.nominated += field.tokens
            removed += nominated_lines(field.tokens, lines)
    if parsed.chunked and (parsed.length >= 0 or said.is_old):  # ambiguous, RFC 9112 §6.1
        return Malformed.PROTOCOL
    parsed.fields = b"\r\n".join(_without(removed, lines, parsed)) if removed else fields
    return parsed


def _without(removed: list[bytes], lines: list[bytes], parsed: ResponseHead) -> list[bytes]:
    """The lines without these; if a Content-Length went, all do, and one is written anew."""
    kept = [line for line in lines if line not in removed]
    if len(removed) > 1:
        parsed.has_date = parsed.has_date and any(name_of(line) == b"date" for line in kept)
    if parsed.rewrites_length:
        kept = [line for line in kept if name_of(line) != b"content-length"]
        kept.append(b"Content-Length: %d" % parsed.length)
    return kept


def _bad(_head: ResponseHead, _field: Field, _removed: list[bytes]) -> bool:
    return False


def _content_length(head: ResponseHead, field: Field, removed: list[bytes]) -> bool:
    number = field.number if field.number >= 0 else _repeated(field.value)
    if number < 0 or head.length not in {-1, number}:
        return False
    if head.length >= 0 or not field.is_canonical:
        head.rewrites_length = True
        removed.append(field.line)
    head.length = number
    return True


def _repeated(value: bytes) -> int:
    """The one length of a list of identical lengths (`5, 5`), else -1. RFC 9112 §6.3."""
    members = {member.strip(b" \t") for member in value.split(b",")}
    return length_of(members.pop()) if len(members) == 1 else -1


def _transfer_encoding(head: ResponseHead, field: Field, removed: list[bytes]) -> bool:
    removed.append(field.line)
    if head.status < _FIRST_FINAL or head.status == _NO_CONTENT:  # no body follows that it could be about
        return True
    if head.chunked or field.value.lower() != b"chunked":
        return False
    head.chunked = True
    return True


def _connection(head: ResponseHead, field: Field, removed: list[bytes]) -> bool:
    head.keep_alive &= b"close" not in field.tokens
    removed.append(field.line)
    return True


def _keep_alive(head: ResponseHead, field: Field, removed: list[bytes]) -> bool:
    head.idle_s = field.number
    removed.append(field.line)
    return True


def _date(head: ResponseHead, _field: Field, _removed: list[bytes]) -> bool:
    head.has_date = True
    return True


def _trailer(head: ResponseHead, field: Field, removed: list[bytes]) -> bool:
    head.trailer = b"%b, %b" % (head.trailer, field.value) if head.trailer else field.value
    removed.append(field.line)
    return True


def _upgrade(head: ResponseHead, field: Field, removed: list[bytes]) -> bool:
    head.upgrades += field.tokens
    removed.append(field.line)
    return True


def _remove(_head: ResponseHead, field: Field, removed: list[bytes]) -> bool:
    removed.append(field.line)
    return True


def _pass(_head: ResponseHead, _field: Field, _removed: list[bytes]) -> bool:
    return True


_READ: Final[dict[Special, Callable[[ResponseHead, Field, list[bytes]], bool]]] = {
    Special.BAD: _bad,
    Special.HOST: _pass,
    Special.CONTENT_LENGTH: _content_length,
    Special.TRANSFER_ENCODING: _transfer_encoding,
    Special.CONNECTION: _connection,
    Special.KEEP_ALIVE: _keep_alive,
    Special.HOP: _remove,
    Special.UPGRADE: _upgrade,
    Special.TE: _remove,
    Special.TRAILER: _trailer,
    Special.EXPECT: _pass,
    Special.VIA: _pass,
    Special.MAX_FORWARDS: _pass,
    Special.FORWARDED: _pass,
    Special.MARKER: _pass,
    Special.DATE: _date,
    Special.LOOKALIKE: _pass,
}
