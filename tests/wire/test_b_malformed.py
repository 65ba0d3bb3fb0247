"""Field lines no two parsers would read alike: refused from clients, and from backends repaired or a 502."""

from itertools import cycle

import pytest

from tests.wire.forms import DATE, Form, refuses, relays, spoils
from tests.wire.rig import GET, Rig, request

CONTROLS = [b"\x00", b"\x01", b"\x08", b"\x0b", b"\x0c", b"\r", b"\x0e", b"\x1b", b"\x1c", b"\x1f", b"\x7f"]
"""Bytes that may not stand in a value; some of them are blanks to many parsers."""
NO_FIELD = [
    b"no colon", b"X", b": no name", b":", b"Bad[Name: x", b"Bad Name: x", b"Bad\tName: x", b'"X": x', b"X(y): x",
    b"X/y: x", b"X@y: x", b"X\xe9: x", b"X\x00: x", b"X\x7f: x", b"X\xa0: x", b"{X}: x", b"GET / HTTP/1.1",
]  # fmt: skip


@pytest.mark.parametrize("bad", CONTROLS, ids=repr)
async def test_b8_a_control_in_a_value_is_refused(rig: Rig, transmission: Form, bad: bytes) -> None:
    await rig.start()
    await refuses(rig, transmission, request(b"GET /", b"X: a" + bad, b"Y: 1"), 400, "field")


@pytest.mark.parametrize("bad", CONTROLS, ids=repr)
async def test_b8_a_control_in_a_value_of_a_backend_is_a_502(rig: Rig, transmission: Form, bad: bytes) -> None:
    await spoils(rig, transmission, transmission.response(DATE, b"X: a" + bad, b"Y: 1", body=b"ok"))


async def test_b8_so_it_is_in_values_that_were_seen_before(rig: Rig, transmission: Form) -> None:
    await rig.start()
    client = await rig.client()
    for number in range(100):  # more than it takes for a name to be known
        await client.send(request(b"GET /", b"X-Known: %d" % number))
        assert (await client.read_response()).status == 200
    connections = len(rig.primary.connections)
    await transmission.send(client, request(b"GET /", b"X-Known: \x00"))
    assert (await client.read_response()).status == 400
    assert (len(rig.primary.requests), len(rig.primary.connections)) == (100, connections)


@pytest.mark.parametrize(
    "line",
    [b"X : 1", b"X\t: 1", b"X \t : 1", b"X :", b"Content-Length : 5", b"Transfer-Encoding : chunked", b"Host : a"],
)
async def test_b9_a_blank_before_the_colon_is_refused(rig: Rig, transmission: Form, line: bytes) -> None:
    await rig.start()
    await refuses(rig, transmission, request(b"POST /", line), 400, "field")


async def test_b9_of_a_backend_it_is_removed(rig: Rig, form: Form) -> None:
    await relays(
        rig,
        form,
        answered=form.response(DATE.replace(b":", b" :", 1), b"X : 1", b"Y \t : a : b", b"Set-Cookie\t:c", body=b"ok"),
        relayed=form.relayed(DATE, b"X: 1", b"Y: a : b", b"Set-Cookie:c", body=b"ok"),
    )


async def test_b9_a_field_we_read_is_read_without_the_blank(rig: Rig, form: Form) -> None:
    answered = form.response(DATE, b"Keep-Alive : timeout=9", body=b"ok")
    answered = answered.replace(b"Content-Length:", b"Content-Length\t:").replace(
        b"Transfer-Encoding:", b"Transfer-Encoding :"
    )
    await relays(rig, form, answered=answered, relayed=form.relayed(DATE, body=b"ok"))


@pytest.mark.parametrize("line", NO_FIELD, ids=repr)
async def test_b10_a_line_that_is_no_field_is_refused(rig: Rig, transmission: Form, line: bytes) -> None:
    await rig.start()
    await refuses(rig, transmission, request(b"GET /", b"X: 1", line, b"Y: 1"), 400, "field")


@pytest.mark.parametrize("line", NO_FIELD, ids=repr)
async def test_b10_a_line_of_a_backend_that_is_no_field_is_a_502(rig: Rig, transmission: Form, line: bytes) -> None:
    await spoils(rig, transmission, transmission.response(DATE, b"X: 1", line, b"Y: 1", body=b"ok"))


FOLDS = {
    b"X: a\r\n b": b"X: a b",
    b"X: a\r\n\tb": b"X: a b",
    b"X: a \t\r\n \t b": b"X: a b",
    b"X: a\r\n b\r\n\tc": b"X: a b c",
    b"X:\r\n a": b"X: a",
    b"X: a\r\n Y: b": b"X: a Y: b",
    b"X: a\n b": b"X: a b",
    b"Set-Cookie: a=1;\r\n Path=/": b"Set-Cookie: a=1; Path=/",
}


@pytest.mark.parametrize("line", [*FOLDS, b"X: a\r\n ", b"X:\r\n\t", b"Expect: 100-\r\n continue"], ids=repr)
async def test_b11_a_folded_line_is_refused(rig: Rig, transmission: Form, line: bytes) -> None:
    await rig.start()
    await refuses(rig, transmission, request(b"GET /", line, b"Z: 1"), 400, "field")


