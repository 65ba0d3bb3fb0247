"""Interim answers (1xx): all of them, in order, up to a limit. RFC 9110 §15.2."""

import asyncio

import pytest
from pydantic import ValidationError

from proxy.config.models import Limits
from tests.kit.script import read_request, respond, send, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.wire.forms import DATE, Form, ended, healthy, joined
from tests.wire.rig import GET, Rig, problem, request, response, sized, without_date

EARLY = response(b"Link: </a>; rel=preload", b"link: </b>", start=b"HTTP/1.1 103 Early Hints")
TOO_MANY = problem(502, "interim", "http_protocol_error", close=False)


async def test_e2_interim_answers_are_relayed_in_order_before_the_answer(rig: Rig, form: Form) -> None:
    interims = [
        EARLY,
        response(start=b"HTTP/1.1 102 Processing"),
        response(b"X: 1", start=b"HTTP/1.1 199 "),
        response(start=b"HTTP/1.1 100 Continue"),
        EARLY,
    ]
    await rig.start(form.reply(b"".join(interims) + form.response(DATE, body=b"ok")))
    client = await rig.client()
    await form.send(client, form.request(b"POST /", body=b"hello"))
    assert [(await client.read_response()).raw for _ in interims] == interims
    assert joined(await client.read_response()) == form.relayed(DATE, body=b"ok")
    assert [joined(got) for got in rig.primary.requests] == [form.forwarded(b"POST /", body=b"hello")]
    await form.afterwards(rig, client)


async def test_e2_an_interim_answer_comes_before_the_answer_is_known(rig: Rig) -> None:
    seen = asyncio.Event()
    await rig.start((read_request(), send(EARLY), wait_for(seen), send(sized(b"ok", DATE))))
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).raw == EARLY
    seen.set()
    assert (await client.read_response()).raw == sized(b"ok", DATE)
    await healthy(rig, client)


async def test_e2_an_interim_answer_may_come_while_the_request_still_does(rig: Rig) -> None:
    await rig.start((send(EARLY), read_request(), send(sized(b"ok", DATE))))
    client = await rig.client()
    await client.send(request(b"POST /", b"Content-Length: 5", body=b"he"))
    assert (await client.read_response()).raw == EARLY
    await client.send(b"llo")
    assert (await client.read_response()).raw == sized(b"ok", DATE)
    assert rig.primary.requests[0].body == b"hello"
    await healthy(rig, client)


async def test_e2_what_belongs_to_the_connection_or_frames_a_body_is_not_relayed(rig: Rig, transmission: Form) -> None:
    fields = (b"X-Hop: 1", b"A: 1", b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: close, X-Hop")
    interim = response(*fields, start=b"HTTP/1.1 103 Early Hints")
    await rig.start(transmission.reply(interim + sized(b"ok", DATE)))
    client = await rig.client()
    await transmission.send(client, GET)
    assert (await client.read_response()).raw == response(b"A: 1", start=b"HTTP/1.1 103 Early Hints")
    assert (await client.read_response()).raw == sized(b"ok", DATE)
    await healthy(rig, client)


@pytest.mark.parametrize(("method", "body"), [("HEAD", b""), ("GET", b"ok")])
async def test_e2_an_interim_answer_to_any_method_has_no_body(rig: Rig, method: str, body: bytes) -> None:
    answered = response(DATE, b"Content-Length: 2", body=body)
    await rig.start(respond(EARLY + answered))
    client = await rig.client()
    await client.send(request(method.encode() + b" /"))
    assert [(await client.read_response(method)).raw for _ in range(2)] == [EARLY, answered]
    await healthy(rig, client)


async def test_e2_an_http_1_0_client_gets_the_answer_only(rig: Rig, transmission: Form) -> None:
    await rig.start(transmission.reply(EARLY * 2 + sized(b"ok", DATE)))
    client = await rig.client()
    await transmission.send(client, b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    assert (await client.read_response()).raw == response(DATE, b"Content-Length: 2", b"Connection: close", body=b"ok")
    await ended(client)


@pytest.mark.parametrize("most", [0, 1, 16])
async def test_e2_at_the_limit_they_are_relayed(rig: Rig, transmission: Form, most: int) -> None:
    await rig.start(transmission.reply(EARLY * most + sized(b"ok", DATE)), limits={"interim": most})
    client = await rig.client()
    await transmission.send(client, GET)
    assert [(await client.read_response()).raw for _ in range(most)] == [EARLY] * most
    assert (await client.read_response()).raw == sized(b"ok", DATE)
    await healthy(rig, client)
    assert len(rig.primary.connections) == 1


@pytest.mark.parametrize("most", [0, 1, 16])
async def test_e2_above_the_limit_the_answer_is_a_502(rig: Rig, transmission: Form, most: int) -> None:
    await rig.start(transmission.reply(EARLY * (most + 1) + sized(b"ok", DATE)), limits={"interim": most})
    client = await rig.client()
    await transmission.send(client, GET)
    assert [(await client.read_response()).raw for _ in range(most)] == [EARLY] * most
    assert without_date((await client.read_response()).raw) == TOO_MANY
    await rig.primary.connections[0].gone()
    await healthy(rig, client)
    assert len(rig.primary.connections) == 2


async def test_e2_by_default_there_may_be_sixteen(rig: Rig) -> None:
    await rig.start(respond(EARLY * 17 + sized(b"ok")))
    client = await rig.client()
    await client.send(GET)
    assert [(await client.read_response()).raw for _ in range(16)] == [EARLY] * 16
    assert without_date((await client.read_response()).raw) == TOO_MANY
    await healthy(rig, client)


async def test_e2_those_of_the_candidate_reach_nobody(rig: Rig) -> None:
    await rig.start(respond(sized(b"ok", DATE)), candidate=ScriptedBackend([respond(EARLY + sized(b"other"))]))
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).raw == sized(b"ok", DATE)
    await rig.until(lambda: rig.pairs, "the pair")
    assert rig.pairs[0].candidate.body == b"other"
    await healthy(rig, client)


def test_e2_the_limit_itself_has_one_since_they_are_read_one_within_the_other() -> None:
    assert Limits(interim=100).interim == 100
    with pytest.raises(ValidationError, match="less than or equal to 100"):
        Limits(interim=101)
