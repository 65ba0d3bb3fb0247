"""What backends are told about who asked: Via, X-Forwarded-For, -Proto, -Host, Forwarded. RFC 9110 §7.6.3, RFC 7239.

Theory of operation. A client is either nobody in particular, and then the parser has taken out what it says
about itself and `first` writes all of it; or it is a trusted proxy, and then its lines are still among the
fields and `further` adds to them: the chain of addresses grows by that proxy's own, what it says of scheme and
Host stays where it stands. Both answer the lines that end the head.
"""

import re
from dataclasses import dataclass
from typing import Final

from proxy.config.models import Forwarded

END: Final = b"\r\n\r\n"
_CLAIM: Final = re.compile(rb"\r\n(?i:(x-forwarded-(?:for|proto|host)|forwarded)):([^\r]*)")
_CHAIN: Final = re.compile(rb"\r\n(?i:x-forwarded-for|forwarded):[^\r]*")
_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who sent a request, as this proxy sees it: by which HTTP/1 minor version, from which address, for what Host."""

    minor: int
    peer: bytes
    scheme: bytes
    host: bytes


class ForwardedLines:
    """Writes these lines as configured; `name` is this proxy's own."""

    __slots__ = ("_forwarded", "_is_on", "_name", "_x_forwarded")

    def __init__(self, settings: Forwarded, name: bytes) -> None:
        self._name = name
        self._is_on = settings.mode == "on"
        self._x_forwarded = self._is_on and "x-forwarded" in settings.fields
        self._forwarded = self._is_on and "forwarded" in settings.fields

    def first(self, asker: Asker) -> bytes:
        """The lines for a client whose own word is not kept; each begins, and the last one ends, with CRLF."""
        lines = [self._via(asker)]
        if self._x_forwarded:
            lines.append(b"\r\nX-Forwarded-For: " + asker.peer)
            lines += _x_forwarded(asker, {})
        if self._forwarded:
            lines.append(b"\r\nForwarded: " + element(asker))
        return b"".join(lines) + END

    def further(self, fields: bytes, asker: Asker) -> tuple[bytes, bytes]:
        """The fields of a trusted proxy's request without the chains in them, and the lines that continue those.

        A chain is continued if it is written at all or that proxy wrote one.
        """
        text = b"\r\n" + fields
        said: dict[bytes, list[bytes]] = {}
        for found in _CLAIM.finditer(text):
            said.setdefault(found[1].lower(), []).append(found[2].strip(b" \t"))
        lines = [self._via(asker)]
        if self._x_forwarded or b"x-forwarded-for" in said:
            lines.append(b"\r\nX-Forwarded-For: " + _grown(said.get(b"x-forwarded-for"), asker.peer))
        if self._x_forwarded:
            lines += _x_forwarded(asker, said)
        if self._forwarded or b"forwarded" in said:
            lines.append(b"\r\nForwarded: " + _grown(said.get(b"forwarded"), element(asker)))
        return _CHAIN.sub(b"", text)[2:], b"".join(lines) + END

    def _via(self, asker: Asker) -> bytes:
        return b"\r\nVia: 1.%d %b" % (asker.minor, self._name)


def element(asker: Asker) -> bytes:
    """An element of Forwarded; what is no token, such as an IPv6 address or a port, is quoted. RFC 7239 §4."""
    peer = b"[%b]" % asker.peer if b":" in asker.peer else asker.peer
    pairs = [b"for=" + _quoted(peer)]
    if asker.host:
        pairs.append(b"host=" + _quoted(asker.host))
    return b";".join([*pairs, b"proto=" + asker.scheme])


def _x_forwarded(asker: Asker, said: dict[bytes, list[bytes]]) -> list[bytes]:
    """Proto and Host, unless they were said already."""
    lines = []
    if b"x-forwarded-proto" not in said:
        lines.append(b"\r\nX-Forwarded-Proto: " + asker.scheme)
    if asker.host and b"x-forwarded-host" not in said:
        lines.append(b"\r\nX-Forwarded-Host: " + asker.host)
    return lines


def _grown(chain: list[bytes] | None, last: bytes) -> bytes:
    return b", ".join([*(value for value in chain or () if value), last])


def _quoted(value: bytes) -> bytes:
    return value if _TOKEN.fullmatch(value) else b'"%b"' % value
