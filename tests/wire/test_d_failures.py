"""What a client gets when the serving backend fails: exact bytes, and its connection goes on. Nothing leaks.

Here stands every failure of the serving leg but those of TLS (`test_tls_backends`) and of tunnels (`test_e_upgrade`).
"""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from threading import Event
from typing import Any

import pytest

from proxy.core.families import BACKEND_FAILURES, REQUESTS
from proxy.core.message import Cause, Failure
from proxy.worker.pairing import Pairing
from tests.kit.memory_plane import MemoryBackend, MemoryPlane
from tests.kit.ports import black_hole_port, refusing_port
from tests.kit.raw_client import RawClient
from tests.kit.script import close, hang, read_request, reset, respond, send, send_bytewise, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.scripted_connection import Script
from tests.kit.wire import Wire
from tests.wire.forms import DATE, Form, ended, healthy, joined
from tests.wire.rig import GET, Rig, problem, request, response, sized, without_date

ALONE = {"mirror": {"share": 0.0}}
ERRORS = {
    "resolve": (502, "dns_error"),
    "resolve_timeout": (504, "dns_timeout"),
    "connect_refused": (502, "connection_refused"),
    "connect_timeout": (504, "connection_timeout"),
    "reset": (502, "connection_terminated"),
    "protocol": (502, "http_protocol_error"),
    "response_head": (502, "http_protocol_error"),
    "interim": (502, "http_protocol_error"),
    "first_byte_timeout": (504, "http_response_timeout"),
    "total_timeout": (504, "http_response_timeout"),
    "pool_full": (503, "connection_limit_reached"),
    "pool_wait": (503, "connection_limit_reached"),
}
"""Status and Proxy-Status error by reason. RFC 9209 §2.3."""


def expected(reason: str, *, close: bool = False, to_head: bool = False) -> bytes:
    """The whole answer, byte for byte: that is how nothing leaks."""
    status, error = ERRORS[reason]
    answer = problem(status, reason, error, close=close, more=["Retry-After: 1"] if status == 503 else [])
    return answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if to_head else answer


async def final(client: RawClient, method: bytes = b"GET") -> bytes:
    """The next answer that is not interim, less its Date."""
    while (found := await client.read_response(method.decode())).status < 200:
        pass
    return without_date(found.raw)


def failed_as(rig: Rig) -> dict[str, int]:
    return rig.plane.tally().by(BACKEND_FAILURES, "kind", role="serve")


# --- a backend that gives no answer, or none that can be relayed

