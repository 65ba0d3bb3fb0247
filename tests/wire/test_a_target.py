"""The request target: its bytes, its forms, and who wins between it and Host."""

import pytest

from proxy.core.families import REQUESTS
from tests.wire.forms import Form, ended, healthy, refuses, relays
from tests.wire.rig import Rig, problem, request, without_date

UNTOUCHED = b"/a%2Fb%20c/./../d//e;p=1?x=%2B+&y=[]|^{}&z=a%c3%28%zz`"
CONTROLS = [b"\x00", b"\x01", b"\x08", b"\t", b"\x0b", b"\x0c", b"\x0e", b"\x1b", b"\x1c", b"\x1f", b"\x7f"]
OVER_7F = [b"\x80", b"\x85", b"\xa0", b"\xc3\xa9", b"\xff"]
ABSOLUTE = {
    b"http://o:81/p?q": (b"/p?q", b"o:81"),
    b"http://o:81": (b"/", b"o:81"),
    b"http://o:81/": (b"/", b"o:81"),
    b"http://o:81?q": (b"/?q", b"o:81"),
    b"HtTp://o:81//a/../b?": (b"//a/../b?", b"o:81"),
    b"http://O.Example/": (b"/", b"O.Example"),
    b"http://[::1]:81/p?http://x": (b"/p?http://x", b"[::1]:81"),
    b"http://1.2.3.4:81/a?b/c?d": (b"/a?b/c?d", b"1.2.3.4:81"),
}
"""Absolute forms, each with the target and the Host the backend must get for it."""


def host_last(forwarded: bytes) -> bytes:
    """The same head with its Host where a proxy writes one: behind the lines that were kept."""
    lines = forwarded.split(b"\r\n")
    lines.insert(next(at for at, line in enumerate(lines) if line.startswith(b"Via:")), lines[1])
    return b"\r\n".join([lines[0], *lines[2:]])


@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_a1_the_target_arrives_byte_for_byte(rig: Rig, form: Form, method: bytes) -> None:
    line, body = method + b" " + UNTOUCHED, b"hello" if method == b"POST" else b""
    await relays(rig, form, sent=form.request(line, body=body), forwarded=form.forwarded(line, body=body))


async def test_a1_endpoints_match_on_the_path_as_it_was_sent(rig: Rig) -> None:
    matches = {"escaped": "GET /a%2Fb/{id}", "plain": "GET /a/b/{id}", "dots": "GET /x/../a/b/{id}"}
    await rig.start(service={"endpoints": [{"name": name, "match": match} for name, match in matches.items()]})
    client = await rig.client()
    paths = [b"/a%2Fb/1", b"/a%2fb/1", b"/x/../a/b/1", b"/a/b/1", b"//a/b/1", b"/a%2Fb%2F1"]
    for path in paths:
        await client.send(request(b"GET " + path))
        assert (await client.read_response()).status == 200
    assert [got.target for got in rig.primary.requests] == paths
    counted = rig.plane.tally().by(REQUESTS, "endpoint")
    assert {name: count for name, count in counted.items() if count} == {
        "escaped": 1, "plain": 1, "dots": 1, "other": 3
    }  # fmt: skip
    await healthy(rig, client)


@pytest.mark.parametrize("bad", [*CONTROLS, *OVER_7F], ids=repr)
async def test_a2_controls_and_bytes_over_7f_are_refused(rig: Rig, transmission: Form, bad: bytes) -> None:
    await rig.start()
    await refuses(rig, transmission, request(b"GET /x" + bad + b"y"), 400, "target")


async def test_a2_printable_bytes_that_ought_to_be_escaped_pass_as_they_are(rig: Rig, form: Form) -> None:
    line = b'GET /"<>\\^{}|`?"<>\\^{}|`'
    await relays(rig, form, sent=form.request(line), forwarded=form.forwarded(line))


@pytest.mark.parametrize("target", [b"/#", b"/p#f", b"/p?q#f", b"#", b"http://a/p#f", b"http://a#f"], ids=repr)
async def test_a3_a_fragment_is_refused(rig: Rig, transmission: Form, target: bytes) -> None:
    await rig.start()
    await refuses(rig, transmission, request(b"GET " + target), 400, "target")


@pytest.mark.parametrize("target", ABSOLUTE, ids=repr)
async def test_a4_absolute_form_is_sent_in_origin_form(rig: Rig, transmission: Form, target: bytes) -> None:
    origin, host = ABSOLUTE[target]
    sent = transmission.request(b"GET " + target, b"X: 1", host=host)
    forwarded = host_last(transmission.forwarded(b"GET " + origin, b"X: 1", host=host))
    await relays(rig, transmission, sent=sent, forwarded=forwarded)


