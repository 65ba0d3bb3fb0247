"""Every timeout by its configured name, set short: what ends, and what the client and the counts say of it.

Requests that do not come (`request_head`, `request_body_idle`, `client_idle`) and `linger` after an early answer are
in `test_d_slow_clients` and `test_d_early_answers`; answers that do not come (`first_byte`, `total`, `connect`,
`resolve`) in `test_d_failures`; `tls` in `test_tls_backends`; `tunnel_idle` in `test_e_tunnel`; times of copies in
`test_limits_of_mirrors`. That each fires neither early nor late is asked of a clock that is told the time, in
`tests/unit/http/test_deadlines.py`.
"""

import asyncio
import socket
from typing import Any

import pytest

from proxy.core.families import BACKEND_FAILURES
from tests.kit.memory_plane import MemoryBackend, MemoryPlane, settings
from tests.kit.script import answer, drip, hang, read_request, respond, send, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.wire import ConnectionEnded, Ending, Wire
from tests.wire.forms import DATE, Form, ended, healthy, joined
from tests.wire.rig import GET, Rig, problem, request, response, sized, without_date

MIB = 1 << 20
ALONE = {"mirror": {"share": 0.0}}


# --- timeouts.client_stall


@pytest.mark.parametrize("framing", ["length", "chunked", "until the end"])
async def test_a_client_that_does_not_read_is_cut_off(rig: Rig, framing: str) -> None:
    body = b"x" * 20 * MIB
    answers = {
        "length": sized(body),
        "chunked": response(b"Transfer-Encoding: chunked", body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)),
        "until the end": response(body=body),
    }
    await rig.start(respond(answers[framing]), timeouts={"client_stall": "100ms"}, service=ALONE)
    client = await rig.client()
    await client.send(GET)
    client.stop_reading()
    await rig.until(lambda: rig.requests() == {"aborted": 1}, "the connection to be cut")
    client.resume_reading()
    with pytest.raises(ConnectionEnded):
        await client.read_response()
    await rig.primary.connections[0].gone()


class Mute(MemoryBackend):
    """Says nothing by itself."""

    def heard(self, wire: Wire) -> None:
        pass


@pytest.mark.parametrize("missing", [0, 1], ids=["whole", "but for a byte"])
@pytest.mark.parametrize("uploaded", [b"", b"1"], ids=["idle", "uploading"])
def test_a_client_that_does_not_read_has_the_same_time_whatever_else_happens(missing: int, uploaded: bytes) -> None:
    times = {"client_stall": "20s", "client_idle": "1000s", "request_body_idle": "1000s", "linger": "1s"}
    body = b"x" * 200_000
    with MemoryPlane(settings(timeouts=times, service=ALONE), primary=Mute()) as plane:
        client = plane.client()
        client.stop_reading()
        plane.say(client, request(b"POST /", b"Content-Length: 1000", body=uploaded) if uploaded else GET)
        plane.primary.connections[0].transport.write(sized(body)[: -missing or None])
        for _ in range(2):
            plane.say(client, uploaded)
            plane.wait(9)
        assert plane.plane.connections
        plane.say(client, uploaded)
        plane.wait(4)
        assert not plane.plane.connections


# --- timeouts.response_idle


