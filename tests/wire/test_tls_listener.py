"""Clients by TLS: the same answers as without it, and every handshake that goes wrong costs one connection at most."""

import asyncio
import logging
import os
import ssl
from hashlib import sha256
from pathlib import Path

import pytest

from proxy.http.live_context import LOOK_S
from proxy.http.tls import ServedTls
from tests.kit.certificates import Authority
from tests.kit.raw_client import RawClient
from tests.kit.script import half_close, hang, read_request, reset, respond, send, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.scripted_connection import ScriptedConnection
from tests.kit.tls_wire import TlsWire
from tests.kit.wire import Ending
from tests.wire.forms import DATE, Form, healthy, joined
from tests.wire.rig import FORWARDED, GET, Rig, problem, request, response, sized, without_date
from tests.wire.upgrades import SWITCHED, over, receive_to_end, switch, upgrade

MIB = 1 << 20
SIZE = 4 * MIB
ADDED = [line.replace(b"Proto: http", b"Proto: https") for line in FORWARDED]
ALONE = {"mirror": {"share": 0.0}}
HELLO = bytes([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3])
"""The beginning of a client's first message."""


@pytest.fixture(scope="module")
def trusting(authority: Authority) -> ssl.SSLContext:
    return authority.client()


@pytest.fixture(scope="module")
def tls(authority: Authority) -> dict[str, str]:
    return files(authority.sign("127.0.0.1"))


def files(pair: tuple[Path, Path]) -> dict[str, str]:
    certificate, key = pair
    return {"certificate": str(certificate), "key": str(key)}


# --- exchanges


async def test_every_form_of_an_exchange_arrives_as_without_tls(
    rig: Rig, form: Form, tls: dict[str, str], trusting: ssl.SSLContext
) -> None:
    answered = form.response(DATE, b"X-Said: by us", body=b"hello")
    await rig.start(form.reply(answered), tls=tls)
    client = await rig.client(tls=trusting)
    await form.send(client, form.request(b"POST /x", body=b"question"))
    assert joined(await client.read_response()) == form.relayed(DATE, b"X-Said: by us", body=b"hello")
    forwarded = form.forwarded(b"POST /x", body=b"question").replace(b"Proto: http\r", b"Proto: https\r")
    assert [joined(got) for got in rig.primary.requests] == [forwarded]
    if form.close:
        await client.read_until_close()
    else:
        await healthy(rig, client, added=ADDED)


async def test_pipelined_requests_are_answered_in_order(
    rig: Rig, tls: dict[str, str], trusting: ssl.SSLContext
) -> None:
    await rig.start(*(respond(sized(b"%d" % number)) for number in range(5)), tls=tls)
    client = await rig.client(tls=trusting)
    await client.send(b"".join(request(b"GET /%d" % number) for number in range(5)))
    assert [(await client.read_response()).body for _ in range(5)] == [b"%d" % number for number in range(5)]
    await healthy(rig, client, added=ADDED)


@pytest.mark.parametrize("framing", [b"Content-Length: %d" % SIZE, b"Transfer-Encoding: chunked"])
async def test_bodies_of_megabytes_pass_both_ways(
    rig: Rig, tls: dict[str, str], trusting: ssl.SSLContext, framing: bytes
) -> None:
    up, down = os.urandom(SIZE), os.urandom(SIZE)

    def framed(body: bytes) -> bytes:
        return body if b"Length" in framing else b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)

    await rig.start(respond(response(framing, body=framed(down))), tls=tls, service=ALONE)
    client = await rig.client(tls=trusting)
    await client.send(request(b"POST /", framing, body=framed(up)))
    assert sha256((await client.read_response()).body).digest() == sha256(down).digest()
    assert sha256(rig.primary.requests[0].body).digest() == sha256(up).digest()
    await healthy(rig, client, added=ADDED)


async def test_a_client_that_reads_slowly_pauses_the_backend_and_memory_stays_flat(
    rig: Rig, tls: dict[str, str], trusting: ssl.SSLContext
) -> None:
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

    await rig.start((flood,), tls=tls, service=ALONE)
    client = await rig.client(tls=trusting)
    client.stop_reading()
    await client.send(GET)
    await rig.settled(lambda: sent)
    assert sent < count * len(piece)
    (connection,) = rig.plane.connections
    assert connection.is_write_paused
    assert connection._transport is not None
    assert connection._transport.get_write_buffer_size() < MIB // 2
    client.resume_reading()
    assert (await client.read_response()).body == piece * count
    await healthy(rig, client, added=ADDED)


