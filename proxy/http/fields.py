"""Field lines: bytes in, what they mean to a proxy out.

Theory of operation. Every line of a head is looked up in `LINES`. Most lines of real traffic repeat from
message to message (Host, User-Agent, Accept, Content-Type, Server…), so the table remembers what each means:
None for a field that is nobody's business but the two ends', a `Field` for one a proxy must act on. A line not
seen before is read once. Names whose values never repeat (a request id, a trace) are remembered as varying:
their lines are only checked for bytes that may not stand in them. The table is bounded in entries and line
length, and holds no secrets.

A line that breaks the grammar of RFC 9112 §5, or the rules for its field, means `Special.BAD`; the caller
decides whether that is a refusal (requests) or first a repair (responses).
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv6Address
from typing import Final

TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_FIELD_LINE: Final = re.compile(rb"(" + TOKEN + rb"):([\t\x20-\x7e\x80-\xff]*)")
_TOKEN: Final = re.compile(TOKEN)
_PROTOCOL: Final = re.compile(TOKEN + rb"(?:/" + TOKEN + rb")?")
_LENGTH: Final = re.compile(rb"[0-9]{1,19}")
_HOST: Final = re.compile(
    rb"(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})+(?::([0-9]{0,5}))?|\[[0-9A-Fa-f:.]+\](?::([0-9]{0,5}))?"
)
_MAX_LENGTH: Final = 2**63 - 1
_FEW_DIGITS: Final = 10
_MOST_FORWARDS: Final = 2**31 - 1
"""The most that Max-Forwards can say here, whatever was received. RFC 9110 §7.6.2."""
_MAX_PORT: Final = 65535
_LONGEST_NAME: Final = 64
NOMINATE_NOTHING: Final = ((b"keep-alive",), (b"close",))
"""The members of nearly every Connection field."""
_VARYING: Final = 32  # distinct values after which a name counts as varying
_LINE_BYTES: Final = bytes((9, *range(0x20, 0x7F), *range(0x80, 0x100)))
_TOLD_APART: Final = bytes(byte if byte in _LINE_BYTES else ord("?") for byte in range(256))
"""Every byte that may stand in a line as it is, and the others as some other one."""


class Special(IntEnum):
    """Fields a proxy acts on; all others pass as they came."""

    BAD = 1
    HOST = 2
    CONTENT_LENGTH = 3
    TRANSFER_ENCODING = 4
    CONNECTION = 5
    KEEP_ALIVE = 6
    HOP = 7
    UPGRADE = 8
    TE = 9
    TRAILER = 10
    EXPECT = 11
    VIA = 12
    MAX_FORWARDS = 13
    FORWARDED = 14
    MARKER = 15
    DATE = 16
    LOOKALIKE = 17
    """A name of the above with underscores, which some backends read as dashes."""


_NAMES: Final = {
    b"host": Special.HOST,
    b"content-length": Special.CONTENT_LENGTH,
    b"transfer-encoding": Special.TRANSFER_ENCODING,
    b"connection": Special.CONNECTION,
    b"keep-alive": Special.KEEP_ALIVE,
    b"proxy-connection": Special.HOP,
    b"http2-settings": Special.HOP,
    b"proxy-authorization": Special.HOP,
    b"proxy-authenticate": Special.HOP,
    b"proxy-authentication-info": Special.HOP,
    b"proxy": Special.HOP,
    b"upgrade": Special.UPGRADE,
    b"te": Special.TE,
    b"trailer": Special.TRAILER,
    b"expect": Special.EXPECT,
    b"via": Special.VIA,
    b"max-forwards": Special.MAX_FORWARDS,
    b"forwarded": Special.FORWARDED,
    b"x-forwarded-for": Special.FORWARDED,
    b"x-forwarded-proto": Special.FORWARDED,
    b"x-forwarded-host": Special.FORWARDED,
    b"x-shadow-request": Special.MARKER,
    b"date": Special.DATE,
}
"""B14 of the wire checklist and the fields we set. RFC 9110 §7.6.1, §11.7."""

_SECRET: Final = re.compile(rb"auth|cookie|token|secret|key|password", re.IGNORECASE)
_PROTECTED: Final = re.compile(
    rb"host|content-.*|authorization|cookie|set-cookie|origin|x-forwarded-.*|forwarded|via|range|if-.*"
)


@dataclass(frozen=True, slots=True)
class Field:
    """A field line a proxy acts on.

    `value` is without surrounding blanks. `number` is the value of a valid Content-Length, Max-Forwards or
    Keep-Alive timeout, else -1. `tokens` are the valid members of a list: of Connection and TE in lower case, of
    Upgrade as spelt. `is_canonical`: a length is spelt the one usual way, a Host is one.
    """

    special: Special
    line: bytes
    value: bytes
    number: int = -1
    tokens: tuple[bytes, ...] = ()
    is_canonical: bool = True


_UNSEEN: Final = Field(Special.BAD, b"", b"")


class Lines:
    """What each field line means; remembers at most `most` lines of at most `longest` bytes, and as many names."""

    __slots__ = ("_known", "_longest", "_most", "_names")

    def __init__(self, most: int = 4096, longest: int = 256) -> None:
        self._most = most
        self._longest = longest
        self._known: dict[bytes, Field | None] = {}
        self._names: dict[bytes, int] = {}

    def meaning(self, line: bytes) -> Field | None:
        """What a line means: None if it simply passes."""
        field = self._known.get(line, _UNSEEN)
        return self._read(line) if field is _UNSEEN else field

    def forget(self) -> None:
        """Begin anew."""
        self._known.clear()
        self._names.clear()

    def _read(self, line: bytes) -> Field | None:
        name, colon, _ = line.partition(b":")
        left = self._names.get(name) if colon else None
        if left is None:
            return self._learn(name, line)
        if line.translate(_TOLD_APART) != line:
            return Field(Special.BAD, line, b"")
        if left:
            self._names[name] = left - 1
            self._remember(line, None)
        return None

    def _learn(self, name: bytes, line: bytes) -> Field | None:
        """Read a line whose name is not known to be nobody's business."""
        field = read_line(line)
        if field is None:
            if len(name) <= _LONGEST_NAME:
                if len(self._names) >= self._most:
                    self._names.clear()
                self._names[name] = 0 if _SECRET.search(name) else _VARYING
        elif field.special is not Special.BAD and not _SECRET.search(name):
            self._remember(line, field)
        return field

    def _remember(self, line: bytes, field: Field | None) -> None:
        if len(line) <= self._longest:
            if len(self._known) >= self._most:
                self._known.clear()
            self._known[line] = field


