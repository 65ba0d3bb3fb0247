"""F21, F22, F26: clients that send too many names, too much nonsense, or take too much time."""

import asyncio
from asyncio import to_thread
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from proxy.config.models import Mode
from tests.e2e.proxy_host import ProxyHost
from tests.faults.scene import SERVICE, ask_all, get, start, switch
from tests.kit.fault_backend import FaultBackend
from tests.kit.metrics import Labels, parse
from tests.kit.raw_client import RawClient
from tests.kit.script import respond
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.scripted_connection import ScriptedConnection
from tests.wire.rig import GET, Rig, problem, request, sized, without_date

NONCE = b"zzq"
"""Stands in everything that peers make up here, and nowhere else."""
MOST_SERIES = 2_000
MOST_BYTES = 1_000_000
CONFIG = """\
services:
  ranker:
    primary: {{version: v1, url: "http://127.0.0.1:{primary}"}}
    candidate: {{version: v2, url: "http://127.0.0.1:{candidate}"}}
    mirror: {{warm_up: 0s}}
    endpoints:
      - {{name: item, match: "GET /items/{{id}}"}}
      - {{name: score, match: "POST /score/{{id}}", read_only: true}}
"""


# --- F21


async def any_status(connection: ScriptedConnection) -> None:
    """The status, media type and fields follow from what was asked, and are new with each request."""
    await connection.read_request()
    number = int(connection.requests[-1].target.rpartition(b"q")[2])
    fields = b"Content-Type: application/%b%d\r\nX-%b%d: 1\r\n" % (NONCE, number, NONCE, number)
    status = 200 + number * 37 % 800  # any class soon
    body = b"" if status in {204, 304} else b'{"%b%d": %d}' % (NONCE, number, id(connection))
    length = b"" if status == 204 else b"Content-Length: %d\r\n" % len(body)
    await connection.wire.send(b"HTTP/1.1 %d %b\r\n%b%b\r\n" % (status, NONCE, fields, length) + body)


def made_up(number: int) -> bytes:
    """A request with a path, a host, a method and fields that nobody has seen before."""
    method = [b"GET", b"POST", b"%b%d" % (NONCE.upper(), number)][number % 3]
    place = [b"items", b"score", b"x%d" % number][number % 3]
    lines = [
        b"%b /%b/%b%d HTTP/1.1" % (method, place, NONCE, number),
        b"Host: %b%d.example" % (NONCE, number),
        b"X-%b%d: %d" % (NONCE, number, number),
    ]
    return b"\r\n".join([*lines, b"", b""])


async def flood(port: int, first: int, count: int) -> None:
    async with await RawClient.open(port, deadline_s=60) as client:
        for start_at in range(first, first + count, 20):
            numbers = range(start_at, start_at + 20)
            await client.send(b"".join(map(made_up, numbers)))
            for _ in numbers:
                await client.read_response("GET")


def series(proxy: ProxyHost) -> set[tuple[str, Labels]]:
    text = proxy.get("/metrics").body
    assert len(text) <= MOST_BYTES
    assert NONCE not in text.lower()
    samples = parse(text.decode()).samples
    return {(name, labels) for name, found in samples.items() for labels in found if "le" not in dict(labels)}


