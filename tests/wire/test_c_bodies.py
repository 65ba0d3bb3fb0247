"""Bodies on their way to a backend: on any method, none at all, cut by the client, and encoded."""

import gzip

import pytest

from tests.wire.chunked import CHUNKED, chunks
from tests.wire.forms import DATE, Form, ended, healthy, joined, relays
from tests.wire.rig import FORWARDED, GET, Rig, request, response

BODY = bytes(range(256)) * 40
POSTED = {"mirror": {"methods": ["GET", "POST"]}}

# --- C10


@pytest.mark.parametrize("ends_by", ["FIN", "RST"])
@pytest.mark.parametrize(
    "sent",
    [
        request(b"POST /x", b"Content-Length: 10", body=b"hello"),
        request(b"POST /x", CHUNKED, body=b"5\r\nhello\r\n"),
        request(b"POST /x", CHUNKED, body=b"a\r\nhello"),
        request(b"POST /x", CHUNKED, body=b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n"),
        request(b"POST /x", b"Connection: close", b"Content-Length: 10", body=b"hello"),
        request(b"POST /x", b"Content-Length: 10"),
    ],
    ids=["length", "between chunks", "inside a chunk", "inside the trailers", "close", "before its first byte"],
)
async def test_c10_a_client_that_ends_inside_its_body_is_owed_no_answer(
    rig: Rig, transmission: Form, sent: bytes, ends_by: str
) -> None:
    await rig.start(service=POSTED)
    client = await rig.client()
    await transmission.send(client, sent)
    await rig.primary.received_heads(1)
    (connection,) = rig.primary.connections
    if b"hello" in sent:
        await rig.until(lambda: b"o" in connection.received.partition(b"\r\n\r\n")[2], "the body at the backend")
    if ends_by == "FIN":
        await client.half_close()
        await ended(client)
    else:
        await client.reset()
    assert client.received == b""
    await connection.gone()
    assert connection.truncated
    assert not connection.received.endswith(b"0\r\n\r\n")
    await rig.quiet()
    assert rig.drops() == {"client_gone": 1}
    assert rig.candidate.connections == []
    assert rig.requests() == {"aborted": 1}


async def test_c10_a_client_that_ends_inside_its_body_before_a_backend_was_found_is_served_by_none(rig: Rig) -> None:
    await rig.start(service=POSTED)
    client = await rig.client()
    await client.send(request(b"POST /x", b"Content-Length: 10", body=b"hello"))
    await client.reset()
    await rig.quiet()
    assert rig.primary.requests == []
    assert rig.candidate.connections == []


# --- C11


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"PUT", b"PATCH", b"FOO"])
async def test_c11_a_body_on_any_method_is_delivered(rig: Rig, form: Form, method: bytes) -> None:
    line = method + b" /x"
    answer = response(DATE, b"Content-Length: 0", *([b"Connection: close"] if form.close else []))
    await relays(
        rig,
        form,
        sent=form.request(line, body=b"hello"),
        forwarded=form.forwarded(line, body=b"hello"),
        answered=answer,
        relayed=answer,
        method=method.decode(),
    )


@pytest.mark.parametrize("method", [b"GET", b"DELETE"])
async def test_c11_the_bytes_behind_such_a_body_are_the_next_request(rig: Rig, form: Form, method: bytes) -> None:
    await rig.start()
    client = await rig.client()
    await form.send(client, form.request(method + b" /x", body=GET) + GET)
    assert (await client.read_response()).status == 200
    if form.close:
        await ended(client)
    else:
        assert (await client.read_response()).status == 200
    targets = [(got.target, got.body) for got in rig.primary.requests]
    assert targets == [(b"/x", GET), *([] if form.close else [(b"/", b"")])]


@pytest.mark.parametrize("size", [1, 1000, len(BODY)])
async def test_c11_every_byte_value_passes_in_chunks_of_any_size(rig: Rig, size: int) -> None:
    await rig.start()
    client = await rig.client()
    await client.send(request(b"POST /x", CHUNKED, body=chunks(BODY, size)))
    assert (await client.read_response()).status == 200
    (received,) = rig.primary.requests
    assert joined(received) == request(b"POST /x", CHUNKED, *FORWARDED, body=chunks(BODY, len(BODY)))


# --- C12


async def is_forwarded_alone(rig: Rig, transmission: Form, line: bytes, *fields: bytes) -> None:
    """A request without a body arrives as it is; what is sent behind it is the next one."""
    await rig.start()
    client = await rig.client()
    await transmission.send(client, request(line, *fields) + request(line + b"y", *fields) + GET)
    for _ in range(3):
        assert (await client.read_response()).raw.endswith(b'{"ok":true}')
    expected = [request(path, *fields, *FORWARDED) for path in (line, line + b"y")]
    assert [got.raw for got in rig.primary.requests] == [*expected, request(b"GET /", *FORWARDED)]
    await healthy(rig, client)


@pytest.mark.parametrize("line", [b"POST /x", b"PUT /x", b"GET /x"])
async def test_c12_a_length_of_0_is_forwarded(rig: Rig, transmission: Form, line: bytes) -> None:
    await is_forwarded_alone(rig, transmission, line, b"Content-Length: 0")


# --- C13


@pytest.mark.parametrize("line", [b"POST /x", b"PUT /x", b"GET /x"])
async def test_c13_without_framing_there_is_no_body_and_nothing_is_added(
    rig: Rig, transmission: Form, line: bytes
) -> None:
    await is_forwarded_alone(rig, transmission, line)


async def test_c13_a_close_ends_a_request_without_framing_too(rig: Rig, transmission: Form) -> None:
    await rig.start()
    client = await rig.client()
    await transmission.send(client, request(b"POST /x", b"Connection: close") + b"hello")
    assert (await client.read_response()).status == 200
    await ended(client)
    assert [got.raw for got in rig.primary.requests] == [request(b"POST /x", *FORWARDED)]


# --- C21


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"gzip, x-own"])
async def test_c21_an_encoded_body_is_none_of_our_business(rig: Rig, form: Form, coding: bytes) -> None:
    body = gzip.compress(b'{"ok": true}' * 50, mtime=0)  # whatever the coding says: nobody here decodes it
    encoded = b"Content-Encoding: " + coding
    await relays(
        rig,
        form,
        sent=form.request(b"POST /x", encoded, body=body),
        forwarded=form.forwarded(b"POST /x", encoded, body=body),
        answered=form.response(DATE, encoded, b"ETag: W/1", body=body),
        relayed=form.relayed(DATE, encoded, b"ETag: W/1", body=body),
        service=POSTED,
    )


async def test_c21_the_comparison_gets_the_encoded_bytes_too(rig: Rig, transmission: Form) -> None:
    body = gzip.compress(b'{"ok": true}', mtime=0)
    answer = transmission.response(DATE, b"Content-Encoding: gzip", body=body)
    await relays(
        rig,
        transmission,
        sent=transmission.request(b"GET /x"),
        forwarded=transmission.forwarded(b"GET /x"),
        answered=answer,
        relayed=answer,
    )
    await rig.until(lambda: rig.pairs, "the pair")
    assert rig.pairs[0].primary.body == body