async def test_a_client_whose_body_the_backend_does_not_read_is_paused(
    rig: Rig, tls: dict[str, str], trusting: ssl.SSLContext
) -> None:
    release = asyncio.Event()
    up = os.urandom(16 * MIB)

    async def slow(connection: ScriptedConnection) -> None:
        connection.wire.stop_reading()
        await release.wait()
        connection.wire.resume_reading()
        await connection.read_request()
        await connection.wire.send(sized(b"ok"))

    await rig.start((slow,), tls=tls, service=ALONE)
    client = await rig.client(tls=trusting)
    sending = asyncio.create_task(client.send(request(b"POST /", b"Content-Length: %d" % len(up), body=up)))
    (connection,) = rig.plane.connections
    await rig.until(lambda: connection._paused, "the client to be paused")
    release.set()
    await sending
    assert (await client.read_response()).body == b"ok"
    assert sha256(rig.primary.requests[0].body).digest() == sha256(up).digest()


# --- ends


async def test_d6_a_client_that_half_closes_gets_its_answer(
    rig: Rig, tls: dict[str, str], trusting: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    asked, ended = asyncio.Event(), asyncio.Event()

    async def wait(connection: ScriptedConnection) -> None:
        await connection.read_request()
        asked.set()
        await ended.wait()
        await connection.wire.send(sized(b"late", DATE))

    await rig.start((wait,), tls=tls)
    client = await rig.client(tls=trusting)
    with caplog.at_level(logging.WARNING):
        await client.send(GET)
        await asked.wait()
        (connection,) = rig.plane.connections
        await client.half_close()
        await rig.until(lambda: connection._half_closed, "the half close to be seen")
        ended.set()
        answer = await client.read_until_close()
    assert answer == sized(b"late", DATE).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert client.tls.close_notified
    assert not caplog.records


async def test_d1_a_closing_answer_ends_by_close_notify(
    rig: Rig, tls: dict[str, str], trusting: ssl.SSLContext
) -> None:
    await rig.start(tls=tls)
    client = await rig.client(tls=trusting)
    await client.send(request(b"GET /", b"Connection: close"))
    assert (await client.read_until_close()).endswith(b'{"ok":true}')
    assert client.tls.close_notified


async def test_d14_a_refused_client_that_still_sends_sees_its_answer(
    rig: Rig, tls: dict[str, str], trusting: ssl.SSLContext
) -> None:
    await rig.start(tls=tls, limits={"body_bytes": 1000}, timeouts={"linger": "100ms"})
    client = await rig.client(tls=trusting)
    await client.send(request(b"POST /", b"Content-Length: 100000", body=b"x" * 16_000))
    await client.send(b"x" * 16_000)
    answer = await client.read_until_close()
    assert without_date(answer) == problem(413, "body_bytes", "http_request_error", close=True)
    assert client.tls.close_notified
    assert not rig.primary.connections


CUT = response(b"Transfer-Encoding: chunked", DATE, body=b"3\r\nabc\r\n")


@pytest.mark.parametrize(
    ("asked", "answered", "ending"),
    [
        (GET, CUT, Ending.FIN),
        (GET, response(b"Content-Length: 9", DATE, body=b"abc"), Ending.FIN),
        (b"GET / HTTP/1.0\r\n\r\n", CUT, Ending.RESET),
    ],
    ids=["chunked", "length", "until the end"],
)
async def test_c18_a_body_cut_by_the_backend_never_looks_complete(  # noqa: PLR0917  fixtures
    rig: Rig, tls: dict[str, str], trusting: ssl.SSLContext, asked: bytes, answered: bytes, ending: Ending
) -> None:
    """Where nothing in the framing says that something is missing, close_notify is kept back and the end is a reset."""
    read = asyncio.Event()
    await rig.start((read_request(), send(answered), wait_for(read), reset()), tls=tls)
    client = await rig.client(tls=trusting)
    await client.send(asked)
    await rig.until(lambda: b"abc" in client.received, "the beginning of the body")
    read.set()
    answer = await client.read_until_close()
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.rstrip(b"\r\n").endswith(b"abc")
    assert client.tls.ending is ending
    assert client.tls.close_notified is (ending is Ending.FIN)


async def test_what_comes_behind_a_clients_end_is_nobodys(
    rig: Rig, tls: dict[str, str], trusting: ssl.SSLContext
) -> None:
    """It may send on the line what it likes, and it costs no memory."""
    answer = asyncio.Event()
    await rig.start((read_request(), wait_for(answer), send(sized(b"late"))), tls=tls)
    client = await rig.client(tls=trusting)
    await client.send(GET)
    await client.half_close()
    (connection,) = rig.plane.connections
    await rig.until(lambda: connection._half_closed, "the half close to be seen")
    await client.tls.send_raw(b"x" * SIZE)
    transport = connection._transport
    assert isinstance(transport, ServedTls)
    assert transport._incoming.pending == 0
    answer.set()
    assert (await client.read_response()).body == b"late"


async def test_a_client_that_vanishes_without_close_notify_aborts_its_exchange(
    rig: Rig, tls: dict[str, str], trusting: ssl.SSLContext
) -> None:
    await rig.start((read_request(), hang()), tls=tls)
    client = await rig.client(tls=trusting)
    await client.send(GET)
    await rig.primary.received_requests(1)
    await client.reset()
    await rig.primary.connections[0].gone()


async def test_bytes_that_are_no_tls_end_a_connection_that_was_open(
    rig: Rig, tls: dict[str, str], trusting: ssl.SSLContext
) -> None:
    await rig.start(tls=tls)
    client = await rig.client(tls=trusting)
    await client.tls.send_raw(GET)
    await client.tls.until(lambda: client.tls.over)
    assert not client.tls.close_notified
    assert not rig.primary.connections


# --- tunnels


async def test_e3_a_tunnel_passes_bytes_and_half_closes_by_tls_on_both_sides(
    rig: Rig, authority: Authority, tls: dict[str, str], trusting: ssl.SSLContext
) -> None:
    up, down = os.urandom(MIB), os.urandom(MIB)
    got = bytearray()
    backend = ScriptedBackend([switch(send(down), half_close(), receive_to_end(got))], tls=authority.server())
    known = {"tls": {"ca": str(authority.certificate)}}
    await rig.start(primary=backend, candidate=ScriptedBackend(tls=authority.server()), backends=known, tls=tls)
    client = await rig.client(tls=trusting)
    await client.send(upgrade())
    assert (await client.read_response()).raw == SWITCHED
    assert await client.read_until_close() == down
    assert client.tls.close_notified
    await client.send(up)
    await client.half_close()
    await over(rig)
    await rig.until(lambda: got, "the backend to have read to the end")
    assert bytes(got) == up
    assert isinstance(rig.primary.connections[0].wire, TlsWire)
    assert rig.primary.connections[0].wire.close_notified


# --- handshakes


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [((), None), (("http/1.1",), "http/1.1"), (("h2", "http/1.1"), "http/1.1"), (("http/1.1", "h2"), "http/1.1")],
    ids=["nothing", "http/1.1", "h2 first", "h2 last"],
)
async def test_a_client_is_offered_http_1_1(
    rig: Rig, tls: dict[str, str], authority: Authority, offered: tuple[str, ...], agreed: str | None
) -> None:
    await rig.start(tls=tls)
    client = await rig.client(tls=authority.client(*offered))
    assert client.tls.protocol == agreed
    await healthy(rig, client, added=ADDED)