LINES: Final = Lines()


def read_line(line: bytes) -> Field | None:
    """What a field line (without CRLF) means: None if it simply passes. RFC 9112 §5, RFC 9110 §5.5."""
    found = _FIELD_LINE.fullmatch(line)
    if found is None:
        return Field(Special.BAD, line, b"")
    name = found[1].lower()
    special = _NAMES.get(name)
    if special is None:
        lookalike = b"_" in name and name.replace(b"_", b"-") in _NAMES
        return Field(Special.LOOKALIKE, line, b"") if lookalike else None
    return _READERS.get(special, Field)(special, line, found[2].strip(b" \t"))


def _length(special: Special, line: bytes, value: bytes) -> Field:
    number = length_of(value)
    return Field(special, line, value, number, is_canonical=value == b"%d" % number)


def _number(special: Special, line: bytes, value: bytes) -> Field:
    if not value.isdigit():
        return Field(special, line, value)
    digits = value.lstrip(b"0") or b"0"
    number = int(digits) if len(digits) <= _FEW_DIGITS else _MOST_FORWARDS  # never of thousands: `int` refuses these
    return Field(special, line, value, min(number, _MOST_FORWARDS))


def _list(special: Special, line: bytes, value: bytes) -> Field:
    members = (member.strip(b" \t").lower() for member in value.split(b","))
    return Field(special, line, value, tokens=tuple(m for m in members if _TOKEN.fullmatch(m)))


def _protocols(special: Special, line: bytes, value: bytes) -> Field:
    members = (member.strip(b" \t") for member in value.split(b","))
    return Field(special, line, value, tokens=tuple(m for m in members if _PROTOCOL.fullmatch(m)))


def _te(special: Special, line: bytes, value: bytes) -> Field:
    members = (member.partition(b";")[0].strip(b" \t").lower() for member in value.split(b","))
    return Field(special, line, value, tokens=tuple(members))


def _keep_alive(special: Special, line: bytes, value: bytes) -> Field:
    found = re.search(rb"(?:^|[,; \t])timeout=\"?(\d{1,9})", value, re.IGNORECASE)
    return Field(special, line, value, int(found[1]) if found else -1)


def _host(special: Special, line: bytes, value: bytes) -> Field:
    return Field(special, line, value, is_canonical=is_host(value))


_READERS: Final = {
    Special.CONTENT_LENGTH: _length,
    Special.MAX_FORWARDS: _number,
    Special.CONNECTION: _list,
    Special.UPGRADE: _protocols,
    Special.TE: _te,
    Special.KEEP_ALIVE: _keep_alive,
    Special.HOST: _host,
}


def length_of(value: bytes) -> int:
    """The length a Content-Length says, or -1 if it says none. RFC 9110 §8.6."""
    return int(value) if _LENGTH.fullmatch(value) and int(value) <= _MAX_LENGTH else -1


def is_host(value: bytes) -> bool:
    """Whether this is a name, IPv4 or [IPv6] with an optional port up to 65535. RFC 9112 §3.2, RFC 3986 §3.2."""
    found = _HOST.fullmatch(value)
    if found is None or (value[:1] == b"[" and not _is_ipv6(value[1 : value.index(b"]")])):
        return False
    port = found[1] or found[2]
    return not port or int(port) <= _MAX_PORT


def _is_ipv6(address: bytes) -> bool:
    try:
        IPv6Address(address.decode())
    except ValueError:
        return False
    return True


def is_protected(name: bytes) -> bool:
    """Whether a lower-case name may not be nominated away by a Connection field."""
    return _PROTECTED.fullmatch(name) is not None


def protected_among(names: tuple[bytes, ...]) -> int:
    """How many of these lower-case names may not be nominated away."""
    return sum(map(is_protected, names))


def nominated_lines(tokens: tuple[bytes, ...], lines: list[bytes]) -> list[bytes]:
    """The lines a Connection field asks to remove; protected names stay. RFC 9110 §7.6.1."""
    names = {token for token in tokens if token not in {b"close", b"keep-alive"} and not is_protected(token)}
    return [line for line in lines if name_of(line) in names] if names else []


def name_of(line: bytes) -> bytes:
    """The lower-case name of a valid field line."""
    return line[: line.find(b":")].lower()