@pytest.mark.parametrize("begun", [b"", b"hello"], ids=["head only", "half a body"])
@pytest.mark.parametrize("framing", ["length", "chunked", "until the end"])
async def test_a_body_that_stops_coming_is_cut(rig: Rig, framing: str, begun: bytes) -> None:
    fields = {"length": b"Content-Length: 10", "chunked": b"Transfer-Encoding: chunked", "until the end": b"X: 1"}
    framed = b"5\r\n%b\r\n" % begun if framing == "chunked" and begun else begun
    script = (read_request(), send(response(DATE, fields[framing], body=framed)), hang())
    await rig.start(script, timeouts={"response_idle": "100ms"}, service=ALONE)
    client = await rig.client()
    await client.send(GET)
    with pytest.raises(ConnectionEnded):  # it does not look complete
        await client.read_response()
    assert client.received.startswith(b"HTTP/1.1 200 OK\r\n")
    await rig.primary.connections[0].gone()
    await rig.quiet()
    assert rig.requests() == {"aborted": 1}
    assert rig.plane.tally().by(BACKEND_FAILURES, "kind", role="serve") == {"timeout": 1}


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_a_body_may_take_long_as_long_as_it_comes(rig: Rig, chunked: bool) -> None:  # noqa: FBT001
    raw = Form(chunked, close=False, bytewise=False).response(DATE, body=b"a slow body")
    head, end, body = raw.partition(b"\r\n\r\n")
    await rig.start((read_request(), send(head + end), drip(body, 0.02)), timeouts={"response_idle": "200ms"})
    client = await rig.client()
    await client.send(GET)
    assert joined(await client.read_response()) == raw
    await healthy(rig, client)


# --- timeouts.total


async def test_an_answer_that_takes_too_long_in_all_is_cut(rig: Rig, transmission: Form) -> None:
    script = (read_request(), send(response(DATE, b"Content-Length: 1000")), drip(b"x" * 1000, 0.02))
    await rig.start(script, timeouts={"total": "150ms"}, service=ALONE)
    client = await rig.client()
    await transmission.send(client, GET)
    with pytest.raises(ConnectionEnded):
        await client.read_response()
    await rig.primary.connections[0].gone()
    await rig.quiet()
    assert rig.requests() == {"aborted": 1}
    assert rig.plane.tally().by(BACKEND_FAILURES, "kind", role="serve") == {"timeout": 1}


async def test_a_request_that_takes_too_long_in_all_is_a_504_and_closes(rig: Rig) -> None:
    await rig.start(timeouts={"total": "100ms"}, service={"mirror": {"methods": ["POST"]}})
    client = await rig.client()
    await client.send(request(b"POST /", b"Content-Length: 10", body=b"hello"))
    assert without_date((await client.read_response()).raw) == problem(
        504, "total_timeout", "http_response_timeout", close=True
    )
    await ended(client)
    await rig.primary.connections[0].gone()
    assert rig.primary.connections[0].truncated
    await client.abandon()
    await rig.quiet()
    assert (rig.drops(), rig.candidate.connections) == ({"incomplete": 1}, [])


async def test_the_total_counts_each_exchange_for_itself(rig: Rig) -> None:
    await rig.start(timeouts={"total": "250ms"})
    client = await rig.client()
    ticks = iter(range(40))  # of 10 ms
    while next(ticks, 40) < 40:
        await healthy(rig, client)
        await asyncio.sleep(0.01)  # a client that asks now and then, for longer than one exchange may take


async def test_an_endpoint_may_have_another_total(rig: Rig) -> None:
    endpoints = [
        {"name": "short", "match": "GET /short", "timeouts": {"total": "100ms"}},
        {"name": "any", "match": "GET /any", "timeouts": {"total": 0}},
    ]
    release = asyncio.Event()
    late = (read_request(), wait_for(release), send(sized(b"late")))
    silent = (read_request(), hang())
    service = {"endpoints": endpoints, **ALONE}
    await rig.start(silent, late, silent, timeouts={"total": "200ms"}, service=service)
    short, patient, other = await rig.client(), await rig.client(), await rig.client()
    await short.send(request(b"GET /short"))
    await rig.primary.received_requests(1)
    await patient.send(request(b"GET /any"))
    await rig.primary.received_requests(2)
    await other.send(request(b"GET /other"))
    for client in (short, other):
        assert (await client.read_response()).status == 504  # while the patient one waits on
    release.set()
    assert (await patient.read_response()).body == b"late"


# --- timeouts.first_byte


