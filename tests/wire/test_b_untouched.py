"""What is never modified, and what is never added."""

from calendar import timegm
from email.utils import parsedate
from time import time

import pytest

from tests.kit.script import read_request, send, send_bytewise
from tests.wire.forms import DATE, Form, healthy, keeps, relays
from tests.wire.rig import FORWARDED, Rig, request, response, without_date

OF_THE_ENDS = [
    b"Authorization: Bearer  a.b.c==", b"authorization:\tNegotiate x", b'WWW-Authenticate: Basic realm="a, b", Bearer',
    b"www-authenticate: Negotiate", b"Allow: GET,  FOO", b"Allow:", b"Vary: *", b"Vary: Accept , Cookie",
    b'ETag: \t W/"\xe9" ', b"Last-Modified: not a date", b"Referer: http://u:p@o/#f", b'Cookie: a="1; b"; c',
    b"Cookie: ;;",
]  # fmt: skip
COOKIES = [
    b"Set-Cookie: b=2; Expires=Wed, 09 Jun 2021 10:18:14 GMT", b"set-cookie: a=1", b"X: between", b"Set-Cookie: b=2",
    b"SET-COOKIE:c=3,d=4", b"Set-Cookie: b=2", b"Set-Cookie:", b'Set-Cookie: q="a;b"; Path=/;;',
]  # fmt: skip


@pytest.mark.parametrize("line", OF_THE_ENDS, ids=repr)
async def test_b18_what_the_two_ends_agree_by_is_never_modified(rig: Rig, transmission: Form, line: bytes) -> None:
    await keeps(rig, transmission, line)


async def test_b18_nor_is_all_of_it_at_once(rig: Rig, form: Form) -> None:
    await keeps(rig, form, *OF_THE_ENDS)


async def test_b19_cookies_are_never_joined_reordered_or_rewritten(rig: Rig, form: Form) -> None:
    await keeps(rig, form, *COOKIES)


BARE = {
    "HEAD": (b"HEAD / HTTP/1.1", b"HTTP/1.1 200 "),
    "204": (b"GET / HTTP/1.1", b"HTTP/1.1 204 "),
    "304": (b"GET / HTTP/1.1", b"HTTP/1.1 304 "),
    "DELETE": (b"DELETE / HTTP/1.1", b"HTTP/1.1 204 "),
    "POST": (b"POST / HTTP/1.1", b"HTTP/1.1 204 "),
}
"""Exchanges of the fewest bytes a message can have."""


@pytest.mark.parametrize("kind", BARE)
async def test_b20_nothing_is_added_to_the_barest_messages(rig: Rig, transmission: Form, kind: str) -> None:
    line, status = BARE[kind]
    await relays(
        rig,
        transmission,
        sent=b"\r\n".join([line, b"Host: a", b"", b""]),
        forwarded=b"\r\n".join([line, b"Host: a", *FORWARDED, b"", b""]),
        answered=b"\r\n".join([status, DATE, b"", b""]),
        relayed=b"\r\n".join([status, DATE, b"", b""]),
        method=line.split()[0].decode(),
    )


async def test_b20_nothing_is_added_to_messages_with_a_body(rig: Rig, form: Form) -> None:
    await keeps(rig, form)


async def test_b20_without_forwarded_only_via_is_added(rig: Rig, transmission: Form) -> None:
    await rig.start(forwarded={"mode": "off"})
    client = await rig.client()
    await transmission.send(client, request(b"GET /"))
    assert (await client.read_response()).status == 200
    assert rig.primary.requests[0].raw == b"\r\n".join([b"GET / HTTP/1.1", b"Host: a", FORWARDED[0], b"", b""])
    await healthy(rig, client, added=FORWARDED[:1])


@pytest.mark.parametrize("status", [b"200 OK", b"204 None", b"304 Same", b"404 Gone", b"500 Oh"])
async def test_b21_a_date_is_added_to_an_answer_that_has_none(rig: Rig, transmission: Form, status: bytes) -> None:
    start = b"HTTP/1.1 " + status
    length = [] if b"204" in status else [b"Content-Length: 0"]
    await rig.start(transmission.reply(response(b"X: 1", *length, start=start)))
    client = await rig.client()
    earliest = int(time())
    await transmission.send(client, request(b"GET /"))
    answer = await client.read_response()
    assert without_date(answer.raw) == response(b"X: 1", *length, start=start)
    (date,) = answer.values(b"date")
    parsed = parsedate(date.decode())
    assert parsed is not None
    assert earliest <= timegm(parsed) <= time()
    await healthy(rig, client)


@pytest.mark.parametrize("date", [DATE, b"Date: no date at all", b"dAtE:", b"DATE: \t\xe9 "], ids=repr)
async def test_b21_a_date_there_is_is_kept(rig: Rig, form: Form, date: bytes) -> None:
    await relays(
        rig,
        form,
        answered=form.response(b"X: 1", date, b"Y: 1", body=b"ok"),
        relayed=form.relayed(b"X: 1", date, b"Y: 1", body=b"ok"),
    )


async def test_b21_requests_and_interim_answers_get_no_date(rig: Rig, transmission: Form) -> None:
    early = response(b"Link: </a>", start=b"HTTP/1.1 103 Early Hints")
    final = transmission.response(DATE, body=b"ok")
    step = send_bytewise(early + final) if transmission.bytewise else send(early + final)
    await rig.start((read_request(), step))
    client = await rig.client()
    await transmission.send(client, request(b"GET /"))
    assert (await client.read_response()).raw == early
    assert (await client.read_response()).raw == final
    assert rig.primary.requests[0].raw == transmission.forwarded(b"GET /")
    await healthy(rig, client)
