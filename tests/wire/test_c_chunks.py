"""Chunks: how their sizes may be spelt, what may stand beside them, and where an empty body ends."""

import pytest

from tests.wire.chunked import CHUNKED, chunks, cut_payload
from tests.wire.faults import is_aborted, is_refused
from tests.wire.forms import DATE, Form, healthy, relays
from tests.wire.rig import FORWARDED, GET, Rig, request, response

HELLO = b"5\r\nhello\r\n"
END = b"0\r\n\r\n"
POSTED = {"mirror": {"methods": ["GET", "POST"]}}

# --- C6

BAD = (
    b"0x5\r\nhello\r\n" + END,
    b"+5\r\nhello\r\n" + END,
    b"-1\r\nhello\r\n" + END,
    b"5_0\r\nhello\r\n" + END,
    b" 5\r\nhello\r\n" + END,
    b"5 5\r\nhello\r\n" + END,
    b"5h\r\nhello\r\n" + END,
    b"\xb5\r\nhello\r\n" + END,
    b"%017x\r\nhello\r\n" % 5 + END,
    b"8000000000000000\r\nhello\r\n" + END,
    b"\r\nhello\r\n" + END,
    b";a=b\r\nhello\r\n" + END,
    b"5\nhello\r\n" + END,
    b"5\rhello\r\n" + END,
    b"5;a\nhello\r\n" + END,
    b"5;a\rb\r\nhello\r\n" + END,
    b"5;a\x00\r\nhello\r\n" + END,
    b"5;\r\nhello\r\n" + END,
    b"5;a=\r\nhello\r\n" + END,
    b'5;a="b\r\nhello\r\n' + END,
    b"5\r\nhello0\r\n\r\n",
    b"5\r\nhello\n" + END,
    b"5\r\nhello\r" + END,
    b"5\r\nhello!\r\n" + END,
    b"0\r\nno colon\r\n\r\n",
    b"0\r\nX : 1\r\n\r\n",
    b"0\r\nX: 1\r\n folded\r\n\r\n",
    b"0\r\nX: 1\n\r\n",
    b"0\r\nX: \x00\r\n\r\n",
    b"0\n\n",
)


async def test_c6_a_bad_chunk_in_a_request_is_refused(rig: Rig, transmission: Form) -> None:
    await rig.start(service=POSTED)
    for count, broken in enumerate((*BAD, b"5 \r\nhello\r\n" + END), 1):
        client = await rig.client()
        await transmission.send(client, request(b"POST /x", CHUNKED, body=broken + GET))
        await is_refused(rig, client, 400, "chunk", count)


@pytest.mark.parametrize("broken", [b"x\r\nhello\r\n", b"5\r\nhello!\r\n", b"5;\x00\r\nhello\r\n"])
async def test_c6_a_bad_chunk_behind_good_ones_aborts_the_backend(rig: Rig, transmission: Form, broken: bytes) -> None:
    await rig.start(service=POSTED)
    client = await rig.client()
    await transmission.send(client, request(b"POST /x", CHUNKED, body=HELLO))
    await rig.primary.received_heads(1)
    (connection,) = rig.primary.connections
    await rig.until(lambda: connection.received.endswith(b"o\r\n"), "the chunk at the backend")
    await transmission.send(client, broken + END + GET)
    await is_refused(rig, client, 400, "chunk")
    assert connection.truncated
    assert END not in connection.received


async def test_c6_a_bad_chunk_in_a_response_aborts_it(rig: Rig, transmission: Form) -> None:
    await rig.start(*(transmission.reply(response(DATE, CHUNKED, body=HELLO + broken)) for broken in BAD))
    for count, broken in enumerate(BAD, 1):
        client = await rig.client()
        await transmission.send(client, request(b"GET /x"))
        head, _, body = (await is_aborted(rig, client, count)).partition(b"\r\n\r\n")
        assert head == response(DATE, CHUNKED).removesuffix(b"\r\n\r\n")
        assert cut_payload(body) in {b"hello", b"hellohello"}, broken
        assert rig.primary.connections[-1].requests[-1].raw == request(b"GET /x", *FORWARDED)


