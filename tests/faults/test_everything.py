"""All faults of a candidate at once, in turns made from a seed, while clients come and go and modes change."""

import asyncio
from random import Random

import pytest

from proxy.config.models import Mode
from proxy.core.families import MIRRORS, REQUESTS
from tests.faults.scene import QUESTIONS, ask_all, mirror, start, switch
from tests.kit.fault_backend import FaultBackend
from tests.kit.faults import FAULTS
from tests.kit.raw_client import RawClient
from tests.kit.scripted_connection import Script, ScriptedConnection
from tests.wire.rig import Rig

CLIENTS = 8
TURNS = 12
PLAYED = [name for name, fault in FAULTS.items() if fault.port is None and name != "gzip-bomb"]


class Chaos(FaultBackend):
    """Plays any fault, on any connection, at any request."""

    def __init__(self, seed: int) -> None:
        super().__init__("healthy")
        self._chance = Random(seed)
        self._on_connect = (self.maybe_at_once,)
        self._default = (self.something,)

    async def maybe_at_once(self, connection: ScriptedConnection) -> None:
        if self._chance.random() < 0.1:
            await play(connection, FAULTS[self._chance.choice(PLAYED)].on_connect)

    async def something(self, connection: ScriptedConnection) -> None:
        name = self._chance.choice([*PLAYED, "healthy", "healthy", "healthy"])
        await play(connection, FAULTS[name].script(self._chance.choice([0.001, 0.02, 1.0])))


async def play(connection: ScriptedConnection, script: Script) -> None:
    for step in script:
        await step(connection)


class Visitor:
    """A client that asks, checks every byte, and now and then leaves in the middle."""

    def __init__(self, rig: Rig, seed: int, expected: dict[bytes, bytes]) -> None:
        self.answered = 0
        self._rig = rig
        self._chance = Random(seed)
        self._expected = expected

    async def visit(self) -> None:
        for _ in range(TURNS):
            async with await RawClient.open(self._rig.port) as client:
                for question in self._chance.choices(QUESTIONS, k=self._chance.randrange(1, 8)):
                    if self._chance.random() < 0.05:
                        await client.send(question.raw[: self._chance.randrange(len(question.raw))])
                        break
                    await client.send(question.raw)
                    if self._chance.random() < 0.05:
                        break
                    assert (await client.read_response(question.method)).raw == self._expected[question.raw]
                    self.answered += 1


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 40))])
async def test_no_client_notices_and_everything_is_accounted_for(rig: Rig, seed: int) -> None:
    settings = mirror(deadline="200ms", in_flight=6, breaker={"failures": 30, "open": "100ms", "probes": 1})
    await start(rig, Chaos(seed), service=settings, mirror_budget="1MiB")
    expected = {}
    for question in QUESTIONS:
        client = await rig.client()
        expected[question.raw] = await ask_all(client, [question])
    switch(rig, Mode.SHADOW)
    visitors = [Visitor(rig, 100 * seed + number, expected) for number in range(CLIENTS)]
    visiting = asyncio.gather(*(visitor.visit() for visitor in visitors))
    for mode in (Mode.PRIMARY, Mode.SHADOW):
        before = sum(visitor.answered for visitor in visitors)
        await rig.until(lambda: sum(visitor.answered for visitor in visitors) > before + 20, "more answers")  # noqa: B023
        switch(rig, mode)
    await visiting
    await rig.until(lambda: rig.plane.connections == set() or len(rig.plane.connections) == len(QUESTIONS), "the end")
    await rig.quiet()
    tally = rig.plane.tally()
    assert tally.total(REQUESTS, code="2xx") >= sum(visitor.answered for visitor in visitors) + len(QUESTIONS)
    assert tally.total(REQUESTS) == tally.total(MIRRORS)
    assert rig.requests().keys() <= {"2xx", "aborted"}
