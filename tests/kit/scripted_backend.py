"""A backend on a real loopback socket that keeps every byte it receives and answers by script.

`async with ScriptedBackend([respond(b"HTTP/1.1 200 OK\\r\\n…")]) as backend:` runs one script per request
in order of arrival over all connections, then `default` for the rest. Leaving the block ends everything and
raises the first thing a peer sent that was no correct HTTP/1.1 request. A peer that leaves early is no
error: see `connection.truncated`.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from typing import Self

from tests.kit.framing import RawRequest
from tests.kit.script import answer, hang, stop_reading
from tests.kit.scripted_connection import Script, ScriptedConnection
from tests.kit.tls_wire import TlsWire
from tests.kit.watch import DEADLINE_S, Watch, deadline
from tests.kit.wire import Wire

OK = answer()


class ScriptedBackend:
    """`scripts` for the first requests, `default` for the rest, `on_connect` before anything is read.

    With `tls` a connection counts from its handshake on.
    """

    def __init__(
        self,
        scripts: Iterable[Script] = (),
        *,
        default: Script = OK,
        on_connect: Script = (),
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.port = port
        self.connections: list[ScriptedConnection] = []
        self._scripts = deque(scripts)
        self._default = default
        self._on_connect = on_connect
        self._tls = tls
        self._watch = Watch()
        self._playing: set[asyncio.Task[None]] = set()

    @classmethod
    def mute(cls) -> Self:
        """Accepts and reads, never answers."""
        return cls(default=(hang(),))

    @classmethod
    def deaf(cls) -> Self:
        """Accepts, never reads and never answers."""
        return cls(on_connect=(stop_reading(), hang()))

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._wire, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.stop_accepting()
        for task in self._playing:
            task.cancel()
        failures = await asyncio.gather(*self._playing, return_exceptions=True)
        for connection in self.connections:
            connection.wire.transport.abort()
            await connection.wire.ended()
        if exc_info[0] is None:
            self._raise_first(failures)

    @property
    def is_tls(self) -> bool:
        """Whether it is to be asked by TLS."""
        return self._tls is not None

    @property
    def requests(self) -> list[RawRequest]:
        """The complete requests of all connections, by connection."""
        return [request for connection in self.connections for request in connection.requests]

    async def accepted(self, count: int, deadline_s: float = DEADLINE_S) -> list[ScriptedConnection]:
        """Wait until `count` connections have been accepted since the start."""
        await self._until(lambda: len(self.connections) >= count, f"{count} connections", deadline_s)
        return self.connections

    async def received_heads(self, count: int, deadline_s: float = DEADLINE_S) -> list[bytes]:
        """Wait until `count` request heads are complete; returns their request lines."""
        await self._until(lambda: len(self._request_lines) >= count, f"{count} request heads", deadline_s)
        return self._request_lines

    async def received_requests(self, count: int, deadline_s: float = DEADLINE_S) -> list[RawRequest]:
        """Wait until `count` requests are complete, bodies included."""
        await self._until(lambda: len(self.requests) >= count, f"{count} requests", deadline_s)
        return self.requests

    def play_next(self, script: Script) -> None:
        """Answer the next request by this script, before those still waiting for theirs."""
        self._scripts.appendleft(script)

    def stop_accepting(self) -> None:
        """Refuse new connections from now on; the open ones go on."""
        self._server.close()

    @property
    def _request_lines(self) -> list[bytes]:
        return [head.start_line for connection in self.connections for head in connection.heads]

    def _wire(self) -> Wire:
        return Wire(self._accept) if self._tls is None else TlsWire(self._tls, None, self._accept)

    def _accept(self, wire: Wire) -> None:
        connection = ScriptedConnection(wire, self._watch)
        self.connections.append(connection)
        playing = connection.play(self._on_connect, self._next_script)
        self._playing.add(asyncio.get_running_loop().create_task(playing))
        self._watch.changed()

    def _next_script(self) -> Script:
        return self._scripts.popleft() if self._scripts else self._default

    async def _until(self, condition: Callable[[], bool], what: str, deadline_s: float) -> None:
        async with deadline(deadline_s, lambda: f"{what} at the backend; {self._quote()}"):
            await self._watch.until(condition)

    def _quote(self) -> str:
        quotes = [f"[{i}] {connection.wire.quote()}" for i, connection in enumerate(self.connections)]
        return "\n".join(quotes) or "no connection was made"

    def _raise_first(self, failures: list[BaseException | None]) -> None:
        violations = [connection.violation for connection in self.connections]
        for failure in [*violations, *failures]:
            if failure is not None and not isinstance(failure, asyncio.CancelledError):
                raise failure
