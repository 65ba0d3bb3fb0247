"""What must become of a message on its way through the proxy, written from the checklist and not from the code.

`difference…` compare a message as its sender meant it with the message that arrived, field by field; the
answer is empty if the one became the other by the rules: only fields a proxy owns may differ, and those must
be what they must be. RFC 9110 §7.6, RFC 9112 §6.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from proxy.config.models import Backend, Settings
from tests.fuzz.reading import SWITCHING
from tests.kit.framing import RawRequest, RawResponse
from tests.kit.memory_plane import CANDIDATE_PORT, INSTANCE, PRIMARY_PORT

HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade", b"http2-settings",
    b"proxy-authorization", b"proxy-authenticate", b"proxy-authentication-info", b"proxy",
}  # fmt: skip
FORWARDED = {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded"}
REQUEST_OWNED = HOP_BY_HOP | {b"via", b"host", b"content-length", b"max-forwards"}
RESPONSE_OWNED = HOP_BY_HOP | {b"content-length", b"date", b"trailer"}
_PROTECTED = re.compile(
    rb"host|content-.*|authorization|cookie|set-cookie|origin|x-forwarded-.*|forwarded|via|range|if-.*"
)
_NOT_IN_TRAILERS = re.compile(
    rb"content-.*|host|trailer|authorization|cookie|"
    rb"set-cookie|via|forwarded|x-forwarded-.*|max-forwards|expect|range|if-.*|cache-control|date|age|vary|location|"
    rb"expires|pragma|retry-after|warning|www-authenticate|origin|"
    rb"x-shadow-request"
)
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ABSOLUTE = re.compile(rb"(?i:http)://([^/?]*)([^?]*)(\?.*)?")
_NOT_DELIVERED = re.compile(rb"TRACE|CONNECT|PRI")


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration changes about requests: X-Forwarded-* if `forwarded`, and as `Backend` says."""

    forwarded: bool
    backend: Backend

    @classmethod
    def of(cls, configured: Settings) -> "Rules":
        """Those for the primary of the one service."""
        return cls(configured.forwarded.mode == "on", configured.services["ranker"].primary)

    def target(self, target: bytes) -> bytes:
        """What the backend is asked for instead."""
        path, strip, add = self.backend.path, self.backend.path.strip.encode(), self.backend.path.add.encode()
        if target == b"*" or not (path.strip or path.add):
            return target
        front = re.match(re.escape(strip) + rb"(?=[/?]|\Z)", target)
        rest = target[front.end() :] if front else target
        return add + rest if add or rest.startswith(b"/") else b"/" + rest

    def host(self, host: bytes) -> bytes:
        """Which Host it is told."""
        return host if self.backend.host == "preserve" else b"127.0.0.1:%d" % PRIMARY_PORT

    def host_of_copy(self, served: bytes) -> bytes:
        """Which Host the candidate is told, whose settings are the primary's."""
        return served if self.backend.host == "preserve" else b"127.0.0.1:%d" % CANDIDATE_PORT

    @property
    def removed(self) -> set[bytes]:
        """Names it is not sent."""
        return {name.lower().encode() for name in self.backend.headers.remove}


