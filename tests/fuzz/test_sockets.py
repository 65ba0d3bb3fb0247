"""A part of the search on real sockets and both loops: the same cases, the same claims."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.fuzz.backend import PROBE, FuzzBackend
from tests.fuzz.case import SETTINGS, Case
from tests.fuzz.casting import cast
from tests.fuzz.claims import check_played
from tests.fuzz.conversation import Played
from tests.wire.rig import Rig

MOST = 40


def chosen() -> list[str]:
    """Seeds of cases without moves, in which backends give plain answers: what happens then hangs on no race."""
    seeds = (f"sockets/{number}" for number in range(10_000))
    calm = (seed for seed in seeds if _is_calm(cast(seed)))
    return [seed for seed, _ in zip(calm, range(MOST), strict=False)]


def _is_calm(case: Case) -> bool:
    """Where the Host is that of the backend it is left out: it has the port of the memory plane."""
    is_short = 0 < len(case.client) < 9
    is_hosted = case.setting != "rewritten" and b"HTTP/1.0" not in case.sent
    return is_short and is_hosted and not (case.moves or case.replies or case.copies)


@pytest.mark.parametrize("seed", chosen())
async def test_nothing_is_found_on_real_sockets(rig: Rig, seed: str) -> None:
    case = cast(seed)
    async with listening(case) as (primary, primary_port), listening(case) as (candidate, candidate_port):
        await rig.start(primary=primary_port, candidate=candidate_port, **SETTINGS[case.setting])
        client = await rig.client()
        await client.send_cut(case.sent, *_offsets(case))
        await client.half_close()
        received = await client.read_until_close()
        probed = (await rig.ask(PROBE)).raw
        await rig.quiet()
        check_played(Played(case, received, primary, candidate, [probed], rig.pairs, left=True))


@asynccontextmanager
async def listening(case: Case) -> AsyncIterator[tuple[FuzzBackend, int]]:
    """A backend of the case on a socket."""
    backend = FuzzBackend(case.replies)
    server = await asyncio.get_running_loop().create_server(backend.accept, "127.0.0.1", 0)
    try:
        yield backend, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for wire in backend.connections:
            wire.transport.abort()
            await wire.ended()


def _offsets(case: Case) -> list[int]:
    sizes = [len(step) for step in case.client if isinstance(step, bytes)]
    return [sum(sizes[:at]) for at in range(1, len(sizes))]
