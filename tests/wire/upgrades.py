"""What an upgrade looks like on the wire at both ends, and a tunnel to talk through."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.kit.raw_client import RawClient
from tests.kit.script import read_request, send
from tests.kit.scripted_connection import Script, ScriptedConnection, Step
from tests.wire.rig import FORWARDED, Rig, request, response

ASKED = (b"Upgrade: websocket", b"Connection: Upgrade")
"""The lines that ask for a websocket, and, at the end of the fields, those the backend gets for it."""
SWITCHED = response(b"Sec-WebSocket-Accept: x", *ASKED, start=b"HTTP/1.1 101 Switching Protocols")
"""A backend's agreement; the client gets the same bytes, since the lines we own stand at the end already."""


def upgrade(*fields: bytes, line: bytes = b"GET /chat") -> bytes:
    """A websocket request."""
    return request(line, *fields, *ASKED)


def forwarded(*fields: bytes, line: bytes = b"GET /chat", asked: tuple[bytes, ...] = ASKED) -> bytes:
    """What the serving backend gets for it; `asked` is empty for an ordinary request."""
    return request(line, *fields, *asked, *FORWARDED)


def switch(*steps: Step, behind: bytes = b"") -> Script:
    """Read the request, agree, send `behind` in the same packet, then play these steps in the tunnel."""
    return (read_request(), send(SWITCHED + behind), *steps)


def receive_to_end(into: bytearray) -> Step:
    """Keep what comes through the tunnel until the peer sends no more."""

    async def step(connection: ScriptedConnection) -> None:
        into.extend(await connection.wire.take_to_end())

    return step


@asynccontextmanager
async def tunnel(rig: Rig, *steps: Step, **settings: Any) -> AsyncIterator[RawClient]:
    """A client in a tunnel to a backend that plays these steps; afterwards nothing of the tunnel may be left."""
    await rig.start(switch(*steps), **settings)
    client = await rig.client()
    await client.send(upgrade())
    assert (await client.read_response()).raw == SWITCHED
    assert len(rig.plane.tunnels) == 1
    yield client
    await over(rig)


async def over(rig: Rig) -> None:
    """Every tunnel has ended at both sides, was counted as an answer, and never mirrored."""
    await rig.until(lambda: not rig.plane.tunnels, "the tunnels to be over")
    await rig.until(lambda: not rig.plane.services[0].serving.connections, "the backend connections to be gone")
    assert not rig.candidate.connections
    assert set(rig.mirrors()) == {"upgrade"}