async def test_the_time_for_an_answer_begins_with_the_last_byte_of_the_request(rig: Rig, transmission: Form) -> None:
    await rig.start(timeouts={"first_byte": "150ms"})
    client = await rig.client()
    await client.send(request(b"POST /", b"Content-Length: 10"))
    await rig.primary.received_heads(1)
    ticks = iter(range(30))  # of 10 ms: twice the limit
    await rig.until(lambda: next(ticks, 30) == 30, "more time than an answer may take")
    await transmission.send(client, b"helloworld")
    assert (await client.read_response()).status == 200
    assert rig.primary.requests[0].body == b"helloworld"
    await healthy(rig, client)


@pytest.mark.parametrize("side", ["primary", "timeouts"])
async def test_the_primarys_own_time_wins(rig: Rig, side: str) -> None:
    release = asyncio.Event()
    own = {"primary": "60s", "timeouts": "50ms"}
    all_ = {"primary": "50ms", "timeouts": "60s"}
    script = (read_request(), wait_for(release), send(sized(b"ok", DATE)))
    await rig.start(script, backends={"timeout": own[side]}, timeouts={"first_byte": all_[side]}, service=ALONE)
    client = await rig.client()
    await client.send(GET)
    await rig.primary.received_requests(1)
    if side == "primary":
        ticks = iter(range(20))  # of 10 ms: far over `timeouts.first_byte`
        await rig.until(lambda: next(ticks, 20) == 20, "more time than others have")
        release.set()
        assert (await client.read_response()).raw == sized(b"ok", DATE)
    else:
        assert (await client.read_response()).status == 504
    await healthy(rig, client)


# --- pool.dns_ttl


@pytest.mark.parametrize(("ttl", "lookups"), [("60s", 1), ("0s", 3)])
async def test_a_name_is_looked_up_again_after_its_time(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, ttl: str, lookups: int
) -> None:
    seen: list[str] = []
    look_up = socket.getaddrinfo

    def counted(host: str, *rest: Any, **options: Any) -> Any:
        seen.append(host)
        return look_up(host, *rest, **options)

    async with ScriptedBackend(default=answer(fields=[b"Connection: close"])) as backend:
        await rig.start(primary=f"http://localhost:{backend.port}", pool={"dns_ttl": ttl}, service=ALONE)
        monkeypatch.setattr(socket, "getaddrinfo", counted)
        client = await rig.client()
        for _ in range(3):  # each on a connection of its own
            await client.send(GET)
            assert (await client.read_response()).status == 200
    assert seen.count("localhost") == lookups


# --- timeouts.drain


@pytest.mark.parametrize("begun", [b"", response(b"Content-Length: 10", body=b"hello")], ids=["waiting", "answering"])
async def test_what_takes_longer_than_draining_may_is_cut_and_counted(rig: Rig, begun: bytes) -> None:
    await rig.start((read_request(), send(begun), hang()))
    client, idle = await rig.client(), await rig.client()
    await client.send(GET)
    await rig.primary.received_requests(1)
    await rig.until(lambda: client.received.endswith(begun[-5:]) and len(rig.plane.connections) == 2, "both clients")
    draining = asyncio.create_task(rig.plane.drain(0.1))
    assert await idle.closed() is Ending.FIN
    await draining
    with pytest.raises(ConnectionEnded):
        await client.read_response()
    await rig.primary.connections[0].gone()
    assert rig.requests() == {"aborted": 1}
    await rig.quiet()


async def test_draining_says_close_and_ends_unused_connections(rig: Rig, form: Form) -> None:
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), *form.reply(form.response(DATE, body=b"ok"))))
    idle, busy = await rig.client(), await rig.client()
    await rig.until(lambda: len(rig.plane.connections) == 2, "both connections")
    await form.send(busy, form.request(b"POST /", body=b"hello"))
    await rig.primary.received_requests(1)
    draining = asyncio.create_task(rig.plane.drain(5.0))
    assert await idle.closed() is Ending.FIN
    release.set()
    closing = Form(form.chunked, close=True, bytewise=form.bytewise)
    assert joined(await busy.read_response()) == closing.relayed(DATE, body=b"ok")
    await ended(busy)
    await busy.abandon()
    await draining
