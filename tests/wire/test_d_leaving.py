"""A client that says FIN and goes on reading gets every answer it is owed; one that resets is owed nothing."""

import asyncio

import pytest

from tests.kit.certificates import Authority
from tests.kit.script import answer, hang, read_request, reset, respond, send, send_endlessly, stop_reading, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.wire.forms import DATE, Form, copied, ended, joined
from tests.wire.rig import GET, Rig, problem, request, response, sized, without_date

ALONE = {"mirror": {"share": 0.0}}
MIRRORED = {"mirror": {"methods": ["GET", "POST"]}}


# --- D6: half close


async def test_d6_a_half_closed_client_gets_its_answer(rig: Rig, form: Form) -> None:
    release = asyncio.Event()
    answered = form.response(DATE, body=b"ok")
    script = (read_request(), wait_for(release), *form.reply(answered))
    await rig.start(script, service=MIRRORED, timeouts={"linger": "60s"})  # there is nothing to wait for any more
    client = await rig.client()
    await form.send(client, form.request(b"POST /", body=b"hello"))
    await client.half_close()
    await rig.primary.received_requests(1)
    await rig.until(lambda: all(c._half_closed for c in rig.plane.connections), "the half close to be seen")
    release.set()
    closing = Form(form.chunked, close=True, bytewise=form.bytewise)
    assert joined(await client.read_response()) == closing.relayed(DATE, body=b"ok")
    await ended(client)
    assert [joined(got) for got in rig.primary.requests] == [form.forwarded(b"POST /", body=b"hello")]
    await rig.until(lambda: len(rig.pairs) == 1, "the pair")  # it is an exchange like any other
    assert [joined(copy) for copy in rig.candidate.requests] == [copied(rig.primary.requests[0])]


async def test_d6_a_half_closed_client_gets_all_its_pipelined_answers(rig: Rig, transmission: Form) -> None:
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), send(sized(b"1", DATE))), respond(sized(b"2", DATE)))
    client = await rig.client()
    await transmission.send(client, request(b"GET /1") + request(b"GET /2"))
    await client.half_close()
    await rig.primary.received_heads(1)
    release.set()
    assert (await client.read_response()).body == b"1"
    assert (await client.read_response()).body == b"2"
    await ended(client)
    assert [got.target for got in rig.primary.requests] == [b"/1", b"/2"]


@pytest.mark.parametrize(
    "rest",
    [b"", b"\r\n", b"\r\n\r\n", b"GET", request(b"POST /", b"Content-Length: 9", body=b"half")],
    ids=["nothing", "CRLF", "two CRLF", "half a head", "half a body"],
)
async def test_d6_what_follows_the_last_request_costs_no_answer(rig: Rig, transmission: Form, rest: bytes) -> None:
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), send(sized(b"1"))))
    client = await rig.client()
    await transmission.send(client, GET + rest)
    await client.half_close()
    await rig.primary.received_heads(1)
    release.set()
    assert (await client.read_response()).body == b"1"
    await ended(client)
    assert [found.method for found in rig.primary.requests] == [b"GET"]


async def test_d6_a_half_closed_client_gets_an_error_too(rig: Rig, transmission: Form) -> None:
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), reset()))
    client = await rig.client()
    await transmission.send(client, GET)
    await client.half_close()
    await rig.primary.received_heads(1)
    release.set()
    answered = await client.read_response()
    assert without_date(answered.raw) == problem(
        502, "reset", "connection_terminated", close=answered.values(b"connection") == [b"close"]
    )
    await ended(client)


async def test_d6_a_streamed_answer_goes_on_to_its_end(rig: Rig) -> None:
    release = asyncio.Event()
    body = b"x" * 3_000_000
    head = response(b"Content-Length: %d" % len(body))
    await rig.start((read_request(), send(head + body[:1000]), wait_for(release), send(body[1000:])))
    client = await rig.client()
    await client.send(GET)
    await rig.until(lambda: client.received.endswith(b"x"), "the beginning of the answer")
    await client.half_close()
    release.set()
    assert (await client.read_response()).body == body
    await ended(client)
    assert rig.requests() == {"2xx": 1}