Ending = tuple[bytes, Callable[[], Any]]
ENDS: dict[str, Ending] = {
    "reset": (b"", reset),
    "closed": (b"", close),
    "half a status line, reset": (b"HTTP/1.1 20", reset),
    "half a head, closed": (b"HTTP/1.1 200 OK\r\nContent-", close),
    "interim, closed": (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", close),
}


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize(("begun", "end"), ENDS.values(), ids=ENDS)
async def test_d12_an_end_before_the_answer_is_a_502(
    rig: Rig, transmission: Form, method: bytes, begun: bytes, end: Callable[[], Any]
) -> None:
    say = send_bytewise if transmission.bytewise else send
    await rig.start((read_request(), say(begun), end()))
    await is_told(rig, transmission, method, "reset")


USELESS = {
    "garbage": ("protocol", b"garbage\r\n\r\n"),
    "TLS": ("protocol", b"\x16\x03\x01\x02\x00"),
    "length and chunked": ("protocol", response(b"Content-Length: 5", b"Transfer-Encoding: chunked")),
    "stray 101": ("protocol", response(b"Upgrade: x", b"Connection: upgrade", start=b"HTTP/1.1 101 Switch")),
    "head bytes": ("response_head", response(b"X: " + b"x" * 2000)),
    "head fields": ("response_head", response(*[b"X: 1"] * 21)),
    "endless head": ("response_head", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 3000),
    "many interim": ("interim", response(start=b"HTTP/1.1 103 E") * 4 + sized(b"ok")),
}


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize(("reason", "answered"), USELESS.values(), ids=USELESS)
async def test_d12_a_useless_answer_is_a_502(
    rig: Rig, transmission: Form, method: bytes, reason: str, answered: bytes
) -> None:
    limits = {"response_header_bytes": 1000, "response_header_count": 20, "interim": 3}
    await rig.start(transmission.reply(answered), limits=limits)
    await is_told(rig, transmission, method, reason)


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize(
    ("reason", "settings"),
    [
        ("first_byte_timeout", {"timeouts": {"first_byte": "100ms"}}),
        ("first_byte_timeout", {"backends": {"timeout": "100ms"}}),
        ("total_timeout", {"timeouts": {"total": "100ms"}}),
    ],
    ids=["timeouts.first_byte", "primary.timeout", "timeouts.total"],
)
@pytest.mark.parametrize(
    "begun", [b"", b"HTTP/1.1 103 E\r\n\r\nHTTP/1.1 200 OK\r\nX: 1"], ids=["nothing", "half a head"]
)
async def test_d12_no_answer_in_time_is_a_504(
    rig: Rig, transmission: Form, *, method: bytes, reason: str, settings: dict[str, Any], begun: bytes
) -> None:
    await rig.start((read_request(), send(begun), hang()), **settings)
    await is_told(rig, transmission, method, reason)


async def is_told(rig: Rig, transmission: Form, method: bytes, reason: str) -> None:
    """The client is told by these bytes; its backend's connection ends, its own does not."""
    client = await rig.client()
    await transmission.send(client, request(method + b" /"))
    assert await final(client, method) == expected(reason, to_head=method == b"HEAD")
    await rig.primary.connections[0].gone()
    assert failed_as(rig) == {Failure(Cause(reason)).kind: 1}
    await healthy(rig, client)
    assert len(rig.primary.connections) == 2
    await rig.quiet()
    assert rig.requests() == {"2xx": 1, "5xx": 1}


# --- a backend that cannot be reached


def _resolver_busy(rig: Rig, stack: ExitStack) -> None:
    release = Event()
    stack.callback(release.set)
    for _ in range(4):
        rig.plane.services[0].serving.dialler.executor.submit(release.wait)


def _nothing(_rig: Rig, _stack: ExitStack) -> None:
    pass


Unreachable = tuple[Callable[[ExitStack], dict[str, Any]], Callable[[Rig, ExitStack], None]]
UNREACHABLE: dict[str, Unreachable] = {
    "resolve": (lambda _: {"primary": f"http://{'x' * 64}.example"}, _nothing),  # longer than any name may be
    "resolve_timeout": (lambda _: {"primary": "http://localhost", "timeouts": {"resolve": "50ms"}}, _resolver_busy),
    "connect_refused": (lambda stack: {"primary": stack.enter_context(refusing_port())}, _nothing),
    "connect_timeout": (
        lambda stack: {"primary": stack.enter_context(black_hole_port()), "timeouts": {"connect": "50ms"}},
        _nothing,
    ),
}


@pytest.mark.parametrize(("reason", "unreachable"), UNREACHABLE.items(), ids=UNREACHABLE)
async def test_d12_a_backend_that_cannot_be_reached(
    rig: Rig, transmission: Form, reason: str, unreachable: Unreachable
) -> None:
    settings, prepare = unreachable
    with ExitStack() as stack:
        await rig.start(**settings(stack), service=ALONE)
        prepare(rig, stack)
        client = await rig.client()
        for method in (b"GET", b"HEAD", b"GET"):  # and its connection goes on
            await transmission.send(client, request(method + b" /"))
            assert await final(client, method) == expected(reason, to_head=method == b"HEAD")
        await transmission.send(client, request(b"GET /", b"Connection: close"))
        assert await final(client) == expected(reason, close=True)
        await ended(client)
    assert failed_as(rig) == {Failure(Cause(reason)).kind: 4}
    assert rig.plane.services[0].serving.pool.open == 0


# --- our own limits


@pytest.mark.parametrize(
    ("reason", "pool"),
    [("pool_full", {"max_waiting": 0}), ("pool_wait", {"wait": "50ms"})],
    ids=["pool_full", "pool_wait"],
)
async def test_d12_no_connection_to_be_had_is_a_503_that_says_when_to_come_again(
    rig: Rig, form: Form, reason: str, pool: dict[str, Any]
) -> None:
    release = asyncio.Event()
    script = (read_request(), wait_for(release), send(sized(b"1")))
    await rig.start(script, pool={"max_connections": 1, **pool}, service=ALONE)
    first, client = await rig.client(), await rig.client()
    await first.send(GET)
    await rig.primary.received_heads(1)
    for method in (b"HEAD", b"GET"):
        await form.send(client, (form if method == b"GET" else KEPT).request(method + b" /"))
        close = form.close and method == b"GET"
        assert await final(client, method) == expected(reason, close=close, to_head=method == b"HEAD")
    release.set()
    assert (await first.read_response()).body == b"1"
    await form.afterwards(rig, client)
    assert failed_as(rig) == {"pool": 2}


KEPT = Form(chunked=False, close=False, bytewise=False)


async def test_d12_who_waits_gets_the_connection_that_comes_free(rig: Rig, form: Form) -> None:
    answered = Form(form.chunked, close=False, bytewise=form.bytewise).response(DATE, body=b"ok")
    await rig.start(primary=ScriptedBackend(default=form.reply(answered)), pool={"max_connections": 1})
    clients = [await rig.client() for _ in range(4)]
    for client in clients:
        await client.send(form.request(b"GET /", body=b"hello"))
    for client in clients:
        assert joined(await client.read_response()) == form.relayed(DATE, body=b"ok")
        if form.close:
            await ended(client)
    assert len(rig.primary.connections) == 1
    assert {joined(got) for got in rig.primary.requests} == {form.forwarded(b"GET /", body=b"hello")}


# --- afterwards


@pytest.mark.parametrize("end", [partial(close), partial(reset), hang], ids=["FIN", "RST", "nothing more"])
async def test_d12_after_the_head_there_is_no_error_but_a_cut(
    rig: Rig, transmission: Form, end: Callable[[], Any]
) -> None:
    begun: Script = (read_request(), send(response(DATE, b"Content-Length: 10", body=b"hello")), end())
    await rig.start(begun, timeouts={"response_idle": "50ms"})
    client = await rig.client()
    await transmission.send(client, GET)
    assert await client.read_until_close() == response(DATE, b"Content-Length: 10", body=b"hello")
    await rig.primary.connections[0].gone()
    await rig.quiet()
    assert rig.requests() == {"aborted": 1}
    assert failed_as(rig) == {"timeout" if end is hang else "truncated": 1}


@pytest.mark.parametrize("answered", [respond(b"garbage\r\n\r\n"), (read_request(), reset())])
async def test_d12_proxy_status_can_be_switched_off(rig: Rig, transmission: Form, answered: Script) -> None:
    await rig.start(answered, errors={"proxy_status": False})
    client = await rig.client()
    await transmission.send(client, GET)
    got = await client.read_response()
    assert (got.status, got.values(b"proxy-status")) == (502, [])
    await healthy(rig, client)


class Once(MemoryBackend):
    """Answers the first request only."""

    def heard(self, wire: Wire) -> None:
        if wire.received.count(b"\r\n\r\n") == 1:
            super().heard(wire)


@pytest.mark.interpreted
def test_a_bug_of_ours_behind_a_request_already_sent_is_the_end_of_its_exchange(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    with MemoryPlane(primary=Once()) as plane:
        client = plane.client()
        plane.say(client, GET)
        del client.received[:]
        with monkeypatch.context() as patched:
            patched.setattr(Pairing, "request", broken)
            plane.say(client, GET)
        (backend,) = plane.primary.connections
        assert isinstance(backend.error, ConnectionResetError)
        assert client.received.startswith(b"HTTP/1.1 500 ")
        assert client.received.count(b"HTTP/1.1 ") == 1
        assert client.eof
        assert plane.tally.by(REQUESTS, "code") == {"2xx": 1, "5xx": 1}
        assert plane.loop.raised
        plane.loop.raised.clear()
