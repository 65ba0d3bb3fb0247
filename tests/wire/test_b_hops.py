"""Fields for one hop: what Connection names, what never passes, and TE."""

import pytest

from proxy.core.families import PROTECTED_NOMINATIONS
from tests.wire.forms import DATE, Form, healthy, joined, one_chunk, relays, strips
from tests.wire.rig import FORWARDED, Rig, request, response, sized, without_date

NOMINATING = [
    b"x-C: 0",
    b"Connection: x-a, X-B ,,",
    b"X-A: 1",
    b"x-b: 2",
    b"cOnnection:x-C",
    b"X-c:3",
    b"X-C: 4",
    b"X-D: 5",
]
"""Lines of which the last remains."""
HOP_BY_HOP = [
    b"Connection: x-none", b"Connection:", b"Keep-Alive: timeout=5, max=100", b"Proxy-Connection: keep-alive",
    b"TE: gzip", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__", b"Proxy-Authorization: Basic eA==",
    b"Proxy-Authenticate: Basic", b"Proxy-Authentication-Info: x", b"Proxy: http://evil/", b"pROXY: x",
]  # fmt: skip
PROTECTED_OF_REQUESTS = [
    b"Content-Type: t/p", b"Content-Encoding: gzip", b"Content-Anything: x", b"Authorization: Basic eA==",
    b"Cookie: a=1", b"Set-Cookie: a=1", b"Origin: http://o", b"Range: bytes=0-", b"If-Match: x", b"If-None-Match: x",
    b"If-Modified-Since: x", b"If-Unmodified-Since: x", b"If-Range: x", b"Via: 1.1 other", b"X-Forwarded-Port: 1",
]  # fmt: skip
PROTECTED_OF_RESPONSES = [
    b"Set-Cookie: a=1", b"Content-Type: t/p", b"Content-Encoding: gzip", b"Content-Security-Policy: x",
    b"Via: 1.1 other", b"Authorization: x", b"Cookie: x", b"Origin: x", b"Host: x", b"Range: x", b"If-Match: x",
    b"Forwarded: for=x", b"X-Forwarded-For: x",
]  # fmt: skip


def attempts(rig: Rig) -> int:
    return rig.plane.tally().total(PROTECTED_NOMINATIONS)


async def test_b13_fields_named_in_connection_do_not_pass(rig: Rig, form: Form) -> None:
    await strips(rig, form, NOMINATING, [b"X-D: 5"])
    assert attempts(rig) == 0


async def test_b13_an_element_that_is_no_token_is_ignored(rig: Rig, form: Form) -> None:
    kept = [b"X-A: 1", b"X-B: 2", b"X-C: 3", b"X-D: 4"]
    named = b'Connection: "x-a", x-b y, x-c;q=1, x-d/, (x-a), x-e, \xe9, "x, x-e"'
    await strips(rig, form, [named, *kept, b"X-E: 5", b"X-e: 6"], kept)


async def test_b13_a_trailer_named_in_connection_does_not_reach_the_backend(rig: Rig, transmission: Form) -> None:
    head = [b"PUT / HTTP/1.1", b"Host: a", b"Trailer: X-T, X-U"]
    body = one_chunk(b"hello", [b"X-U: 1", b"x-t: 2", b"X-U: 3", b"X-V: 4"])
    chunked = b"Transfer-Encoding: chunked"
    await relays(
        rig,
        transmission,
        sent=b"\r\n".join([*head, b"Connection: X-t", chunked, b"Connection: x-v", b"", body]),
        forwarded=b"\r\n".join([*head, chunked, *FORWARDED, b"", one_chunk(b"hello", [b"X-U: 1", b"X-U: 3"])]),
    )


async def test_b13_a_trailer_named_in_connection_does_not_reach_the_client(rig: Rig, transmission: Form) -> None:
    chunked, trailer = b"Transfer-Encoding: chunked", b"Trailer: X-T, X-U"
    body = one_chunk(b"ok", [b"X-U: 1", b"x-t: 2", b"X-V: 3"])
    await relays(
        rig,
        transmission,
        sent=transmission.request(b"GET /", b"TE: trailers", b"Connection: TE"),
        forwarded=transmission.forwarded(b"GET /", b"TE: trailers", b"Connection: TE"),
        answered=response(DATE, b"Connection: X-t", chunked, b"Connection: x-v", trailer, body=body),
        relayed=response(DATE, chunked, trailer, body=one_chunk(b"ok", [b"X-U: 1"])),
    )


@pytest.mark.parametrize("line", PROTECTED_OF_REQUESTS, ids=repr)
async def test_b13_a_protected_field_of_a_request_passes_and_the_attempt_is_counted(
    rig: Rig, transmission: Form, line: bytes
) -> None:
    attempt = b"Connection: " + line.partition(b":")[0].lower() + b", x-a"
    await relays(
        rig,
        transmission,
        sent=transmission.request(b"PUT /", attempt, line, b"X-A: 1", body=b"hello"),
        forwarded=transmission.forwarded(b"PUT /", line, body=b"hello"),
    )
    assert attempts(rig) == 1


