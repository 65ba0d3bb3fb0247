"""Every limit by its configured name: what is at it passes, one more does not, however the bytes are cut.

Here stand the defaults of all of them. Trailers, chunk overhead and request bodies are tested in `test_c_limits`,
connections in `test_d_accepting`, upgrades and tunnels in `test_e_upgrade` and `test_e_tunnel`, what is kept for
comparisons in `test_limits_of_mirrors`, times in `test_timeouts`.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import pytest

from proxy.config.models import Mode, Settings
from proxy.core.families import BACKEND_FAILURES, BACKEND_REQUESTS
from proxy.http.connection import ClientConnection
from tests.kit.memory_plane import MemoryBackend, MemoryPlane, settings
from tests.kit.script import read_request, respond, send, send_cut, send_endlessly, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.wire import Wire
from tests.wire.forms import DATE, ended, healthy
from tests.wire.rig import FORWARDED, GET, Rig, problem, request, response, sized, without_date

KIB, MIB = 1 << 10, 1 << 20
ALONE = {"mirror": {"share": 0.0}}
DEFAULTS: dict[str, object] = {
    "limits.request_line": 16 * KIB,
    "limits.header_bytes": 64 * KIB,
    "limits.header_count": 128,
    "limits.response_header_bytes": 128 * KIB,
    "limits.response_header_count": 256,
    "limits.trailer_bytes": 8 * KIB,
    "limits.trailer_count": 32,
    "limits.chunk_overhead": 16 * KIB,
    "limits.interim": 16,
    "limits.body_bytes": 0,
    "limits.connections": 10_000,
    "limits.requests_per_connection": 0,
    "limits.pipeline_bytes": 64 * KIB,
    "limits.write_buffer": 64 * KIB,
    "limits.tunnels": 1024,
    "limits.upgrades": ("websocket",),
    "timeouts.request_head": 10.0,
    "timeouts.request_body_idle": 30.0,
    "timeouts.client_idle": 75.0,
    "timeouts.client_stall": 60.0,
    "timeouts.resolve": 5.0,
    "timeouts.connect": 5.0,
    "timeouts.tls": 5.0,
    "timeouts.first_byte": 60.0,
    "timeouts.response_idle": 300.0,
    "timeouts.total": 0.0,
    "timeouts.tunnel_idle": 3600.0,
    "timeouts.linger": 2.0,
    "timeouts.drain": 30.0,
    "pool.max_connections": 1024,
    "pool.max_waiting": 256,
    "pool.wait": 1.0,
    "pool.idle": 4.0,
    "pool.max_idle": 128,
    "pool.max_age": 300.0,
    "pool.dns_ttl": 30.0,
    "mirror_budget": 64 * MIB,
    "judge.queue": 8 * MIB,
    "services.s.primary.timeout": None,
    "services.s.candidate.timeout": None,
    "services.s.mirror.methods": ("GET", "HEAD", "OPTIONS"),
    "services.s.mirror.share": 1.0,
    "services.s.mirror.in_flight": 200,
    "services.s.mirror.max_connections": 200,
    "services.s.mirror.max_body": MIB,
    "services.s.mirror.connect_timeout": 1.0,
    "services.s.mirror.tls_timeout": 2.0,
    "services.s.mirror.deadline": 10.0,
    "services.s.mirror.lifetime": 60.0,
}


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items())
def test_every_limit_has_its_default(name: str, default: object) -> None:
    backends = {
        side: {"version": side, "url": f"http://127.0.0.1:{port}"} for side, port in (("primary", 1), ("candidate", 2))
    }
    found: Any = Settings.model_validate({"services": {"s": backends}})
    for key in name.split("."):
        found = found[key] if isinstance(found, dict) else getattr(found, key)
    assert found == default


# --- heads

Cut = Callable[[bytes, int], Sequence[int]]
CUTS: dict[str, Cut] = {
    "whole": lambda _raw, _at: (),
    "bytewise": lambda raw, _at: range(1, len(raw)),
    "before the limit": lambda _raw, at: (at - 1,),
    "at the limit": lambda _raw, at: (at,),
}
"""At which offsets a message is cut, whose limit is reached with byte `at`."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit: a message at it, the same with one more, and where the limit is reached in either."""

    name: str
    value: int
    status: int
    at_it: bytes
    over_it: bytes
    reached: int

    @property
    def limits(self) -> dict[str, int]:
        return {self.name: self.value}


def _line(size: int) -> bytes:
    return request(b"GET /".ljust(size - len(b" HTTP/1.1"), b"x"))


def _head(size: int) -> bytes:
    return request(b"GET /", b"X: ".ljust(3 + size - len(request(b"GET /", b"X: ")), b"x"))


