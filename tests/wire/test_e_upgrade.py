"""Upgrades: which requests are one, what both ends see of it, and what becomes of it if the backend does not agree.

What happens in the tunnel afterwards is in `test_e_tunnel`.
"""

import pytest

from proxy.config.models import Mode
from proxy.core.families import BACKEND_REQUESTS
from tests.kit.script import answer, half_close, hang, read_request, receive, respond, send, send_bytewise
from tests.kit.scripted_backend import ScriptedBackend
from tests.wire.forms import DATE, Form, ended, healthy, joined, refuses, spoils
from tests.wire.rig import GET, Rig, problem, request, response, sized, without_date
from tests.wire.upgrades import ASKED, SWITCHED, forwarded, over, switch, upgrade

EARLY = response(b"Link: </a>", start=b"HTTP/1.1 103 Early Hints")


# --- E3: an upgrade


async def test_e3_a_websocket_request_becomes_a_tunnel(rig: Rig, transmission: Form) -> None:
    reply = send_bytewise if transmission.bytewise else send
    await rig.start((read_request(), reply(SWITCHED), receive(b"\x81\x85ping"), reply(b"\x00GET / HTTP/1.1\r\n\r\n")))
    client = await rig.client()
    await transmission.send(client, upgrade(b"Sec-WebSocket-Key: k", b"Origin: http://a"))
    assert (await client.read_response()).raw == SWITCHED
    await transmission.send(client, b"\x81\x85ping")
    assert await client.read_exactly(len(b"\x00GET / HTTP/1.1\r\n\r\n")) == b"\x00GET / HTTP/1.1\r\n\r\n"
    (connection,) = rig.primary.connections
    expected = forwarded(b"Sec-WebSocket-Key: k", b"Origin: http://a")
    assert connection.received == expected + b"\x81\x85ping"
    await client.half_close()
    await ended(client)
    await over(rig)


async def test_e3_a_tunnel_is_counted_once_as_the_101_that_opened_it(rig: Rig) -> None:
    await rig.start(switch(hang()))
    client = await rig.client()
    await client.send(upgrade())
    await client.read_response()
    assert rig.requests() == {"1xx": 1}
    assert rig.mirrors() == {"upgrade": 1}
    assert rig.plane.tally().by(BACKEND_REQUESTS, "code") == {"1xx": 1}
    await client.half_close()
    await ended(client)
    assert rig.requests() == {"1xx": 1}
    assert rig.mirrors() == {"upgrade": 1}
    await over(rig)


