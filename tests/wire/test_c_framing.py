"""What says how long a body is: Content-Length, Transfer-Encoding, and what happens when they say it badly."""

import pytest

from tests.wire.chunked import CHUNKED
from tests.wire.faults import each_is_refused, each_is_useless, useless
from tests.wire.forms import DATE, Form, healthy, refuses, relays
from tests.wire.rig import FORWARDED, Rig, request, response

FIVE = b"Content-Length: 5"
OK = b"HTTP/1.1 200 OK"
MOST = 2**63 - 1
NO_LENGTHS = (
    b"5, 6", b"+5", b"-0", b"-5", b"0x5", b"1_0", b"5 5", b"", b"5.0", b"5,", b",5", b"five", b"\xb5",
    b"%d" % (MOST + 1), b"0" * 19 + b"5", b"9" * 20,
)  # fmt: skip
NO_STARTS = (
    b"HTTP/2 200 OK", b"HTTP/2.0 200 OK", b"HTTP/0.9 200 OK", b"http/1.1 200 OK", b"HTTP/1.10 200 OK",
    b"HTTP/1. 200 OK", b"HTTP/1.1  200 OK", b"HTTP/1.1\t200 OK", b" HTTP/1.1 200 OK", b"\r\nHTTP/1.1 200 OK",
    b"HTTP/1.1200 OK",
    b"HTTP/1.1 200\tOK", b"HTTP/1.1 200 O\x00K", b"HTTP/1.1 200 O\rK", b"HTTP/1.1", b"HTTP/1.1 OK",
    b"ICY 200 OK", b"220 mail.example ESMTP", b"<html>", b"\x16\x03\x01\x02\x00",
)  # fmt: skip
CODINGS = (
    b"xchunked", b"chunkedx", b"chunked, chunked", b"gzip", b"identity", b"chunked;x", b"chunked, gzip",
    b"", b"chunked,", b",chunked", b"chunked identity", b'"chunked"',
)  # fmt: skip

# --- C1


@pytest.mark.parametrize("line", [b"POST /x HTTP/1.1", b"HEAD /x HTTP/1.1", b"POST /x HTTP/1.0"])
@pytest.mark.parametrize(
    "fields",
    [(FIVE, CHUNKED), (CHUNKED, FIVE), (b"content-length: 0", b"transfer-encoding: Chunked")],
    ids=["length first", "chunked first", "length 0"],
)
async def test_c1_a_request_with_a_length_and_chunked_is_refused(
    rig: Rig, transmission: Form, line: bytes, fields: tuple[bytes, ...]
) -> None:
    await rig.start()
    sent = b"\r\n".join([line, b"Host: a", *fields, b"", b"0\r\n\r\n"])
    await refuses(rig, transmission, sent, 400, "framing", method=line.split(b" ")[0].decode())


@pytest.mark.parametrize("fields", [(FIVE, CHUNKED), (CHUNKED, FIVE)], ids=["length first", "chunked first"])
async def test_c1_a_response_with_a_length_and_chunked_is_useless(
    rig: Rig, form: Form, fields: tuple[bytes, ...]
) -> None:
    await useless(rig, form, response(DATE, *fields, body=b"5\r\nhello\r\n0\r\n\r\n"))


async def test_c1_so_it_is_to_head(rig: Rig, transmission: Form) -> None:
    await useless(rig, transmission, response(DATE, FIVE, CHUNKED), line=b"HEAD /x")


# --- C2


async def test_c2_a_length_that_is_no_plain_number_is_refused(rig: Rig, transmission: Form) -> None:
    sent = [request(b"POST /x", b"Content-Length: " + value, body=b"hello") for value in NO_LENGTHS]
    await each_is_refused(rig, transmission, sent, 400, "framing")


@pytest.mark.parametrize("lengths", [(b"5", b"6"), (b"6", b"5"), (b"0", b"5")])
async def test_c2_two_lengths_are_refused(rig: Rig, transmission: Form, lengths: tuple[bytes, ...]) -> None:
    await rig.start()
    fields = [b"Content-Length: " + length for length in lengths]
    await refuses(rig, transmission, request(b"POST /x", *fields, body=b"hello!"), 400, "framing")


@pytest.mark.parametrize("value", [b"05", b"0" * 18 + b"5"], ids=["05", "19 digits"])
async def test_c2_leading_zeros_are_not_sent_on(rig: Rig, transmission: Form, value: bytes) -> None:
    await relays(
        rig,
        transmission,
        sent=request(b"POST /x", b"Content-Length: " + value, b"X: 1", body=b"hello"),
        forwarded=request(b"POST /x", b"X: 1", FIVE, *FORWARDED, body=b"hello"),
        answered=transmission.response(DATE, body=b"ok"),
        relayed=transmission.relayed(DATE, body=b"ok"),
    )