def _fields(count: int) -> bytes:
    return request(b"GET /", *[b"X: 1"] * (count - 1))  # with its Host


REQUESTS = [
    Bound("request_line", 100, 414, _line(100), _line(101), 100),
    Bound("header_bytes", 200, 431, _head(200), _head(201), 200),
    Bound("header_count", 5, 431, _fields(5), _fields(6), len(_fields(5)) - 2),
]


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("bound", REQUESTS, ids=lambda bound: bound.name)
async def test_a_request_head_at_a_limit_is_served(rig: Rig, bound: Bound, cut: Cut) -> None:
    await rig.start(limits=bound.limits)
    client = await rig.client()
    for _ in range(2):
        await client.send_cut(bound.at_it, *[at for at in cut(bound.at_it, bound.reached) if at < len(bound.at_it)])
        assert (await client.read_response()).status == 200
    added = b"\r\n".join([*FORWARDED, b"", b""])
    assert [got.raw for got in rig.primary.requests] == [bound.at_it[:-2] + added] * 2
    assert rig.refusals() == {}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("bound", REQUESTS, ids=lambda bound: bound.name)
async def test_a_request_head_over_a_limit_is_refused(rig: Rig, bound: Bound, cut: Cut) -> None:
    await rig.start(limits=bound.limits)
    client = await rig.client()
    await client.send_cut(bound.over_it, *cut(bound.over_it, bound.reached))
    answer = without_date((await client.read_response()).raw)
    assert answer == problem(bound.status, bound.name, "http_request_error", close=True)
    await ended(client)
    assert rig.refusals() == {bound.name: 1}
    assert (rig.primary.connections, rig.candidate.connections) == ([], [])


def _answer(size: int) -> bytes:
    """A response whose head, without its empty line, has so many bytes."""
    bare = sized(b"", DATE, b"X: ")
    return sized(b"", DATE, b"X: ".ljust(3 + size - (len(bare) - 4), b"x"))


def _answer_fields(count: int) -> bytes:
    return sized(b"", DATE, *[b"X: 1"] * (count - 2))


def _after(interim: int) -> bytes:
    return INTERIM * interim + sized(b"", DATE)


INTERIM = response(b"Link: x", start=b"HTTP/1.1 103 Early Hints")
RESPONSES = [
    Bound("response_header_bytes", 200, 502, _answer(200), _answer(201), 200),
    Bound("response_header_count", 5, 502, _answer_fields(5), _answer_fields(6), len(_answer_fields(5)) - 2),
    Bound("interim", 3, 502, _after(3), _after(4), len(INTERIM) * 3),
    Bound("interim", 0, 502, _after(0), _after(1), 1),
]


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("bound", RESPONSES, ids=lambda bound: f"{bound.name} {bound.value}")
async def test_a_response_head_at_a_limit_is_relayed(rig: Rig, bound: Bound, cut: Cut) -> None:
    raw = bound.at_it
    script = (read_request(), send_cut(raw, *cut(raw, bound.reached)))
    candidate = ScriptedBackend([respond(raw)])
    await rig.start(script, candidate=candidate, limits=bound.limits)
    client = await rig.client()
    await client.send(GET)
    assert await client.read_exactly(len(raw)) == raw
    await healthy(rig, client)
    assert len(rig.primary.connections) == 1
    await rig.until(lambda: len(rig.pairs) == 2, "both pairs")
    assert [pair.candidate.failure for pair in rig.pairs] == [None, None]


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("bound", RESPONSES, ids=lambda bound: f"{bound.name} {bound.value}")
async def test_a_response_head_over_a_limit_is_a_502(rig: Rig, bound: Bound, cut: Cut) -> None:
    raw = bound.over_it
    script = (read_request(), send_cut(raw, *cut(raw, bound.reached)))
    await rig.start(script, candidate=ScriptedBackend([script]), limits=bound.limits)
    client = await rig.client()
    await client.send(GET)
    while (found := await client.read_response()).status < 200:
        assert found.raw == INTERIM
    reason = "interim" if bound.name == "interim" else "response_head"
    assert without_date(found.raw) == problem(502, reason, "http_protocol_error", close=False)
    await rig.primary.connections[0].gone()
    (copy,) = await rig.candidate.accepted(1)  # its answer has the same limits
    await copy.gone()
    await healthy(rig, client)
    assert len(rig.primary.connections) == 2
    for role in ("serve", "mirror"):
        assert rig.plane.tally().by(BACKEND_FAILURES, "kind", role=role) == {"protocol": 1}


# --- requests of one client


