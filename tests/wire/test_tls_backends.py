"""`https` backends: verified by default; every way a handshake goes wrong is a value."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from proxy.config.models import BackendTls
from proxy.config.units import Origin
from proxy.core.families import BACKEND_FAILURES
from proxy.core.message import Cause, Failure
from proxy.http.backend_connection import BackendConnection
from proxy.http.live_context import LOOK_S
from tests.kit.certificates import Authority
from tests.kit.script import close, half_close, read_request, respond, send
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.scripted_connection import ScriptedConnection
from tests.kit.tls_wire import TlsWire
from tests.kit.wire import Wire
from tests.wire.asker import Asker, Outcome, dialling
from tests.wire.forms import DATE, Form, copied, healthy, joined
from tests.wire.rig import GET, Rig, problem, request, response, sized, without_date

ALONE = {"mirror": {"share": 0.0}}


@pytest.fixture(scope="module")
def server(authority: Authority) -> ssl.SSLContext:
    return authority.server()


@pytest.fixture(scope="module")
def trusted(authority: Authority) -> dict[str, Any]:
    """Settings of a backend that this authority vouches for."""
    return {"tls": {"ca": str(authority.certificate)}}


async def connect(port: int, tls: BackendTls, host: str = "127.0.0.1") -> Outcome:
    """What comes of dialling; a connection is ended again."""
    with ThreadPoolExecutor(1) as executor:
        upstream = dialling(Origin("https", host, port), executor, tls)
        asker = Asker()
        assert upstream.acquire(asker) is None
        outcome = await asyncio.wait_for(asker.heard, 10)
        upstream.abort()
        return outcome


# --- who is believed


@pytest.mark.usefixtures("any_loop")
class TestTrust:
    async def test_a_certificate_of_the_configured_authority_is_accepted(
        self, authority: Authority, server: ssl.SSLContext
    ) -> None:
        async with ScriptedBackend(tls=server) as backend:
            outcome = await connect(backend.port, BackendTls(ca=str(authority.certificate)))
        assert isinstance(outcome, BackendConnection)

    async def test_a_certificate_of_an_authority_of_the_system_is_accepted(
        self, authority: Authority, server: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
        async with ScriptedBackend(tls=server) as backend:
            assert isinstance(await connect(backend.port, BackendTls()), BackendConnection)

    async def test_the_configured_authority_is_trusted_instead_of_the_systems(
        self, authority: Authority, server: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
        other = Authority.make(tmp_path)
        async with ScriptedBackend(tls=server) as backend:
            assert await connect(backend.port, BackendTls(ca=str(other.certificate))) == Failure(Cause.TLS)

    async def test_an_unknown_authority_is_refused(self, server: ssl.SSLContext) -> None:
        async with ScriptedBackend(tls=server) as backend:
            assert await connect(backend.port, BackendTls()) == Failure(Cause.TLS)

    async def test_a_certificate_for_another_name_is_refused(self, authority: Authority) -> None:
        async with ScriptedBackend(tls=authority.server("other.example")) as backend:
            assert await connect(backend.port, BackendTls(ca=str(authority.certificate))) == Failure(Cause.TLS)

    async def test_a_configured_name_is_asked_for_and_expected(self, authority: Authority) -> None:
        asked: list[str | None] = []
        context = authority.server("other.example")
        context.sni_callback = lambda _tls, name, _context: asked.append(name)
        async with ScriptedBackend(tls=context) as backend:
            known = BackendTls(ca=str(authority.certificate), server_name="other.example")
            assert isinstance(await connect(backend.port, known), BackendConnection)
        assert asked == ["other.example"]

    async def test_an_expired_certificate_is_refused(self, tmp_path: Path) -> None:
        own = Authority.make(tmp_path)
        async with ScriptedBackend(tls=own.server(days=-1)) as backend:
            assert await connect(backend.port, BackendTls(ca=str(own.certificate))) == Failure(Cause.TLS)

    async def test_without_verification_any_certificate_is_accepted(self, authority: Authority) -> None:
        async with ScriptedBackend(tls=authority.server("other.example", days=-1)) as backend:
            assert isinstance(await connect(backend.port, BackendTls(verify=False)), BackendConnection)

    async def test_our_own_certificate_is_shown_to_a_backend_that_asks(self, authority: Authority) -> None:
        context = authority.server()
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cafile=authority.certificate)
        certificate, key = authority.sign("proxy.example")
        ca = str(authority.certificate)
        async with ScriptedBackend(tls=context) as backend:
            shown = BackendTls(ca=ca, certificate=str(certificate), key=str(key))
            assert isinstance(await connect(backend.port, shown), BackendConnection)
            (accepted,) = await backend.accepted(1)
            assert isinstance(accepted.wire, TlsWire)
            assert ssl.DER_cert_to_PEM_cert(accepted.wire.certificate) == certificate.read_text()

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
    @pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
    async def test_an_old_version_is_refused(self, authority: Authority, version: ssl.TLSVersion) -> None:
        context = authority.server()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        async with ScriptedBackend(tls=context) as backend:
            assert await connect(backend.port, BackendTls(ca=str(authority.certificate))) == Failure(Cause.TLS)

    async def test_http_1_1_is_asked_for(self, authority: Authority) -> None:
        context = authority.server()
        context.set_alpn_protocols(["h2", "http/1.1"])
        async with ScriptedBackend(tls=context) as backend:
            assert isinstance(await connect(backend.port, BackendTls(ca=str(authority.certificate))), BackendConnection)
            (accepted,) = await backend.accepted(1)
            assert isinstance(accepted.wire, TlsWire)
            assert accepted.wire.protocol == "http/1.1"


# --- what goes wrong on the way


def _reset(wire: Wire) -> None:
    wire.reset()


def _close(wire: Wire) -> None:
    wire.close()


def _speak_http(wire: Wire) -> None:
    wire.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def _begin(wire: Wire) -> None:
    wire.transport.write(b"\x16\x03\x03")
    wire.close()


def _say_nothing(_: Wire) -> None:
    pass


@pytest.mark.parametrize(
    ("act", "cause"),
    [
        (_reset, Cause.TLS),
        (_close, Cause.TLS),
        (_begin, Cause.TLS),
        (_speak_http, Cause.TLS),
        (_say_nothing, Cause.TLS_TIMEOUT),
    ],
)
@pytest.mark.usefixtures("any_loop")
async def test_a_handshake_that_fails_is_a_value(act: Callable[[Wire], None], cause: Cause) -> None:
    wires: list[Wire] = []

    def accept(wire: Wire) -> None:
        wires.append(wire)
        act(wire)

    server = await asyncio.get_running_loop().create_server(lambda: Wire(accept), "127.0.0.1", 0)
    async with server:
        assert await connect(server.sockets[0].getsockname()[1], BackendTls()) == Failure(cause)
        for wire in wires:
            wire.transport.abort()
            await wire.ended()


async def test_what_the_client_is_told_of_a_backend_that_is_not_trusted(rig: Rig, server: ssl.SSLContext) -> None:
    await rig.start(primary=ScriptedBackend(tls=server), service=ALONE)
    client = await rig.client()
    for _ in range(2):
        await client.send(GET)
        answer = await client.read_response()
        assert without_date(answer.raw) == problem(502, "tls", "tls_certificate_error", close=False)
    assert not rig.primary.connections


async def test_what_the_client_is_told_of_a_handshake_that_hangs(rig: Rig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_port = silent.getsockname()[1]
        await rig.start(primary=f"https://127.0.0.1:{silent_port}", service=ALONE, timeouts={"tls": "50ms"})
        client = await rig.client()
        await client.send(GET)
        answer = await client.read_response()
        assert without_date(answer.raw) == problem(504, "tls_timeout", "connection_timeout", close=False)


async def test_f11_a_candidate_that_is_not_trusted_is_a_failure_the_client_does_not_notice(
    rig: Rig, server: ssl.SSLContext
) -> None:
    await rig.start(candidate=ScriptedBackend(tls=server))
    client = await rig.client()
    await healthy(rig, client)
    await rig.quiet()
    assert failures(rig) == {"tls": 1}
    assert not rig.candidate.connections


async def test_f11_a_candidate_whose_handshake_hangs_is_given_up_in_time(rig: Rig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"https://127.0.0.1:{silent.getsockname()[1]}"
        await rig.start(candidate=where, service={"mirror": {"tls_timeout": "50ms"}})
        client = await rig.client()
        await healthy(rig, client)
        await healthy(rig, client)
        await rig.quiet()
    assert failures(rig) == {"timeout": 2}


def failures(rig: Rig) -> dict[str, int]:
    return rig.plane.tally().by(BACKEND_FAILURES, "kind")


# --- exchanges


async def test_every_form_of_an_exchange_passes(
    rig: Rig, form: Form, server: ssl.SSLContext, trusted: dict[str, Any]
) -> None:
    answered = form.response(DATE, body=b"hello")
    backends = (ScriptedBackend([form.reply(answered)], tls=server), ScriptedBackend(tls=server))
    await rig.start(primary=backends[0], candidate=backends[1], backends=trusted)
    client = await rig.client()
    await form.send(client, form.request(b"GET /x", body=b"question"))
    assert joined(await client.read_response()) == form.relayed(DATE, body=b"hello")
    assert [joined(got) for got in rig.primary.requests] == [form.forwarded(b"GET /x", body=b"question")]
    await form.afterwards(rig, client)
    await rig.quiet()
    assert len(rig.primary.connections) == 1
    assert all(joined(copy) in [copied(got) for got in rig.primary.requests] for copy in rig.candidate.requests)
    assert not failures(rig)


async def test_bodies_of_megabytes_pass_both_ways(rig: Rig, server: ssl.SSLContext, trusted: dict[str, Any]) -> None:
    up, down = os.urandom(4 << 20), os.urandom(4 << 20)
    backend = ScriptedBackend([respond(sized(down))], tls=server)
    await rig.start(primary=backend, backends=trusted, service=ALONE, candidate=ScriptedBackend(tls=server))
    client = await rig.client()
    await client.send(request(b"POST /", b"Content-Length: %d" % len(up), body=up))
    assert (await client.read_response()).body == down
    assert rig.primary.requests[0].body == up
    await healthy(rig, client)
    assert len(rig.primary.connections) == 1


async def test_a_slow_client_pauses_a_tls_backend(rig: Rig, server: ssl.SSLContext, trusted: dict[str, Any]) -> None:
    sent = 0
    piece = os.urandom(64 << 10)
    count = 256

    async def flood(connection: ScriptedConnection) -> None:
        nonlocal sent
        await connection.read_request()
        await connection.wire.send(response(b"Content-Length: %d" % (count * len(piece))))
        for _ in range(count):
            await connection.wire.send(piece)
            sent += len(piece)

    await rig.start(
        primary=ScriptedBackend([(flood,)], tls=server),
        candidate=ScriptedBackend(tls=server),
        backends=trusted,
        service=ALONE,
    )
    client = await rig.client()
    client.stop_reading()
    await client.send(GET)
    await rig.settled(lambda: sent)
    assert sent < count * len(piece)
    client.resume_reading()
    assert (await client.read_response()).body == piece * count


UNTIL_END = response(b"Connection: close", DATE, body=b"abc")


@pytest.mark.parametrize("end", [close(), half_close()], ids=["close_notify and FIN", "close_notify"])
async def test_a_body_that_runs_until_close_notify_is_complete(
    rig: Rig, server: ssl.SSLContext, trusted: dict[str, Any], end: Any
) -> None:
    backend = ScriptedBackend([(read_request(), send(UNTIL_END), end)], tls=server)
    await rig.start(primary=backend, candidate=ScriptedBackend(tls=server), backends=trusted, service=ALONE)
    client = await rig.client()
    await client.send(GET)
    answer = await client.read_response()
    assert joined(answer) == response(DATE, b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n")
    await healthy(rig, client)


@pytest.mark.parametrize("end", ["fin", "reset"])
async def test_a_body_that_ends_without_close_notify_never_looks_complete(
    rig: Rig, server: ssl.SSLContext, trusted: dict[str, Any], end: str
) -> None:
    """RFC 9112 §9.8: somebody on the way may have cut it."""

    async def cut(connection: ScriptedConnection) -> None:
        wire = connection.wire
        if end == "reset":
            wire.reset()
        else:
            wire.transport.close()
        await wire.ended()

    read = asyncio.Event()

    async def wait(_: ScriptedConnection) -> None:
        await read.wait()

    backend = ScriptedBackend([(read_request(), send(UNTIL_END), wait, cut)], tls=server)
    await rig.start(primary=backend, candidate=ScriptedBackend(tls=server), backends=trusted, service=ALONE)
    client = await rig.client()
    await client.send(GET)
    await rig.until(lambda: b"abc" in client.received, "the beginning of the body")
    read.set()
    answer = await client.read_until_close()
    assert answer.endswith(b"3\r\nabc\r\n")
    assert failures(rig) == {"truncated": 1}


async def test_an_unused_connection_that_its_backend_ended_is_replaced(
    rig: Rig, server: ssl.SSLContext, trusted: dict[str, Any]
) -> None:
    backend = ScriptedBackend([(read_request(), send(sized(b"1", DATE)), close())], tls=server)
    await rig.start(primary=backend, candidate=ScriptedBackend(tls=server), backends=trusted, service=ALONE)
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).body == b"1"
    await rig.until(lambda: not rig.plane.services[0].serving.connections, "the connection to be gone")
    await healthy(rig, client)
    assert len(rig.primary.connections) == 2


# --- files


async def test_a_renewed_authority_is_used_by_new_connections(rig: Rig, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    before, after = Authority.make(old), Authority.make(new)
    backend = ScriptedBackend(tls=after.server())
    await rig.start(primary=backend, backends={"tls": {"ca": str(before.certificate)}}, service=ALONE)
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).status == 502
    await asyncio.to_thread(after.certificate.replace, before.certificate)
    live = rig.plane.services[0].serving.dialler.tls
    assert live is not None
    looked = live._looked_at
    live._looked_at -= LOOK_S
    await client.send(GET)  # begins the next look, and does not wait for it
    await client.read_response()
    await rig.until(lambda: live._looked_at > looked, "the next look at the files")
    await healthy(rig, client)


async def test_files_that_went_away_before_the_first_connection_are_our_own_failure(
    rig: Rig, server: ssl.SSLContext, tmp_path: Path
) -> None:
    gone = {"tls": {"ca": str(tmp_path / "gone.pem")}}
    await rig.start(
        primary=ScriptedBackend(tls=server), candidate=ScriptedBackend(tls=server), backends=gone, service=ALONE
    )
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).status == 500
    assert not rig.primary.connections