async def test_d6_all_pipelined_requests_are_answered_however_slowly_they_are_read(rig: Rig) -> None:
    big = sized(b"x" * 100_000)
    await rig.start(primary=ScriptedBackend(default=respond(big)), service=ALONE)
    client = await rig.client()
    client.stop_reading()
    await client.send(GET * 300)
    await rig.until(lambda: any(c._write_paused for c in rig.plane.connections), "the answers to pile up")
    await client.half_close()
    await rig.settled(lambda: len(rig.primary.requests))
    client.resume_reading()
    for _ in range(300):
        assert len((await client.read_response()).body) == 100_000
    await ended(client)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (request(b"TRACE /"), 405),
        (request(b"OPTIONS *", b"Max-Forwards: 0"), 200),
        (request(b"GET /").replace(b"Host: a", b"Host: b"), 404),
    ],
    ids=["TRACE", "OPTIONS", "no service"],
)
async def test_d6_an_answer_given_at_once_is_not_lost_when_the_end_comes_in_the_same_packet(
    rig: Rig, authority: Authority, asked: bytes, status: int
) -> None:
    certificate, key = authority.sign("127.0.0.1")
    await rig.start(tls={"certificate": str(certificate), "key": str(key)}, service={"hosts": ["a"]})
    client = await rig.client(tls=authority.client())
    client.tls._tls.write(asked)  # not on the line before the end is
    await client.half_close()
    assert b" %d " % status in (await client.read_until_close()).partition(b"\r\n")[0]
    assert client.tls.close_notified


# --- D7: reset


