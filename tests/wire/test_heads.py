import re

import pytest

from tests.kit.script import read_request, respond, send
from tests.kit.wire import Ending
from tests.wire.rig import FORWARDED, GET, INSTANCE, Rig, request, response, sized, without_date

LINES = [
    b"X-b: 2", b"X-B: 3", b"X-b:2", b"aCCept:\t text/html , */* \t", b"X-Empty:", b"X-Obs: \xe9\xff", b"X_under: 1",
    b"Authorization: Basic x", b"Cookie: a=1", b"cookie: b=2", b"Referer: r",
]  # fmt: skip


async def received_head(rig: Rig, data: bytes) -> tuple[bytes, list[bytes]]:
    """The request line and field lines the primary gets; the candidate's copy differs by our marker only."""
    assert (await rig.ask(data)).status == 200
    await rig.quiet()
    (served,) = rig.primary.requests
    for copy in rig.candidate.requests:
        assert (copy.start_line, copy.body) == (served.start_line, served.body)
        assert copy.lines == [*served.lines, b"X-Shadow-Request: 1"]
    return served.start_line, served.lines


async def test_a_request_head_keeps_order_case_duplicates_spacing_and_obs_text(rig: Rig) -> None:
    await rig.start()
    data = b"\r\n".join([b"GET /a%2Fb/../c?q=[]|^{}`&z=%zz HTTP/1.1", LINES[0], b"hOsT:  a", *LINES[1:], b"", b""])
    start, lines = await received_head(rig, data)
    assert start == b"GET /a%2Fb/../c?q=[]|^{}`&z=%zz HTTP/1.1"
    assert lines == [LINES[0], b"hOsT:  a", *LINES[1:], *FORWARDED]
    assert len(rig.candidate.requests) == 1


async def test_a_response_head_keeps_order_case_duplicates_spacing_and_obs_text(rig: Rig) -> None:
    lines = [b"set-cookie: a=1", b"Set-Cookie: b=2", b"SET-COOKIE:c=3", *LINES, b'ETag: \t W/"1" ', b"Date: as it was"]
    await rig.start(respond(response(*lines, b"Content-Length: 2", start=b"HTTP/1.1 299 \xe9 odd", body=b"ok")))
    answer = await rig.ask()
    assert answer.raw == response(*lines, b"Content-Length: 2", start=b"HTTP/1.1 299 \xe9 odd", body=b"ok")


async def test_only_a_date_is_added_to_a_response_and_only_if_it_has_none(rig: Rig) -> None:
    await rig.start(respond(sized(b"ok", b"X: 1")))
    assert without_date((await rig.ask()).raw) == sized(b"ok", b"X: 1")


@pytest.mark.parametrize(
    ("start", "ours"),
    [
        (b"HTTP/1.0 200 Fine", b"HTTP/1.1 200 Fine"),
        (b"HTTP/1.1 200", b"HTTP/1.1 200 "),
        (b"HTTP/1.1 200 ", b"HTTP/1.1 200 "),
    ],
)
async def test_our_version_stands_in_the_status_line_and_the_reason_stays(rig: Rig, start: bytes, ours: bytes) -> None:
    await rig.start(respond(response(b"Content-Length: 2", start=start, body=b"ok")))
    assert (await rig.ask()).status_line == ours


async def test_hop_by_hop_lines_do_not_pass_in_requests(rig: Rig) -> None:
    await rig.start()
    data = request(
        b"GET /", b"Connection: x-hop, cookie", b"X-Hop: 1", b"Keep-Alive: timeout=1",
        b"Proxy-Connection: close", b"Cookie: c",
        b"Proxy-Authorization: x", b"Proxy: evil", b"Upgrade: h2c", b"HTTP2-Settings: x", b"TE: gzip", b"X: 1",
    )  # fmt: skip
    assert await received_head(rig, data) == (b"GET / HTTP/1.1", [b"Host: a", b"Cookie: c", b"X: 1", *FORWARDED])


async def test_hop_by_hop_lines_do_not_pass_in_responses(rig: Rig) -> None:
    hop = (
        b"Connection: x-hop",
        b"X-Hop: 1",
        b"Keep-Alive: timeout=9",
        b"Proxy-Authenticate: x",
        b"Upgrade: h2c",
        b"Proxy: x",
    )
    await rig.start(respond(sized(b"ok", b"Date: x", *hop, b"Set-Cookie: a")))
    assert (await rig.ask()).raw == sized(b"ok", b"Date: x", b"Set-Cookie: a")


async def test_trailers_are_asked_for_hop_by_hop(rig: Rig) -> None:
    await rig.start()
    _, lines = await received_head(rig, request(b"GET /", b"TE: trailers, gzip", b"Connection: TE"))
    assert lines == [b"Host: a", b"TE: trailers", b"Connection: TE", *FORWARDED]


async def test_claims_of_the_client_about_itself_are_replaced_by_ours(rig: Rig) -> None:
    await rig.start()
    claims = (
        b"X-Forwarded-For: 6.6.6.6",
        b"Forwarded: for=6.6.6.6",
        b"x-forwarded-host: evil",
        b"X-Forwarded-Proto: https",
    )
    _, lines = await received_head(rig, request(b"GET /", *claims, b"Via: 1.0 other"))
    assert lines == [b"Host: a", b"Via: 1.0 other", *FORWARDED]


