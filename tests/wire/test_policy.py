"""What each backend is sent in place of what the client sent, by configuration; copies, and copies of copies."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit.framing import Message
from tests.kit.script import answer, reset
from tests.wire.forms import DATE, MARKER, Form, copied, ended, healthy, joined, one_chunk, refuses, relays
from tests.wire.rig import FORWARDED, GET, Rig, request

MIRRORED = {"mirror": {"methods": ["PUT", "GET", "OPTIONS"]}}
TRACE = b"0af7651916cd43dd8448eb211c80319c"
PARENT = b"b7ad6b7169203331"
ZEROES = b"0" * 32


async def received(rig: Rig, form: Form, sent: bytes) -> tuple[Message, Message]:
    """What both backends get of a request to a started rig; its connection then ends or serves another one."""
    client = await rig.client()
    await form.send(client, sent)
    assert (await client.read_response()).status == 200
    await rig.quiet()
    both = rig.primary.requests[0], rig.candidate.requests[0]
    if form.close:
        await ended(client)
    else:
        await client.send(request(b"GET /next"))
        assert (await client.read_response()).status == 200
    return both


def framed(form: Form) -> bytes:
    """The line that frames `hello`."""
    return b"Transfer-Encoding: chunked" if form.chunked else b"Content-Length: 5"


# --- fields added and removed


async def test_each_backend_gets_its_own_fields_and_never_the_others(rig: Rig, form: Form) -> None:
    await rig.start(
        of_primary={"headers": {"add": {"X-Api-Key": "for v1", "X-Env": "live"}, "remove": ["cookie"]}},
        of_candidate={"headers": {"add": {"X-Api-Key": "for v2"}, "remove": ["Authorization", "x-nothing"]}},
        service=MIRRORED,
    )
    lines = [b"Cookie: a=1", b"x-api-KEY: a guess", b"Authorization: Bearer x", b"X-Env: mine", b"Cookie: b=2"]
    served, copy = await received(rig, form, form.request(b"PUT /", *lines, body=b"hello"))
    assert served.lines == [
        b"Host: a", lines[2], framed(form), b"X-Api-Key: for v1", b"X-Env: live", *FORWARDED,
    ]  # fmt: skip
    assert copy.lines == [
        b"Host: a", lines[0], lines[3], lines[4], framed(form), b"X-Api-Key: for v2", *FORWARDED, MARKER,
    ]  # fmt: skip
    assert served.body == copy.body == b"hello"


@pytest.mark.parametrize("side", ["primary", "candidate"])
async def test_a_credential_for_one_backend_does_not_reach_the_other(rig: Rig, transmission: Form, side: str) -> None:
    added = {side: {"headers": {"add": {"X-Api-Key": "secret"}}}}
    await rig.start(of_primary=added.get("primary"), of_candidate=added.get("candidate"))
    served, copy = await received(rig, transmission, request(b"GET /", b"X-Api-Key: the client's"))
    keys = dict.fromkeys(("primary", "candidate"), b"X-Api-Key: the client's") | {side: b"X-Api-Key: secret"}
    assert served.lines == [b"Host: a", keys["primary"], *FORWARDED]
    assert copy.lines == [b"Host: a", keys["candidate"], *FORWARDED, MARKER]


async def test_the_candidate_gets_the_clients_credentials_unless_they_are_removed(rig: Rig, form: Form) -> None:
    lines = [b"Authorization: Basic eA==", b"Cookie: a=1", b"X-Api-Key: k"]
    await rig.start(service={"mirror": {"methods": ["PUT"], "headers": {"remove": ["COOKIE", "x_api-key"]}}})
    served, copy = await received(rig, form, form.request(b"PUT /", *lines, body=b"hello"))
    assert served.lines == [b"Host: a", *lines, framed(form), *FORWARDED]
    assert copy.lines == [b"Host: a", lines[0], framed(form), *FORWARDED, MARKER]


async def test_a_field_cannot_be_smuggled_past_its_replacement_by_an_underscore(rig: Rig, transmission: Form) -> None:
    await rig.start(backends={"headers": {"add": {"X-Api-Key": "k"}, "remove": ["X-User-Id"]}})
    lines = [b"X_Api-Key: forged", b"x_user_id: 1", b"X_User: 2", b"X-User-Id-2: 3", b"AX-User-Id: 4"]
    served, copy = await received(rig, transmission, request(b"GET /", *lines))
    assert served.lines == [b"Host: a", *lines[2:], b"X-Api-Key: k", *FORWARDED]
    assert copy.lines == [*served.lines, MARKER]


async def test_what_is_not_for_a_backend_does_not_pass_as_a_trailer_either(rig: Rig, transmission: Form) -> None:
    await rig.start(
        of_primary={"headers": {"add": {"X-Api-Key": "k"}}},
        of_candidate={"headers": {"remove": ["X-User"]}},
        service={"mirror": {"methods": ["PUT"], "headers": {"remove": ["X-Secret"]}}},
    )
    trailers = [b"x_api-key: forged", b"X-Sum: 1", b"X-USER: 2", b"X-Secret: 3", b"X-Secret-2: 4"]
    body = one_chunk(b"hello", trailers)
    sent = request(b"PUT /", b"Transfer-Encoding: chunked", body=body)
    served, copy = await received(rig, transmission, sent)
    assert served.trailers == copy.trailers == [b"X-Sum: 1", b"X-Secret-2: 4"]
    assert served.values(b"x-api-key") == [b"k"]


async def test_what_is_said_about_the_client_can_be_kept_from_a_backend(rig: Rig, transmission: Form) -> None:
    await rig.start(
        of_primary={"headers": {"remove": ["X-Forwarded-Host"]}},
        service={"mirror": {"headers": {"remove": ["X-Forwarded-For", "Forwarded"]}}},
        forwarded={"fields": ["x-forwarded", "forwarded"]},
    )
    served, copy = await received(rig, transmission, request(b"GET /"))
    forwarded = b"Forwarded: for=127.0.0.1;host=a;proto=http"
    assert served.lines == [b"Host: a", *FORWARDED[:3], forwarded]
    assert copy.lines == [b"Host: a", FORWARDED[0], *FORWARDED[2:], MARKER]


@pytest.mark.parametrize("added", [{}, {"X-Env": "trial"}], ids=["the same", "differing"])
async def test_an_expectation_is_removed_from_a_copy(rig: Rig, added: dict[str, str]) -> None:
    await rig.start(of_candidate={"headers": {"add": added}}, service=MIRRORED)
    client = await rig.client()
    await client.send(request(b"PUT /", b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"))
    assert (await client.read_response()).status == 200
    await rig.quiet()
    assert rig.primary.requests[0].lines[1] == b"Expect: 100-continue"
    lines = [b"X-Env: trial"] if added else []
    assert rig.candidate.requests[0].lines == [b"Host: a", b"Content-Length: 5", *lines, *FORWARDED, MARKER]
    await healthy(rig, client)


async def test_a_request_that_is_sent_again_is_the_same_again(rig: Rig, transmission: Form) -> None:
    differing = {"headers": {"add": {"X-Env": "live"}}, "path": {"add": "/v1"}}
    await rig.start(answer(), (reset(),), answer(), of_primary=differing)
    client = await rig.client()
    for sent in (GET, request(b"GET /again")):
        await transmission.send(client, sent)
        assert (await client.read_response()).status == 200
    (again,) = rig.primary.connections[1].requests
    assert again.raw == b"\r\n".join([b"GET /v1/again HTTP/1.1", b"Host: a", b"X-Env: live", *FORWARDED, b"", b""])


# --- the front of the path


PATHS = [
    (("/api", "/v2"), b"/api/items?a=/api/b", b"/v2/items?a=/api/b"),
    (("/api", "/v2"), b"/api", b"/v2"),
    (("/api", "/v2"), b"/api?", b"/v2?"),
    (("/api", "/v2"), b"/apix/y", b"/v2/apix/y"),
    (("/api", "/v2"), b"/API/x", b"/v2/API/x"),
    (("/api", "/v2"), b"/%61pi/x", b"/v2/%61pi/x"),
    (("/api", "/v2"), b"/x/api/y", b"/v2/x/api/y"),
    (("/api", "/v2"), b"/api/api", b"/v2/api"),
    (("/api", ""), b"/api", b"/"),
    (("/api", ""), b"/api?q", b"/?q"),
    (("/api", ""), b"/api/", b"/"),
    (("/api", ""), b"/api/../x/./y//z", b"/../x/./y//z"),
    (("/api", ""), b"/api//x", b"//x"),
    (("/api", ""), b"/api/%2F%zz;p[]|^`", b"/%2F%zz;p[]|^`"),
    (("/api", ""), b"/other", b"/other"),
    (("/a/b", "/c/d%20e"), b"/a/b/c", b"/c/d%20e/c"),
    (("/a/b", "/c"), b"/a/bc", b"/c/a/bc"),
    (("", "/v2"), b"/", b"/v2/"),
    (("", "/v2"), b"/?q", b"/v2/?q"),
]


@pytest.mark.parametrize(("path", "target", "rewritten"), PATHS, ids=str)
async def test_the_front_of_the_path_is_exchanged(
    rig: Rig, path: tuple[str, str], target: bytes, rewritten: bytes
) -> None:
    await rig.start(backends={"path": {"strip": path[0], "add": path[1]}})
    assert (await rig.ask(request(b"GET " + target))).status == 200
    await rig.quiet()
    for backend, marker in ((rig.primary, []), (rig.candidate, [MARKER])):
        (got,) = backend.requests
        assert got.start_line == b"GET %b HTTP/1.1" % rewritten
        assert got.lines == [b"Host: a", *FORWARDED, *marker]


async def test_each_backend_has_its_own_path(rig: Rig, form: Form) -> None:
    await rig.start(of_primary={"path": {"add": "/v1"}}, of_candidate={"path": {"strip": "/api"}}, service=MIRRORED)
    sent = form.request(b"PUT /api/items?q", b"X: 1", body=b"hello")
    served, copy = await received(rig, form, sent)
    lines = [b"Host: a", b"X: 1", framed(form), *FORWARDED]
    assert (served.start_line, served.lines, served.body) == (b"PUT /v1/api/items?q HTTP/1.1", lines, b"hello")
    assert (copy.start_line, copy.lines, copy.body) == (b"PUT /items?q HTTP/1.1", [*lines, MARKER], b"hello")


@pytest.mark.parametrize(
    ("sent", "start", "host"),
    [
        (b"OPTIONS *", b"OPTIONS * HTTP/1.1", b"a"),
        (b"OPTIONS http://o", b"OPTIONS * HTTP/1.1", b"o"),
        (b"OPTIONS http://o/api/", b"OPTIONS /v2/ HTTP/1.1", b"o"),
        (b"GET http://o:81/api?q", b"GET /v2?q HTTP/1.1", b"o:81"),
        (b"GET http://o", b"GET /v2/ HTTP/1.1", b"o"),
    ],
)
async def test_only_a_path_is_rewritten_whatever_form_it_came_in(
    rig: Rig, transmission: Form, sent: bytes, start: bytes, host: bytes
) -> None:
    await rig.start(backends={"path": {"strip": "/api", "add": "/v2"}})
    served, copy = await received(rig, transmission, request(sent))
    assert served.start_line == copy.start_line == start
    assert served.lines == [b"Host: " + host, *FORWARDED[:3], b"X-Forwarded-Host: " + host]


async def test_endpoints_are_those_of_the_path_the_client_asked_for(rig: Rig, transmission: Form) -> None:
    endpoints = [
        {"name": "score", "match": "POST /api/score", "read_only": True},
        {"name": "pay", "match": "POST /v2/score", "mirror": False},
    ]
    await rig.start(service={"endpoints": endpoints}, backends={"path": {"strip": "/api", "add": "/v2"}})
    sent = request(b"POST /api/score", b"Content-Length: 5", body=b"hello")
    served, copy = await received(rig, transmission, sent)
    assert served.start_line == copy.start_line == b"POST /v2/score HTTP/1.1"
    assert rig.mirrors()["mirrored"] == 2


async def test_everything_at_once(rig: Rig, form: Form) -> None:
    await rig.start(
        of_primary={"host": "target"},
        of_candidate={
            "host": "v2.example",
            "path": {"strip": "/api"},
            "headers": {"add": {"X-Env": "trial"}, "remove": ["Cookie"]},
        },
        service={"mirror": {"methods": ["PUT"], "headers": {"remove": ["Authorization"]}}},
        forwarded={"trusted_peers": ["127.0.0.1"]},
    )
    trace = b"traceparent: 00-%b-%b-01" % (TRACE, PARENT)
    lines = [b"Cookie: a", b"X-Forwarded-For: 192.0.2.1", b"Authorization: x", trace, b"X: 1"]
    served, copy = await received(rig, form, form.request(b"PUT /api/x?y", *lines, body=b"hello"))
    ours = [FORWARDED[0], b"X-Forwarded-For: 192.0.2.1, 127.0.0.1", *FORWARDED[2:]]
    own = b"Host: 127.0.0.1:%d" % rig.primary.port
    assert served.start_line == b"PUT /api/x?y HTTP/1.1"
    assert served.lines == [lines[0], *lines[2:], framed(form), own, *ours]
    assert copy.start_line == b"PUT /x?y HTTP/1.1"
    at, child = copy.lines[0].split(PARENT[:0] + TRACE)
    assert (at, child[:1], child[-3:]) == (b"traceparent: 00-", b"-", b"-01")
    assert copy.lines[1:] == [b"X: 1", framed(form), b"Host: v2.example", b"X-Env: trial", *ours, MARKER]


# --- trace context


async def traced(rig: Rig, form: Form, *lines: bytes) -> list[bytes]:
    """The lines of the copy where the client sent these; the primary gets just them."""
    await rig.start(form.reply(form.response(DATE, body=b"ok")), service=MIRRORED)
    served, copy = await received(rig, form, form.request(b"PUT /", *lines, body=b"hello"))
    assert joined(served) == form.forwarded(b"PUT /", *lines, body=b"hello")
    assert (copy.lines[0], copy.lines[len(lines) + 1 :]) == (b"Host: a", [framed(form), *FORWARDED, MARKER])
    assert copy.body == b"hello"
    return copy.lines[1 : len(lines) + 1]


@pytest.mark.parametrize("name", [b"traceparent: ", b"Traceparent:\t"])
@pytest.mark.parametrize("flags", [b"00", b"01", b"ff"])
async def test_a_copy_is_a_call_of_its_own_in_the_clients_trace(
    rig: Rig, transmission: Form, name: bytes, flags: bytes
) -> None:
    state = b"tracestate: a=1,b=2"
    sent = b"%b00-%b-%b-%b" % (name, TRACE, PARENT, flags)
    copy, kept = await traced(rig, transmission, sent, state)
    found = re.fullmatch(rb"%b00-%b-([0-9a-f]{16})-%b" % (name, TRACE, flags), copy)
    assert found
    assert found[1] not in {PARENT, b"0" * 16}
    assert kept == state


async def test_a_trace_goes_on_in_every_form(rig: Rig, form: Form) -> None:
    sent = b"traceparent: 00-%b-%b-01" % (TRACE, PARENT)
    (copy,) = await traced(rig, form, sent)
    assert re.fullmatch(rb"traceparent: 00-%b-(?!%b)[0-9a-f]{16}-01" % (TRACE, PARENT), copy)


@pytest.mark.parametrize(
    "value",
    [
        b"", b"00", b"00-%b-%b" % (TRACE, PARENT), b"00-%b-%b-1" % (TRACE, PARENT), b"00-%b-%b-01-x" % (TRACE, PARENT),
        b"00-%b-%b-01" % (TRACE[1:], PARENT), b"00-%b-%b-01" % (TRACE, PARENT[1:]), b"00-%b-%b-0g" % (TRACE, PARENT),
        b"00-%b-%b-01" % (TRACE.upper(), PARENT), b"00-%b-%b-01" % (TRACE, PARENT.upper()),
        b"00-%b-%b-01" % (ZEROES, PARENT), b"00-%b-%b-01" % (TRACE, ZEROES[:16]),
        b"ff-%b-%b-01" % (TRACE, PARENT), b"01-%b-%b-01" % (TRACE, PARENT), b"00_%b_%b_01" % (TRACE, PARENT),
        b"00-%b-%b-01, 00-%b-%b-01" % (TRACE, PARENT, TRACE, PARENT), b'"00-%b-%b-01"' % (TRACE, PARENT),
    ],
)  # fmt: skip
async def test_what_is_no_trace_we_know_passes_untouched_both_ways(rig: Rig, transmission: Form, value: bytes) -> None:
    line = b"traceparent: " + value
    assert await traced(rig, transmission, line) == [line]


async def test_no_trace_is_begun(rig: Rig, transmission: Form) -> None:
    lines = [b"tracestate: a=1", b"X-Traceparent: 00-%b-%b-01" % (TRACE, PARENT), b"b3: 0"]
    assert await traced(rig, transmission, *lines) == lines


async def test_every_copy_has_a_parent_of_its_own(rig: Rig) -> None:
    await rig.start()
    client = await rig.client()
    await client.send(request(b"GET /", b"traceparent: 00-%b-%b-01" % (TRACE, PARENT)) * 20)
    for _ in range(20):
        assert (await client.read_response()).status == 200
    await rig.quiet()
    assert {got.values(b"traceparent")[0][36:52] for got in rig.primary.requests} == {PARENT}
    assert len({got.values(b"traceparent")[0][36:52] for got in rig.candidate.requests} - {PARENT}) == 20


# --- copies, and proxies in a row


async def test_a_served_request_has_nothing_of_ours_and_its_copy_the_marker(rig: Rig, form: Form) -> None:
    await relays(
        rig,
        form,
        sent=form.request(b"PUT /", b"X-Shadow: 1", body=b"hello"),
        forwarded=form.forwarded(b"PUT /", b"X-Shadow: 1", body=b"hello"),
        service=MIRRORED,
    )
    assert copied(rig.primary.requests[0]) in map(joined, rig.candidate.requests)


@pytest.mark.parametrize("marker", [MARKER, b"x-shadow-REQUEST:", b"X-Shadow-Request: 0"])
async def test_a_copy_from_elsewhere_is_served_as_it_came_and_never_mirrored(
    rig: Rig, form: Form, marker: bytes
) -> None:
    await rig.start(form.reply(form.response(DATE, body=b"ok")), service=MIRRORED)
    client = await rig.client()
    await form.send(client, form.request(b"PUT /", marker, b"X: 1", body=b"hello"))
    assert joined(await client.read_response()) == form.relayed(DATE, body=b"ok")
    assert [joined(got) for got in rig.primary.requests] == [form.forwarded(b"PUT /", marker, b"X: 1", body=b"hello")]
    await rig.quiet()
    assert (rig.mirrors(), rig.candidate.connections) == ({"loop": 1}, [])
    await form.afterwards(rig, client)


async def test_a_lookalike_of_the_marker_is_refused(rig: Rig, transmission: Form) -> None:
    await rig.start()
    await refuses(rig, transmission, request(b"GET /", b"X_Shadow_Request: 1"), 400, "field")


@pytest.fixture
async def second(rig: Rig, tmp_path: Path) -> AsyncIterator[Rig]:
    """Another proxy; it outlives the first one's connections to it, then ends."""
    (tmp_path / "second").mkdir()
    second = Rig(tmp_path / "second")
    yield second
    await rig.close()
    await second.close()


