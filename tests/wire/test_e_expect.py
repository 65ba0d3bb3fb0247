"""Expect: the backend is asked, and what it answers is what the client gets. RFC 9110 §10.1.1."""

import pytest

from tests.kit.script import hang, read_request, respond, send
from tests.kit.scripted_backend import ScriptedBackend
from tests.wire.forms import DATE, Form, copied, ended, healthy, joined
from tests.wire.rig import Rig, request, response, sized

CONTINUE = response(start=b"HTTP/1.1 100 Continue")
EXPECT = b"Expect: 100-continue"
COPIED = {"mirror": {"methods": ["POST", "GET"]}}


def parts(raw: bytes) -> tuple[bytes, bytes]:
    """A message's head and the rest."""
    head, end, body = raw.partition(b"\r\n\r\n")
    return head + end, body


async def test_e1_the_backends_100_is_relayed_and_then_its_answer(rig: Rig, form: Form) -> None:
    answered = form.response(DATE, body=b"ok")
    await rig.start((send(CONTINUE), read_request(), send(answered)), service=COPIED)
    client = await rig.client()
    head, body = parts(form.request(b"POST /", EXPECT, body=b"hello"))
    await form.send(client, head)
    assert (await client.read_response()).raw == CONTINUE
    assert not rig.primary.requests
    await form.send(client, body)
    assert joined(await client.read_response()) == form.relayed(DATE, body=b"ok")
    (got,) = rig.primary.requests
    assert joined(got) == form.forwarded(b"POST /", EXPECT, body=b"hello")
    await form.afterwards(rig, client)
    await rig.quiet()
    (copy,) = [copy for copy in rig.candidate.requests if copy.method == b"POST"]  # the next may overtake it
    assert joined(copy) == copied(got).replace(EXPECT + b"\r\n", b"")


async def test_e1_a_body_sent_without_waiting_works(rig: Rig, form: Form) -> None:
    answered = form.response(DATE, body=b"ok")
    await rig.start((send(CONTINUE), read_request(), send(answered)), service=COPIED)
    client = await rig.client()
    await form.send(client, form.request(b"POST /", EXPECT, body=b"hello"))
    assert (await client.read_response()).raw == CONTINUE
    assert joined(await client.read_response()) == form.relayed(DATE, body=b"ok")
    assert [joined(got) for got in rig.primary.requests] == [form.forwarded(b"POST /", EXPECT, body=b"hello")]
    await form.afterwards(rig, client)


async def test_e1_a_backend_need_not_say_100(rig: Rig, form: Form) -> None:
    await rig.start(form.reply(form.response(DATE, body=b"ok")))
    client = await rig.client()
    head, body = parts(form.request(b"POST /", EXPECT, body=b"hello"))
    await form.send(client, head)
    await rig.primary.received_heads(1)
    await form.send(client, body)
    assert joined(await client.read_response()) == form.relayed(DATE, body=b"ok")
    assert [joined(got) for got in rig.primary.requests] == [form.forwarded(b"POST /", EXPECT, body=b"hello")]
    await form.afterwards(rig, client)


@pytest.mark.parametrize("start", [b"HTTP/1.1 417 Expectation Failed", b"HTTP/1.1 401 Unauthorized"])
async def test_e1_a_final_answer_instead_of_the_100_is_relayed_and_the_body_not_awaited(
    rig: Rig, form: Form, start: bytes
) -> None:
    await rig.start((send(form.response(DATE, body=b"no", start=start)), hang()), service=COPIED)
    client = await rig.client()
    head, _ = parts(form.request(b"POST /", EXPECT, body=b"hello"))
    await form.send(client, head)
    closing = Form(chunked=form.chunked, close=True, bytewise=form.bytewise)
    assert joined(await client.read_response()) == closing.relayed(DATE, body=b"no", start=start)
    await ended(client)
    (connection,) = rig.primary.connections
    await connection.gone()
    assert connection.received == parts(form.forwarded(b"POST /", EXPECT, body=b"hello"))[0]
    await rig.quiet()
    assert rig.drops() == {"incomplete": 1}


async def test_e1_without_a_body_it_is_forwarded_too(rig: Rig, transmission: Form) -> None:
    await rig.start(transmission.reply(CONTINUE + sized(b"ok", DATE)), service=COPIED)
    client = await rig.client()
    await transmission.send(client, request(b"GET /", EXPECT))
    assert (await client.read_response()).raw == CONTINUE
    assert (await client.read_response()).raw == sized(b"ok", DATE)
    assert [got.raw for got in rig.primary.requests] == [transmission.forwarded(b"GET /", EXPECT)]
    await rig.quiet()
    assert not rig.candidate.requests[0].values(b"expect")
    await healthy(rig, client)


@pytest.mark.parametrize("line", [b"Expect: 200-ok", b"expect: 100-Continue, x=y", b"Expect:"])
async def test_e1_other_expectations_are_forwarded_as_they_are(rig: Rig, transmission: Form, line: bytes) -> None:
    await rig.start(transmission.reply(sized(b"ok", DATE)), service=COPIED)
    client = await rig.client()
    await transmission.send(client, transmission.request(b"POST /", line, body=b"hello"))
    assert (await client.read_response()).raw == sized(b"ok", DATE)
    assert [got.raw for got in rig.primary.requests] == [transmission.forwarded(b"POST /", line, body=b"hello")]
    await rig.quiet()
    assert not rig.candidate.requests[0].values(b"expect")
    await healthy(rig, client)


async def test_e1_an_http_1_0_client_can_expect_nothing(rig: Rig, transmission: Form) -> None:
    """What it asks is ignored and not forwarded, and a 100 the backend sends all the same is not for it."""
    await rig.start(respond(CONTINUE + sized(b"ok", DATE)), service=COPIED)
    client = await rig.client()
    await transmission.send(client, b"POST / HTTP/1.0\r\nHost: a\r\n" + EXPECT + b"\r\nContent-Length: 5\r\n\r\nhello")
    assert (await client.read_response()).raw == response(DATE, b"Content-Length: 2", b"Connection: close", body=b"ok")
    await ended(client)
    expected = transmission.forwarded(b"POST /", b"Content-Length: 5").replace(b"Via: 1.1", b"Via: 1.0") + b"hello"
    assert [got.raw for got in rig.primary.requests] == [expected]
    await rig.quiet()
    assert not rig.candidate.requests[0].values(b"expect")


async def test_e1_what_the_candidate_says_to_a_copy_reaches_nobody(rig: Rig) -> None:
    candidate = ScriptedBackend([respond(CONTINUE + sized(b"other"))])
    await rig.start(respond(sized(b"ok", DATE)), candidate=candidate, service=COPIED)
    client = await rig.client()
    await client.send(request(b"POST /", EXPECT, b"Content-Length: 5", body=b"hello"))
    assert (await client.read_response()).raw == sized(b"ok", DATE)
    await rig.until(lambda: rig.pairs, "the pair")
    assert rig.pairs[0].candidate.body == b"other"
    await healthy(rig, client)
