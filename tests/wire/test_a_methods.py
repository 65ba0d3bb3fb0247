"""Methods: what passes, what is answered here, what is refused."""

import pytest

from proxy.core.families import MIRRORS
from tests.kit.script import read_request, reset
from tests.wire.forms import DATE, Form, ended, healthy, refuses, relays
from tests.wire.rig import GET, Rig, problem, request, response, sized, without_date

ALLOW = "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
EVERY_TOKEN_BYTE = b"!#$%&'*+-.^_`|~019AZaz"
UNKNOWN = [b"FOO", b"PROPFIND", b"QUERY", b"SOURCE", b"M-SEARCH", b"foo", b"GETS", EVERY_TOKEN_BYTE]
NOT_MIRRORED = [*UNKNOWN, b"POST", b"PUT", b"PATCH", b"DELETE"]


@pytest.mark.parametrize("target", [b"a:443", b"a", b"/", b"*", b"http://a/", b"[::1]:443"], ids=repr)
async def test_a8_connect_is_refused_and_never_a_tunnel(rig: Rig, transmission: Form, target: bytes) -> None:
    await rig.start()
    await refuses(rig, transmission, request(b"CONNECT " + target), 501, "connect")


async def test_a8_connect_is_refused_whatever_follows_it(rig: Rig, transmission: Form) -> None:
    await rig.start()
    hello = request(b"CONNECT a:443", b"Content-Length: 5", b"Connection: keep-alive", body=b"\x16\x03\x01\x02\x00")
    await refuses(rig, transmission, hello, 501, "connect")


async def test_a9_trace_is_refused_here_and_the_connection_kept(rig: Rig, transmission: Form) -> None:
    await rig.start()
    client = await rig.client()
    for line in (b"TRACE /", b"TRACE http://a/"):
        await transmission.send(client, request(line, b"Max-Forwards: 5"))
        answer = without_date((await client.read_response("TRACE")).raw)
        assert answer == problem(405, "trace", "http_request_error", close=False, more=[ALLOW])
    assert not rig.primary.connections
    assert rig.refusals() == {"trace": 2}
    await healthy(rig, client)


@pytest.mark.parametrize(
    "sent",
    [
        request(b"TRACE /", b"Connection: close"),
        request(b"TRACE /", b"Content-Length: 5", body=b"hello"),
        b"TRACE / HTTP/1.0\r\n\r\n",
    ],
    ids=["close", "body", "1.0"],
)
async def test_a9_a_trace_that_is_the_last_request_ends_the_connection(
    rig: Rig, transmission: Form, sent: bytes
) -> None:
    await rig.start()
    client = await rig.client()
    await transmission.send(client, sent + GET)
    answer = without_date((await client.read_response("TRACE")).raw)
    assert answer == problem(405, "trace", "http_request_error", close=True, more=[ALLOW])
    await ended(client)
    assert not rig.primary.connections


@pytest.mark.parametrize("line", [b"OPTIONS /", b"OPTIONS *", b"OPTIONS http://a"])
async def test_a9_options_at_its_last_hop_is_answered_here(rig: Rig, form: Form, line: bytes) -> None:
    await rig.start()
    client = await rig.client()
    await form.send(client, form.request(line, b"Max-Forwards: 0"))
    closing = [b"Connection: close"] if form.close else []
    answer = without_date((await client.read_response("OPTIONS")).raw)
    assert answer == response(ALLOW.encode(), b"Content-Length: 0", *closing)
    assert not rig.primary.connections
    assert rig.refusals() == {"max_forwards": 1}
    await form.afterwards(rig, client)


async def test_a9_options_at_its_last_hop_ends_a_http_1_0_connection(rig: Rig, transmission: Form) -> None:
    await rig.start()
    client = await rig.client()
    await transmission.send(client, b"OPTIONS / HTTP/1.0\r\nMax-Forwards: 0\r\nConnection: keep-alive\r\n\r\n")
    answer = without_date((await client.read_response("OPTIONS")).raw)
    assert answer == response(ALLOW.encode(), b"Content-Length: 0", b"Connection: close")
    await ended(client)