@pytest.mark.parametrize("most", [1, 3])
async def test_the_last_request_allowed_on_a_connection_is_told_so(rig: Rig, most: int) -> None:
    await rig.start(limits={"requests_per_connection": most})
    client = await rig.client()
    await client.send(GET * (most + 1))
    for _ in range(most - 1):
        assert (await client.read_response()).values(b"connection") == []
    assert (await client.read_response()).values(b"connection") == [b"close"]
    await ended(client)
    assert len(rig.primary.requests) == most


async def test_one_connection_each_way_serves_many_requests_by_default(rig: Rig) -> None:
    await rig.start()
    client = await rig.client()
    for _ in range(20):
        await healthy(rig, client)
    assert len(rig.primary.connections) == 1
    assert rig.requests() == {"2xx": 20}


@pytest.mark.parametrize("cut", [False, True], ids=["with the request", "behind it"])
async def test_reading_pauses_over_so_many_waiting_bytes(rig: Rig, cut: bool) -> None:  # noqa: FBT001
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), send(sized(b"1"))), limits={"pipeline_bytes": 300})
    client = await rig.client()
    waiting = _head(300)
    await client.send_cut(GET + waiting, *([len(GET)] if cut else []))
    await rig.primary.received_requests(1)
    await rig.until(lambda: len(_connection(rig)._reader.waiting) == 300, "the second request to wait")
    assert not _connection(rig)._paused
    await client.send(b"G")
    await rig.until(lambda: _connection(rig)._paused, "reading to pause")
    await client.send(b"ET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert await rig.settled(lambda: len(_connection(rig)._reader.waiting)) == 301
    release.set()
    for _ in range(3):
        assert (await client.read_response()).status == 200
    await healthy(rig, client)


@pytest.mark.parametrize("size", [64 * KIB, MIB], ids=["64 KiB", "1 MiB"])
async def test_so_much_of_an_answer_is_held_for_a_client_that_does_not_read(rig: Rig, size: int) -> None:
    endless = (read_request(), send(response(b"Content-Length: 1000000000")), send_endlessly(b"x" * 10_000))
    await rig.start(endless, service=ALONE, limits={"write_buffer": size})
    client = await rig.client()
    client.stop_reading()
    await client.send(GET)
    await rig.until(lambda: rig.plane.connections and _connection(rig)._write_paused, "the backend to be paused")
    assert size <= await rig.settled(lambda: _held(_connection(rig))) <= size + 512 * KIB  # and a read or two


@pytest.mark.parametrize("size", [64 * KIB, MIB], ids=["64 KiB", "1 MiB"])
async def test_so_much_of_an_upload_is_held_for_a_backend_that_does_not_read(rig: Rig, size: int) -> None:
    await rig.start(primary=ScriptedBackend.deaf(), service=ALONE, limits={"write_buffer": size})
    client = await rig.client()
    sending = asyncio.create_task(client.send(request(b"POST /", b"Content-Length: 100000000", body=b"x" * 50 * MIB)))
    serving = rig.plane.services[0].serving
    await rig.until(lambda: any(_held(backend) for backend in serving.connections), "the upload to pile up")
    (backend,) = serving.connections
    assert size <= await rig.settled(lambda: _held(backend)) <= size + 512 * KIB
    assert _connection(rig)._paused
    rig.primary.connections[0].wire.reset()
    assert (await client.read_response()).status == 502
    await client.abandon()
    await asyncio.gather(sending, return_exceptions=True)


def _connection(rig: Rig) -> ClientConnection:
    (connection,) = rig.plane.connections
    return connection


def _held(connection: Any) -> int:
    return int(connection._transport.get_write_buffer_size())


# --- the pool


async def test_so_many_connections_are_open_and_so_many_requests_wait(rig: Rig) -> None:
    release = asyncio.Event()
    held = (read_request(), wait_for(release), send(sized(b"ok", DATE)))
    pool = {"max_connections": 2, "max_waiting": 3, "wait": "60s"}
    await rig.start(primary=ScriptedBackend(default=held), pool=pool, service=ALONE)
    clients = [await rig.client() for _ in range(6)]
    serving = rig.plane.services[0].serving.pool
    for client in clients[:5]:
        await client.send(GET)
    await rig.until(lambda: serving.open + len(serving.waiting) == 5, "the requests to be taken")
    assert (serving.open, len(serving.waiting)) == (2, 3)
    await rig.primary.received_requests(2)
    await clients[5].send(GET)
    assert without_date((await clients[5].read_response()).raw) == problem(
        503, "pool_full", "connection_limit_reached", close=False, more=["Retry-After: 1"]
    )
    assert len(rig.primary.requests) == 2
    release.set()
    for client in clients[:5]:
        assert (await client.read_response()).raw == sized(b"ok", DATE)
    assert len(rig.primary.connections) == 2
    await healthy(rig, clients[5])
    assert rig.plane.tally().by(BACKEND_FAILURES, "kind", role="serve") == {"pool": 1}


async def test_a_place_among_the_waiting_is_free_again_when_its_client_leaves(rig: Rig) -> None:
    release = asyncio.Event()
    held = (read_request(), wait_for(release), send(sized(b"ok", DATE)))
    pool = {"max_connections": 1, "max_waiting": 1, "wait": "60s"}
    await rig.start(primary=ScriptedBackend(default=held), pool=pool, service=ALONE)
    first, second, third = [await rig.client() for _ in range(3)]
    await first.send(GET)
    await rig.primary.received_requests(1)
    await second.send(GET)
    await rig.until(lambda: rig.plane.services[0].serving.pool.waiting, "the second to wait")
    await second.reset()
    await rig.until(lambda: rig.requests() == {"aborted": 1}, "its end to be seen")
    await third.send(GET)
    await rig.until(lambda: _waiting(rig) == [False], "the third to wait in its place")
    release.set()
    assert (await first.read_response()).body == b"ok"
    assert (await third.read_response()).body == b"ok"


def _waiting(rig: Rig) -> list[bool]:
    return [waiter.is_gone for waiter in rig.plane.services[0].serving.pool.waiting]


@pytest.mark.parametrize("most", [0, 2])
async def test_so_many_unused_connections_are_kept(rig: Rig, most: int) -> None:
    release = asyncio.Event()
    held = (read_request(), wait_for(release), send(sized(b"ok", DATE)))
    await rig.start(primary=ScriptedBackend(default=held), pool={"max_idle": most, "idle": "60s"}, service=ALONE)
    clients = [await rig.client() for _ in range(3)]
    for client in clients:
        await client.send(GET)
    await rig.primary.received_requests(3)
    release.set()
    for client in clients:
        assert (await client.read_response()).body == b"ok"
    pool = rig.plane.services[0].serving.pool
    await rig.until(lambda: pool.open == len(pool.idle), "the others to be closed")
    assert len(pool.idle) == most


async def test_a_connection_of_a_certain_age_is_closed_when_it_is_next_unused(rig: Rig) -> None:
    release = asyncio.Event()
    held = (read_request(), wait_for(release), send(sized(b"2", DATE)))
    pool = {"max_age": "200ms", "idle": "60s"}
    await rig.start(respond(sized(b"1", DATE)), held, pool=pool, service=ALONE)
    client = await rig.client()
    await client.send(GET)
    assert (await client.read_response()).body == b"1"
    (connection,) = rig.plane.services[0].serving.pool.idle
    await client.send(GET)
    await rig.primary.received_requests(2)
    await rig.until(lambda: monotonic() - connection.opened_at > 0.2, "the connection to be old")
    release.set()
    assert (await client.read_response()).body == b"2"  # not before it is unused
    await rig.primary.connections[0].gone()
    await healthy(rig, client)
    assert len(rig.primary.connections) == 2


# --- what is ours is not the backend's


class Silent(MemoryBackend):
    """Answers nothing."""

    def heard(self, wire: Wire) -> None:
        pass


UPGRADE = request(b"GET /", b"Connection: upgrade", b"Upgrade: websocket")


@pytest.mark.parametrize(
    ("changes", "asks", "reason"),
    [
        ({"limits": {"tunnels": 0}}, UPGRADE, b"tunnels"),
        ({"pool": {"max_connections": 1, "max_waiting": 0}}, GET, b"pool_full"),
        ({"pool": {"max_connections": 1}}, GET, b"pool_wait"),
        ({"pool": {"max_connections": 1, "wait": 500.0}, "timeouts": {"total": 20.0}}, GET, b"total_timeout"),
    ],
    ids=["tunnels", "pool_full", "pool_wait", "total_timeout"],
)
def test_a_request_that_was_sent_to_no_backend_counts_for_none(
    changes: dict[str, Any], asks: bytes, reason: bytes
) -> None:
    with MemoryPlane(settings(**changes), primary=Silent(), mode=Mode.PRIMARY) as plane:
        holder, client = plane.client(), plane.client()
        if "pool" in changes:
            plane.say(holder, GET)
        plane.say(client, asks)
        plane.wait_for(lambda: bool(client.received), "the answer", 60.0)
        assert b'"%b"' % reason in client.received
        sent = 1 if reason == b"total_timeout" else 0  # what held the one connection has had its time too
        assert plane.tally.by(BACKEND_REQUESTS, "code") == ({"error": sent} if sent else {})
        holder.transport.abort()
