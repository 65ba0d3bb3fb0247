"""The floor: bytes from client to primary and candidate, the primary's back, the candidate's thrown away.

It reads no byte of them and keeps no count, so it pays for the event loop and the system calls of a mirroring proxy in
Python, and for nothing else. What it does not: connections are one to one, so it is right only while backends stay up.
"""

import argparse
import asyncio
from functools import partial
from typing import cast

import uvloop


class Turn:
    """The writes of one turn of the loop, made at its end, lane by lane: to wake a peer costs more than a write."""

    def __init__(self) -> None:
        self._lanes: tuple[list[tuple[asyncio.Transport, bytes]], ...] = ([], [], [])
        self._due = False

    def write(self, lane: int, transport: asyncio.Transport, data: bytes) -> None:
        """Write at the end of this turn."""
        self._lanes[lane].append((transport, data))
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        self._due = False
        for lane in self._lanes:
            for transport, data in lane:
                if not transport.is_closing():
                    transport.write(data)
            lane.clear()


class Backend(asyncio.Protocol):
    """A connection to a backend; the candidate's has no client to write to."""

    def __init__(self, turn: Turn, client: asyncio.Transport | None) -> None:
        self._turn = turn
        self._client = client

    def data_received(self, data: bytes) -> None:
        """Part of an answer."""
        if self._client is not None:
            self._turn.write(0, self._client, data)


class Client(asyncio.Protocol):
    """A client's connection, and one to each backend."""

    def __init__(self, turn: Turn, primary: int, candidate: int) -> None:
        self._turn = turn
        self._ports = primary, candidate
        self._backends: list[asyncio.Transport] = []
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Dial both."""
        self._client = cast("asyncio.Transport", transport)
        self._dialling = asyncio.ensure_future(self._dial())

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        for port, client in zip(self._ports, (self._client, None), strict=True):
            transport, _ = await loop.create_connection(partial(Backend, self._turn, client), "127.0.0.1", port)
            self._backends.append(transport)
        early, self._early = self._early, b""
        if early:
            self.data_received(early)
        if self._client.is_closing():
            self.connection_lost(None)

    def data_received(self, data: bytes) -> None:
        """Part of a request."""
        if self._early or len(self._backends) < len(self._ports):
            self._early += data
            return
        for lane, backend in enumerate(self._backends, start=1):
            self._turn.write(lane, backend, data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  however it ended
        """The client has ended, so both backends' connections do."""
        for backend in self._backends:
            backend.close()


async def _serve(port: int, primary: int, candidate: int) -> None:
    turn, loop = Turn(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Client(turn, primary, candidate), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("port", "primary", "candidate"):
        parser.add_argument(f"--{name}", type=int, required=True, help="a port of 127.0.0.1")
    options = parser.parse_args()
    uvloop.run(_serve(options.port, options.primary, options.candidate))