@pytest.mark.parametrize(
    "begun",
    [b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 200", response(b"Content-Length: 10", body=b"hello")],
    ids=["nothing came", "an interim answer came", "half a head came", "half a body came"],
)
async def test_d7_a_reset_while_waiting_aborts_the_backend_and_its_copy_goes_on(
    rig: Rig, form: Form, begun: bytes
) -> None:
    release = asyncio.Event()
    await rig.start(
        (read_request(), send(begun), hang()),
        candidate=ScriptedBackend([(read_request(), wait_for(release), *answer())]),
        service=MIRRORED,
    )
    client, other = await rig.client(), await rig.client()
    await form.send(client, form.request(b"POST /", body=b"hello"))
    await rig.primary.received_requests(1)
    await rig.candidate.received_requests(1)
    if begun.startswith(b"HTTP/1.1 103") or b"hello" in begun:
        await rig.until(lambda: client.received, "what the client gets of it")
    await client.reset()
    await rig.primary.connections[0].gone()
    serving, mirror = rig.plane.services[0].serving, rig.plane.services[0].mirror
    await rig.until(lambda: not serving.pool.open, "the connection to be given up")
    assert len(mirror.copies) == 1  # already sent, so it runs to its end
    release.set()
    await rig.quiet()
    assert (rig.requests(), rig.drops(), rig.mirrors()) == ({"aborted": 1}, {"client_gone": 1}, {"mirrored": 1})
    assert len(mirror.upstream.pool.idle) == 1
    assert [joined(got) for got in rig.primary.requests] == [form.forwarded(b"POST /", body=b"hello")]
    assert [joined(copy) for copy in rig.candidate.requests] == [copied(rig.primary.requests[0])]
    await other.send(GET)
    assert (await other.read_response()).status == 200
    assert len(rig.primary.connections) == 2  # never pooled


async def test_d7_a_reset_takes_the_pipelined_requests_with_it(rig: Rig) -> None:
    await rig.start((read_request(), hang()))
    client = await rig.client()
    await client.send(request(b"GET /1") + request(b"GET /2"))
    await rig.primary.received_requests(1)
    await client.reset()
    await rig.primary.connections[0].gone()
    await rig.quiet()
    assert [got.target for got in rig.primary.requests] == [b"/1"]
    assert rig.requests() == {"aborted": 1}


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_d7_a_reset_is_seen_while_reading_is_paused(rig: Rig, authority: Authority, scheme: str) -> None:
    certificate, key = authority.sign("127.0.0.1")
    files = {"certificate": str(certificate), "key": str(key)} if scheme == "https" else {}
    await rig.start((read_request(), hang()), tls=files, limits={"pipeline_bytes": 1000}, service=ALONE)
    client = await rig.client(tls=authority.client() if files else None)
    await client.send(GET * 1000)
    await rig.primary.received_requests(1)
    await rig.until(lambda: any(c._paused for c in rig.plane.connections), "reading to pause")
    await client.reset()
    await rig.primary.connections[0].gone()
    await rig.quiet()
    assert rig.requests() == {"aborted": 1}
    assert not rig.plane.connections


async def test_d7_a_reset_is_seen_while_the_backend_takes_no_more_of_the_body(rig: Rig) -> None:
    await rig.start((stop_reading(), hang()), service=ALONE)
    client = await rig.client()
    upload = asyncio.create_task(client.send(request(b"POST /", b"Content-Length: 99000000", body=b"x" * 50_000_000)))
    await rig.until(lambda: any(c._paused for c in rig.plane.connections), "the upload to be paused")
    upload.cancel()
    await client.reset()
    await rig.until(lambda: rig.requests() == {"aborted": 1}, "the reset to be seen")
    await rig.until(lambda: not rig.plane.services[0].serving.connections, "the upload to be given up")


async def test_d7_who_is_read_from_again_is_watched_no_more(rig: Rig) -> None:
    release = asyncio.Event()
    slow = (read_request(), wait_for(release), send(sized(b"1")))
    await rig.start(slow, limits={"pipeline_bytes": 1000}, service=ALONE)
    client = await rig.client()
    await client.send(GET * 100)
    await rig.until(lambda: any(c._paused for c in rig.plane.connections), "reading to pause")
    release.set()
    for _ in range(100):
        assert (await client.read_response()).status == 200
    assert not rig.plane.resets._watched
    await client.reset()
    await rig.until(lambda: not rig.plane.connections, "the connection to end")
    assert rig.requests() == {"2xx": 100}


async def test_d7_a_reset_while_waiting_for_a_connection_asks_no_backend(rig: Rig) -> None:
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), send(sized(b"1"))), pool={"max_connections": 1}, service=ALONE)
    first, client = await rig.client(), await rig.client()
    await first.send(request(b"GET /1"))
    await rig.primary.received_requests(1)
    await client.send(request(b"GET /2"))
    pool = rig.plane.services[0].serving.pool
    await rig.until(lambda: pool.waiting, "the second to wait")
    await client.reset()
    await rig.until(lambda: rig.requests() == {"aborted": 1}, "the reset to be seen")
    release.set()
    assert (await first.read_response()).body == b"1"
    await first.send(request(b"GET /3"))
    assert (await first.read_response()).status == 200
    assert [got.target for got in rig.primary.requests] == [b"/1", b"/3"]


async def test_d7_a_full_close_while_waiting_is_noticed_when_its_answer_is_written(rig: Rig) -> None:
    """TCP says FIN for a full and for a half close alike: only our writing tells them apart, by its reset."""
    release = asyncio.Event()
    endless = (send(response(b"Content-Length: 1000000000")), send_endlessly(b"x" * 1000))
    await rig.start((read_request(), wait_for(release), *endless), service=ALONE)
    client = await rig.client()
    await client.send(GET)
    await rig.primary.received_requests(1)
    await client.abandon()
    release.set()
    await rig.primary.connections[0].gone()
    assert rig.requests() == {"aborted": 1}
