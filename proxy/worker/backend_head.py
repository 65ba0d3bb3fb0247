"""The heads that backends are sent: compiled from the configuration at start, one call for each request.

Theory of operation. A head is the client's request line and lines, then the lines we write anew: a Host and
fields the configuration sets, then what we say about who asked, beginning with Via. Nearly always nothing but
these last is to be written, and they are the same for every request of a connection to the same Host: they
are kept with the connection, and a head is three concatenations. Whatever else is configured, or a client
that is a trusted proxy or speaks HTTP/1.0, takes the longer way.

A copy is what its backend would be sent if it served: each backend's own differences, applied to what the
client sent. So the fields added for one backend, which may be credentials, never reach the other. Where
neither backend has any, the copy is the served head. In both cases a copy is marked, carries neither Expect
nor what `mirror.headers.remove` names, and is a call of its own in a trace.
"""

import re
from collections.abc import Callable, Iterable
from random import Random
from typing import Final

from proxy.config.header import folded
from proxy.config.models import Backend, Service
from proxy.config.units import Origin
from proxy.http.connection import ClientConnection
from proxy.http.fields import name_of
from proxy.http.forwarded import Asker, ForwardedLines
from proxy.http.path_prefix import PathPrefix
from proxy.http.request_head import RequestHead
from proxy.http.trace_context import PARENT_ID_BITS, PARENT_ID_DIGITS, parent_id_at

DrawBits = Callable[[int], int]
"""Draws a number of so many random bits, such as `random.Random().getrandbits`."""

MARKED: Final = b"X-Shadow-Request: 1\r\n\r\n"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class HeadDifference:
    """How the head for one backend differs from the client's; `without` names fields it lacks besides.

    `unnamed` is the Host for a client that names none.
    """

    __slots__ = ("_gone", "_path", "_unnamed", "_written", "is_none")

    def __init__(self, backend: Backend, unnamed: bytes, without: Iterable[str] = ()) -> None:
        headers = backend.headers
        names = [*headers.remove, *headers.add, *without]
        lines = []
        host = set_host(backend)
        if host:
            names.append("host")
            lines.append(b"\r\nHost: " + host)
        lines += [b"\r\n%b: %b" % (name.encode(), _told(value.value)) for name, value in headers.add.items()]
        self._gone = lines_called(names) if names else None
        self._unnamed = b"" if host else b"\r\nHost: " + unnamed
        self._written = b"".join(lines)
        self._path = PathPrefix(backend.path.strip.encode(), backend.path.add.encode())
        self.is_none = not names and self._path.is_none

    def head(self, head: RequestHead) -> bytes:
        """The whole head."""
        start = head.start
        if not self._path.is_none:
            start = b"%b %b HTTP/1.1" % (head.method, self._path.of(head.target))
        fields, ours = b"\r\n" + head.fields if head.fields else b"", head.ours
        if self._gone is not None:
            fields = self._gone.sub(b"", fields)
            ours = self._gone.sub(b"", ours)
        if not head.host:
            fields += self._unnamed
        return start + fields + self._written + ours


class ServedHeads:
    """Writes the heads of served requests."""

    __slots__ = ("_difference", "_differs", "_forwarded")

    def __init__(self, difference: HeadDifference, forwarded: ForwardedLines) -> None:
        self._difference = difference
        self._differs = not difference.is_none
        self._forwarded = forwarded

    def head(self, client: ClientConnection, head: RequestHead) -> bytes:
        """The head the serving backend gets."""
        if client.forwarded_for == head.host and head.minor:
            head.ours = client.forwarded
            if not self._differs:
                return head.start + b"\r\n" + head.fields + client.forwarded
        else:
            self._write_ours(client, head)
        return self._difference.head(head)

    def _write_ours(self, client: ClientConnection, head: RequestHead) -> None:
        """Say who asked; kept with the connection if it may serve for the next request too."""
        asker = Asker(head.minor, client.peer, client.scheme, head.host)
        if client.is_trusted:
            head.fields, head.ours = self._forwarded.further(head.fields, asker)
            return
        head.ours = self._forwarded.first(asker)
        if head.minor:
            client.forwarded_for, client.forwarded = head.host, head.ours


class CopyHeads:
    """Writes the heads of copies; `draw` makes their ids in traces."""

    __slots__ = ("_difference", "_differs", "_draw")

    def __init__(self, difference: HeadDifference, draw: DrawBits, *, differs: bool) -> None:
        self._difference = difference
        self._differs = differs
        self._draw = draw

    def head(self, served: bytes, head: RequestHead) -> bytes:
        """The head of the copy of a request that was served with the head `served`."""
        if self._differs or head.expects:
            served = self._difference.head(head)
        at = parent_id_at(served)
        if at < 0:
            return served[:-2] + MARKED
        parent_id = self._draw(PARENT_ID_BITS) or 1  # all zeroes would be none
        return b"%b%016x%b%b" % (served[:at], parent_id, served[at + PARENT_ID_DIGITS : -2], MARKED)


def served_heads(service: Service, forwarded: ForwardedLines) -> ServedHeads:
    """The heads for the primary, which serves."""
    return ServedHeads(HeadDifference(service.primary, own_host(service.primary.url)), forwarded)


def copy_heads(service: Service, draw: DrawBits | None = None) -> CopyHeads:
    """The heads for the candidate, which gets copies."""
    primary, candidate, removed = service.primary, service.candidate, service.mirror.headers.remove
    unnamed = set_host(primary) or own_host(primary.url)
    both = (HeadDifference(primary, b""), HeadDifference(candidate, b"", removed))
    difference = HeadDifference(candidate, unnamed, [*removed, "expect"])
    # The ids need only differ: nobody's security hangs on them.
    return CopyHeads(difference, draw or Random().getrandbits, differs=not all(each.is_none for each in both))  # noqa: S311


def trailer_filter(service: Service) -> Callable[[list[bytes]], list[bytes]]:
    """Takes out of a client's trailers every field that is added or removed for one of the backends, or for copies.

    Out of both, since the copy has the very body that was served. RFC 9110 §6.5.1: some merge trailers into the head.
    """
    both = (service.primary.headers, service.candidate.headers)
    names = [*service.mirror.headers.remove, *(name for headers in both for name in (*headers.add, *headers.remove))]
    gone = frozenset(folded(name).encode() for name in names)
    return lambda trailers: [line for line in trailers if name_of(line).replace(b"_", b"-") not in gone]


def set_host(backend: Backend) -> bytes:
    """The Host a backend is sent whatever the client sent; empty if that is to be preserved."""
    match backend.host:
        case "preserve":
            return b""
        case "target":
            return own_host(backend.url)
    return backend.host.encode()


def own_host(url: Origin) -> bytes:
    """The Host that names this origin; the usual port goes without saying. RFC 9110 §4.2.3, §7.2."""
    authority = url.authority
    return authority.removesuffix(f":{_DEFAULT_PORTS[url.scheme]}").encode()


def lines_called(names: Iterable[str]) -> "re.Pattern[bytes]":
    """Matches whole field lines of these names, each with the line end before it; `_` and `-` are the same."""
    spelled = (re.escape(folded(name)).replace(r"\-", "[-_]") for name in names)
    return re.compile(rf"\r\n(?i:{'|'.join(spelled)}):[^\r]*".encode())


def _told(value: str | None) -> bytes:
    """A value that was read when the configuration was loaded."""
    if value is None:
        raise ValueError("the configuration was validated, but not loaded: a header value was never read")
    return value.encode()
