"""Leaving shadow mode also stops what has not yet been sent or offered."""

import asyncio

from proxy.config.models import Mode
from proxy.ipc.messages import Snapshot
from tests.kit.script import read_request, respond, send, wait_for
from tests.kit.scripted_backend import ScriptedBackend
from tests.wire.rig import GET, Rig, request, response, sized


def _switch_off(rig: Rig) -> None:
    rig.plane.adopt(Snapshot(2, rig.plane.settings, {"ranker": Mode.PRIMARY}))


async def test_a_request_whose_body_still_arrives_is_not_copied(rig: Rig) -> None:
    await rig.start(service={"mirror": {"methods": ["POST"]}})
    client = await rig.client()
    await client.send(request(b"POST /", b"Content-Length: 10", body=b"hello"))
    await rig.primary.received_heads(1)
    _switch_off(rig)
    await client.send(b"world")
    assert (await client.read_response()).status == 200
    await rig.quiet()
    assert (rig.drops(), rig.candidate.connections) == ({"draining": 1}, [])


async def test_a_pair_whose_answer_still_streams_is_not_offered(rig: Rig) -> None:
    release = asyncio.Event()
    head = response(b"Content-Length: 10", body=b"hello")
    await rig.start(
        (read_request(), send(head), wait_for(release), send(b"world")),
        candidate=ScriptedBackend([respond(sized(b"helloworld"))]),
    )
    client = await rig.client()
    await client.send(GET)
    await rig.candidate.received_requests(1)
    await rig.until(lambda: not rig.plane.services[0].mirror.copies, "the copy's outcome")
    _switch_off(rig)
    release.set()
    assert (await client.read_response()).body == b"helloworld"
    await rig.quiet()
    assert (rig.drops(), rig.pairs) == ({"draining": 1}, [])