def difference_of_requests(meant: RawRequest, got: RawRequest, rules: Rules) -> str:
    """How what the backend got differs from what the client meant."""
    target, host = _routed(meant)
    forwarded = rules.forwarded
    nominated = _nominated(meant)
    owned = REQUEST_OWNED | (FORWARDED if forwarded else set())
    is_old = meant.start_line.endswith(b"HTTP/1.0")
    if is_old:
        owned |= {b"expect"}
    checks = {
        "method": ((meant.method, rules.target(target), b"HTTP/1.1"), tuple(got.start_line.split(b" "))),
        "fields": (_lines(meant.lines, owned | nominated | rules.removed), _lines(got.lines, owned)),
        "host": ([rules.host(host)], got.values(b"host")),
        "content-length": (_lengths(meant), _lengths(got)),
        "transfer-encoding": (
            meant.values(b"transfer-encoding") != [],
            got.values(b"transfer-encoding") == [b"chunked"],
        ),
        "via": ([*meant.values(b"via"), b"1.%d %b" % (not is_old, INSTANCE.encode())], got.values(b"via")),
        "te": ([b"trailers"] if _takes_trailers(meant) else [], got.values(b"te")),
        "connection": (_connections(meant), sorted(got.values(b"connection"))),
        "upgrade": ([b", ".join(upgrades(meant))] if upgrades(meant) else [], got.values(b"upgrade")),
        "hop-by-hop": ([], [value for name in _gone() for value in got.values(name)]),
        "body": (meant.body, got.body),
        "trailers": (_kept(meant.trailers, nominated | rules.removed), got.trailers),
    }
    if forwarded:
        checks["x-forwarded"] = (
            _forwarded_lines(host, meant),
            [value for name in sorted(FORWARDED) for value in got.values(name)],
        )
    if meant.method != b"OPTIONS" and b"max-forwards" not in nominated:
        checks["max-forwards"] = (meant.values(b"max-forwards"), got.values(b"max-forwards"))
    if upgrades(meant) and (any(_lengths(meant)) or meant.values(b"transfer-encoding")):
        return "upgrade with a body: wanted a refusal"
    return _first_difference(checks)


def _forwarded_lines(host: bytes, meant: RawRequest) -> list[bytes]:
    named = meant.start_line.endswith(b"1.1") or meant.values(b"host") or meant.target[:1] not in b"/*"
    return [b"127.0.0.1", *([host] if named else []), b"http"]


def _routed(meant: RawRequest) -> tuple[bytes, bytes]:
    """Target in origin form, and the Host that goes with it. RFC 9112 §3.2."""
    hosts = meant.values(b"host")
    absolute = _ABSOLUTE.fullmatch(meant.target)
    if absolute is None:
        return meant.target, hosts[0] if hosts else b"127.0.0.1:%d" % PRIMARY_PORT
    authority, path, query = absolute[1], absolute[2], absolute[3] or b""
    if meant.method == b"OPTIONS" and not path and not query:
        return b"*", authority
    return (path or b"/") + query, authority


def _gone() -> list[bytes]:
    return sorted(HOP_BY_HOP - {b"connection", b"te", b"transfer-encoding", b"upgrade"})


def _connections(meant: RawRequest) -> list[bytes]:
    return [b"TE"] * _takes_trailers(meant) + [b"Upgrade"] * bool(upgrades(meant))


def upgrades(meant: RawRequest) -> list[bytes]:
    """The protocols a request may go on with: of those it names the one that is configured. RFC 9110 §7.8."""
    tokens = {token.strip(b" \t").lower() for token in b",".join(meant.values(b"connection")).split(b",")}
    if meant.method != b"GET" or b"upgrade" not in tokens or meant.start_line.endswith(b"HTTP/1.0"):
        return []
    named = [name.strip(b" \t") for value in meant.values(b"upgrade") for name in value.split(b",")]
    return [name for name in named if name.lower() == b"websocket"]


def _takes_trailers(meant: RawRequest) -> bool:
    members = b",".join(meant.values(b"te")).lower().split(b",")
    return b"trailers" in [m.split(b";")[0].strip(b" \t") for m in members] and not meant.start_line.endswith(b"1.0")


