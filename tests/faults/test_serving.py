"""F29-F31, F33, F34: who is answered by whom, what is sent to whom, and how often."""

import asyncio
import gzip
import json
from itertools import count
from pathlib import Path
from random import Random

import pytest

from comparators import Verdict
from proxy.config.models import Mode
from tests.e2e.proxy_host import ROOT, SERVE
from tests.faults.scene import (
    QUESTIONS,
    QUICK,
    Question,
    ask_all,
    failures,
    get,
    is_unnoticed,
    judged,
    post,
    start,
    switch,
)
from tests.kit.fault_backend import FaultBackend, faulty
from tests.kit.faults import ANSWER, BODY, FAULTS, message
from tests.kit.ports import LOOPBACK, free_port
from tests.kit.processes import Process
from tests.kit.raw_client import RawClient
from tests.kit.script import read_request, respond, send, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.scripted_connection import ScriptedConnection
from tests.wire.forms import copied, joined
from tests.wire.rig import GET, Rig, problem, request, without_date

SECRET = b"only the candidate says this"
ELOQUENT = respond(message(b"Content-Length: %d" % len(SECRET), body=SECRET))


# --- F29

DEATHS = {
    "refuses": "connect_refused",
    "reset-on-connect": "reset",
    "reset-on-request": "reset",
    "fin-in-head": "reset",
    "garbage": "protocol",
    "two-lengths": "protocol",
}
ERRORS = {"connect_refused": "connection_refused", "reset": "connection_terminated"}


@pytest.mark.parametrize("fault", DEATHS)
async def test_f29_a_dead_primary_is_the_clients_answer_and_never_the_candidates(rig: Rig, fault: str) -> None:
    expected = problem(502, DEATHS[fault], ERRORS.get(DEATHS[fault], "http_protocol_error"), close=False)
    async with faulty(fault) as primary:
        where = primary if isinstance(primary, int) else primary.port
        await rig.start(primary=where, candidate=ScriptedBackend(default=ELOQUENT))
        client = await rig.client()
        for _ in range(3):
            await client.send(GET)
            assert without_date((await client.read_response()).raw) == expected
        await rig.quiet()
        assert await judged(rig, 3) == {Verdict.PRIMARY_ERROR: 3}
        assert SECRET not in client.received


@pytest.mark.parametrize("fault", ["fin-in-body", "reset-in-body", "fin-in-chunk", "reset-in-chunk"])
async def test_f29_a_primary_that_dies_in_its_answer_cuts_it_and_the_candidates_fills_no_gap(
    rig: Rig, fault: str
) -> None:
    await rig.start(primary=FaultBackend(fault), candidate=ScriptedBackend(default=ELOQUENT))
    client = await rig.client()
    await client.send(GET)
    received = await client.read_until_close()
    assert received.endswith((BODY, BODY + b"\r\n"))
    await rig.quiet()
    assert (rig.requests(), rig.drops()) == ({"aborted": 1}, {})
    assert await judged(rig, 1) == {Verdict.PRIMARY_ERROR: 1}


async def test_f29_both_dead_is_an_error_of_both(rig: Rig) -> None:
    async with faulty("refuses") as primary, faulty("refuses") as candidate:
        assert isinstance(primary, int)
        assert isinstance(candidate, int)
        await rig.start(primary=primary, candidate=candidate)
        assert (await rig.ask()).status == 502
        await rig.quiet()
        assert await judged(rig, 1) == {Verdict.BOTH_ERROR: 1}


# --- F30


