"""What is said to backends about the way a request took: Via, X-Forwarded-*, Forwarded, Host."""

from typing import Any

import pytest

from tests.wire.forms import DATE, MARKER, Form, copied, ended, healthy, joined, one_chunk, refuses, relays
from tests.wire.rig import FORWARDED, INSTANCE, Rig, request, response

NAME = INSTANCE.encode()
VIA = b"Via: 1.1 " + NAME
MIRRORED = {"mirror": {"methods": ["PUT", "GET"]}}
CLAIMS = [
    b"X-Forwarded-For: 6.6.6.6",
    b"forwarded: for=6.6.6.6",
    b"x-forwarded-HOST: evil",
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-For: 7.7.7.7",
    b"Forwarded:",
]
NEAR = {"trusted_peers": ["127.0.0.0/8", "::1"]}


async def passes(
    rig: Rig,
    form: Form,
    lines: list[bytes],
    kept: list[bytes],
    ours: list[bytes],
    *,
    host: bytes = b"a",
    later: list[bytes] = FORWARDED,
    **settings: Any,
) -> None:
    """A body with these lines reaches both backends with `kept`, then `ours`; the next request gets `later`."""
    await rig.start(form.reply(form.response(DATE, body=b"ok")), service=MIRRORED, **settings)
    client = await rig.client()
    await form.send(client, form.request(b"PUT /", *lines, body=b"hello", host=host))
    assert joined(await client.read_response()) == form.relayed(DATE, body=b"ok")
    framing = b"Transfer-Encoding: chunked" if form.chunked else b"Content-Length: 5"
    head = [b"PUT / HTTP/1.1", b"Host: " + host, *kept, framing, *ours]
    (served,) = rig.primary.requests
    assert joined(served) == b"\r\n".join([*head, b"", one_chunk(b"hello") if form.chunked else b"hello"])
    await (ended(client) if form.close else healthy(rig, client, added=later))
    await rig.quiet()
    assert copied(served) in map(joined, rig.candidate.requests)


# --- Via


async def test_b16_via_is_one_more_line(rig: Rig, form: Form) -> None:
    lines = [b"Via: 1.0 other, 1.1 x", b"via: 1.1 shadow-proxy-abcdef"]
    await relays(
        rig,
        form,
        sent=form.request(b"PUT /", *lines, body=b"hello"),
        forwarded=form.forwarded(b"PUT /", *lines, body=b"hello"),
        service=MIRRORED,
    )