async def test_behind_a_second_proxy_a_copy_is_still_one_and_makes_no_other(rig: Rig, second: Rig) -> None:
    await second.start(instance="shadow-proxy-facade")
    await rig.start(candidate=second.port)
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).status == 200
    await healthy(rig, client)
    await rig.quiet()
    await second.quiet()
    assert rig.primary.requests[0].lines == [b"Host: a", *FORWARDED]
    ours = [b"Via: 1.1 shadow-proxy-facade", *FORWARDED[1:]]
    assert second.primary.requests[0].lines == [b"Host: a", FORWARDED[0], MARKER, *ours]
    assert (second.mirrors(), second.candidate.connections) == ({"loop": 2}, [])


async def test_proxies_in_a_row_are_no_loop_and_each_mirrors_what_it_serves(rig: Rig, second: Rig) -> None:
    await second.start(instance="shadow-proxy-facade", forwarded={"trusted_peers": ["127.0.0.1"]})
    await rig.start(primary=second.port)
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).status == 200
    await rig.quiet()
    await second.quiet()
    chain = [b"Via: 1.1 shadow-proxy-facade", b"X-Forwarded-For: 127.0.0.1, 127.0.0.1"]
    served = [b"Host: a", FORWARDED[0], *FORWARDED[2:], *chain]
    assert second.primary.requests[0].lines == served
    assert second.candidate.requests[0].lines == [*served, MARKER]
    assert rig.candidate.requests[0].lines == [b"Host: a", *FORWARDED, MARKER]


async def test_a_loop_through_another_proxy_ends_where_it_began(rig: Rig, second: Rig) -> None:
    """What has been at the second proxy before is refused there, and nobody's backend hears of it."""
    await second.start(instance="shadow-proxy-facade")
    await rig.start(primary=second.port)
    client = await rig.client()
    await client.send(request(b"GET /", b"Via: 1.1 shadow-proxy-facade"))
    answer = await client.read_response()
    assert (answer.status, b'"reason":"loop"' in answer.body) == (508, True)
    assert (second.primary.connections, second.refusals()) == ([], {"loop": 1})
    assert rig.requests() == {"5xx": 1}
