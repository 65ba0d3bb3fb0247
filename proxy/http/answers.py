"""The answers the proxy gives itself: a fixed set, each a byte string built once.

What stands in them says what happened and nothing about anyone: no address, no version, no mode, no
exception text. RFC 9457 (problem details), RFC 9209 (Proxy-Status).
"""

from enum import StrEnum
from functools import cache
from http import HTTPStatus
from typing import Final

from proxy.core.message import Cause
from proxy.core.reasons import Refused
from proxy.http.refusal import Refusal

_STATUSES: dict[Cause, tuple[int, str]] = {
    Cause.RESOLVE: (502, "dns_error"),
    Cause.RESOLVE_TIMEOUT: (504, "dns_timeout"),
    Cause.CONNECT_REFUSED: (502, "connection_refused"),
    Cause.CONNECT_TIMEOUT: (504, "connection_timeout"),
    Cause.TLS: (502, "tls_certificate_error"),
    Cause.TLS_TIMEOUT: (504, "connection_timeout"),
    Cause.RESET: (502, "connection_terminated"),
    Cause.TRUNCATED: (502, "connection_terminated"),
    Cause.PROTOCOL: (502, "http_protocol_error"),
    Cause.RESPONSE_HEAD: (502, "http_protocol_error"),
    Cause.INTERIM: (502, "http_protocol_error"),
    Cause.FIRST_BYTE_TIMEOUT: (504, "http_response_timeout"),
    Cause.RESPONSE_IDLE: (504, "http_response_timeout"),
    Cause.TOTAL_TIMEOUT: (504, "http_response_timeout"),
    Cause.DEADLINE: (504, "http_response_timeout"),
    Cause.POOL_FULL: (503, "connection_limit_reached"),
    Cause.POOL_WAIT: (503, "connection_limit_reached"),
    Cause.TUNNELS: (503, "connection_limit_reached"),
    Cause.OVERLOADED: (503, "connection_limit_reached"),
    Cause.INTERNAL: (500, "proxy_internal_error"),
}
_REFUSED_AS: Final = {
    Refused.LOOP: "proxy_loop_detected",
    Refused.NO_SERVICE: "destination_not_found",
    Refused.OVERLOADED: "connection_limit_reached",
    Refused.INTERNAL: "proxy_internal_error",
}
_TITLES: Final = {413: "Content Too Large", 414: "URI Too Long", 431: "Request Header Fields Too Large"}
"""Where `HTTPStatus` says it in the words of an older RFC, in some version of Python. RFC 9110 §15.5."""
ALLOW: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


def refusal_answer(refusal: Refusal, *, close: bool, proxy_status: bool) -> bytes:
    """The answer to a request that goes to no backend, without a Date, which `dated` adds."""
    error = _REFUSED_AS.get(refusal.reason, "http_request_error")
    return _answer(refusal.status, refusal.reason, error if proxy_status else "", close)


def failure_answer(cause: Cause, *, close: bool, proxy_status: bool) -> bytes:
    """The answer given for a backend that gave none."""
    status, error = _STATUSES[cause]
    return _answer(status, cause, error if proxy_status else "", close)


def options_answer(*, close: bool) -> bytes:
    """The answer to `OPTIONS` with `Max-Forwards: 0`, without a Date. RFC 9110 §7.6.2."""
    end = b"\r\nConnection: close" if close else b""
    return b"HTTP/1.1 200 OK\r\nAllow: " + ALLOW + b"\r\nContent-Length: 0" + end + b"\r\n\r\n"


def without_body(answer: bytes) -> bytes:
    """The same answer for HEAD: its head."""
    return answer[: answer.find(b"\r\n\r\n") + 4]


def dated(answer: bytes, date: bytes) -> bytes:
    """The answer with a Date field after its status line."""
    end = answer.find(b"\r\n") + 2
    return b"%bDate: %b\r\n%b" % (answer[:end], date, answer[end:])


def status_of(cause: Cause) -> int:
    """The status a client gets for it."""
    return _STATUSES[cause][0]


@cache
def _answer(status: int, reason: StrEnum, error: str, close: bool) -> bytes:  # noqa: FBT001  the key of a cache
    title = _TITLES.get(status) or HTTPStatus(status).phrase
    body = f'{{"type":"about:blank","title":"{title}","status":{status},"reason":"{reason}"}}'
    lines = [
        f"HTTP/1.1 {status} {title}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
    ]
    if error:
        lines.append(f"Proxy-Status: shadow-proxy; error={error}")
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        lines.append("Retry-After: 1")
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        lines.append(f"Allow: {ALLOW.decode()}")
    if close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
