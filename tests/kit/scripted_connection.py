"""One connection accepted by the scripted backend: what it received, and the hands its script acts with."""

from collections.abc import Awaitable, Callable, Sequence

from tests.kit.framing import REQUEST_LINE, FramingError, Head, RawRequest, read_head, read_request_rest
from tests.kit.watch import DEADLINE_S, Watch, deadline
from tests.kit.wire import ConnectionEnded, Ending, Wire

Step = Callable[["ScriptedConnection"], Awaitable[None]]
Script = Sequence[Step]


class ScriptedConnection:
    """`requests` holds the complete requests, `received` every byte; `violation` what the peer did wrong,
    if anything.
    """

    def __init__(self, wire: Wire, on_change: Watch) -> None:
        self.wire = wire
        self.heads: list[Head] = []
        self.requests: list[RawRequest] = []
        self.violation: FramingError | None = None
        self._on_change = on_change

    @property
    def received(self) -> bytes:
        """Every byte received since the connection was accepted."""
        return bytes(self.wire.received)

    @property
    def truncated(self) -> bool:
        """The peer has ended and left a request (or its head) incomplete."""
        return self.wire.over and (len(self.requests) < len(self.heads) or bool(self.wire.unread))

    async def gone(self, deadline_s: float = DEADLINE_S) -> Ending:
        """Wait until the peer ends the connection and say how."""
        async with deadline(deadline_s, lambda: f"the peer to end the connection; {self.wire.quote()}"):
            await self.wire.until(lambda: self.wire.over)
        return self.wire.ending or Ending.FIN

    async def play(self, on_connect: Script, next_script: Callable[[], Script]) -> None:
        """Run `on_connect`, then one script per request head until either side ends the connection."""
        try:
            await self._run(on_connect)
            while await self._read_head():
                await self._run(next_script())
                await self.read_request()
        except ConnectionEnded:
            pass  # the peer may leave at any byte; `truncated` and `received` tell where
        except FramingError as violation:
            self.violation = violation
        finally:
            self._on_change.changed()
            self.wire.close()

    async def read_request(self) -> None:
        """Read the present request to its end; does nothing when that was done or there is none."""
        if len(self.requests) < len(self.heads):
            self.requests.append(await read_request_rest(self.wire, self.heads[-1]))
            self._on_change.changed()

    async def _read_head(self) -> bool:
        await self.wire.until(lambda: self.wire.over or self.wire.position < len(self.wire.received))
        if self.wire.lost or self.wire.position == len(self.wire.received):
            return False
        self.heads.append(await read_head(self.wire, REQUEST_LINE))
        self._on_change.changed()
        return True

    async def _run(self, script: Script) -> None:
        for step in script:
            await step(self)
