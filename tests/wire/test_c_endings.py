"""How bodies of responses end: with their connection, too early, and with bytes behind them."""

import asyncio

import pytest

from tests.kit.script import close, read_request, reset, send, send_bytewise, wait_for
from tests.kit.scripted_connection import Step
from tests.kit.wire import Ending
from tests.wire.chunked import CHUNKED, TAKES_TRAILERS, chunks, cut_payload
from tests.wire.forms import DATE, Form, ended, healthy, joined
from tests.wire.rig import FORWARDED, Rig, request, response, sized

GET = request(b"GET /x")
OLD_GET = b"GET /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
OLD_VIA = b"Via: 1.0" + FORWARDED[0][8:]
CLOSE = b"Connection: close"
BODY = bytes(range(256)) * 40
TEN = b"Content-Length: 10"
HELLO = b"5\r\nhello\r\n"
CHUNKS = chunks(b"hello", 5)


def told(form: Form, raw: bytes) -> Step:
    return send_bytewise(raw) if form.bytewise else send(raw)


# --- C17


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK"])
@pytest.mark.parametrize("body", [b"hello", b""], ids=["body", "empty"])
async def test_c17_a_body_until_the_end_becomes_chunked_and_the_client_stays(
    rig: Rig, form: Form, start: bytes, body: bytes
) -> None:
    said = [CLOSE] if form.close else []
    await rig.start((read_request(), told(form, response(DATE, b"X: 1", *said, body=body, start=start)), close()))
    client = await rig.client()
    await form.send(client, form.request(b"POST /x", body=b"hello"))
    expected = response(DATE, b"X: 1", CHUNKED, *said, body=chunks(body, max(1, len(body))))
    assert joined(await client.read_response()) == expected
    assert [joined(got) for got in rig.primary.requests] == [form.forwarded(b"POST /x", body=b"hello")]
    await (ended(client) if form.close else healthy(rig, client))
    assert len(rig.primary.connections) == (1 if form.close else 2)


@pytest.mark.parametrize(
    "framed",
    [
        response(DATE, b"X: 1", body=BODY),
        response(DATE, b"X: 1", body=BODY, start=b"HTTP/1.0 200 OK"),
        response(DATE, b"X: 1", CHUNKED, body=chunks(BODY, 1000)),
        response(DATE, b"X: 1", CHUNKED, body=chunks(BODY, 1000, b"X-Sum: 1")),
    ],
    ids=["until the end", "until the end, HTTP/1.0", "chunked", "chunked with trailers"],
)
async def test_c17_http_1_0_gets_plain_bytes_and_a_close(rig: Rig, framed: bytes) -> None:
    await rig.start((read_request(), send(framed), close()))
    client = await rig.client()
    await client.send(OLD_GET)
    assert (await client.read_response()).raw == response(DATE, b"X: 1", CLOSE, body=BODY)
    assert await client.closed() is Ending.FIN
    assert [got.raw for got in rig.primary.requests] == [request(b"GET /x", OLD_VIA, *FORWARDED[1:])]


async def test_c17_http_1_0_gets_them_byte_by_byte_too(rig: Rig, transmission: Form) -> None:
    await rig.start(transmission.reply(response(DATE, CHUNKED, body=chunks(b"hello", 2))))
    client = await rig.client()
    await transmission.send(client, OLD_GET)
    assert await client.read_until_close() == response(DATE, CLOSE, body=b"hello")
    assert await client.closed() is Ending.FIN


async def test_c17_http_1_0_is_told_a_length_that_is_known(rig: Rig, transmission: Form) -> None:
    await rig.start(transmission.reply(sized(b"hello", DATE)))
    client = await rig.client()
    await transmission.send(client, OLD_GET)
    assert await client.read_until_close() == response(DATE, b"Content-Length: 5", CLOSE, body=b"hello")
    assert await client.closed() is Ending.FIN


# --- C18

CUT = [
    pytest.param(response(DATE, TEN, body=b"hello"), b"hello", id="length"),
    pytest.param(response(DATE, TEN), b"", id="length, nothing came"),
    pytest.param(response(DATE, CHUNKED, body=HELLO), b"hello", id="between chunks"),
    pytest.param(response(DATE, CHUNKED, body=HELLO + b"5"), b"hello", id="inside a size"),
    pytest.param(response(DATE, CHUNKED, body=HELLO + b"5\r\nwor"), b"hellowor", id="inside a chunk"),
    pytest.param(response(DATE, CHUNKED, body=HELLO[:-1]), b"hello", id="inside the end of a chunk"),
    pytest.param(response(DATE, CHUNKED, body=CHUNKS[:-4]), b"hello", id="inside the last size"),
    pytest.param(response(DATE, CHUNKED, body=CHUNKS[:-2]), b"hello", id="before the last line"),
    pytest.param(response(DATE, CHUNKED, body=CHUNKS[:-1]), b"hello", id="inside the last line"),
    pytest.param(response(DATE, CHUNKED, body=CHUNKS[:-2] + b"X: 1\r\n"), b"hello", id="inside the trailers"),
    pytest.param(response(DATE, CHUNKED), b"", id="chunked, nothing came"),
]
"""What the backend sends before it ends, and how much of a body that was."""


@pytest.mark.parametrize("ends", [close(), reset()], ids=["FIN", "RST"])
@pytest.mark.parametrize(("sent", "came"), CUT)
async def test_c18_a_body_cut_by_the_backend_never_looks_complete(
    rig: Rig, sent: bytes, came: bytes, ends: Step
) -> None:
    await cut_is_passed_on(rig, (send(sent), ends), sent, came)


