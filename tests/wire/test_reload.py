"""Other settings in a data plane at work: exchanges end under those they began with, new ones use the new."""

import asyncio
from typing import Any

import pytest

from proxy.config.models import Mode, Settings
from proxy.core.families import COMPARISONS, MIRROR_IN_FLIGHT, REQUESTS
from proxy.ipc.messages import Snapshot
from tests.kit.memory_plane import MemoryPlane
from tests.kit.memory_plane import settings as configured
from tests.kit.script import hang, read_request, respond, send, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.wire.forms import ended, healthy
from tests.wire.rig import GET, Rig, request, response, sized

OK = respond(sized(b"ok"))


def adopt(rig: Rig, mode: Mode = Mode.SHADOW, top: dict[str, Any] | None = None, **service: Any) -> None:
    """Put the settings in force with these changes of their first service, or of the top level."""
    tree = rig.plane.settings.model_dump(mode="json")
    name, first = next(iter(tree["services"].items()))
    tree["services"] = {name: {**first, **service}}
    settings = Settings.model_validate({**tree, **(top or {})})
    version = rig.plane.services[0].snapshot + 1
    rig.plane.adopt(Snapshot(version, settings, dict.fromkeys(settings.services, mode), version))


def backend(version: str, port: int) -> dict[str, Any]:
    return {"version": version, "url": f"http://127.0.0.1:{port}"}


async def nothing_is_left(rig: Rig) -> None:
    def over() -> bool:
        rig.plane.tally()
        return not rig.plane._roster._retired

    await rig.until(over, "what was retired to be gone")


async def test_an_exchange_ends_where_it_began_and_the_next_goes_to_the_new_address(rig: Rig) -> None:
    release = asyncio.Event()
    head = response(b"Content-Length: 4", body=b"o")
    await rig.start((read_request(), send(head), wait_for(release), send(b"ld!")))
    async with ScriptedBackend(default=respond(sized(b"new!"))) as new:
        client, other = await rig.client(), await rig.client()
        await client.send(GET)
        await rig.primary.received_requests(1)
        adopt(rig, primary=backend("v1", new.port))
        await other.send(GET)
        assert (await other.read_response()).body == b"new!"
        release.set()
        assert (await client.read_response()).body == b"old!"
        await client.send(GET)
        assert (await client.read_response()).body == b"new!"
        await rig.until(lambda: len(rig.pairs) == 3, "all pairs")
        assert sorted(pair.snapshot for pair in rig.pairs) == [1, 2, 2]
        assert rig.requests() == {"2xx": 3}
        await nothing_is_left(rig)
        adopt(rig, primary=backend("v1", rig.primary.port))  # the backend ends before the rig


@pytest.mark.parametrize(
    "change",
    [
        {"rules": [{"id": "r", "path": "$.a", "use": "ignore", "reason": "r", "author": "a"}]},
        {"endpoints": [{"name": "all", "match": "GET /{rest}"}]},
        {"mirror": {"share": 0.5}},
    ],
    ids=["rules", "endpoints", "share"],
)
async def test_what_is_not_about_a_backend_keeps_its_connections(rig: Rig, change: dict[str, Any]) -> None:
    await rig.start(primary=ScriptedBackend(default=OK), service={"mirror": {"share": 1.0}})
    client = await rig.client()
    await healthy(rig, client)
    adopt(rig, **change)
    await healthy(rig, client)
    assert len(rig.primary.connections) == 1
    assert rig.requests() == {"2xx": 2}
    await nothing_is_left(rig)


async def test_settings_read_again_as_they_were_change_nothing_but_the_number(rig: Rig) -> None:
    await rig.start(primary=ScriptedBackend(default=OK))
    service = rig.plane.services[0]
    adopt(rig)
    assert rig.plane.services == (service,)
    assert service.snapshot == 2
    assert not rig.plane._roster._retired


async def test_a_copy_under_way_to_an_address_that_is_given_up_gets_its_verdict(rig: Rig) -> None:
    release = asyncio.Event()
    slow = ScriptedBackend([(read_request(), wait_for(release), send(sized(b"ok")))])
    await rig.start(primary=ScriptedBackend(default=OK), candidate=slow)
    async with ScriptedBackend(default=OK) as new:
        client = await rig.client()
        await healthy(rig, client)
        await slow.received_requests(1)
        adopt(rig, candidate=backend("v2", new.port))
        await healthy(rig, client)
        await rig.until(lambda: len(rig.pairs) == 1, "the new one's pair")
        assert rig.plane.tally().gauges[MIRROR_IN_FLIGHT.name] == {("ranker",): 1}
        release.set()
        await rig.until(lambda: len(rig.pairs) == 2, "the old one's pair")
        await nothing_is_left(rig)
        assert rig.plane.tally().gauges[MIRROR_IN_FLIGHT.name] == {("ranker",): 0}
        adopt(rig, candidate=backend("v2", slow.port))


async def test_the_kill_switch_reaches_copies_of_earlier_settings(rig: Rig) -> None:
    await rig.start(primary=ScriptedBackend(default=OK), candidate=ScriptedBackend([(read_request(), hang())]))
    client = await rig.client()
    await healthy(rig, client)
    await rig.candidate.received_requests(1)
    adopt(rig, mirror={"max_body": "2KiB"})
    settings = rig.plane.settings
    rig.plane.adopt(Snapshot(9, settings, {"ranker": Mode.PRIMARY}, rig.plane.services[0].snapshot))
    assert rig.drops() == {"draining": 1}