@pytest.mark.parametrize(
    "framed",
    [
        b"%016x\r\nhello\r\n" % 5 + END,
        b"05\r\nhello\r\n000\r\n\r\n",
        b"A\r\nhello hell\r\n00a\r\no hello he\r\n" + END,
        b"5;a\r\nhello\r\n0;z\r\n\r\n",
        b'5;a=b;c="d\\"e;\t\xe9"\r\nhello\r\n' + END,
        b'5 ; a = "b"\t;c\r\nhello\r\n0 ;\tz=1\r\n\r\n',
    ],
    ids=["16 digits", "leading zeros", "hex of any case", "extension", "quoted", "blanks round ; and ="],
)
async def test_c6_extensions_and_odd_sizes_do_not_survive(rig: Rig, form: Form, framed: bytes) -> None:
    body = b"hello hello hello he" if b"A\r\n" in framed else b"hello"
    close = [b"Connection: close"] if form.close else []
    await relays(
        rig,
        form,
        sent=request(b"POST /x", CHUNKED, *close, body=framed),
        forwarded=request(b"POST /x", CHUNKED, *FORWARDED, body=chunks(body, len(body))),
        answered=response(DATE, CHUNKED, *close, body=framed),
        relayed=response(DATE, CHUNKED, *close, body=chunks(body, len(body))),
    )
    (received,) = {got.raw for got in rig.primary.requests if got.method == b"POST"}
    assert b";" not in received


@pytest.mark.parametrize("size", [b"5 ", b"5\t", b"5   "])
async def test_c6_a_response_may_pad_its_sizes(rig: Rig, transmission: Form, size: bytes) -> None:
    await relays(
        rig,
        transmission,
        sent=transmission.request(b"GET /x"),
        forwarded=transmission.forwarded(b"GET /x"),
        answered=response(DATE, CHUNKED, body=size + b"\r\nhello\r\n0  \r\n\r\n"),
        relayed=response(DATE, CHUNKED, body=HELLO + END),
    )


async def test_c6_the_largest_size_is_taken(rig: Rig, transmission: Form) -> None:
    await rig.start()
    client = await rig.client()
    await transmission.send(client, request(b"POST /x", CHUNKED, body=b"7fffffffffffffff\r\nhello"))
    await rig.primary.received_heads(1)
    (connection,) = rig.primary.connections
    await rig.until(lambda: connection.received.endswith(b"o\r\n"), "the first bytes at the backend")
    await client.reset()
    await connection.gone()
    assert END not in connection.received


# --- C23


async def test_c23_an_empty_chunked_body_is_empty_both_ways(rig: Rig, form: Form) -> None:
    close = [b"Connection: close"] if form.close else []
    await relays(
        rig,
        form,
        sent=request(b"POST /x", CHUNKED, *close, body=END),
        forwarded=request(b"POST /x", CHUNKED, *FORWARDED, body=END),
        answered=response(DATE, CHUNKED, *close, body=END),
        relayed=response(DATE, CHUNKED, *close, body=END),
    )
    assert len(rig.primary.connections) == 1


async def test_c23_the_bytes_behind_an_empty_body_are_the_next_message(rig: Rig, transmission: Form) -> None:
    await rig.start(transmission.reply(response(DATE, CHUNKED, body=END)))
    client = await rig.client()
    await transmission.send(client, request(b"POST /x", CHUNKED, body=END) + GET)
    assert (await client.read_response()).body == b""
    assert (await client.read_response()).body == b'{"ok":true}'
    assert [(got.target, got.body) for got in rig.primary.requests] == [(b"/x", b""), (b"/", b"")]
    await healthy(rig, client)
    assert len(rig.primary.connections) == 1