@pytest.mark.parametrize(
    "fields",
    [
        (b"connection: UPGRADE", b"upgrade: websocket"),
        (b"Upgrade: websocket", b"Connection: keep-alive, upgrade"),
        (b"Connection: keep-alive", b"Upgrade: websocket", b"Connection: Upgrade"),
        (b"Connection: close, Upgrade", b"Upgrade: websocket"),
        (b"Connection: Upgrade", b"Upgrade: h2c, websocket,, bad name"),
        (b"Connection: Upgrade", b"Upgrade: h2c", b"Upgrade: websocket"),
        (b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: x", b"Upgrade: websocket"),
        (b"Content-Length: 0", b"Connection: Upgrade", b"Upgrade: websocket"),
    ],
    ids=["case", "list", "two lines", "close", "protocols", "two protocol lines", "settings", "empty body"],
)
async def test_e3_however_it_is_spelt_the_backend_gets_one_spelling(rig: Rig, fields: tuple[bytes, ...]) -> None:
    await rig.start(switch(send(b"hello"), hang()))
    client = await rig.client()
    await client.send(request(b"GET /chat", *fields))
    assert (await client.read_response()).raw == SWITCHED
    assert await client.read_exactly(5) == b"hello"
    kept = [field for field in fields if field.startswith(b"Content-Length")]
    assert rig.primary.connections[0].received == forwarded(*kept)
    await client.half_close()
    await ended(client)
    await over(rig)


async def test_e3_the_spelling_of_the_protocol_is_the_clients_and_the_backends(rig: Rig) -> None:
    agreed = response(b"upgrade:WebSocket", b"Connection: upgrade", start=b"HTTP/1.1 101 ")
    await rig.start((*respond(agreed), hang()))
    client = await rig.client()
    await client.send(request(b"GET /chat", b"Connection: Upgrade", b"Upgrade: WEBsocket"))
    relayed = response(b"Upgrade: WebSocket", b"Connection: Upgrade", start=b"HTTP/1.1 101 ")
    assert (await client.read_response()).raw == relayed
    asked = (b"Upgrade: WEBsocket", b"Connection: Upgrade")
    assert rig.primary.connections[0].received == forwarded(asked=asked)
    await client.half_close()
    await ended(client)
    await over(rig)


async def test_e3_trailers_may_be_taken_too(rig: Rig) -> None:
    await rig.start(switch(hang()))
    client = await rig.client()
    await client.send(upgrade(b"TE: trailers"))
    assert (await client.read_response()).raw == SWITCHED
    asked = (*ASKED, b"TE: trailers", b"Connection: TE")
    assert rig.primary.connections[0].received == forwarded(asked=asked)
    await client.half_close()
    await ended(client)
    await over(rig)


async def test_e3_of_a_101_only_what_is_its_own_passes(rig: Rig) -> None:
    fields = (b"X-Hop: 1", b"Set-Cookie: a=1", b"Content-Length: 5", b"Keep-Alive: timeout=5", b"set-cookie: b")
    said = (b"Connection: X-Hop, Upgrade", b"Upgrade: websocket")
    await rig.start((*respond(response(*fields, *said, start=b"HTTP/1.1 101 Go")), send(b"hello"), hang()))
    client = await rig.client()
    await client.send(upgrade())
    relayed = response(b"Set-Cookie: a=1", b"set-cookie: b", *ASKED, start=b"HTTP/1.1 101 Go")
    assert (await client.read_response()).raw == relayed
    assert await client.read_exactly(5) == b"hello"
    await client.half_close()
    await ended(client)
    await over(rig)


async def test_e3_interim_answers_come_before_the_101(rig: Rig) -> None:
    await rig.start((*respond(EARLY * 2 + SWITCHED + b"hello"), hang()))
    client = await rig.client()
    await client.send(upgrade())
    assert [(await client.read_response()).raw for _ in range(3)] == [EARLY, EARLY, SWITCHED]
    assert await client.read_exactly(5) == b"hello"
    await client.half_close()
    await ended(client)
    await over(rig)


async def test_e3_requests_before_an_upgrade_are_answered_before_it(rig: Rig) -> None:
    await rig.start(respond(sized(b"first", DATE)), switch(receive(b"ping"), hang()), service={"mirror": {"share": 0}})
    client = await rig.client()
    await client.send(GET + upgrade() + b"ping")
    assert (await client.read_response()).raw == sized(b"first", DATE)
    assert (await client.read_response()).raw == SWITCHED
    assert rig.requests() == {"1xx": 1, "2xx": 1}
    await client.half_close()
    await ended(client)
    await rig.until(lambda: not rig.plane.tunnels, "the tunnel to be over")


async def test_e3_an_upgrade_takes_an_unused_connection_and_never_gives_it_back(rig: Rig) -> None:
    await rig.start(answer(), switch(half_close(), hang()))
    client = await rig.client()
    await client.send(GET)
    await client.read_response()
    await rig.quiet()
    await client.send(upgrade())
    assert (await client.read_response()).raw == SWITCHED
    assert len(rig.primary.connections) == 1
    await client.half_close()
    await ended(client)
    assert (await rig.ask()).status == 200
    assert len(rig.primary.connections) == 2
    await rig.until(lambda: not rig.plane.tunnels, "the tunnel to be over")


async def test_e3_another_protocol_may_be_allowed(rig: Rig) -> None:
    agreed = response(b"Upgrade: SPDY/3.1", b"Connection: Upgrade", start=b"HTTP/1.1 101 Switching Protocols")
    await rig.start((*respond(agreed), receive(b"ping"), hang()), limits={"upgrades": ["spdy/3.1"]})
    client = await rig.client()
    await client.send(request(b"GET /chat", b"Connection: Upgrade", b"Upgrade: websocket, SPDY/3.1, SPDY"))
    assert (await client.read_response()).raw == agreed
    await client.send(b"ping")
    asked = (b"Upgrade: SPDY/3.1", b"Connection: Upgrade")
    await rig.until(lambda: rig.primary.connections[0].received == forwarded(asked=asked) + b"ping", "the bytes")
    await client.half_close()
    await ended(client)
    await over(rig)


# --- E3: no upgrade after all


@pytest.mark.parametrize("status", [b"200 OK", b"404 Not Found", b"426 Upgrade Required"])
async def test_e3_an_ordinary_answer_to_an_upgrade_leaves_both_connections_usable(
    rig: Rig, form: Form, status: bytes
) -> None:
    await rig.start(form.reply(form.response(DATE, body=b"no", start=b"HTTP/1.1 " + status)))
    client = await rig.client()
    close = (b"Connection: close",) if form.close else ()
    await form.send(client, upgrade(*close))
    assert joined(await client.read_response()) == form.relayed(DATE, body=b"no", start=b"HTTP/1.1 " + status)
    assert [got.raw for got in rig.primary.requests] == [forwarded()]
    await form.afterwards(rig, client)
    assert len(rig.primary.connections) == 1
    assert not rig.plane.tunnels
    assert rig.mirrors()["upgrade"] == 1


async def test_e3_bytes_behind_an_upgrade_that_is_not_one_are_the_next_request(rig: Rig) -> None:
    await rig.start(respond(sized(b"no", DATE)), respond(sized(b"next", DATE)))
    client = await rig.client()
    await client.send(upgrade() + GET)
    assert (await client.read_response()).raw == sized(b"no", DATE)
    assert (await client.read_response()).raw == sized(b"next", DATE)
    await healthy(rig, client)
    assert len(rig.primary.connections) == 1


async def test_e3_an_upgrade_after_one_that_was_declined_is_one(rig: Rig) -> None:
    await rig.start(respond(sized(b"no", DATE)), switch(hang()))
    client = await rig.client()
    await client.send(upgrade() * 2)
    assert (await client.read_response()).raw == sized(b"no", DATE)
    assert (await client.read_response()).raw == SWITCHED
    await client.half_close()
    await ended(client)
    await over(rig)


async def test_e3_a_backend_that_does_not_answer_an_upgrade_is_a_504(rig: Rig) -> None:
    await rig.start((read_request(), hang()), timeouts={"first_byte": "50ms"})
    client = await rig.client()
    await client.send(upgrade())
    expected = problem(504, "first_byte_timeout", "http_response_timeout", close=False)
    assert without_date((await client.read_response()).raw) == expected
    await rig.primary.connections[0].gone()
    await healthy(rig, client)


async def test_e3_a_client_that_leaves_before_the_answer_takes_the_backend_along(rig: Rig) -> None:
    await rig.start((read_request(), hang()))
    client = await rig.client()
    await client.send(upgrade())
    await rig.primary.received_requests(1)
    await client.reset()
    await rig.primary.connections[0].gone()
    await over(rig)
    assert rig.requests() == {"aborted": 1}


# --- E4: with a body


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 1\r\n\r\nx",
        b"Content-Length: 5\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
    ids=["length", "length to come", "empty chunked", "chunked"],
)
async def test_e4_a_websocket_request_with_a_body_is_refused(rig: Rig, transmission: Form, body: bytes) -> None:
    await rig.start()
    await refuses(rig, transmission, upgrade()[:-2] + body, 400, "framing")