async def test_a4_http_1_0_needs_no_host_beside_it(rig: Rig, transmission: Form) -> None:
    await rig.start()
    client = await rig.client()
    await transmission.send(client, b"GET http://o:81/p HTTP/1.0\r\n\r\n")
    assert (await client.read_response()).status == 200
    (got,) = rig.primary.requests
    assert got.raw.startswith(b"GET /p HTTP/1.1\r\nHost: o:81\r\nVia: 1.0 ")
    await ended(client)


@pytest.mark.parametrize(
    "target",
    [
        b"https://a/", b"ftp://a/", b"httpx://a/", b"http:/a/", b"http:a", b"a:80/", b"a", b"?q", b"http", b"urn:a:b",
        b"http://u@a/", b"http://u:p@a/", b"http://@a/", b"http://", b"http:///p", b"http://:80/", b"http://?q",
        b"http://a:99999/", b"http://a:x/", b"http://a,b/", b"http://[::1/", b"http://[a]/", b"http://a\\b/",
    ],
    ids=repr,
)  # fmt: skip
async def test_a4_any_other_scheme_userinfo_or_bad_authority_is_refused(
    rig: Rig, transmission: Form, target: bytes
) -> None:
    await rig.start()
    await refuses(rig, transmission, request(b"GET " + target), 400, "target")


@pytest.mark.parametrize("body", [b"", b"hello"])
async def test_a5_the_target_wins_over_a_host_that_differs(rig: Rig, form: Form, body: bytes) -> None:
    await relays(
        rig,
        form,
        sent=form.request(b"PUT http://o:81/p?q", b"X: 1", body=body, host=b"stranger:82"),
        forwarded=host_last(form.forwarded(b"PUT /p?q", b"X: 1", body=body, host=b"o:81")),
        service={"hosts": ["a", "o"]},
    )


async def test_a5_the_host_that_lost_does_not_route(rig: Rig, transmission: Form) -> None:
    await rig.start(service={"hosts": ["a"]})
    client = await rig.client()
    await transmission.send(client, request(b"GET http://stranger/p"))
    answer = without_date((await client.read_response()).raw)
    assert answer == problem(404, "no_service", "destination_not_found", close=False)
    assert not rig.primary.connections
    await healthy(rig, client)


@pytest.mark.parametrize(
    "hosts", [(), (b"Host: a", b"Host: a"), (b"Host:",), (b"Host: u@a",), (b"Host: a/b",)], ids=repr
)
async def test_a5_a_missing_double_or_invalid_host_is_refused_all_the_same(
    rig: Rig, transmission: Form, hosts: tuple[bytes, ...]
) -> None:
    await rig.start()
    sent = b"\r\n".join([b"GET http://a/ HTTP/1.1", *hosts, b"", b""])
    await refuses(rig, transmission, sent, 400, "host")


async def test_a6_options_for_the_whole_server_passes(rig: Rig, form: Form) -> None:
    sent, forwarded = form.request(b"OPTIONS *", b"X: 1"), form.forwarded(b"OPTIONS *", b"X: 1")
    await relays(rig, form, sent=sent, forwarded=forwarded, method="OPTIONS", service={"hosts": ["a"]})


async def test_a6_options_for_the_whole_server_is_routed_by_its_host(rig: Rig, transmission: Form) -> None:
    await rig.start(service={"hosts": ["a"]})
    client = await rig.client()
    await transmission.send(client, transmission.request(b"OPTIONS *", host=b"stranger"))
    assert (await client.read_response()).status == 404
    assert not rig.primary.connections
    await healthy(rig, client)


@pytest.mark.parametrize(
    "line", [b"GET *", b"HEAD *", b"POST *", b"PUT *", b"DELETE *", b"FOO *", b"TRACE *", b"OPTIONS *x", b"OPTIONS **"]
)
async def test_a6_an_asterisk_with_any_other_method_is_refused(rig: Rig, transmission: Form, line: bytes) -> None:
    await rig.start()
    await refuses(rig, transmission, request(line), 400, "target", method=line.split()[0].decode())


@pytest.mark.parametrize(
    ("target", "forwarded"), [(b"http://a", b"*"), (b"http://a/", b"/"), (b"http://a?q", b"/?q"), (b"http://a?", b"/?")]
)
async def test_a7_options_with_an_empty_path_and_query_is_for_the_whole_server(
    rig: Rig, form: Form, target: bytes, forwarded: bytes
) -> None:
    sent = form.request(b"OPTIONS " + target)
    await relays(rig, form, sent=sent, forwarded=host_last(form.forwarded(b"OPTIONS " + forwarded)), method="OPTIONS")