async def test_a_removed_service_serves_to_the_end_what_it_began_and_mirrors_nothing_more(rig: Rig) -> None:
    release = asyncio.Event()
    await rig.start((read_request(), wait_for(release), send(sized(b"ok"))))
    client = await rig.client()
    await client.send(GET)
    await rig.primary.received_requests(1)
    tree = rig.plane.settings.model_dump(mode="json")
    ranker = tree["services"].pop("ranker")
    tree["services"]["search"] = {**ranker, "hosts": ["search.example"]}
    rig.plane.adopt(Snapshot(2, Settings.model_validate(tree), {"search": Mode.SHADOW}, 2))
    release.set()
    assert (await client.read_response()).body == b"ok"
    await client.send(GET)
    assert (await client.read_response()).status == 404
    await rig.quiet()
    await nothing_is_left(rig)
    assert (rig.drops(), rig.pairs) == ({"draining": 1}, [])
    assert rig.plane.tally().by(REQUESTS, "service") == {"ranker": 1}


async def test_copies_under_way_of_a_removed_service_are_ended(rig: Rig) -> None:
    await rig.start(primary=ScriptedBackend(default=OK), candidate=ScriptedBackend([(read_request(), hang())]))
    await healthy(rig, await rig.client())
    await rig.candidate.received_requests(1)
    tree = rig.plane.settings.model_dump(mode="json")
    tree["services"]["search"] = {**tree["services"].pop("ranker"), "hosts": ["search.example"]}
    rig.plane.adopt(Snapshot(2, Settings.model_validate(tree), {"search": Mode.SHADOW}, 2))
    assert rig.drops() == {"draining": 1}
    await nothing_is_left(rig)


async def test_a_service_at_another_place_keeps_its_pairs_apart(rig: Rig) -> None:
    await rig.start(primary=ScriptedBackend(default=OK))
    client = await rig.client()
    await healthy(rig, client)
    await rig.until(lambda: len(rig.pairs) == 1, "the first pair")
    tree = rig.plane.settings.model_dump(mode="json")
    ranker = tree["services"]["ranker"]
    tree["services"] = {"first": {**ranker, "hosts": ["first.example"]}, "ranker": ranker}
    rig.plane.adopt(Snapshot(2, Settings.model_validate(tree), {"first": Mode.SHADOW, "ranker": Mode.SHADOW}, 2))
    await healthy(rig, client)
    await rig.until(lambda: len(rig.pairs) == 2, "both pairs")
    assert [(pair.snapshot, pair.service) for pair in rig.pairs] == [(1, 0), (2, 1)]


LOOPBACK = {"trusted_peers": ["127.0.0.1/32"]}


@pytest.mark.parametrize(
    ("before", "after", "chain"),
    [
        (LOOPBACK, {}, b"127.0.0.1"),
        ({}, LOOPBACK, b"6.6.6.6, 127.0.0.1"),
        ({"mode": "off"}, {}, b"127.0.0.1"),
        ({}, {"mode": "off"}, b"6.6.6.6"),
    ],
    ids=["a peer not trusted any more", "a peer trusted from now on", "on", "off"],
)
def test_what_clients_say_of_themselves_is_taken_as_the_new_settings_say(
    before: dict[str, Any], after: dict[str, Any], chain: bytes
) -> None:
    settings = configured(forwarded=after)
    with MemoryPlane(configured(forwarded=before)) as plane:
        client = plane.client()
        plane.say(client, GET)
        plane.plane.adopt(Snapshot(2, settings, {"ranker": Mode.SHADOW}, 2))
        plane.say(client, request(b"GET /", b"X-Forwarded-For: 6.6.6.6"))
        last = [line for head in plane.primary.received for line in head.split(b"\r\n") if line.startswith(b"X-Forw")]
        assert [line for line in last if b"-For: " in line][-1] == b"X-Forwarded-For: " + chain


async def test_limits_hold_for_connections_that_come_after_them(rig: Rig) -> None:
    await rig.start(primary=ScriptedBackend(default=OK))
    old = await rig.client()
    await healthy(rig, old)
    adopt(rig, top={"limits": {"header_count": 3}, "mirror_budget": "1MiB", "judge": {"queue": "64KiB"}})
    new = await rig.client()
    many = request(b"GET /", *(b"X-%d: 1" % number for number in range(5)))
    await old.send(many)
    assert (await old.read_response()).status == 200
    await new.send(many)
    assert (await new.read_response()).status == 431
    await ended(new)
    assert (rig.plane.budget.limit, rig.plane.link.queue) == (1 << 20, 64 << 10)


async def test_counts_of_all_settings_add_up(rig: Rig) -> None:
    await rig.start(primary=ScriptedBackend(default=OK))
    client = await rig.client()
    for number in range(1, 6):
        adopt(rig, primary=backend(f"v1.{number}", rig.primary.port))
        await healthy(rig, client)
        await rig.until(lambda number=number: len(rig.pairs) == number, "the pair")  # type: ignore[misc]
        await nothing_is_left(rig)
    tally = rig.plane.tally()
    assert tally.by(REQUESTS, "backend") == {f"v1.{number}": 1 for number in range(1, 6)}
    assert COMPARISONS.name not in tally.counts