@pytest.mark.parametrize("line", PROTECTED_OF_RESPONSES, ids=repr)
async def test_b13_a_protected_field_of_a_response_passes_and_the_attempt_is_counted(
    rig: Rig, transmission: Form, line: bytes
) -> None:
    attempt = b"Connection: x-a, " + line.partition(b":")[0].upper()
    await relays(
        rig,
        transmission,
        answered=transmission.response(DATE, line, attempt, b"X-A: 1", body=b"ok"),
        relayed=transmission.relayed(DATE, line, body=b"ok"),
    )
    assert attempts(rig) == 1


@pytest.mark.parametrize("name", [b"Host", b"Content-Length", b"X-Forwarded-For", b"X-Forwarded-Host", b"Forwarded"])
async def test_b13_naming_what_routes_frames_or_tells_who_asked_changes_nothing(
    rig: Rig, transmission: Form, name: bytes
) -> None:
    await relays(
        rig,
        transmission,
        sent=transmission.request(b"PUT /", b"Connection: " + name, body=b"hello"),
        forwarded=transmission.forwarded(b"PUT /", body=b"hello"),
        answered=transmission.response(DATE, b"Connection: content-length, transfer-encoding", body=b"ok"),
        relayed=transmission.relayed(DATE, body=b"ok"),
    )
    assert attempts(rig) == 2


async def test_b13_every_attempt_is_counted(rig: Rig, transmission: Form) -> None:
    await rig.start()
    client = await rig.client()
    fields = [b"Connection: cookie, authorization", b"Connection: COOKIE, x-a, if-match", b"Cookie: 1"]
    for _ in range(2):
        await transmission.send(client, request(b"GET /", *fields))
        assert (await client.read_response()).status == 200
    assert [got.values(b"cookie") for got in rig.primary.requests] == [[b"1"]] * 2
    assert attempts(rig) == 8
    await healthy(rig, client)


async def test_b13_a_date_that_is_named_is_replaced_by_ours(rig: Rig, transmission: Form) -> None:
    await rig.start(transmission.reply(sized(b"ok", b"Connection: date", b"Date: x", b"X: 1")))
    client = await rig.client()
    await transmission.send(client, request(b"GET /"))
    assert without_date((await client.read_response()).raw) == response(b"X: 1", b"Content-Length: 2", body=b"ok")
    await healthy(rig, client)


@pytest.mark.parametrize("line", HOP_BY_HOP, ids=repr)
async def test_b14_what_is_for_one_hop_never_passes(rig: Rig, transmission: Form, line: bytes) -> None:
    await strips(rig, transmission, [b"X: 1", line, b"Y: 2", line], [b"X: 1", b"Y: 2"])


async def test_b14_all_of_it_at_once_neither(rig: Rig, form: Form) -> None:
    await strips(rig, form, HOP_BY_HOP, [])


async def test_b14_an_upgrade_that_is_not_ours_is_an_ordinary_request(rig: Rig, form: Form) -> None:
    upgrade = [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"]
    await strips(rig, form, [*upgrade, b"X: 1"], [b"X: 1"])


TRAILERS = [
    [b"TE: trailers"], [b"tE:\tTrailers "], [b"TE: gzip, trailers"], [b"TE: trailers, deflate;q=0.5"],
    [b"TE: gzip;q=1.0,,trailers"], [b"TE: gzip", b"TE: trailers"], [b"Connection: te", b"TE: trailers"],
]  # fmt: skip
NO_TRAILERS = [
    [], [b"TE: gzip"], [b"TE: deflate;q=0.5, gzip"], [b"TE:"], [b"TE: trailersx"], [b'TE: "trailers"'],
    [b"TE: x-trailers"], [b"TE: gzip;trailers"], [b"Connection: TE"], [b"Connection: TE", b"TE: gzip"],
]  # fmt: skip


@pytest.mark.parametrize("lines", TRAILERS, ids=repr)
async def test_b15_a_client_that_takes_trailers_is_said_to(rig: Rig, transmission: Form, lines: list[bytes]) -> None:
    await relays(
        rig,
        transmission,
        sent=transmission.request(b"GET /", *lines, b"X: 1"),
        forwarded=transmission.forwarded(b"GET /", b"X: 1", b"TE: trailers", b"Connection: TE"),
    )


@pytest.mark.parametrize("lines", NO_TRAILERS, ids=repr)
async def test_b15_of_any_other_the_backend_hears_nothing(rig: Rig, transmission: Form, lines: list[bytes]) -> None:
    await relays(
        rig,
        transmission,
        sent=transmission.request(b"GET /", *lines, b"X: 1"),
        forwarded=transmission.forwarded(b"GET /", b"X: 1"),
    )


async def test_b15_a_http_1_0_client_takes_none(rig: Rig, transmission: Form) -> None:
    await rig.start()
    client = await rig.client()
    await transmission.send(client, b"GET / HTTP/1.0\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
    assert (await client.read_response()).status == 200
    (got,) = rig.primary.requests
    assert joined(got).startswith(b"GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 ")
    assert (got.values(b"te"), got.values(b"connection")) == ([], [])
