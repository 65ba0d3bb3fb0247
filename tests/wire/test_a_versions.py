"""The shape of the request line, the version in it, and what may stand before it."""

import pytest

from tests.wire.forms import DATE, Form, ended, healthy, joined, refuses, relays
from tests.wire.rig import FORWARDED, GET, Rig, request, response, sized

HOST = b"\r\nHost: a\r\n\r\n"
UNREADABLE = [
    b"GET  / HTTP/1.1", b"GET /  HTTP/1.1", b"GET\t/ HTTP/1.1", b"GET /\tHTTP/1.1", b"GET / \tHTTP/1.1",
    b" GET / HTTP/1.1", b"\tGET / HTTP/1.1", b"GET / HTTP/1.1 ", b"GET / HTTP/1.1\t", b"GET / x HTTP/1.1",
    b"GET HTTP/1.1", b"GET / ", b"GET /", b"GET", b" ", b"GET\x0b/ HTTP/1.1", b"GET\xa0/ HTTP/1.1",
    b"GET / HTTP/1", b"GET / HTTP/1.", b"GET / HTTP/.1", b"GET / HTTP/", b"GET / HTTP", b"GET / http/1.1",
    b"GET / hTTP/1.1", b"GET / Http/1.1", b"GET / HTTP/01.01", b"GET / HTTP/1.01", b"GET / HTTP/1.10",
    b"GET / HTTP/10.1", b"GET / HTTP/ 1.1", b"GET / HTTP /1.1", b"GET / HTTP/1,1", b"GET / HTTP/1.1x",
    b"GET / HTTP/1.x", b"GET / HTTP/-1.1", b"GET / HTTP/1.\xb9", b"GET / ICE/1.0", b"SOURCE / ICE/1.0",
    b"GET / RTSP/1.0", b"GET / HTTPS/1.1", b"GET / SIP/2.0", b"PRI * HTTP/2.0",
]  # fmt: skip


@pytest.mark.parametrize("line", UNREADABLE, ids=repr)
async def test_a12_a_request_line_of_any_other_shape_is_refused(rig: Rig, transmission: Form, line: bytes) -> None:
    await rig.start()
    await refuses(rig, transmission, line + HOST, 400, "request_line")


async def test_a12_an_empty_target_is_refused(rig: Rig, transmission: Form) -> None:
    await rig.start()
    await refuses(rig, transmission, b"GET  HTTP/1.1" + HOST, 400, "target")


@pytest.mark.parametrize("version", [b"0.9", b"0.0", b"2.0", b"3.0", b"9.9"])
async def test_a12_another_major_version_is_refused_as_such(rig: Rig, transmission: Form, version: bytes) -> None:
    await rig.start()
    await refuses(rig, transmission, b"GET / HTTP/" + version + HOST, 505, "version")


@pytest.mark.parametrize("minor", range(2, 10))
async def test_a12_a_later_minor_version_is_treated_as_1_1(rig: Rig, transmission: Form, minor: int) -> None:
    version = b"HTTP/1.%d" % minor
    await relays(
        rig,
        transmission,
        sent=transmission.request(b"PUT /", body=b"hello").replace(b"HTTP/1.1", version, 1),
        forwarded=transmission.forwarded(b"PUT /", body=b"hello"),
        answered=transmission.response(DATE, body=b"ok").replace(b"HTTP/1.1", version, 1),
        relayed=transmission.relayed(DATE, body=b"ok"),
    )


@pytest.mark.parametrize("lines", range(1, 5))
async def test_a13_up_to_four_empty_lines_before_a_request_are_skipped(rig: Rig, form: Form, lines: int) -> None:
    await rig.start(*[form.reply(form.response(DATE, body=b"ok"))] * 2)
    client = await rig.client()
    await form.send(client, b"\r\n" * lines + request(b"GET /1") + b"\r\n" * lines + form.request(b"GET /2"))
    first, second = [joined(await client.read_response()) for _ in range(2)]
    if not form.close:
        assert [first, second] == [form.relayed(DATE, body=b"ok")] * 2
    assert [got.raw for got in rig.primary.requests] == [form.forwarded(b"GET /1"), form.forwarded(b"GET /2")]
    await form.afterwards(rig, client)


BEFORE = [b"\r\n" * 5, b"\n", b"\r\n\n", b"\r\n\r\n\r\n\r\n\n", b"\rGET", b"\r\n\r", b"\r\r\n", b" \r\n"]


@pytest.mark.parametrize("before", BEFORE, ids=repr)
async def test_a13_a_fifth_empty_line_or_a_bare_line_end_is_refused(
    rig: Rig, transmission: Form, before: bytes
) -> None:
    await rig.start()
    await refuses(rig, transmission, before + GET, 400, "request_line")


@pytest.mark.parametrize("before", BEFORE, ids=repr)
async def test_a13_so_it_is_before_a_later_request(rig: Rig, transmission: Form, before: bytes) -> None:
    await rig.start()
    client = await rig.client()
    await healthy(rig, client)
    await transmission.send(client, before + GET)
    assert (await client.read_response()).status == 400
    await ended(client)
    assert len(rig.primary.requests) == 1
    assert rig.refusals() == {"request_line": 1}


STATUS_LINES = {
    b"HTTP/1.1 200 OK": b"HTTP/1.1 200 OK",
    b"HTTP/1.0 200 Fine": b"HTTP/1.1 200 Fine",
    b"HTTP/1.9 200 Later": b"HTTP/1.1 200 Later",
    b"HTTP/1.1 200 ": b"HTTP/1.1 200 ",
    b"HTTP/1.1 200": b"HTTP/1.1 200 ",
    b"HTTP/1.0 418 I'm a  \t teapot ": b"HTTP/1.1 418 I'm a  \t teapot ",
    b"HTTP/1.1 299 \xe9 odd": b"HTTP/1.1 299 \xe9 odd",
    b"HTTP/1.1 999 " + b"x" * 1000: b"HTTP/1.1 999 " + b"x" * 1000,
}


@pytest.mark.parametrize("start", STATUS_LINES, ids=lambda start: repr(start[:30]))
async def test_a15_the_status_line_has_our_version_and_the_backends_reason(
    rig: Rig, transmission: Form, start: bytes
) -> None:
    await relays(
        rig,
        transmission,
        answered=transmission.response(DATE, body=b"ok", start=start),
        relayed=transmission.relayed(DATE, body=b"ok", start=STATUS_LINES[start]),
    )


async def test_a15_the_request_line_has_our_version_and_so_has_the_answer(rig: Rig, transmission: Form) -> None:
    await rig.start(transmission.reply(sized(b"ok", DATE)))
    client = await rig.client()
    await transmission.send(client, b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    answer = response(DATE, b"Content-Length: 2", b"Connection: close", body=b"ok")
    assert (await client.read_response()).raw == answer
    (got,) = rig.primary.requests
    assert got.raw == b"\r\n".join(
        [b"GET / HTTP/1.1", b"Host: a", b"Via: 1.0 " + FORWARDED[0][9:], *FORWARDED[1:], b"", b""]
    )
    await ended(client)