@pytest.mark.parametrize("count", [1_500, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
async def test_f21_names_that_peers_make_up_are_no_labels(tmp_path: Path, count: int) -> None:
    known = 300  # so many show every class of status, at every endpoint
    async with ScriptedBackend(default=(any_status,)) as primary, ScriptedBackend(default=(any_status,)) as candidate:
        config = tmp_path / "shadow-proxy.yaml"
        config.write_text(CONFIG.format(primary=primary.port, candidate=candidate.port))
        with ProxyHost(tmp_path, "-c", str(config)) as proxy:
            await flood(proxy.port, 0, known)
            await to_thread(proxy.settled, known)
            before = await to_thread(series, proxy)
            assert len(before) <= MOST_SERIES
            await flood(proxy.port, known, count)
            await to_thread(proxy.settled, known + count, 60)
            assert await to_thread(series, proxy) == before
            said = (await to_thread(proxy.get, "/api/v1/status")).body
            assert NONCE not in said.lower()


# --- F22

SECRET = b"tok-5f2b9c"
MALFORMED = (
    b"GET  / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\r\n\r\n" % SECRET,
    b"GET / HTTP/1.1\r\nHost: a\r\nCookie: %b\x00\r\n\r\n" % SECRET,
    b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: %b\r\nContent-Length: 1, 2\r\n\r\n" % SECRET,
    b"GET /%b#x HTTP/1.1\r\nHost: a\r\n\r\n" % SECRET,
    b"\x16\x03\x01" + SECRET + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: %b,b\r\n\r\n" % SECRET,
)
ROUNDS = 100
LINES_A_SECOND = 10


async def test_f22_nonsense_is_refused_and_what_it_holds_is_in_no_log(tmp_path: Path) -> None:
    async with ScriptedBackend() as primary, ScriptedBackend() as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            before, began = len(proxy.process.output.splitlines()), monotonic()
            async with await RawClient.open(proxy.port) as good:
                for _ in range(ROUNDS):
                    await asyncio.gather(*(_is_refused(proxy.port, raw) for raw in MALFORMED))
                    await good.send(GET)
                    assert (await good.read_response()).status == 200
            await to_thread(proxy.settled, ROUNDS)
            took = monotonic() - began
            refused = (await to_thread(proxy.metrics)).total("shadow_refused_requests_total")
            assert refused == ROUNDS * len(MALFORMED)
            log = proxy.process.output
            assert len(log.splitlines()) - before <= LINES_A_SECOND * (took + 1)
            assert SECRET.decode() not in log
            for path in ("/metrics", "/api/v1/status"):
                assert SECRET not in (await to_thread(proxy.get, path)).body
        assert len(primary.requests) == ROUNDS


async def _is_refused(port: int, raw: bytes) -> None:
    async with await RawClient.open(port, deadline_s=20) as client:
        await client.send(raw)
        assert (await client.read_response()).status == 400
        assert await client.read_until_close() == b""


# --- F26

EACH = 20
TIMES: dict[str, Any] = {
    "request_head": "2s",
    "request_body_idle": "2s",
    "client_idle": "2s",
    "client_stall": "2s",
}
BIG = sized(b"x" * (8 << 20))


async def test_f26_slow_clients_end_in_their_time_and_good_ones_notice_nothing(rig: Rig) -> None:
    await start(rig, FaultBackend("healthy"), timeouts=TIMES, limits={"write_buffer": "16KiB"}, service=SERVICE)
    switch(rig, Mode.SHADOW)
    asked = len(await ask_all(await rig.client(), [get()]))
    idle, heads, bodies, readers = [[await rig.client() for _ in range(EACH)] for _ in range(4)]
    for client in heads:
        await client.send(GET[:-2])
    for client in bodies:
        await client.send(request(b"POST /score", b"Content-Length: 10", body=b"hello"))
    await rig.primary.received_heads(1 + EACH)
    for client in readers[:5]:
        rig.primary.play_next(respond(BIG))
        client.stop_reading()
        await client.send(GET)
    while len(rig.plane.connections) > 0:
        good = await rig.client()
        for _ in range(10):
            assert len(await ask_all(good, [get()])) % asked == 0
        await good.abandon()
        await asyncio.sleep(0.02)  # they ask now and then, until all the others are gone
    for client in (*idle, *readers[5:]):
        assert await client.read_until_close() == b""
    for reason, clients in (("request_head", heads), ("request_body_idle", bodies)):
        told = problem(408, reason, "http_request_error", close=True)
        for client in clients:
            assert without_date((await client.read_response()).raw) == told
    assert rig.refusals() == {"request_head": EACH, "request_body_idle": EACH}
    await rig.quiet()
    assert rig.requests()["aborted"] == 5


async def test_f26_any_number_of_ranges_is_the_backends_affair(rig: Rig) -> None:
    ranges = b"Range: bytes=" + b",".join(b"%d-%d" % (at, at) for at in range(2_000))
    await start(rig, FaultBackend("healthy"))
    switch(rig, Mode.SHADOW)
    await ask_all(await rig.client(), [get(b"/", ranges)])
    await rig.quiet()
    assert rig.primary.requests[0].lines.count(ranges) == rig.candidate.requests[0].lines.count(ranges) == 1