@pytest.mark.parametrize(("sent", "came"), CUT)
async def test_c18_nor_does_it_when_it_came_byte_by_byte(rig: Rig, sent: bytes, came: bytes) -> None:
    await cut_is_passed_on(rig, (send_bytewise(sent), close()), sent, came)


async def cut_is_passed_on(rig: Rig, steps: tuple[Step, ...], sent: bytes, came: bytes) -> None:
    # a RST may overtake what was sent before it, so the head must have arrived before the end comes
    relayed = asyncio.Event()
    await rig.start((read_request(), *steps[:-1], wait_for(relayed), steps[-1]))
    client = await rig.client()
    await client.send(request(b"GET /x", TAKES_TRAILERS))
    await rig.until(lambda: payload_of(client.received, sent) == came, "what came to be relayed")
    relayed.set()
    received = await client.read_until_close()
    assert received.count(b"HTTP/1.1") == 1
    assert received.partition(b"\r\n\r\n")[0] == sent.partition(b"\r\n\r\n")[0]
    assert payload_of(received, sent) == came
    assert rig.primary.requests[0].start_line == b"GET /x HTTP/1.1"
    await rig.quiet()
    assert rig.requests() == {"aborted": 1}


def payload_of(received: bytes, sent: bytes) -> bytes | None:
    _head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return None
    return cut_payload(body) if CHUNKED in sent else body


async def test_c18_a_body_until_the_end_is_cut_by_a_reset(rig: Rig) -> None:
    relayed = asyncio.Event()
    sent = response(DATE, body=b"hello")
    await rig.start((read_request(), send(sent), wait_for(relayed), reset()))
    client = await rig.client()
    await client.send(GET)
    await rig.until(lambda: client.received.endswith(HELLO), "what came to be relayed")
    relayed.set()
    assert await client.read_until_close() == response(DATE, CHUNKED, body=HELLO)
    await rig.quiet()
    assert rig.requests() == {"aborted": 1}


@pytest.mark.parametrize(
    ("sent", "ends", "relayed", "ending"),
    [
        (response(DATE, CHUNKED, body=HELLO), close(), response(DATE, CLOSE, body=b"hello"), Ending.RESET),
        (response(DATE, body=b"hello"), reset(), response(DATE, CLOSE, body=b"hello"), Ending.RESET),
        (response(DATE, TEN, body=b"hello"), close(), response(DATE, TEN, CLOSE, body=b"hello"), Ending.FIN),
    ],
    ids=["chunked", "until the end", "length"],
)
async def test_c18_http_1_0_sees_a_reset_where_a_close_would_look_complete(
    rig: Rig, sent: bytes, ends: Step, relayed: bytes, ending: Ending
) -> None:
    arrived = asyncio.Event()
    await rig.start((read_request(), send(sent), wait_for(arrived), ends))
    client = await rig.client()
    await client.send(OLD_GET)
    assert await client.read_exactly(len(relayed)) == relayed
    arrived.set()
    assert await client.closed() is ending


async def test_c18_a_cut_answer_leaves_other_clients_alone(rig: Rig) -> None:
    await rig.start((read_request(), send(response(DATE, TEN, body=b"hello")), close()))
    other = await rig.client()
    client = await rig.client()
    await client.send(GET)
    await client.read_until_close()
    await healthy(rig, other)
    assert len(rig.primary.connections) == 2


# --- C19

EVIL = b"HTTP/1.1 200 Evil\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("surplus", [EVIL, b"\r\n", b"x", b"\x00"], ids=["a response", "line end", "byte", "NUL"])
@pytest.mark.parametrize("later", [False, True], ids=["with the response", "later"])
async def test_c19_bytes_behind_a_response_reach_nobody_and_close_its_connection(
    rig: Rig,
    form: Form,
    surplus: bytes,
    later: bool,  # noqa: FBT001  a parameter of the test
) -> None:
    answered = asyncio.Event()
    whole = form.response(DATE, body=b"hello")
    steps = (told(form, whole), wait_for(answered), send(surplus)) if later else (told(form, whole + surplus),)
    await rig.start((read_request(), *steps))
    client = await rig.client()
    await form.send(client, form.request(b"POST /x", body=b"hello"))
    assert joined(await client.read_response()) == form.relayed(DATE, body=b"hello")
    answered.set()
    await rig.primary.connections[0].gone()
    assert [joined(got) for got in rig.primary.requests] == [form.forwarded(b"POST /x", body=b"hello")]
    await (ended(client) if form.close else healthy(rig, client))
    assert len(rig.primary.connections) == (1 if form.close else 2)


@pytest.mark.parametrize("framed", [response(DATE, CHUNKED, body=CHUNKS), sized(b"hello", DATE)])
async def test_c19_a_second_response_is_not_the_answer_to_the_next_request(rig: Rig, framed: bytes) -> None:
    await rig.start((read_request(), send(framed + EVIL)))
    client = await rig.client()
    await client.send(GET + request(b"GET /y"))
    assert (await client.read_response()).body == b"hello"
    assert (await client.read_response()).reason == b"Scripted"
    assert [got.target for got in rig.primary.requests] == [b"/x", b"/y"]
    assert len(rig.primary.connections) == 2
    await healthy(rig, client)