# --- E5, E6: not an upgrade

NOT_AN_UPGRADE = {
    "not in Connection": (b"GET", b"1.1", (b"Upgrade: websocket",)),
    "named in another field": (b"GET", b"1.1", (b"Upgrade: websocket", b"Connection: keep-alive", b"X: upgrade")),
    "quoted in Connection": (b"GET", b"1.1", (b"Upgrade: websocket", b'Connection: "upgrade"')),
    "no protocol": (b"GET", b"1.1", (b"Connection: Upgrade", b"Upgrade: ")),
    "no Upgrade": (b"GET", b"1.1", (b"Connection: Upgrade",)),
    "POST": (b"POST", b"1.1", ASKED),
    "HEAD": (b"HEAD", b"1.1", ASKED),
    "PUT": (b"PUT", b"1.1", ASKED),
    "OPTIONS": (b"OPTIONS", b"1.1", ASKED),
    "HTTP/1.0": (b"GET", b"1.0", ASKED),
}


@pytest.mark.parametrize(("method", "version", "fields"), NOT_AN_UPGRADE.values(), ids=NOT_AN_UPGRADE)
async def test_e5_what_is_not_an_upgrade_is_an_ordinary_request_without_the_field(
    rig: Rig, transmission: Form, method: bytes, version: bytes, fields: tuple[bytes, ...]
) -> None:
    answered = response(DATE, b"Content-Length: 0")
    await rig.start(transmission.reply(answered))
    client = await rig.client()
    sent = request(method + b" /chat", *fields).replace(b" HTTP/1.1", b" HTTP/" + version)
    await transmission.send(client, sent)
    raw = (await client.read_response(method.decode())).raw
    closes = version == b"1.0"
    assert raw == (response(DATE, b"Content-Length: 0", b"Connection: close") if closes else answered)
    kept = [field for field in fields if not field.lower().startswith((b"upgrade", b"connection"))]
    expected = forwarded(*kept, line=method + b" /chat", asked=()).replace(b"Via: 1.1", b"Via: " + version)
    assert [got.raw for got in rig.primary.requests] == [expected]
    await (ended(client) if closes else healthy(rig, client))
    assert "upgrade" not in rig.mirrors()


