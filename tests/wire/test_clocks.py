"""Both sides are timed from the same point to the same point, or not at all; how far apart they start is recorded."""

import asyncio
from time import monotonic

from proxy.core.families import BACKEND_DURATION, BACKEND_REQUESTS, START_SKEW
from tests.kit.script import read_request, resume_reading, send, stop_reading, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.wire.rig import GET, Rig, request, sized

BODY = bytes(12 << 20)
"""More than the kernel takes for a peer that does not read."""
POST = {"mirror": {"methods": ["GET", "POST"], "max_body": "16MiB"}}
OK = sized(b"ok")


async def pair(rig: Rig) -> None:
    await rig.until(lambda: rig.pairs, "the pair")


async def test_the_start_skew_of_every_pair_is_recorded(rig: Rig) -> None:
    await rig.start()
    await rig.ask(GET)
    await pair(rig)
    skew = rig.plane.tally().sketches[START_SKEW.name]["ranker",]
    assert (skew.count, skew.refused) == (1, 0)


async def test_time_to_take_the_body_is_on_no_clock(rig: Rig) -> None:
    """A copy goes out whole, a served body as it comes: from when it was handed over they could not be compared."""
    reads_on = asyncio.Event()
    slow = (stop_reading(), wait_for(reads_on), resume_reading())
    await rig.start(
        service=POST,
        mirror_budget="64MiB",
        primary=ScriptedBackend(default=(read_request(), send(OK))),
        candidate=ScriptedBackend(on_connect=slow, default=(read_request(), send(OK))),
    )
    answered = asyncio.create_task(rig.ask(request(b"POST /", b"Content-Length: %d" % len(BODY), body=BODY), "POST"))
    assert (await answered).status == 200
    resumed_at = monotonic()
    reads_on.set()
    await pair(rig)
    assert 0 < rig.pairs[0].candidate.duration <= monotonic() - resumed_at


async def test_a_client_that_reads_slowly_says_nothing_about_its_backend(rig: Rig) -> None:
    answer = sized(BODY)
    await rig.start(
        service={"mirror": {"max_body": "1KiB"}},
        primary=ScriptedBackend(default=(read_request(), send(answer))),
        candidate=ScriptedBackend(default=(read_request(), send(OK))),
    )
    client = await rig.client()
    client.stop_reading()
    await client.send(GET)
    await rig.until(lambda: any(c.is_write_paused for c in rig.plane.connections), "the client to be waited for")
    client.resume_reading()
    assert (await client.read_response()).body == BODY
    await pair(rig)
    assert rig.pairs[0].primary.duration == 0
    assert rig.pairs[0].candidate.duration > 0


async def test_an_answer_that_was_cut_off_has_no_duration(rig: Rig) -> None:
    await rig.start(
        service={"mirror": {"max_body": "1KiB"}},
        primary=ScriptedBackend(default=(read_request(), send(OK))),
        candidate=ScriptedBackend(default=(read_request(), send(sized(bytes(2048))))),
    )
    await rig.ask(GET)
    await pair(rig)
    assert (rig.pairs[0].candidate.cut, rig.pairs[0].candidate.duration) == (True, 0)
    tally = rig.plane.tally()
    assert tally.total(BACKEND_REQUESTS, role="mirror", code="2xx") == 1
    (mirrored,) = [sketch for labels, sketch in tally.sketches[BACKEND_DURATION.name].items() if "mirror" in labels]
    assert mirrored.count == 0