async def test_b16_via_says_the_version_received(rig: Rig, transmission: Form) -> None:
    await rig.start()
    client = await rig.client()
    await transmission.send(client, request(b"GET /") + b"GET / HTTP/1.9\r\nHost: a\r\n\r\n")
    await transmission.send(client, b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    for _ in range(3):
        assert (await client.read_response()).status == 200
    await ended(client)
    await rig.quiet()
    lines = [[b"Host: a", b"Via: 1.%d %b" % (minor, NAME), *FORWARDED[1:]] for minor in (1, 1, 0)]
    assert [got.lines for got in rig.primary.requests] == lines
    assert sorted(got.lines for got in rig.candidate.requests) == sorted([*each, MARKER] for each in lines)


@pytest.mark.parametrize("lines", [[], [b"Via: 1.0 backend"], [VIA]], ids=["none", "another", "ours"])
async def test_b16_responses_get_no_via(rig: Rig, form: Form, lines: list[bytes]) -> None:
    answer = form.response(DATE, *lines, body=b"ok")
    await relays(rig, form, answered=answer, relayed=answer)


@pytest.mark.parametrize(
    "via",
    [
        [VIA],
        [b"vIA:\t1.0 " + NAME],
        [b"Via: 1.0 other,1.1 %b,HTTP/1.1 x" % NAME],
        [b"Via: 1.1 other", b"Via: 1.1 x, 1.1\t%b (a comment)" % NAME],
    ],
    ids=repr,
)
async def test_b16_our_own_name_in_via_is_a_loop(rig: Rig, form: Form, via: list[bytes]) -> None:
    await rig.start(service=MIRRORED)
    sent = form.request(b"PUT /", *via, body=b"hello")
    await refuses(rig, form, sent, 508, "loop", error="proxy_loop_detected")


@pytest.mark.parametrize("name", [NAME + b"0", NAME[:-1], b"x-" + NAME, NAME + b":8080"])
async def test_b16_another_name_is_no_loop(rig: Rig, transmission: Form, name: bytes) -> None:
    via = b"Via: 1.1 " + name
    await relays(
        rig,
        transmission,
        sent=transmission.request(b"GET /", via),
        forwarded=transmission.forwarded(b"GET /", via),
    )


async def test_b16_our_own_name_in_another_field_is_no_loop(rig: Rig, transmission: Form) -> None:
    line = b"X-Via: 1.1 " + NAME
    await relays(
        rig,
        transmission,
        sent=transmission.request(b"GET /", line),
        forwarded=transmission.forwarded(b"GET /", line),
    )


# --- X-Forwarded-* and Forwarded


async def test_b17_what_a_client_says_about_itself_is_replaced(rig: Rig, form: Form) -> None:
    await passes(rig, form, [*CLAIMS, b"X: 1"], [b"X: 1"], FORWARDED)


async def test_b17_a_peer_outside_the_trusted_networks_is_any_client(rig: Rig, transmission: Form) -> None:
    far = {"trusted_peers": ["10.0.0.0/8", "127.0.0.2", "::/1"]}
    await passes(rig, transmission, CLAIMS, [], FORWARDED, forwarded=far)


async def test_b17_off_touches_nothing(rig: Rig, form: Form) -> None:
    await passes(rig, form, CLAIMS, CLAIMS, [VIA], later=[VIA], forwarded={"mode": "off"})


async def test_b17_a_trusted_peers_chain_grows_and_its_proto_and_host_stay(rig: Rig, form: Form) -> None:
    lines = [
        b"X-Forwarded-For: 192.0.2.1, 198.51.100.2",
        b"x-forwarded-proto: https",
        b"X-Forwarded-Port: 443",
        b"X-FORWARDED-FOR:2001:db8::3\t",
        b"X-Forwarded-Host: a.example",
        b"X-Forwarded-For:",
    ]
    chain = b"X-Forwarded-For: 192.0.2.1, 198.51.100.2, 2001:db8::3, 127.0.0.1"
    await passes(rig, form, lines, [lines[1], lines[2], lines[4]], [VIA, chain], forwarded=NEAR)


async def test_b17_what_a_trusted_peer_does_not_say_we_say(rig: Rig, form: Form) -> None:
    await passes(rig, form, [b"X: 1"], [b"X: 1"], FORWARDED, forwarded=NEAR)


@pytest.mark.parametrize("trust", [{}, NEAR], ids=["anybody", "trusted"])
async def test_b17_forwarded_is_written_if_it_is_listed(rig: Rig, transmission: Form, trust: dict[str, Any]) -> None:
    line = b'Forwarded: for=127.0.0.1;host="a:81";proto=http'
    wanted = [VIA, *FORWARDED[1:3], b"X-Forwarded-Host: a:81", line]
    listed = {"fields": ["forwarded", "x-forwarded"], **trust}
    later = [*FORWARDED, b"Forwarded: for=127.0.0.1;host=a;proto=http"]
    await passes(rig, transmission, [], [], wanted, host=b"a:81", later=later, forwarded=listed)


async def test_b17_only_what_is_listed_is_written_and_the_rest_is_still_removed(rig: Rig, transmission: Form) -> None:
    line = b'Forwarded: for=127.0.0.1;host="[::1]:81";proto=http'
    later = [VIA, b"Forwarded: for=127.0.0.1;host=a;proto=http"]
    listed = {"fields": ["forwarded"]}
    await passes(rig, transmission, CLAIMS, [], [VIA, line], host=b"[::1]:81", later=later, forwarded=listed)


async def test_b17_nothing_listed_says_nothing(rig: Rig, transmission: Form) -> None:
    await passes(rig, transmission, CLAIMS, [], [VIA], later=[VIA], forwarded={"fields": []})


async def test_b17_a_chain_a_trusted_peer_sent_grows_also_unlisted(rig: Rig, transmission: Form) -> None:
    await rig.start(forwarded=NEAR)
    client = await rig.client()
    lines = [b'Forwarded: for="[2001:db8::1]:4711", for=x', b"Via: 1.1 near", b"forwarded: for=y;by=z"]
    await transmission.send(client, request(b"GET /", *lines))
    assert (await client.read_response()).status == 200
    chain = b'Forwarded: for="[2001:db8::1]:4711", for=x, for=y;by=z, for=127.0.0.1;host=a;proto=http'
    assert rig.primary.requests[0].lines == [b"Host: a", b"Via: 1.1 near", *FORWARDED, chain]
    await healthy(rig, client)
    await rig.quiet()
    assert copied(rig.primary.requests[0]) in map(joined, rig.candidate.requests)


async def test_b17_each_request_of_a_connection_says_its_own_host(rig: Rig, transmission: Form) -> None:
    await rig.start()
    client = await rig.client()
    hosts = [b"a", b"b:81", b"b:81", b"a", b"A"]
    await transmission.send(client, b"".join(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host for host in hosts))
    for _ in hosts:
        assert (await client.read_response()).status == 200
    lines = [[b"Host: " + host, *FORWARDED[:3], b"X-Forwarded-Host: " + host] for host in hosts]
    assert [got.lines for got in rig.primary.requests] == lines
    await rig.quiet()
    assert sorted(got.lines for got in rig.candidate.requests) == sorted([*each, MARKER] for each in lines)


# --- Host


HOSTS = [("preserve", b"hOsT:  a.example:81"), ("target", b"Host: %b"), ("v.example", b"Host: v.example")]
POLICIES = [(primary, candidate) for primary in HOSTS for candidate in HOSTS]


@pytest.mark.parametrize(("primary", "candidate"), POLICIES, ids=lambda policy: policy[0])
async def test_b23_each_backend_gets_the_host_of_its_policy(
    rig: Rig, transmission: Form, primary: tuple[str, bytes], candidate: tuple[str, bytes]
) -> None:
    await rig.start(
        transmission.reply(transmission.response(DATE, body=b"ok")),
        of_primary={"host": primary[0]},
        of_candidate={"host": candidate[0]},
        service=MIRRORED,
    )
    client = await rig.client()
    sent = transmission.request(b"PUT /", b"X: 1", body=b"hello").replace(b"Host: a", b"hOsT:  a.example:81")
    await transmission.send(client, sent)
    assert joined(await client.read_response()) == transmission.relayed(DATE, body=b"ok")
    await rig.quiet()
    for backend, (policy, line), marker in ((rig.primary, primary, []), (rig.candidate, candidate, [MARKER])):
        (got,) = backend.requests
        host = line.replace(b"%b", b"127.0.0.1:%d" % backend.port)
        lines = [b"X: 1", b"Content-Length: 5"]
        kept = [host, *lines] if policy == "preserve" else [*lines, host]
        assert got.lines == [*kept, *FORWARDED[:3], b"X-Forwarded-Host: a.example:81", *marker]
        assert got.body == b"hello"
    if primary[0] == "preserve":
        await healthy(rig, client)


@pytest.mark.parametrize(("primary", "candidate"), POLICIES, ids=lambda policy: policy[0])
async def test_b23_a_client_that_names_no_host_has_one_named_for_it(
    rig: Rig, transmission: Form, primary: tuple[str, bytes], candidate: tuple[str, bytes]
) -> None:
    await rig.start(of_primary={"host": primary[0]}, of_candidate={"host": candidate[0]})
    client = await rig.client()
    await transmission.send(client, b"GET / HTTP/1.0\r\n\r\n")
    assert (await client.read_response()).status == 200
    await ended(client)
    await rig.quiet()
    own = {"v.example": b"v.example", "target": b"127.0.0.1:%d" % rig.primary.port}
    served = own.get(primary[0], own["target"])
    copy = {**own, "target": b"127.0.0.1:%d" % rig.candidate.port}.get(candidate[0], served)
    ours = [b"Via: 1.0 " + NAME, *FORWARDED[1:3]]
    assert rig.primary.requests[0].lines == [b"Host: " + served, *ours]
    assert rig.candidate.requests[0].lines == [b"Host: " + copy, *ours, MARKER]


async def test_b23_the_answer_of_a_renamed_backend_is_untouched(rig: Rig, transmission: Form) -> None:
    answer = response(DATE, b"Location: http://v.example/x", b"Set-Cookie: a=1; Domain=v.example", b"Content-Length: 0")
    await rig.start(transmission.reply(answer), backends={"host": "v.example"})
    client = await rig.client()
    await transmission.send(client, request(b"GET /"))
    assert (await client.read_response()).raw == answer