async def test_forwarded_off_touches_nothing(rig: Rig) -> None:
    await rig.start(forwarded={"mode": "off"})
    _, lines = await received_head(rig, request(b"GET /", b"X-Forwarded-For: 1.2.3.4"))
    assert lines == [b"Host: a", b"X-Forwarded-For: 1.2.3.4", FORWARDED[0]]


async def test_absolute_form_becomes_origin_form_and_its_host_wins(rig: Rig) -> None:
    await rig.start()
    start, lines = await received_head(rig, request(b"GET http://o:81/p?q"))
    assert start == b"GET /p?q HTTP/1.1"
    assert lines == [b"Host: o:81", *FORWARDED[:3], b"X-Forwarded-Host: o:81"]


async def test_asterisk_form_passes(rig: Rig) -> None:
    await rig.start()
    assert (await received_head(rig, request(b"OPTIONS *")))[0] == b"OPTIONS * HTTP/1.1"


async def test_http_1_0_without_a_host_is_served_with_the_backends_own(rig: Rig) -> None:
    await rig.start()
    await rig.ask(b"GET / HTTP/1.0\r\n\r\n")
    (served,) = rig.primary.requests
    assert served.raw.startswith(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nVia: 1.0 " % rig.primary.port)


@pytest.mark.parametrize(
    ("policy", "host"), [("preserve", b"a"), ("target", b"127.0.0.1:%d"), ("other.example", b"other.example")]
)
async def test_the_host_policy_of_each_backend_holds(rig: Rig, policy: str, host: bytes) -> None:
    await rig.start(backends={"host": policy})
    await rig.ask()
    await rig.quiet()
    for backend in (rig.primary, rig.candidate):
        (got,) = backend.requests
        assert got.values(b"host") == [re.sub(rb"%d", b"%d" % backend.port, host)]


async def test_options_counts_its_hops(rig: Rig) -> None:
    await rig.start()
    client = await rig.client()
    await client.send(request(b"OPTIONS /", b"Max-Forwards: 0"))
    answer = await client.read_response("OPTIONS")
    assert without_date(answer.raw) == response(
        b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", b"Content-Length: 0"
    )
    assert rig.primary.requests == []
    await client.send(request(b"OPTIONS /", b"Max-Forwards: 5") + request(b"GET /", b"Max-Forwards: 0"))
    for method in ("OPTIONS", "GET"):
        assert (await client.read_response(method)).status == 200
    options, get = rig.primary.requests
    assert (options.values(b"max-forwards"), get.values(b"max-forwards")) == ([b"4"], [b"0"])


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
async def test_options_answered_here_says_that_it_closes(rig: Rig, version: bytes) -> None:
    await rig.start()
    client = await rig.client()
    await client.send(b"OPTIONS / %b\r\nHost: a\r\nMax-Forwards: 0\r\nConnection: close\r\n\r\n" % version)
    assert (await client.read_response("OPTIONS")).values(b"connection") == [b"close"]
    assert await client.closed() is Ending.FIN


async def test_interim_responses_are_relayed_in_order(rig: Rig) -> None:
    early = response(b"Link: </a>", b"Connection: close", b"Content-Length: 5", start=b"HTTP/1.1 103 Early Hints")
    await rig.start((read_request(), send(early + response(start=b"HTTP/1.1 102 P") + sized(b"ok", b"Date: x"))))
    client = await rig.client()
    await client.send(GET)
    raw = [(await client.read_response()).raw for _ in range(3)]
    assert raw == [
        response(b"Link: </a>", start=b"HTTP/1.1 103 Early Hints"),
        response(start=b"HTTP/1.1 102 P"),
        sized(b"ok", b"Date: x"),
    ]


async def test_http_1_0_gets_no_interim_response(rig: Rig) -> None:
    await rig.start((read_request(), send(response(start=b"HTTP/1.1 103 Early") + sized(b"ok", b"Date: x"))))
    assert (await rig.ask(b"GET / HTTP/1.0\r\n\r\n")).raw == (
        b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    )


async def test_an_expectation_is_answered_by_the_backend(rig: Rig) -> None:
    continue_ = response(start=b"HTTP/1.1 100 Continue")
    await rig.start((send(continue_), read_request(), send(sized(b"ok"))), service={"mirror": {"methods": ["POST"]}})
    client = await rig.client()
    await client.send(request(b"POST /", b"Expect: 100-continue", b"Content-Length: 5"))
    assert (await client.read_response()).raw == continue_
    await client.send(b"hello")
    assert (await client.read_response()).body == b"ok"
    await rig.quiet()
    assert rig.primary.requests[0].values(b"expect") == [b"100-continue"]
    (copy,) = rig.candidate.requests
    assert (copy.values(b"expect"), copy.body) == ([], b"hello")


async def test_an_upgrade_that_is_not_ours_is_an_ordinary_request(rig: Rig) -> None:
    await rig.start()
    _, lines = await received_head(
        rig, request(b"GET /", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: x")
    )
    assert lines == [b"Host: a", *FORWARDED]


async def test_our_own_name_in_via_is_a_loop_and_others_are_not(rig: Rig) -> None:
    await rig.start()
    via = b"Via: 1.1 shadow-proxy-abcdef, 1.1 x"
    assert (await rig.ask(request(b"GET /", via))).status == 200
    assert (await rig.ask(request(b"GET /", via + b", 1.1 " + INSTANCE.encode()))).status == 508
