"""Request heads: bytes in, a `RequestHead` or a `Refusal` out. RFC 9112 §3, §5, §6.

Theory of operation. The caller cuts the head at its empty line and hands it over whole; how the bytes were
split on their way here therefore cannot matter. Parsing is strict: whatever two parsers could read in two
ways is a refusal, because the backend behind us is another parser. What is accepted is forwarded as the
bytes that came in: order, case, duplicates and obs-text survive. Only lines a proxy owns are taken out
where they stood (hop-by-hop, X-Forwarded-*); what replaces them is added at the end by
`forwarded_head`.

Nothing here raises for any input, and nothing is remembered between heads but the meaning of field lines.
"""

import re
from collections.abc import Callable
from typing import Final

from proxy.config.models import Limits
from proxy.core.reasons import Refused
from proxy.http.fields import (
    LINES,
    NOMINATE_NOTHING,
    TOKEN,
    Field,
    Special,
    is_host,
    name_of,
    nominated_lines,
)
from proxy.http.refusal import Refusal

HEAD_END: Final = b"\r\n\r\n"
MAX_EMPTY_LINES: Final = 4

_REQUEST_LINE: Final = re.compile(rb"(" + TOKEN + rb") ([\x21\x22\x24-\x7e]+) HTTP/1\.([0-9])")
_OTHER_VERSION: Final = re.compile(rb"[^ ]+ [^ ]+ HTTP/[0-9]\.[0-9]")
_ABSOLUTE: Final = re.compile(rb"[hH][tT][tT][pP]://([^/?]*)(/?[^?]*)(\?.*)?")
_BARE_LINE_END: Final = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)")
_OTHER_CODINGS: Final = re.compile(rb"(?:(?!chunked\b)" + TOKEN + rb"[ \t]*,[ \t]*)+chunked", re.IGNORECASE)
_KNOWN_METHODS: Final = frozenset(
    (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT", b"PRI")
)

BAD_REQUEST_LINE: Final = Refusal(400, Refused.REQUEST_LINE)
BAD_METHOD: Final = Refusal(400, Refused.METHOD)
BAD_TARGET: Final = Refusal(400, Refused.TARGET)
BAD_FIELD: Final = Refusal(400, Refused.FIELD)
BAD_HOST: Final = Refusal(400, Refused.HOST)
BAD_FRAMING: Final = Refusal(400, Refused.FRAMING)
UNKNOWN_CODING: Final = Refusal(501, Refused.CODING)
OTHER_VERSION: Final = Refusal(505, Refused.VERSION)
NO_TUNNEL: Final = Refusal(501, Refused.CONNECT)
NO_TRACE: Final = Refusal(405, Refused.TRACE, close=False)
LAST_TRACE: Final = Refusal(405, Refused.TRACE)
LINE_TOO_LONG: Final = Refusal(414, Refused.REQUEST_LINE)
HEAD_TOO_LONG: Final = Refusal(431, Refused.HEADER_BYTES)
TOO_MANY_FIELDS: Final = Refusal(431, Refused.HEADER_COUNT)


class RequestHead:
    """A request head that was accepted.

    Attributes:
        method, target: as sent; the target in origin form (or `*`).
        minor: the client's HTTP minor version, 0 or 1.
        host: the Host to route by and to send, empty only for HTTP/1.0 without one.
        start: our request line, without CRLF.
        fields: the field lines to forward, joined by CRLF, without a last one; Host and framing included.
        length: the declared Content-Length, or -1.
        chunked: whether the body is chunked.
        keep_alive: whether the client may send another request on this connection.
        expects: whether it carries an Expect field.
        takes_trailers: whether it can receive trailers.
        is_copy: whether it carries our marker, being a mirrored copy itself.
        max_forwards: of OPTIONS, else -1.
        vias: the Via values received.
        nominated: the members of its Connection field, in lower case.
        upgrades: the protocols it asks to go on with, as spelt; none if it is an ordinary request.
        ours: the lines that end it for every backend, about who asked; empty until they are written.
    """

    method: bytes
    target: bytes
    minor: int
    start: bytes
    fields: bytes
    host: bytes = b""
    length: int = -1
    chunked: bool = False
    keep_alive: bool = True
    expects: bool = False
    takes_trailers: bool = False
    is_copy: bool = False
    max_forwards: int = -1
    vias: tuple[bytes, ...] = ()
    nominated: tuple[bytes, ...] = ()
    upgrades: tuple[bytes, ...] = ()
    ours: bytes = b""

    def __init__(self, method: bytes, target: bytes, minor: int, start: bytes) -> None:
        self.method = method
        self.target = target
        self.minor = minor
        self.start = start

    @property
    def has_body(self) -> bool:
        """Whether body bytes follow the head."""
        return self.chunked or self.length > 0


def find_head_end(data: bytes, limits: Limits) -> int | Refusal | None:
    """Where the head in `data` ends, None if more bytes are needed. RFC 9112 §2.2.

    The index is that of the empty line's first CRLF. Leading empty lines are the caller's to skip.
    """
    end = data.find(HEAD_END)
    if 0 <= end <= limits.header_bytes - len(HEAD_END):
        return end
    return _first_fault(data, limits)


def _first_fault(data: bytes, limits: Limits) -> Refusal | None:
    """What is wrong first, in the order of the bytes: then it cannot matter in which pieces they came."""
    line_end = data.find(b"\r\n", 0, limits.request_line + 2)
    most = limits.header_bytes if line_end >= 0 else min(limits.header_bytes, limits.request_line + 1)
    bare = None if _ends_lines_well(data) else _BARE_LINE_END.search(data, 0, most)
    if bare is not None:
        return BAD_FIELD if 0 <= line_end < bare.start() else BAD_REQUEST_LINE
    if len(data) <= most:
        return None
    return HEAD_TOO_LONG if most == limits.header_bytes else LINE_TOO_LONG


def _ends_lines_well(data: bytes) -> bool:
    """Whether there is no bare CR or LF; by counting, since a dripping client has its head looked at ever again."""
    pairs = data.count(b"\r\n")
    return data.count(b"\n") == pairs and data.count(b"\r") - data.endswith(b"\r") == pairs


def parse_request_head(head: bytes, limits: Limits, *, own_forwarded: bool = True) -> RequestHead | Refusal:
    """Read a whole head, without its final CRLF CRLF; `own_forwarded` takes the client's X-Forwarded-* out."""
    parsed = _parse(head, limits, own_forwarded=own_forwarded)
    if isinstance(parsed, Refusal):  # a bare CR or LF comes first, as it does when the head comes in pieces
        return _first_fault(head + b"\r\n", limits) or parsed
    return parsed


def _parse(head: bytes, limits: Limits, *, own_forwarded: bool) -> RequestHead | Refusal:
    start, line_end, fields = head.partition(b"\r\n")
    if len(start) > limits.request_line:
        return LINE_TOO_LONG
    found = _REQUEST_LINE.fullmatch(start)
    if found is None:
        return _why_not(start)
    lines = fields.split(b"\r\n") if line_end else []
    if len(lines) > limits.header_count:
        return TOO_MANY_FIELDS
    method, target, minor = found.groups()
    if method not in _KNOWN_METHODS and method.upper() in _KNOWN_METHODS:
        return BAD_METHOD
    parsed = RequestHead(method, target, int(minor != b"0"), start)
    parsed.fields = fields
    refusal = _read_fields(parsed, lines, _READ if own_forwarded else _READ_FORWARDED_PASSES, limits)
    if refusal is not None:
        return refusal
    if target[:1] != b"/" or method in _UNSERVED or minor != b"1":
        return _settle_target(parsed)
    return parsed


def _why_not(start: bytes) -> Refusal:
    """What is wrong with a request line that does not match the grammar."""
    if _OTHER_VERSION.fullmatch(start) and not re.search(rb"HTTP/1\.[0-9]\Z", start):
        return OTHER_VERSION if not start.startswith(b"PRI ") else BAD_REQUEST_LINE
    parts = start.split(b" ")
    if len(parts) == 3 and re.fullmatch(TOKEN, parts[0]):  # noqa: PLR2004  method, target, version
        return BAD_TARGET if re.fullmatch(rb"HTTP/1\.[0-9]", parts[2]) else BAD_REQUEST_LINE
    return BAD_REQUEST_LINE


def _read_fields(parsed: RequestHead, lines: list[bytes], read: "Readers", limits: Limits) -> Refusal | None:
    """Fill in what the special fields say, and take the lines we own out of the fields."""
    known = LINES
    removed: list[bytes] = []
    for field in [field for line in lines if (field := known.meaning(line))]:
        refusal = read[field.special](parsed, field, removed)
        if refusal is not None:
            return refusal
        if field.special is Special.CONNECTION and field.tokens not in NOMINATE_NOTHING:
            parsed.nominated += field.tokens
            removed += nominated_lines(field.tokens, lines)
    if not parsed.host and parsed.minor:
        return BAD_HOST
    if parsed.chunked and (parsed.length >= 0 or not parsed.minor):
        return BAD_FRAMING
    if removed:
        parsed.fields = b"\r\n".join([line for line in lines if line not in removed])
        if parsed.upgrades:
            parsed.upgrades = _upgrades(parsed, limits.upgrades)
            if parsed.upgrades and parsed.has_body:
                return BAD_FRAMING
        _write_ours(parsed, removed)
    return None


def _upgrades(head: RequestHead, allowed: tuple[str, ...]) -> tuple[bytes, ...]:
    """The protocols a request may go on with; none makes it an ordinary request. RFC 9110 §7.8."""
    if head.method != b"GET" or not head.minor or b"upgrade" not in head.nominated:
        return ()
    return tuple(protocol for protocol in head.upgrades if protocol.lower().decode() in allowed)


def _write_ours(head: RequestHead, gone: list[bytes]) -> None:
    """Write anew, at the end, the lines that are ours to say."""
    if head.chunked:
        head.fields = _with(head.fields, b"Transfer-Encoding: chunked")
    elif head.length >= 0 and any(name_of(line) == b"content-length" for line in gone):
        head.fields = _with(head.fields, b"Content-Length: %d" % head.length)
    if head.upgrades:
        head.fields = _with(head.fields, b"Upgrade: " + b", ".join(head.upgrades))
        head.fields = _with(head.fields, b"Connection: Upgrade")
    if head.takes_trailers and head.minor:
        head.fields = _with(head.fields, b"TE: trailers\r\nConnection: TE")


def _bad(_head: RequestHead, field: Field, _removed: list[bytes]) -> Refusal | None:
    return BAD_HOST if field.line[:5].lower() == b"host:" else BAD_FIELD


def _host(head: RequestHead, field: Field, _removed: list[bytes]) -> Refusal | None:
    if head.host or not field.is_canonical:
        return BAD_HOST
    head.host = field.value
    return None


def _content_length(head: RequestHead, field: Field, removed: list[bytes]) -> Refusal | None:
    if field.number < 0 or head.length >= 0:
        return BAD_FRAMING
    head.length = field.number
    if not field.is_canonical:
        removed.append(field.line)
    return None


def _transfer_encoding(head: RequestHead, field: Field, removed: list[bytes]) -> Refusal | None:
    if head.chunked:
        return BAD_FRAMING
    if field.value.lower() != b"chunked":
        return UNKNOWN_CODING if _OTHER_CODINGS.fullmatch(field.value) else BAD_FRAMING
    head.chunked = True
    removed.append(field.line)
    return None


def _connection(head: RequestHead, field: Field, removed: list[bytes]) -> Refusal | None:
    head.keep_alive &= b"close" not in field.tokens
    removed.append(field.line)
    return None


def _te(head: RequestHead, field: Field, removed: list[bytes]) -> Refusal | None:
    head.takes_trailers |= b"trailers" in field.tokens
    removed.append(field.line)
    return None


def _upgrade(head: RequestHead, field: Field, removed: list[bytes]) -> Refusal | None:
    head.upgrades += field.tokens
    removed.append(field.line)
    return None


def _expect(head: RequestHead, _field: Field, _removed: list[bytes]) -> Refusal | None:
    head.expects = True
    return None


def _via(head: RequestHead, field: Field, _removed: list[bytes]) -> Refusal | None:
    head.vias += (field.value,)
    return None


def _max_forwards(head: RequestHead, field: Field, _removed: list[bytes]) -> Refusal | None:
    if head.method != b"OPTIONS":
        return None
    if field.number < 0 or head.max_forwards >= 0:
        return BAD_FIELD
    head.max_forwards = field.number
    return None


def _marker(head: RequestHead, _field: Field, _removed: list[bytes]) -> Refusal | None:
    head.is_copy = True
    return None


def _remove(_head: RequestHead, field: Field, removed: list[bytes]) -> Refusal | None:
    removed.append(field.line)
    return None


def _pass(_head: RequestHead, _field: Field, _removed: list[bytes]) -> Refusal | None:
    return None


Readers = dict[Special, Callable[[RequestHead, Field, list[bytes]], Refusal | None]]

_READ: Readers = {
    Special.BAD: _bad,
    Special.HOST: _host,
    Special.CONTENT_LENGTH: _content_length,
    Special.TRANSFER_ENCODING: _transfer_encoding,
    Special.CONNECTION: _connection,
    Special.KEEP_ALIVE: _remove,
    Special.HOP: _remove,
    Special.UPGRADE: _upgrade,
    Special.TE: _te,
    Special.TRAILER: _pass,
    Special.EXPECT: _expect,
    Special.VIA: _via,
    Special.MAX_FORWARDS: _max_forwards,
    Special.FORWARDED: _remove,
    Special.MARKER: _marker,
    Special.DATE: _pass,
    Special.LOOKALIKE: _bad,
}
_READ_FORWARDED_PASSES: Readers = {**_READ, Special.FORWARDED: _pass}


def _with(fields: bytes, line: bytes) -> bytes:
    return fields + b"\r\n" + line if fields else line


_UNSERVED: Final = frozenset((b"CONNECT", b"TRACE"))


def _settle_target(head: RequestHead) -> RequestHead | Refusal:
    """Settle what is off the common path: `*`, absolute form, CONNECT, TRACE, HTTP/1.0 and 1.2 to 1.9."""
    if head.method == b"CONNECT":
        return NO_TUNNEL
    if head.target == b"*":
        if head.method != b"OPTIONS":
            return BAD_TARGET
    elif head.target[:1] != b"/":
        refusal = _to_origin_form(head)
        if refusal is not None:
            return refusal
    if head.method == b"TRACE":
        return NO_TRACE if head.keep_alive and head.minor and not head.has_body else LAST_TRACE
    head.start = b"%b %b HTTP/1.1" % (head.method, head.target)
    if not head.minor:
        head.keep_alive = head.expects = head.takes_trailers = False
        head.fields = b"\r\n".join(
            [line for line in head.fields.split(b"\r\n") if name_of(line) not in {b"expect", b"te"}]
        )
    return head


def _to_origin_form(head: RequestHead) -> Refusal | None:
    """Turn `http://authority/path` into the path and the Host that wins. RFC 9112 §3.2.2."""
    found = _ABSOLUTE.fullmatch(head.target)
    if found is None or not is_host(found[1]):
        return BAD_TARGET
    authority, path, query = found[1], found[2], found[3] or b""
    bare = not path and not query and head.method == b"OPTIONS"
    head.target = b"*" if bare else (path or b"/") + query
    lines = [line for line in head.fields.split(b"\r\n") if line and name_of(line) != b"host"]
    head.fields = b"\r\n".join([*lines, b"Host: " + authority])
    head.host = authority
    return None
