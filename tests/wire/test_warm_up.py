"""What begins while one of the two sides may be cold is compared, counted, and marked as no evidence."""

from typing import Any

import pytest

from proxy.config.models import Mode
from proxy.core.families import MIRRORS, REQUESTS, WARM_UP_LEFT, WARM_UP_REQUESTS
from proxy.ipc.messages import Snapshot
from tests.kit.script import respond
from tests.kit.scripted_backend import ScriptedBackend
from tests.wire.rig import GET, Rig, sized
from tests.wire.test_reload import adopt, backend

OK = respond(sized(b"ok"))
AT_ONCE = {"mirror": {"warm_up": "0s"}}


async def start(rig: Rig, **options: Any) -> None:
    await rig.start(primary=ScriptedBackend(default=OK), candidate=ScriptedBackend(default=OK), **options)


async def warms_up(rig: Rig) -> bool:
    """Whether the pair of one more request is marked."""
    before = len(rig.pairs)
    await rig.ask()
    await rig.until(lambda: len(rig.pairs) > before, "the pair")
    return rig.pairs[-1].warms_up


def end_warm_up(rig: Rig) -> None:
    """A minute passes."""
    rig.plane.services[0].mirror.warm_at = 1.0


def left(rig: Rig) -> float:
    return rig.plane.tally().gauges[WARM_UP_LEFT.name]["ranker", "worker-0"]


async def test_the_first_minute_is_no_evidence(rig: Rig) -> None:
    await start(rig)
    assert await warms_up(rig)
    assert 0 < left(rig) <= 60
    end_warm_up(rig)
    assert (await warms_up(rig), left(rig)) == (False, 0)
    tally = rig.plane.tally()
    assert tally.total(REQUESTS) == 2
    assert tally.counts[WARM_UP_REQUESTS.name] == {("ranker", "other", "v1", "2xx"): 1}


async def test_without_a_warm_up_everything_is_evidence(rig: Rig) -> None:
    await start(rig, service=AT_ONCE)
    assert (await warms_up(rig), left(rig)) == (False, 0)
    assert rig.plane.tally().total(WARM_UP_REQUESTS) == 0


async def test_requests_that_are_not_mirrored_are_no_evidence_either(rig: Rig) -> None:
    await start(rig)
    await rig.ask(b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", "DELETE")
    tally = rig.plane.tally()
    assert (tally.total(MIRRORS, result="method"), tally.total(WARM_UP_REQUESTS)) == (1, 1)


async def test_it_begins_when_mirroring_does(rig: Rig) -> None:
    await start(rig, mode=Mode.PRIMARY)
    await rig.ask(GET)
    assert (left(rig), rig.plane.tally().total(WARM_UP_REQUESTS)) == (0, 0)
    adopt(rig)
    assert await warms_up(rig)


@pytest.mark.parametrize("how", ["mode", "kill switch"])
async def test_it_begins_anew_when_mirroring_does(rig: Rig, how: str) -> None:
    await start(rig)
    end_warm_up(rig)
    for is_on in (False, True):
        if how == "mode":
            mode = Mode.SHADOW if is_on else Mode.PRIMARY
            rig.plane.adopt(Snapshot(2, rig.plane.settings, {"ranker": mode}, rig.plane._configuration))
        else:
            rig.plane.kill(pulled=not is_on)
        assert (left(rig) > 0) is is_on
    assert await warms_up(rig)


@pytest.mark.parametrize("side", ["candidate", "primary"])
async def test_it_begins_anew_with_another_backend(rig: Rig, side: str) -> None:
    await start(rig)
    end_warm_up(rig)
    version, port = ("v1", rig.primary.port) if side == "primary" else ("v2", rig.candidate.port)
    changes: dict[str, Any] = {side: {**backend(version, port), "host": "target"}}
    adopt(rig, **changes)
    assert await warms_up(rig)


async def test_other_rules_and_endpoints_make_nobody_cold(rig: Rig) -> None:
    await start(rig)
    end_warm_up(rig)
    adopt(rig, rules=[{"id": "r", "path": "$.a", "use": "ignore", "reason": "r", "author": "a"}])
    assert not await warms_up(rig)
    adopt(rig, endpoints=[{"name": "item", "match": "GET /items/{id}"}])
    assert not await warms_up(rig)


async def test_what_the_kill_switch_forbids_no_snapshot_allows(rig: Rig) -> None:
    await start(rig)
    rig.plane.kill(pulled=True)
    adopt(rig, endpoints=[{"name": "item", "match": "GET /items/{id}"}])
    await rig.ask(GET)
    await rig.quiet()
    assert (rig.mirrors(), rig.candidate.connections) == ({"mode": 1}, [])