@pytest.mark.parametrize("pieces", [1, 2, 1000])
async def test_a_client_that_speaks_only_http_2_gets_the_alert_that_says_so(
    rig: Rig, tls: dict[str, str], authority: Authority, pieces: int
) -> None:
    await rig.start(tls=tls)
    with pytest.raises(ssl.SSLError, match="no application protocol"):
        await TlsWire.connect("127.0.0.1", rig.port, authority.client("h2"), pieces)
    await rig.until(lambda: not rig.plane.connections, "the connection to be gone")
    assert rig.refusals() == {"tls": 1}


async def test_a_first_message_in_many_records_is_openssls_alone(
    rig: Rig, tls: dict[str, str], authority: Authority
) -> None:
    """Nothing of it is kept or read here: such a client hears of HTTP/1.1 after its first request."""
    await rig.start(tls=tls)
    client = await rig.client()
    record = b"\x16\x03\x01\x00\x01"
    await client.send(b"".join(record + bytes([byte]) for byte in b"\x01\x00\xff\xff" + bytes(20_000)))
    (connection,) = rig.plane.connections
    transport = connection._transport
    assert isinstance(transport, ServedTls)
    await rig.until(lambda: transport._hello is None, "the first byte to be passed on")
    await client.reset()
    outgoing = ssl.MemoryBIO()
    hello = authority.client("h2").wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    message = outgoing.read()[5:]
    client = await rig.client()
    await client.send(b"".join(record + bytes([byte]) for byte in message))
    await rig.until(lambda: client.received[:1], "the answer to the first message")
    assert client.received[0] == 22