async def test_c2_the_largest_length_is_sent_on(rig: Rig, transmission: Form) -> None:
    await rig.start()
    client = await rig.client()
    length = b"Content-Length: %d" % MOST
    await transmission.send(client, request(b"POST /x", length, body=b"hello"))
    await rig.primary.received_heads(1)
    (connection,) = rig.primary.connections
    await rig.until(lambda: connection.received.endswith(b"\r\n\r\nhello"), "the first bytes at the backend")
    assert connection.heads[0].lines[:2] == [b"Host: a", length]
    await client.reset()
    await connection.gone()


# --- C3


@pytest.mark.parametrize("fields", [(FIVE, FIVE), (FIVE, b"content-length: 5"), (b"Content-Length: 5, 5",)])
async def test_c3_a_repeated_length_is_refused_in_a_request(
    rig: Rig, transmission: Form, fields: tuple[bytes, ...]
) -> None:
    await rig.start()
    await refuses(rig, transmission, request(b"POST /x", *fields, body=b"hello"), 400, "framing")


@pytest.mark.parametrize(
    "fields",
    [
        (FIVE, FIVE),
        (FIVE, b"content-length:5", b"Content-Length: 5 "),
        (b"Content-Length: 5, 5",),
        (b"Content-Length: 5,5 ,\t5", FIVE),
    ],
    ids=["twice", "three times", "list", "list and line"],
)
async def test_c3_a_repeated_length_is_one_in_a_response(
    rig: Rig, transmission: Form, fields: tuple[bytes, ...]
) -> None:
    await relays(
        rig,
        transmission,
        sent=transmission.request(b"GET /x"),
        forwarded=transmission.forwarded(b"GET /x"),
        answered=response(DATE, *fields, b"X: 1", body=b"hello"),
        relayed=response(DATE, b"X: 1", FIVE, body=b"hello"),
    )
    assert len(rig.primary.connections) == 1


async def test_c3_unusual_digits_in_a_response_are_sent_on_as_usual_ones(rig: Rig, transmission: Form) -> None:
    await relays(
        rig,
        transmission,
        sent=transmission.request(b"GET /x"),
        forwarded=transmission.forwarded(b"GET /x"),
        answered=response(b"Content-Length: 05", DATE, body=b"hello"),
        relayed=response(DATE, FIVE, body=b"hello"),
    )


async def test_c3_a_length_alone_in_its_head_may_be_repeated(rig: Rig, transmission: Form) -> None:
    await rig.start(transmission.reply(response(FIVE, FIVE, body=b"hello")))
    client = await rig.client()
    await client.send(request(b"GET /x"))
    answer = await client.read_response()
    assert (answer.lines[0], answer.body) == (FIVE, b"hello")
    assert len(answer.lines) == 2
    await healthy(rig, client)


# --- C4


@pytest.mark.parametrize("value", [b"gzip, chunked", b"deflate ,\tgzip,CHUNKED", b"identity, chunked"])
async def test_c4_a_list_that_ends_in_chunked_is_not_implemented(rig: Rig, transmission: Form, value: bytes) -> None:
    await rig.start()
    sent = request(b"POST /x", b"Transfer-Encoding: " + value, body=b"0\r\n\r\n")
    await refuses(rig, transmission, sent, 501, "coding")


async def test_c4_any_other_coding_is_refused(rig: Rig, transmission: Form) -> None:
    sent = [request(b"POST /x", b"Transfer-Encoding: " + value, body=b"0\r\n\r\n") for value in CODINGS]
    await each_is_refused(rig, transmission, sent, 400, "framing")


async def test_c4_a_control_beside_the_coding_is_refused(rig: Rig, transmission: Form) -> None:
    values = (b"\x0bchunked", b"chunked\x0b", b"\x0cchunked", b"\x00chunked")
    sent = [request(b"POST /x", b"Transfer-Encoding: " + value, body=b"0\r\n\r\n") for value in values]
    await each_is_refused(rig, transmission, sent, 400, "field")


@pytest.mark.parametrize("first", [CHUNKED, b"transfer-encoding: identity"])
async def test_c4_two_lines_are_refused(rig: Rig, transmission: Form, first: bytes) -> None:
    await rig.start()
    await refuses(rig, transmission, request(b"POST /x", first, CHUNKED, body=b"0\r\n\r\n"), 400, "framing")


