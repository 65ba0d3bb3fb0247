"""Host: exactly one, and one that can only be read one way."""

import pytest

from tests.wire.forms import DATE, Form, ended, refuses, relays
from tests.wire.rig import FORWARDED, Rig, response

VALID = [
    b"a", b"a.example", b"A.Example.", b"a:80", b"a:", b"a:0", b"a:65535", b"a:00080", b"a_b-c~d",
    b"xn--bcher-kva.example", b"1.2.3.4", b"1.2.3.4:81", b"[::1]", b"[::1]:81", b"[::1]:", b"[2001:db8::FFFF:1.2.3.4]",
    b"%61", b"a!$&'()*+;=b",
]  # fmt: skip
INVALID = [
    b"", b" ", b"u@a", b"u:p@a", b"@a", b"a/b", b"a/", b"/a", b"http://a", b"a,b", b"a, b", b"a,", b"a b", b"a\tb",
    b"a:99999", b"a:65536", b"a:x", b"a:-1", b"a:+80", b"a: 80", b"a :80", b"a:80:80", b":80", b":", b"a:\xb2",
    b"::1", b"[::1", b"::1]", b"[]", b"[a]", b"[1.2.3.4]", b"[:::]", b"[::1]a", b"[::1%25eth0]", b"[::1]:x", b"[v1.a]",
    b"a?b", b"a#b", b"a\\b", b"a\x00", b"a\x7f", b"\xe9", b"%zz", b"%6", b'"a"', b"<a>", b"{a}", b"a|b", b"a^b", b"a`b",
]  # fmt: skip
START = b"GET / HTTP/1.1"


@pytest.mark.parametrize("host", VALID, ids=repr)
async def test_b22_a_name_or_address_with_a_port_passes(rig: Rig, transmission: Form, host: bytes) -> None:
    await relays(
        rig,
        transmission,
        sent=transmission.request(b"GET /", host=host),
        forwarded=transmission.forwarded(b"GET /", host=host),
    )


@pytest.mark.parametrize("host", INVALID, ids=repr)
async def test_b22_any_other_host_is_refused(rig: Rig, transmission: Form, host: bytes) -> None:
    await rig.start()
    await refuses(rig, transmission, b"\r\n".join([START, b"Host: " + host, b"", b""]), 400, "host")


@pytest.mark.parametrize("start", [START, b"OPTIONS * HTTP/1.1", b"POST http://a/ HTTP/1.1", b"GET / HTTP/1.2"])
@pytest.mark.parametrize(
    "lines", [(), (b"Host: a", b"Host: a"), (b"Host: a", b"X: 1", b"hOST: b"), (b"Host:",)], ids=repr
)
async def test_b22_none_two_or_an_empty_one_is_refused_in_every_form(
    rig: Rig, transmission: Form, start: bytes, lines: tuple[bytes, ...]
) -> None:
    await rig.start()
    await refuses(rig, transmission, b"\r\n".join([start, *lines, b"", b""]), 400, "host")


@pytest.mark.parametrize("lines", [(b"Host: a", b"Host: a"), (b"Host:",), (b"Host: u@a",)], ids=repr)
async def test_b22_a_http_1_0_request_may_not_have_a_bad_one_either(
    rig: Rig, transmission: Form, lines: tuple[bytes, ...]
) -> None:
    await rig.start()
    await refuses(rig, transmission, b"\r\n".join([b"GET / HTTP/1.0", *lines, b"", b""]), 400, "host")


async def test_b22_a_http_1_0_request_without_one_is_served_with_the_backends_own(rig: Rig, transmission: Form) -> None:
    await rig.start(transmission.reply(transmission.response(DATE, body=b"ok")))
    client = await rig.client()
    await transmission.send(client, b"GET / HTTP/1.0\r\nX: 1\r\n\r\n")
    expected = response(DATE, b"Content-Length: 2", b"Connection: close", body=b"ok")
    assert (await client.read_response()).raw == expected
    own = b"127.0.0.1:%d" % rig.primary.port
    via = b"Via: 1.0 " + FORWARDED[0].rpartition(b" ")[2]
    (got,) = rig.primary.requests
    assert got.raw == b"\r\n".join([START, b"X: 1", b"Host: " + own, via, *FORWARDED[1:3], b"", b""])
    await ended(client)