async def test_a_first_message_that_never_ends_is_kept_to_one_record(rig: Rig, tls: dict[str, str]) -> None:
    await rig.start(tls=tls)
    client = await rig.client()
    kept = b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc" + bytes((16 << 10) - 5)
    await client.send(kept)
    (connection,) = rig.plane.connections
    transport = connection._transport
    assert isinstance(transport, ServedTls)
    await rig.until(lambda: bytes(transport._hello or b"") == kept, "all but the last byte")
    await client.send(b"\x00")
    await client.read_until_close()
    assert transport._hello is None
    assert rig.refusals() == {"tls": 1}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_an_old_version_is_refused(
    rig: Rig, tls: dict[str, str], authority: Authority, version: ssl.TLSVersion
) -> None:
    context = authority.client()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    await rig.start(tls=tls)
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        await rig.client(tls=context)
    assert rig.refusals() == {"tls": 1}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_version_of_today_is_served(
    rig: Rig, tls: dict[str, str], authority: Authority, version: ssl.TLSVersion
) -> None:
    context = authority.client()
    context.minimum_version = context.maximum_version = version
    await rig.start(tls=tls)
    client = await rig.client(tls=context)
    await healthy(rig, client, added=ADDED)
    await healthy(rig, client, added=ADDED)


async def test_a_client_that_speaks_http_without_tls_is_told_so(rig: Rig, tls: dict[str, str]) -> None:
    await rig.start(tls=tls)
    client = await rig.client()
    await client.send(GET)
    answer = await client.read_response()
    assert without_date(answer.raw) == problem(400, "tls", "http_request_error", close=True)
    assert await client.closed() is Ending.FIN
    assert rig.refusals() == {"tls": 1}
    assert not rig.primary.connections


@pytest.mark.parametrize(
    "said", [b"\x00" * 300, b"SSH-2.0-x\r\n", HELLO + b"\xff" * 600, b"\x16\x03\x01\xff\xff" + b"\x01" * 70_000]
)
async def test_anything_else_is_ended_without_an_answer(rig: Rig, tls: dict[str, str], said: bytes) -> None:
    await rig.start(tls=tls)
    client = await rig.client()
    await client.send(said)
    assert len(await client.read_until_close()) <= len(b"\x15\x03\x03\x00\x02\x02\x00")
    await rig.until(lambda: not rig.plane.connections, "the connection to be gone")
    assert rig.refusals() == {"tls": 1}


@pytest.mark.parametrize("said", [b"", HELLO], ids=["nothing", "half a message"])
async def test_a_handshake_that_hangs_ends_at_the_timeout_of_the_request_head(
    rig: Rig, tls: dict[str, str], said: bytes
) -> None:
    await rig.start(tls=tls, timeouts={"request_head": "50ms"})
    client = await rig.client()
    await client.send(said)
    assert await client.closed() is Ending.FIN
    assert rig.refusals() == {}