@pytest.mark.parametrize(
    ("line", "reason"),
    [(b"Content-Length:\r\n 5", "framing"), (b"Transfer-Encoding:\r\n chunked", "framing"), (b"Host:\r\n a", "host")],
)
async def test_b11_a_folded_line_that_frames_or_routes_is_refused(
    rig: Rig, transmission: Form, line: bytes, reason: str
) -> None:
    await rig.start()
    sent = b"\r\n".join([b"POST / HTTP/1.1", *([b"Host: a"] if reason == "framing" else ()), line, b"", b""])
    await refuses(rig, transmission, sent, 400, reason)


@pytest.mark.parametrize("line", FOLDS, ids=repr)
async def test_b11_each_fold_of_a_backend_becomes_one_space(rig: Rig, transmission: Form, line: bytes) -> None:
    await relays(
        rig,
        transmission,
        answered=transmission.response(DATE, line, b"Z: 1", body=b"ok"),
        relayed=transmission.relayed(DATE, FOLDS[line], b"Z: 1", body=b"ok"),
    )


async def test_b11_a_folded_field_we_read_is_read_whole(rig: Rig, form: Form) -> None:
    answered = form.response(DATE, b"Connection: x,\r\n y", b"X: 1", b"Y: 1", body=b"ok")
    answered = answered.replace(b"Content-Length: ", b"Content-Length:\r\n\t").replace(b"Encoding: ", b"Encoding:\r\n ")
    await relays(rig, form, answered=answered, relayed=form.relayed(DATE, body=b"ok"))


@pytest.mark.parametrize("blank", [b" ", b"\t", b" X: 1", b"\tX: 1", b" Host: a"], ids=repr)
async def test_b11_a_blank_before_the_first_field_is_refused(rig: Rig, transmission: Form, blank: bytes) -> None:
    await rig.start()
    await refuses(rig, transmission, GET.replace(b"Host:", blank + b"\r\nHost:"), 400, "field")


@pytest.mark.parametrize("blank", [b" ", b"\t", b" X: 1", b"\tX: 1"], ids=repr)
async def test_b11_a_blank_before_the_first_field_of_a_backend_is_a_502(
    rig: Rig, transmission: Form, blank: bytes
) -> None:
    await spoils(rig, transmission, transmission.response(blank, DATE, body=b"ok"))


BARE_LF = {
    b"GET / HTTP/1.1\nHost: a\n\n": "request_line",
    b"GET / HTTP/1.1\nHost: a\r\n\r\n": "request_line",
    b"GET / HTTP/1.1\r\nHost: a\n\r\n": "field",
    b"GET / HTTP/1.1\r\nHost: a\r\n\n": "field",
    b"GET / HTTP/1.1\r\nX: 1\nHost: a\r\n\r\n": "field",
    b"GET /\n HTTP/1.1\r\nHost: a\r\n\r\n": "request_line",
    b"POST / HTTP/1.1\r\nHost: a\r\nX: 1\nContent-Length: 5\r\n\r\nhello": "field",
}
BARE_CR = {
    b"GET / HTTP/1.1\rHost: a\r\r": "request_line",
    b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n": "request_line",
    b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n": "request_line",
    b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n": "field",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n": "field",
    b"GET / HTTP/1.1\r\nX: 1\rHost: b\r\nHost: a\r\n\r\n": "field",
    b"GET / HTTP/1.1\r\nX\r: 1\r\nHost: a\r\n\r\n": "field",
}


@pytest.mark.parametrize("sent", [*BARE_LF, *BARE_CR], ids=repr)
async def test_b12_a_bare_cr_or_lf_in_a_head_is_refused(rig: Rig, transmission: Form, sent: bytes) -> None:
    await rig.start()
    await refuses(rig, transmission, sent, 400, {**BARE_LF, **BARE_CR}[sent])


@pytest.mark.parametrize("ends", [[b"\n"], [b"\n", b"\r\n"], [b"\r\n", b"\n"], [b"\r\n", b"\r\n", b"\n"]], ids=repr)
async def test_b12_a_bare_lf_of_a_backend_is_sent_on_as_crlf(rig: Rig, form: Form, ends: list[bytes]) -> None:
    head, _, body = form.response(b"X: 1", DATE, body=b"ok").partition(b"\r\n\r\n")
    lines = [*head.split(b"\r\n"), b""]
    answered = b"".join(line + end for line, end in zip(lines, cycle(ends), strict=False)) + body
    await relays(rig, form, answered=answered, relayed=form.relayed(b"X: 1", DATE, body=b"ok"))


@pytest.mark.parametrize(
    ("whole", "cut"),
    [
        (b" OK\r\n", b" O\rK\r\n"), (b" OK\r\n", b"\r OK\r\n"), (b" OK\r\n", b" OK\r\r\n"), (b" OK\r\n", b" OK\r"),
        (b"X: 1", b"X: 1\rY: 2"), (b"X: 1", b"X\r: 1"), (b"X: 1", b"X: 1\r"), (b"X: 1", b"X: 1\r "),
        (b"X: 1", b"\rX: 1"),
    ],
    ids=repr,
)  # fmt: skip
async def test_b12_a_bare_cr_of_a_backend_is_a_502(rig: Rig, transmission: Form, whole: bytes, cut: bytes) -> None:
    await spoils(rig, transmission, transmission.response(DATE, b"X: 1", b"Z: 1", body=b"ok").replace(whole, cut, 1))
