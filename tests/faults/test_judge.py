"""F16-F18: answers made to be expensive to compare, and judges that die, hang or do not read."""

import os
import signal
import tracemalloc
from asyncio import to_thread
from pathlib import Path

from comparators import Reason, Verdict
from proxy.config.models import Mode
from proxy.judge.verdict_loop import VerdictLoop
from tests.e2e.proxy_host import ProxyHost
from tests.e2e.traffic import Traffic, v1, v2
from tests.faults.bombs import BOMBS, JSON
from tests.faults.scene import (
    QUESTIONS,
    ask_all,
    get,
    is_clean_again,
    is_unnoticed,
    judge,
    mirror,
    start,
    switch,
    verdicts,
)
from tests.kit.fault_backend import FaultBackend
from tests.kit.faults import message
from tests.kit.h11_peer import H11Backend
from tests.kit.script import respond
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.scripted_connection import ScriptedConnection
from tests.wire.rig import Rig

ALL = len(QUESTIONS)
MIB = 1 << 20


# --- F16


async def test_f16_a_gzip_bomb_cannot_be_compared_and_costs_no_memory(rig: Rig) -> None:
    await is_unnoticed(rig, FaultBackend("gzip-bomb"), service=mirror(max_body="1MiB"))
    await rig.until(lambda: len(rig.pairs) == ALL, "the pairs")
    tracemalloc.start()
    try:
        assert verdicts(rig) == {(Verdict.INCOMPARABLE, Reason.DECODED_CAP): ALL}
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 * MIB
    await is_clean_again(rig)


# --- F17


def bomber(side: int) -> ScriptedBackend:
    """A backend that answers `/3` by its side of the bomb of that number."""
    bombs = list(BOMBS.values())

    async def answer(connection: ScriptedConnection) -> None:
        await connection.read_request()
        media, *bodies = bombs[int(connection.requests[-1].target[1:])][:3]
        body = bodies[side]
        whole = message(b"Content-Length: %d" % len(body), body=body)
        await connection.wire.send(whole.replace(JSON, media))

    return ScriptedBackend(default=(answer,))


async def test_f17_comparison_bombs_get_their_verdicts_and_never_a_match(rig: Rig) -> None:
    questions = [get(b"/%d" % number) for number in range(len(BOMBS))]
    settings = mirror(max_body="8MiB", in_flight=1)
    await is_unnoticed(rig, bomber(1), questions[:1], primary=bomber(0), service=settings)
    client = await rig.client()
    for question in questions[1:]:
        await ask_all(client, [question])
        await rig.quiet()
    await rig.until(lambda: len(rig.pairs) == len(BOMBS), "all pairs")
    loop = VerdictLoop()
    found = {name: judge(loop, rig, pair) for name, pair in zip(BOMBS, rig.pairs, strict=True)}
    assert found == {name: expected for name, (*_, expected) in BOMBS.items()}


# --- F18


async def test_f18_without_a_judge_pairs_are_dropped_and_clients_served(rig: Rig) -> None:
    await is_unnoticed(rig, FaultBackend("healthy"), has_judge=False)
    assert rig.drops() == {"judge_lost": ALL}
    await rig.connect_judge()
    await is_clean_again(rig)


async def test_f18_a_judge_that_dies_again_and_again_costs_only_comparisons(rig: Rig) -> None:
    await start(rig, FaultBackend("healthy"))
    without = await ask_all(await rig.client())
    switch(rig, Mode.SHADOW)
    for _ in range(5):
        await rig.lose_judge()
        assert await ask_all(await rig.client()) == without
        await rig.quiet()
        await rig.connect_judge()
    assert rig.drops() == {"judge_lost": 5 * ALL}
    await is_clean_again(rig)


async def test_f18_a_judge_that_does_not_read_costs_its_queue_and_the_rest_is_dropped(rig: Rig) -> None:
    body = b"x" * 50_000
    answering = respond(message(b"Content-Length: %d" % len(body), body=body))
    primary, candidate = ScriptedBackend(default=answering), ScriptedBackend(default=answering)
    await start(rig, candidate, primary=primary, judge={"queue": "300KiB"})
    switch(rig, Mode.SHADOW)
    assert rig._judge_task is not None
    rig._judge_task.cancel()  # it stays connected and reads no more
    client = await rig.client()
    for _ in range(40):
        await client.send(get().raw)
        assert (await client.read_response()).body == body
        await rig.until(lambda: not rig.plane.services[0].mirror.copies, "the copy's end")
        assert rig.plane.link.backlog <= 300 << 10
    assert rig.drops()["judge_full"] > 20
    await rig.lose_judge()
    await rig.quiet()


async def test_f18_judges_that_are_killed_are_started_again_and_no_client_notices(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            async with Traffic(proxy.port) as traffic:
                for _ in range(3):
                    gone = await to_thread(proxy.kill, "judge")
                    await to_thread(proxy.restarted, gone, "judge")
                    await traffic.goes_on()
            await to_thread(proxy.settled, traffic.answered)


async def test_f18_a_judge_that_is_stopped_costs_only_comparisons(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            async with Traffic(proxy.port) as traffic:
                await traffic.goes_on()
                stopped = proxy.member("judge")
                assert stopped is not None
                os.kill(stopped.pid, signal.SIGSTOP)
                try:
                    await traffic.goes_on(500)
                finally:
                    os.kill(stopped.pid, signal.SIGCONT)
                await traffic.goes_on()
            await to_thread(proxy.settled, traffic.answered)
