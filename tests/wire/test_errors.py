"""Requests the proxy answers itself, before any backend is asked: what is said, and whether the connection goes on.

One request stands here for each reason and status; the many ways to each are with the items of the wire.
"""

from typing import Any

import pytest

from proxy.core.reasons import Refused
from proxy.worker.services import RunningService
from tests.wire.forms import Form, ended, healthy
from tests.wire.rig import INSTANCE, Rig, problem, request, without_date

ALLOW = ("Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",)
ERRORS = {"no_service": "destination_not_found", "loop": "proxy_loop_detected", "internal": "proxy_internal_error"}
KEPT = {"no_service", "trace"}
"""After these the connection goes on."""


def chunked(body: bytes) -> bytes:
    return request(b"POST /", b"Transfer-Encoding: chunked", body=body)


REFUSED: list[tuple[str, int, bytes]] = [
    ("request_line", 400, request(b"GET  /")),
    ("request_line", 414, request(b"GET /" + b"x" * 300)),
    ("target", 400, request(b"GET /#f")),
    ("method", 400, request(b"get /")),
    ("version", 505, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    ("field", 400, request(b"GET /", b"no colon")),
    ("host", 400, request(b"GET /", b"Host: b")),
    ("framing", 400, request(b"POST /", b"Content-Length: 5", b"Transfer-Encoding: chunked")),
    ("coding", 501, request(b"POST /", b"Transfer-Encoding: gzip, chunked")),
    ("connect", 501, request(b"CONNECT a:443")),
    ("trace", 405, request(b"TRACE /")),
    ("header_bytes", 431, request(b"GET /", b"X: " + b"x" * 500)),
    ("header_count", 431, request(b"GET /", *[b"X: 1"] * 20)),
    ("trailers", 431, chunked(b"0\r\n" + b"X: 1\r\n" * 33 + b"\r\n")),
    ("chunk", 400, chunked(b"x\r\n")),
    ("chunk_overhead", 400, chunked(b"0;" + b"x" * 300 + b"\r\n\r\n")),
    ("body_bytes", 413, request(b"POST /", b"Content-Length: 101", body=b"x" * 101)),
    ("request_head", 408, b"GET / HT"),
    ("request_body_idle", 408, request(b"POST /", b"Content-Length: 10", body=b"hello")),
    ("loop", 508, request(b"GET /", b"Via: 1.0 x, 1.1 " + INSTANCE.encode())),
    ("no_service", 404, request(b"GET /").replace(b"Host: a", b"Host: b")),
]
SETTINGS: dict[str, Any] = {
    "limits": {"request_line": 200, "header_bytes": 400, "header_count": 10, "body_bytes": 100, "chunk_overhead": 100},
    "timeouts": {"request_head": "1s", "request_body_idle": "50ms"},
    "service": {"hosts": ["a"]},
}
NAMES = [f"{status} {reason}" for reason, status, _ in REFUSED]


def test_every_reason_stands_here() -> None:
    elsewhere = {
        Refused.TLS,  # test_tls_listener
        Refused.MAX_FORWARDS,  # no error: OPTIONS is answered with 200, test_a_methods
        Refused.INTERNAL,  # below
        Refused.OVERLOADED,  # tests/faults/test_memory.py
    }
    assert {reason for reason, _, _ in REFUSED} == set(Refused) - elsewhere


@pytest.mark.parametrize(("reason", "status", "sent"), REFUSED, ids=NAMES)
async def test_a_refused_request_is_told_why(
    rig: Rig, transmission: Form, reason: str, status: int, sent: bytes
) -> None:
    await rig.start(**SETTINGS)
    client = await rig.client()
    await transmission.send(client, sent)
    assert without_date((await client.read_response()).raw) == _answer(reason, status)
    await (healthy(rig, client) if reason in KEPT else ended(client))
    assert rig.refusals() == {reason: 1}
    await client.abandon()
    await rig.quiet()
    assert len(rig.primary.requests) == (reason in KEPT)
    assert len(rig.candidate.requests) == (reason in KEPT)


@pytest.mark.parametrize(
    ("reason", "status", "sent"),
    [(reason, status, sent) for reason, status, sent in REFUSED if sent.startswith((b"GET /", b"POST /"))],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_head_is_told_without_a_body(rig: Rig, transmission: Form, reason: str, status: int, sent: bytes) -> None:
    await rig.start(**SETTINGS)
    client = await rig.client()
    await transmission.send(client, b"HEAD" + sent[sent.index(b" ") :])
    answer = _answer(reason, status)
    assert without_date((await client.read_response("HEAD")).raw) == answer[: answer.index(b"\r\n\r\n") + 4]
    await (healthy(rig, client) if reason in KEPT else ended(client))


@pytest.mark.interpreted
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_a_bug_of_ours_is_a_500_and_ends_the_connection(
    rig: Rig, transmission: Form, monkeypatch: pytest.MonkeyPatch, method: bytes
) -> None:
    def broken(*_: Any) -> bytes:
        raise RuntimeError("a secret that stands in the text of an exception")

    await rig.start()
    monkeypatch.setattr(RunningService, "request_head", broken)
    client = await rig.client()
    await transmission.send(client, request(method + b" /"))
    answer = _answer("internal", 500)
    whole = answer if method == b"GET" else answer[: answer.index(b"\r\n\r\n") + 4]
    assert without_date((await client.read_response(method.decode())).raw) == whole
    await ended(client)
    monkeypatch.undo()
    assert (rig.plane.bugs.count, rig.refusals()) == (1, {"internal": 1})
    assert (await rig.ask()).status == 200


async def test_a_request_with_a_body_to_come_is_not_kept(rig: Rig, transmission: Form) -> None:
    await rig.start(**SETTINGS)
    client = await rig.client()
    hidden = request(b"GET /hidden")
    sent = request(b"POST /", b"Content-Length: %d" % len(hidden)).replace(b"Host: a", b"Host: b")
    await transmission.send(client, sent)
    found = without_date((await client.read_response()).raw)
    assert found == problem(404, "no_service", "destination_not_found", close=True)
    await client.send(hidden)  # the body is no request
    await ended(client)
    assert rig.primary.requests == []


async def test_proxy_status_can_be_switched_off(rig: Rig) -> None:
    await rig.start(errors={"proxy_status": False})
    found = await rig.ask(request(b"GET /", b"no colon"))
    assert (found.status, found.values(b"proxy-status")) == (400, [])


def _answer(reason: str, status: int) -> bytes:
    error = ERRORS.get(reason, "http_request_error")
    return problem(status, reason, error, close=reason not in KEPT, more=ALLOW if status == 405 else ())