@pytest.mark.parametrize("framing", [b"Content-Length: 10", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("end", ["fin", "reset"])
async def test_f30_a_client_that_leaves_in_its_body_is_copied_to_nobody(rig: Rig, framing: bytes, end: str) -> None:
    await start(rig, FaultBackend("healthy"))
    switch(rig, Mode.SHADOW)
    client = await rig.client()
    await client.send(request(b"POST /score", framing, body=b"5\r\nhello\r\n"[: 8 if b"Length" in framing else None]))
    await rig.primary.received_heads(1)
    await (client.reset() if end == "reset" else client.abandon())
    await rig.primary.connections[0].gone()
    await rig.quiet()
    assert (rig.drops(), rig.candidate.connections, rig.primary.requests) == ({"client_gone": 1}, [], [])


async def test_f30_a_client_that_leaves_in_its_answer_was_copied_whole(rig: Rig) -> None:
    release = asyncio.Event()
    script = (read_request(), send(ANSWER[:-5]), wait_for(release), send(ANSWER[-5:]))
    await start(rig, FaultBackend("healthy"), primary=ScriptedBackend(default=script))
    switch(rig, Mode.SHADOW)
    client = await rig.client()
    await client.send(post().raw)
    await client.read_exactly(len(ANSWER) - 5)
    await client.reset()
    await rig.primary.connections[0].gone()
    release.set()
    await rig.quiet()
    assert (rig.drops(), rig.requests()) == ({"client_gone": 1}, {"aborted": 1})
    (copy,) = await rig.candidate.received_requests(1)
    assert joined(copy) == copied(rig.primary.requests[0])


# --- F31


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PATCH", b"DELETE", b"FOO"])
async def test_f31_what_may_write_is_served_once_and_not_copied(rig: Rig, method: bytes) -> None:
    await start(rig, FaultBackend("healthy"))
    switch(rig, Mode.SHADOW)
    await ask_all(await rig.client(), [Question(method.decode(), request(method + b" /orders/1"))] * 3)
    await rig.quiet()
    assert (rig.mirrors(), rig.candidate.connections) == ({"method": 3}, [])
    assert len(rig.primary.requests) == 3


async def test_f31_a_copy_is_marked_and_the_served_request_has_nothing_of_ours(rig: Rig) -> None:
    await is_unnoticed(rig, FaultBackend("healthy"), [post()])
    await rig.until(lambda: rig.candidate.requests, "the copy")
    without, served = rig.primary.requests
    assert joined(served) == joined(without)  # as in mode `primary`
    assert [joined(copy) for copy in rig.candidate.requests] == [copied(served)]


@pytest.mark.parametrize("fault", ["reset-on-request", "fin-in-head", "garbage", "body-short"])
async def test_f31_a_copy_that_fails_is_not_sent_again(rig: Rig, fault: str) -> None:
    """Also not on a connection that served copies before, where it may just have been stale."""
    await start(rig, FaultBackend("healthy"), service=QUICK)
    switch(rig, Mode.SHADOW)
    client = await rig.client()
    await ask_all(client, [post()])
    await rig.quiet()
    rig.candidate.play_next(FAULTS[fault].script(0))
    await ask_all(client, [post()])
    await rig.quiet()
    assert (len(rig.primary.requests), len(rig.candidate.requests)) == (2, 2)
    assert sum(failures(rig).values()) == 1


# --- F33


def leads_to(rig: Rig) -> ScriptedBackend:
    """A backend that asks this proxy whatever it is asked: another proxy, with a wrong configuration."""

    async def ask(connection: ScriptedConnection) -> None:
        await connection.read_request()
        async with await RawClient.open(rig.port) as client:
            await client.send(connection.requests[-1].raw)
            await connection.wire.send((await client.read_response()).raw)

    return ScriptedBackend(default=(ask,))


async def test_f33_a_loop_over_the_primary_ends_where_it_comes_back(rig: Rig) -> None:
    await rig.start(primary=leads_to(rig), candidate=FaultBackend("healthy"))
    assert (await rig.ask()).status == 508
    await rig.quiet()
    assert len(rig.primary.requests) == 1
    assert len(rig.candidate.requests) == 1
    assert rig.refusals() == {"loop": 1}


async def test_f33_a_loop_over_the_candidate_is_served_once_and_ends_where_it_comes_back(rig: Rig) -> None:
    await is_unnoticed(rig, leads_to(rig))
    assert len(rig.primary.requests) == 2 * len(QUESTIONS)
    assert len(rig.candidate.requests) == len(QUESTIONS)
    assert rig.refusals() == {"loop": len(QUESTIONS)}


async def test_f33_a_copy_is_served_and_never_copied_again(rig: Rig) -> None:
    await start(rig, FaultBackend("healthy"))
    switch(rig, Mode.SHADOW)
    await ask_all(await rig.client(), [get(b"/", b"X-Shadow-Request: 1")])
    await rig.quiet()
    assert (rig.mirrors(), rig.candidate.connections, len(rig.primary.requests)) == ({"loop": 1}, [], 1)


@pytest.mark.parametrize("side", ["primary", "candidate"])
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_f33_our_own_address_as_a_backend_is_refused_at_the_start(tmp_path: Path, side: str, name: str) -> None:
    port = free_port()
    urls = {"primary": "http://127.0.0.1:9", "candidate": "http://127.0.0.1:10", side: f"http://{name}:{port}"}
    words = [word for which, url in urls.items() for word in (f"--{which}", url)]
    places = ["--listen", f"{LOOPBACK}:{port}", "--admin-listen", f"{LOOPBACK}:0", "--state-dir", str(tmp_path)]
    with Process([*SERVE, *places, *words], cwd=ROOT) as process:
        assert process.wait() == 2
        assert "is this proxy itself" in process.output


# --- F34


class App:
    """Answers by what it is asked; only the clock and its own address differ from copy to copy."""

    def __init__(self) -> None:
        self.backend = ScriptedBackend(default=(self.answer,))
        self._seconds = count(1)

    async def answer(self, connection: ScriptedConnection) -> None:
        await connection.read_request()
        asked = connection.requests[-1]
        chance = Random(asked.target + asked.body)
        status = chance.choice([200] * 6 + [201, 204, 301, 304, 400, 404, 500])
        body, fields = self._content(chance)
        is_bare = status in {204, 304}
        lines = [
            b"HTTP/1.1 %d Whatever" % status,
            b"Date: Tue, 04 Mar 2025 05:06:%02d GMT" % (next(self._seconds) % 60),
        ]
        if status == 301:
            lines.append(b"Location: http://127.0.0.1:%d/elsewhere" % self.backend.port)
        if not is_bare:
            lines += fields
        if chance.random() < 0.5 or is_bare:
            lines += [] if is_bare else [b"Content-Length: %d" % len(body)]
        else:
            lines.append(b"Transfer-Encoding: chunked")
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        if is_bare or asked.method == b"HEAD":
            body = b""
        await connection.wire.send(b"\r\n".join([*lines, b"", body]))

    def _content(self, chance: Random) -> tuple[bytes, list[bytes]]:
        scores = [round(chance.gauss(0, 1e3), chance.randrange(9)) for _ in range(chance.randrange(200))]
        body = json.dumps({"id": chance.randrange(1 << 62), "scores": scores, "tags": ["é", "\U0001f600", ""]}).encode()
        kind = chance.choice(
            [b"application/json", b"text/plain; charset=utf-8", b"application/octet-stream", b"text/html"]
        )
        fields = [b"Content-Type: " + kind, b'ETag: "%d"' % chance.randrange(1 << 30), b"Set-Cookie: a=1; Path=/"]
        if chance.random() < 0.3:
            body, fields = gzip.compress(body, mtime=0), [*fields, b"Content-Encoding: gzip"]
        return body, fields


def anything(chance: Random) -> Question:
    target = b"/%d/%d?q=%d" % (chance.randrange(50), chance.randrange(1000), chance.randrange(1000))
    method = chance.choice([b"GET", b"GET", b"HEAD", b"OPTIONS", b"POST"])
    if method == b"POST":
        return post(chance.randbytes(chance.randrange(1, 3000)))
    return Question(method.decode(), request(method + b" " + target))


async def test_f34_a_copy_of_the_primary_never_differs(rig: Rig) -> None:
    primary, candidate, chance = App(), App(), Random(34)
    next(candidate._seconds)
    await rig.start(
        primary=primary.backend,
        candidate=candidate.backend,
        service={"endpoints": [{"name": "score", "match": "POST /score", "read_only": True}]},
    )
    client = await rig.client()
    for question in (anything(chance) for _ in range(400)):
        await client.send(question.raw)
        await client.read_response(question.method)
    await rig.quiet()
    found = await judged(rig, 400)
    assert found.keys() <= {Verdict.MATCH, Verdict.TOLERATED, Verdict.BOTH_ERROR}
    assert found[Verdict.MATCH] > 200