@pytest.mark.parametrize(
    ("hops", "left"),
    [(b"1", b"0"), (b"10", b"9"), (b"007", b"6"), (b" \t5\t ", b"4"), (b"99999999999", b"2147483646")],
    ids=repr,
)
async def test_a9_options_goes_on_with_one_hop_less(rig: Rig, transmission: Form, hops: bytes, left: bytes) -> None:
    await relays(
        rig,
        transmission,
        sent=transmission.request(b"OPTIONS /", b"mAx-Forwards:" + hops, b"X: 1"),
        forwarded=transmission.forwarded(b"OPTIONS /", b"X: 1", b"Max-Forwards: " + left),
        method="OPTIONS",
    )


@pytest.mark.parametrize("hops", [b"x", b"-1", b"+1", b"", b"1.5", b"0x1", b"1 2", b"5, 5", b"\xb2"], ids=repr)
async def test_a9_options_whose_hops_are_no_digits_is_refused(rig: Rig, transmission: Form, hops: bytes) -> None:
    await rig.start()
    await refuses(rig, transmission, request(b"OPTIONS /", b"Max-Forwards: " + hops), 400, "field")


async def test_a9_options_with_two_counts_of_hops_is_refused(rig: Rig, transmission: Form) -> None:
    await rig.start()
    await refuses(rig, transmission, request(b"OPTIONS /", b"Max-Forwards: 5", b"Max-Forwards: 5"), 400, "field")


@pytest.mark.parametrize("method", [b"GET", b"POST", b"QUERY"])
@pytest.mark.parametrize("hops", [b"0", b"x"])
async def test_a9_other_methods_do_not_count_hops(rig: Rig, transmission: Form, method: bytes, hops: bytes) -> None:
    line, field = method + b" /", b"Max-Forwards: " + hops
    await relays(
        rig,
        transmission,
        sent=transmission.request(line, field),
        forwarded=transmission.forwarded(line, field),
    )


@pytest.mark.parametrize("method", UNKNOWN, ids=repr)
async def test_a10_an_unknown_method_passes_and_is_not_mirrored(rig: Rig, form: Form, method: bytes) -> None:
    line = method + b" /x"
    await relays(
        rig,
        form,
        sent=form.request(line, body=b"hello"),
        forwarded=form.forwarded(line, body=b"hello"),
    )
    assert [copy.method for copy in rig.candidate.requests] == ([] if form.close else [b"GET"])
    assert rig.plane.tally().total(MIRRORS, result="method") == 1


@pytest.mark.parametrize("method", NOT_MIRRORED, ids=repr)
async def test_a10_a_read_only_endpoint_is_mirrored_whatever_its_method(
    rig: Rig, transmission: Form, method: bytes
) -> None:
    line = method + b" /search"
    await relays(
        rig,
        transmission,
        sent=transmission.request(line, body=b"hello"),
        forwarded=transmission.forwarded(line, body=b"hello"),
        service={"endpoints": [{"name": "search", "match": "* /search", "read_only": True}]},
    )
    assert sorted(copy.method for copy in rig.candidate.requests) == sorted([method, b"GET"])


@pytest.mark.parametrize("method", [*UNKNOWN, b"POST", b"PATCH"], ids=repr)
async def test_a10_a_request_that_may_not_be_repeated_never_is(rig: Rig, transmission: Form, method: bytes) -> None:
    await rig.start(transmission.reply(sized(b"ok", DATE)), (read_request(), reset()))
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).status == 200
    await transmission.send(client, request(method + b" /once"))
    answer = without_date((await client.read_response()).raw)
    assert answer == problem(502, "reset", "connection_terminated", close=False)
    assert [got.target for got in rig.primary.requests] == [b"/", b"/once"]
    await healthy(rig, client)


@pytest.mark.parametrize("byte", list(b'"(),/:;<=>?@[\\]{}\x00\x01\x0b\x7f\x80\xff'), ids=chr)
async def test_a10_a_byte_that_is_in_no_method_is_refused(rig: Rig, transmission: Form, byte: int) -> None:
    await rig.start()
    await refuses(rig, transmission, request(b"G%cT /" % byte), 400, "request_line")


@pytest.mark.parametrize(
    "method",
    [
        b"get", b"Get", b"gET", b"head", b"Post", b"puT", b"Patch", b"delete", b"Options", b"trace", b"Connect", b"pri",
    ],
)  # fmt: skip
async def test_a11_a_case_variant_of_a_known_method_is_refused(rig: Rig, transmission: Form, method: bytes) -> None:
    await rig.start()
    await refuses(rig, transmission, request(method + b" /"), 400, "method")
