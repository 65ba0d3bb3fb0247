import h11
import orjson
import pytest

from proxy.core.message import Cause
from proxy.core.reasons import Refused
from proxy.http import request_head
from proxy.http.answers import dated, failure_answer, options_answer, refusal_answer, status_of, without_body
from proxy.http.refusal import Refusal

# Status and Proxy-Status error of every failure of the serving leg: a contract, so it stands here in full.
FAILURES = {
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
TITLES = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}


def read(answer: bytes, method: str = "GET") -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, fields and body, read by h11; the body must be as long as it says."""
    peer = h11.Connection(h11.CLIENT)
    peer.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    peer.send(h11.EndOfMessage())
    peer.receive_data(answer)
    head = peer.next_event()
    assert isinstance(head, h11.Response)
    body = b""
    while isinstance(event := peer.next_event(), h11.Data):
        body += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    assert peer.trailing_data == (b"", False)
    return head.status_code, dict(head.headers), body


@pytest.mark.parametrize("cause", Cause)
def test_every_failure_has_its_status_and_proxy_status(cause: Cause) -> None:
    status, error = FAILURES[cause]
    found, fields, body = read(failure_answer(cause, close=False, proxy_status=True))
    assert (found, status_of(cause)) == (status, status)
    assert fields[b"proxy-status"] == b"shadow-proxy; error=" + error.encode()
    assert orjson.loads(body) == {
        "type": "about:blank",
        "title": TITLES[status],
        "status": status,
        "reason": cause.value,
    }
    assert fields[b"content-type"] == b"application/problem+json"
    assert fields[b"cache-control"] == b"no-store"
    assert (fields.get(b"retry-after") == b"1") is (status == 503)
    assert b"connection" not in fields


def test_an_answer_byte_for_byte() -> None:
    assert dated(failure_answer(Cause.CONNECT_REFUSED, close=True, proxy_status=True), b"NOW") == (
        b"HTTP/1.1 502 Bad Gateway\r\n"
        b"Date: NOW\r\n"
        b"Content-Type: application/problem+json\r\n"
        b"Content-Length: 81\r\n"
        b"Cache-Control: no-store\r\n"
        b"Proxy-Status: shadow-proxy; error=connection_refused\r\n"
        b"Connection: close\r\n"
        b"\r\n"
        b'{"type":"about:blank","title":"Bad Gateway","status":502,"reason":"connect_refused"}'
    ).replace(b": 81", b": 84")


REFUSALS = {name: value for name, value in vars(request_head).items() if isinstance(value, Refusal)}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_every_refusal_says_its_reason_and_no_more(refusal: Refusal) -> None:
    status, fields, body = read(refusal_answer(refusal, close=refusal.close, proxy_status=True))
    assert status == refusal.status
    problem = orjson.loads(body)
    assert (problem["status"], problem["reason"]) == (refusal.status, refusal.reason.value)
    assert set(problem) == {"type", "title", "status", "reason"}
    assert fields[b"proxy-status"] == b"shadow-proxy; error=http_request_error"
    assert (b"connection" in fields) is refusal.close
    assert (b"allow" in fields) is (status == 405)


@pytest.mark.parametrize(
    ("reason", "error"), [(Refused.LOOP, b"proxy_loop_detected"), (Refused.NO_SERVICE, b"destination_not_found")]
)
def test_some_refusals_are_their_own_kind_of_error(reason: Refused, error: bytes) -> None:
    answer = refusal_answer(Refusal(508, reason), close=False, proxy_status=True)
    assert read(answer)[1][b"proxy-status"] == b"shadow-proxy; error=" + error


def test_proxy_status_can_be_switched_off() -> None:
    for answer in (
        failure_answer(Cause.RESET, close=False, proxy_status=False),
        refusal_answer(Refusal(400, Refused.FIELD), close=True, proxy_status=False),
    ):
        assert b"proxy-status" not in read(answer)[1]


def test_head_gets_the_same_head_and_no_body() -> None:
    answer = failure_answer(Cause.RESET, close=False, proxy_status=True)
    head = without_body(answer)
    assert answer.startswith(head)
    status, fields, body = read(head, "HEAD")
    assert (status, body) == (502, b"")
    assert int(fields[b"content-length"]) > 0


@pytest.mark.parametrize("close", [False, True])
def test_options_is_answered_with_what_is_allowed(close: bool) -> None:  # noqa: FBT001
    status, fields, body = read(dated(options_answer(close=close), b"NOW"), "OPTIONS")
    assert (status, body) == (200, b"")
    assert fields.pop(b"connection", None) == (b"close" if close else None)
    assert fields == {
        b"date": b"NOW",
        b"allow": b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        b"content-length": b"0",
    }
