"""What clients and copies get while a worker sheds load: see `core.shedding` for when it does."""

import asyncio
from asyncio import to_thread
from pathlib import Path
from time import monotonic

import pytest

from proxy.core.reasons import Suspension
from tests.kit.script import hang, read_request, respond, send, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.unit.worker.test_pressure import Group
from tests.wire.forms import ended, healthy
from tests.wire.rig import GET, Rig, problem, request, sized, without_date


def overloaded(*, close: bool = False) -> bytes:
    return problem(503, "overloaded", "connection_limit_reached", close=close, more=["Retry-After: 1"])


@pytest.mark.parametrize("cause", Suspension)
async def test_while_mirroring_is_suspended_clients_are_served_and_copies_dropped(rig: Rig, cause: Suspension) -> None:
    await rig.start()
    client = await rig.client()
    suspend(rig, cause)
    await healthy(rig, client)
    assert rig.drops() == {"shed": 1}
    assert rig.candidate.connections == []
    rig.plane.shedding.resume(cause)
    await healthy(rig, client)
    await rig.until(lambda: len(rig.pairs) == 1, "the second request to be compared")


async def test_copies_under_way_end_as_they_may(rig: Rig) -> None:
    late = asyncio.Event()
    await rig.start(candidate=ScriptedBackend([(read_request(), wait_for(late), send(sized(b"ok")))]))
    client = await rig.client()
    await healthy(rig, client)
    await rig.candidate.received_requests(1)
    suspend(rig, Suspension.LAG)
    await healthy(rig, client)
    late.set()
    await rig.until(lambda: len(rig.pairs) == 1, "the first request to be compared")
    assert rig.drops() == {"shed": 1}


async def test_memory_that_mirrors_hold_is_given_up_first_connections_then_copies(rig: Rig, tmp_path: Path) -> None:
    group, mirrored = Group(tmp_path), respond(sized(b"ok"))
    await rig.start(candidate=ScriptedBackend([mirrored, (read_request(), hang())]))
    rig.plane.pressure.memory = group.memory
    shedding, mirror, client = rig.plane.shedding, rig.plane.services[0].mirror, await rig.client()
    await healthy(rig, client)
    await rig.until(lambda: mirror.upstream.pool.idle, "the mirror connection to be unused")
    await to_thread(group.uses, 850)
    await rig.until(lambda: not mirror.upstream.pool.open, "the mirror connection to be closed")
    await to_thread(group.uses, 0)
    await rig.until(lambda: not shedding.is_on, "mirroring to be resumed")
    await healthy(rig, client)
    await rig.candidate.received_requests(2)
    await to_thread(group.uses, 960)
    await rig.until(lambda: rig.drops() == {"shed": 1}, "the copy to be ended")
    await to_thread(group.uses, 0)
    await rig.until(lambda: not shedding.is_overloaded, "the overload to be over")
    await healthy(rig, client)
    rig.plane.pressure.memory = None
    group.memory.close()


async def test_an_overloaded_worker_answers_itself_and_keeps_its_clients(rig: Rig) -> None:
    await rig.start()
    client = await rig.client()
    rig.plane.shedding.filled(1.0, 1.0)
    for asked in (GET, request(b"POST /score", b"Content-Length: 5", body=b"12345"), request(b"GET /nowhere")):
        await client.send(asked)
        assert without_date((await client.read_response()).raw) == overloaded()
    await client.send(request(b"HEAD /"))
    head = await client.read_response("HEAD")
    assert without_date(head.raw) == overloaded().partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert rig.refusals() == {"overloaded": 4}
    assert rig.requests() == {}
    rig.plane.shedding.filled(0.0, 0.0)
    await healthy(rig, client)
    assert len(rig.primary.requests) == 1


async def test_an_overloaded_worker_does_not_read_uploads_to_their_end(rig: Rig) -> None:
    await rig.start()
    client = await rig.client()
    rig.plane.shedding.filled(1.0, 1.0)
    await client.send(request(b"POST /score", b"Content-Length: 500000", body=b"12345"))
    assert without_date((await client.read_response()).raw) == overloaded(close=True)
    await ended(client)


async def test_requests_in_service_are_answered_by_their_backend_also_when_overloaded(rig: Rig) -> None:
    late = asyncio.Event()
    await rig.start((read_request(), wait_for(late), send(sized(b"ok"))))
    client = await rig.client()
    await client.send(GET)
    await rig.primary.received_requests(1)
    rig.plane.shedding.filled(1.0, 1.0)
    late.set()
    assert (await client.read_response()).status == 200
    rig.plane.shedding.filled(0.0, 0.0)


def suspend(rig: Rig, cause: Suspension) -> None:
    """As whoever measures it would, but seen in an hour: until then nothing the rig measures says that it is over."""
    shedding, in_an_hour = rig.plane.shedding, monotonic() + 3600.0
    if cause is Suspension.LAG:
        shedding.lagged(in_an_hour, 1.0, 0.05)
    elif cause is Suspension.FILES:
        shedding.ran_short(in_an_hour)
    else:
        shedding.suspend(cause)
    assert shedding.causes == {cause}