def difference_of_answers(meant: RawResponse, got: RawResponse, request: RawRequest) -> str:
    """How what the client got differs from what the backend meant as the answer to this request."""
    bodiless = meant.status < 200 or meant.status == 204
    takes = _takes_trailers(request) and got.values(b"transfer-encoding") != []
    checks: dict[str, tuple[object, object]] = {
        "status": ((meant.status, meant.reason), (got.status, got.reason)),
        "version": (b"HTTP/1.1", got.start_line[:8]),
        "fields": (_lines(meant.lines, RESPONSE_OWNED | _nominated(meant)), _lines(got.lines, RESPONSE_OWNED)),
        "content-length": ([] if bodiless else _lengths(meant)[:1], _lengths(got)),
        "hop-by-hop": ([], [value for name in _gone() for value in got.values(name)]),
        "te": ([], got.values(b"te")),
        "upgrade": (_switched(meant, request), got.values(b"upgrade")),
        "body": (meant.body, got.body),
        "trailers": (_kept(meant.trailers, _nominated(meant)) if takes else [], got.trailers),
    }
    if meant.status >= 200:
        dates = meant.values(b"date") if b"date" not in _nominated(meant) else []
        checks["date"] = (dates or 1, got.values(b"date") if dates else len(got.values(b"date")))
    return _first_difference(checks)


def _switched(meant: RawResponse, request: RawRequest) -> list[bytes]:
    """What a 101 goes on with. One that was not asked for must not arrive at all."""
    if meant.status != SWITCHING:
        return []
    named = [
        name for value in meant.values(b"upgrade") for member in value.split(b",") if (name := member.strip(b" \t"))
    ]
    asked = {name.lower() for name in upgrades(request)}
    return [b", ".join(named)] if named and {name.lower() for name in named} <= asked else [b"nothing"]


def difference_of_copies(served: RawRequest, copy: RawRequest, rules: Rules) -> str:
    """How a mirrored request differs from the served one, apart from its marker and an Expect it does not carry.

    Where an Expect is taken out the head is written anew, and the Host may stand elsewhere.
    """
    moved = {b"expect", b"host", b"traceparent"}
    checks = {
        "start": (served.start_line, copy.start_line),
        "fields": ([*_lines(served.lines, moved), b"X-Shadow-Request: 1"], _marked_last(_lines(copy.lines, moved))),
        "host": ([rules.host_of_copy(host) for host in served.values(b"host")], copy.values(b"host")),
        "expect": ([], copy.values(b"expect")),
        "upgrade": ([], copy.values(b"upgrade")),
        "body": (served.raw.partition(b"\r\n\r\n")[2], copy.raw.partition(b"\r\n\r\n")[2]),
    }
    return _first_difference(checks)


def _marked_last(lines: list[bytes]) -> list[bytes]:
    marker = b"X-Shadow-Request: 1"
    return [*(line for line in lines if line != marker), *(line for line in lines if line == marker)]


def _first_difference(checks: Mapping[str, tuple[object, object]]) -> str:
    for name, (wanted, found) in checks.items():
        if wanted != found:
            return f"{name}: wanted {wanted!r}, found {found!r}"
    return ""


def _nominated(message: RawRequest | RawResponse) -> set[bytes]:
    """The fields a Connection field takes away. RFC 9110 §7.6.1."""
    members = (m.strip(b" \t").lower() for m in b",".join(message.values(b"connection")).split(b","))
    return {m for m in members if _TOKEN.fullmatch(m) and not _PROTECTED.fullmatch(m)} - {b"close", b"keep-alive"}


def _lines(lines: Iterable[bytes], owned: set[bytes]) -> list[bytes]:
    return [line for line in lines if line.partition(b":")[0].lower() not in owned]


def _lengths(message: RawRequest | RawResponse) -> list[int]:
    return [int(value) for value in message.values(b"content-length")]


def _kept(trailers: Sequence[bytes], nominated: set[bytes]) -> list[bytes]:
    names = [line.partition(b":")[0].lower() for line in trailers]
    gone = HOP_BY_HOP | nominated
    return [
        line
        for name, line in zip(names, trailers, strict=True)
        if not (name in gone or _NOT_IN_TRAILERS.fullmatch(name) or _is_lookalike(name))
    ]


def _is_lookalike(name: bytes) -> bool:
    """Whether some backends read it as a field that a proxy owns."""
    return b"_" in name and name.replace(b"_", b"-") in REQUEST_OWNED | RESPONSE_OWNED | FORWARDED | {b"expect"}