async def test_c4_a_response_with_any_other_coding_is_useless(rig: Rig, transmission: Form) -> None:
    values = (b"gzip, chunked", *CODINGS, b"\x0bchunked")
    body = b"5\r\nhello\r\n0\r\n\r\n"
    answers = [response(DATE, b"Transfer-Encoding: " + value, body=body) for value in values]
    await each_is_useless(rig, transmission, answers)


async def test_c4_a_response_with_two_codings_is_useless(rig: Rig, form: Form) -> None:
    await useless(rig, form, response(DATE, CHUNKED, CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n"))


@pytest.mark.parametrize("line", [b"transfer-encoding:CHUNKED", b"Transfer-Encoding: \tChunked \t"])
async def test_c4_chunked_may_be_spelt_in_any_case(rig: Rig, transmission: Form, line: bytes) -> None:
    body = b"5\r\nhello\r\n0\r\n\r\n"
    await relays(
        rig,
        transmission,
        sent=request(b"POST /x", line, b"X: 1", body=body),
        forwarded=request(b"POST /x", b"X: 1", CHUNKED, *FORWARDED, body=body),
        answered=response(DATE, line, body=body),
        relayed=response(DATE, CHUNKED, body=body),
    )


# --- C5


@pytest.mark.parametrize("more", [(), (FIVE,)], ids=["alone", "with a length"])
async def test_c5_http_1_0_has_no_chunked_requests(rig: Rig, transmission: Form, more: tuple[bytes, ...]) -> None:
    await rig.start()
    sent = b"\r\n".join([b"POST /x HTTP/1.0", b"Host: a", CHUNKED, *more, b"", b"5\r\nhello\r\n0\r\n\r\n"])
    await refuses(rig, transmission, sent, 400, "framing")


@pytest.mark.parametrize("more", [(), (FIVE,)], ids=["alone", "with a length"])
async def test_c5_http_1_0_has_no_chunked_responses(rig: Rig, form: Form, more: tuple[bytes, ...]) -> None:
    await useless(rig, form, response(DATE, CHUNKED, *more, body=b"5\r\nhello\r\n0\r\n\r\n", start=b"HTTP/1.0 200 OK"))


# --- C20


async def test_c20_a_response_with_an_invalid_length_is_useless(rig: Rig, transmission: Form) -> None:
    answers = [response(DATE, b"Content-Length: " + value, body=b"hello") for value in NO_LENGTHS]
    await each_is_useless(rig, transmission, answers)


@pytest.mark.parametrize("lengths", [(b"5", b"6"), (b"6", b"5"), (b"5", b"5, 6")])
async def test_c20_a_response_with_unequal_lengths_is_useless(rig: Rig, form: Form, lengths: tuple[bytes, ...]) -> None:
    fields = [b"Content-Length: " + length for length in lengths]
    await useless(rig, form, response(DATE, *fields, body=b"hello!"))


async def test_c20_what_does_not_begin_like_a_response_is_useless(rig: Rig, transmission: Form) -> None:
    answers = [response(DATE, FIVE, body=b"hello", start=start) for start in NO_STARTS]
    await each_is_useless(rig, transmission, answers)


async def test_c20_a_status_that_is_not_three_digits_from_100_is_useless(rig: Rig, transmission: Form) -> None:
    statuses = (b"099", b"000", b"99", b"20", b"2000", b"2xx", b"-200", b"+20", b"2 0", b"\xb200")
    starts = [b"HTTP/1.1 %b OK" % status for status in statuses]
    await each_is_useless(rig, transmission, [response(DATE, FIVE, body=b"hello", start=start) for start in starts])


@pytest.mark.parametrize("status", [b"299", b"600", b"999"])
async def test_c20_any_other_status_is_relayed(rig: Rig, transmission: Form, status: bytes) -> None:
    start = b"HTTP/1.1 %b Own" % status
    await relays(
        rig,
        transmission,
        sent=transmission.request(b"GET /x"),
        forwarded=transmission.forwarded(b"GET /x"),
        answered=transmission.response(DATE, body=b"hello", start=start),
        relayed=transmission.relayed(DATE, body=b"hello", start=start),
    )


@pytest.mark.parametrize("line", [b"GET /x", b"HEAD /x"])
async def test_c20_a_bad_length_is_useless_where_no_body_follows_too(rig: Rig, transmission: Form, line: bytes) -> None:
    start = b"HTTP/1.1 304 Not Modified" if line == b"GET /x" else OK
    await useless(rig, transmission, response(DATE, FIVE, b"Content-Length: 6", start=start), line=line)