@pytest.mark.parametrize(
    "fields",
    [
        (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"),
        (b"Connection: upgrade", b"Upgrade: TLS/1.0, HTTP/2.0"),
        (b"Connection: upgrade", b"Upgrade: websocket/13"),
    ],
    ids=["h2c", "tls", "websocket of a version"],
)
async def test_e6_a_protocol_that_is_not_allowed_is_removed_and_the_body_delivered(
    rig: Rig, form: Form, fields: tuple[bytes, ...]
) -> None:
    answered = form.response(DATE, body=b"ok")
    await rig.start(form.reply(answered))
    client = await rig.client()
    await form.send(client, form.request(b"GET /", *fields, body=b"hello"))
    assert joined(await client.read_response()) == form.relayed(DATE, body=b"ok")
    assert [joined(got) for got in rig.primary.requests] == [form.forwarded(b"GET /", body=b"hello")]
    await form.afterwards(rig, client)
    assert "upgrade" not in rig.mirrors()


async def test_e6_no_protocol_need_be_allowed(rig: Rig) -> None:
    await rig.start(respond(sized(b"no", DATE)), limits={"upgrades": []})
    client = await rig.client()
    await client.send(upgrade())
    assert (await client.read_response()).raw == sized(b"no", DATE)
    assert [got.raw for got in rig.primary.requests] == [forwarded(asked=())]
    await healthy(rig, client)


# --- E8: where it goes


async def test_e8_an_upgrade_goes_to_the_serving_backend_only(rig: Rig) -> None:
    await rig.start(switch(hang()))
    client = await rig.client()
    await client.send(upgrade())
    await client.read_response()
    assert len(rig.primary.connections) == 1
    assert not rig.candidate.connections
    await client.half_close()
    await ended(client)
    await over(rig)
    assert not rig.pairs


async def test_e8_an_upgrade_that_is_answered_is_not_mirrored_either(rig: Rig) -> None:
    await rig.start(respond(sized(b"no", DATE)))
    client = await rig.client()
    await client.send(upgrade())
    assert (await client.read_response()).raw == sized(b"no", DATE)
    assert rig.mirrors() == {"upgrade": 1}
    assert not rig.candidate.connections
    await healthy(rig, client)


async def test_e8_with_mirroring_off_an_upgrade_is_a_tunnel_too(rig: Rig) -> None:
    await rig.start(switch(hang()), mode=Mode.PRIMARY)
    client = await rig.client()
    await client.send(upgrade())
    assert (await client.read_response()).raw == SWITCHED
    await client.half_close()
    await ended(client)
    assert rig.mirrors() == {"mode": 1}


async def test_e8_connect_goes_nowhere(rig: Rig, transmission: Form) -> None:
    await rig.start()
    await refuses(rig, transmission, b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501, "connect")


# --- E9: a 101 must say what was asked for


@pytest.mark.parametrize(
    "fields",
    [
        (b"Connection: Upgrade", b"Upgrade: h2c"),
        (b"Connection: Upgrade", b"Upgrade: websocket, h2c"),
        (b"Connection: Upgrade", b"Upgrade: websocket/13"),
        (b"Connection: Upgrade", b"Upgrade:"),
        (b"Connection: Upgrade",),
        (),
    ],
    ids=["another", "one more", "a version of it", "empty", "none", "no field"],
)
async def test_e9_a_101_that_does_not_name_what_was_asked_for_is_a_502(
    rig: Rig, transmission: Form, fields: tuple[bytes, ...]
) -> None:
    await rig.start(transmission.reply(response(*fields, start=b"HTTP/1.1 101 Switching Protocols") + b"hello"))
    client = await rig.client()
    await transmission.send(client, upgrade())
    expected = problem(502, "protocol", "http_protocol_error", close=False)
    assert without_date((await client.read_response()).raw) == expected
    assert [got.raw for got in rig.primary.requests] == [forwarded()]
    await rig.primary.connections[0].gone()
    await healthy(rig, client)
    assert len(rig.primary.connections) == 2


async def test_e9_a_101_need_not_name_the_field_in_connection(rig: Rig) -> None:
    await rig.start((*respond(response(b"Upgrade: websocket", start=b"HTTP/1.1 101 Go")), send(b"hello"), hang()))
    client = await rig.client()
    await client.send(upgrade())
    assert (await client.read_response()).raw == response(*ASKED, start=b"HTTP/1.1 101 Go")
    assert await client.read_exactly(5) == b"hello"
    await client.half_close()
    await ended(client)
    await over(rig)


async def test_e2_a_101_nobody_asked_for_is_a_502(rig: Rig, form: Form) -> None:
    await spoils(rig, form, response(*ASKED, start=b"HTTP/1.1 101 Switching Protocols") + b"hello")


async def test_e2_a_copy_never_switches(rig: Rig) -> None:
    await rig.start(candidate=ScriptedBackend([respond(SWITCHED + b"hello")]))
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).status == 200
    await rig.until(lambda: rig.pairs, "the pair")
    assert rig.pairs[0].candidate.failure == "protocol"
    await healthy(rig, client)