async def test_a_handshake_that_hangs_counts_as_a_connection(
    rig: Rig, tls: dict[str, str], trusting: ssl.SSLContext
) -> None:
    await rig.start(tls=tls, limits={"connections": 1})
    hanging = await rig.client()
    await rig.until(lambda: not rig.listener.is_accepting, "accepting to pause")
    opening = asyncio.create_task(rig.client(tls=trusting))
    await rig.settled(lambda: len(rig.plane.connections))
    assert not opening.done()
    await hanging.reset()
    await healthy(rig, await opening, added=ADDED)


async def test_a_connection_that_ends_before_its_first_byte_is_no_failed_handshake(
    rig: Rig, tls: dict[str, str]
) -> None:
    await rig.start(tls=tls)
    client = await rig.client()
    await client.half_close()
    assert await client.closed() is Ending.FIN
    assert rig.refusals() == {}


async def test_a_draining_worker_ends_a_handshake_that_hangs(rig: Rig, tls: dict[str, str]) -> None:
    await rig.start(tls=tls)
    client = await rig.client()
    await rig.until(lambda: rig.plane.connections, "the connection")
    await rig.plane.drain(5.0)
    assert await client.closed() is Ending.FIN


# --- certificates of clients


async def test_a_client_without_a_certificate_is_refused_where_one_is_needed(
    rig: Rig, tls: dict[str, str], authority: Authority
) -> None:
    await rig.start(tls={**tls, "client_ca": str(authority.certificate)})
    stranger = await rig.client(tls=authority.client())  # TLS 1.3 tells a client after its own part of the handshake
    await stranger.tls.until(lambda: stranger.tls.over)
    assert not stranger.received
    assert rig.refusals() == {"tls": 1}
    known = authority.client(certificate=await asyncio.to_thread(authority.sign, "client.example"))
    await healthy(rig, await rig.client(tls=known), added=ADDED)


# --- renewal


async def test_a_renewed_certificate_is_shown_to_new_clients_and_old_connections_go_on(
    rig: Rig, authority: Authority, trusting: ssl.SSLContext
) -> None:
    await rig.start(tls=files(await asyncio.to_thread(authority.sign, "127.0.0.1")))
    client = await rig.client(tls=trusting)
    await healthy(rig, client, added=ADDED)
    first = await shown(rig, trusting)
    await asyncio.to_thread(authority.sign, "127.0.0.1")
    assert await shown(rig, trusting) == first
    rig.listener.reload_certificate()
    assert rig.listener._tls is not None
    await rig.listener._tls.look()  # the one that was begun
    assert await shown(rig, trusting) != first
    await healthy(rig, client, added=ADDED)


async def test_a_renewed_certificate_is_found_without_being_told(
    rig: Rig, authority: Authority, trusting: ssl.SSLContext
) -> None:
    await rig.start(tls=files(await asyncio.to_thread(authority.sign, "127.0.0.1")))
    first = await shown(rig, trusting)
    await asyncio.to_thread(authority.sign, "127.0.0.1")
    live = rig.listener._tls
    assert live is not None
    looked = live._looked_at
    live._looked_at -= LOOK_S
    await rig.until(lambda: live._looked_at > looked, "the next look at the files")
    assert await shown(rig, trusting) != first


@pytest.mark.parametrize("wrong", ["missing", "mismatched", "expired", "empty"])
async def test_files_that_cannot_be_used_leave_the_certificate_in_force(
    rig: Rig, tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    authority = Authority.make(tmp_path)
    certificate, key = authority.sign("127.0.0.1")
    expired = authority.sign("expired.example", days=-1)

    def spoil() -> None:
        match wrong:
            case "missing":
                certificate.unlink()
            case "mismatched":
                certificate.write_bytes(authority.certificate.read_bytes())
            case "expired":
                expired[0].replace(certificate)
                expired[1].replace(key)
            case "empty":
                key.write_bytes(b"")

    await rig.start(tls=files((certificate, key)))
    trusting = authority.client()
    first = await shown(rig, trusting)
    await asyncio.to_thread(spoil)
    assert rig.listener._tls is not None
    await rig.listener._tls.look()
    assert await shown(rig, trusting) == first
    said = capsys.readouterr().out
    assert "certificate_not_used" in said
    assert str(tmp_path) in said


async def shown(rig: Rig, context: ssl.SSLContext) -> bytes:
    """The certificate a new client gets."""
    async with await RawClient.open(rig.port, tls=context) as client:
        return client.tls.certificate
