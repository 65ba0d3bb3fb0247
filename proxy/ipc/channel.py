"""The line from a worker to control: reports up, snapshots down; it comes back by itself."""

import asyncio
import contextlib
from collections.abc import Callable

from proxy.core.evidence import Report
from proxy.ipc.frames import FrameError, FrameReader, frame
from proxy.ipc.messages import Hello, MessageError, Snapshot, decode, encode

RETRY_S = 0.2
READ_BYTES = 1 << 20
MAX_UNSENT = 4 << 20


class ControlChannel:
    """A connection to control's socket, made again whenever it ends."""

    def __init__(self, path: str, hello: Hello, on_snapshot: Callable[[Snapshot], None]) -> None:
        self._path = path
        self._hello = hello
        self._on_snapshot = on_snapshot
        self._writer: asyncio.StreamWriter | None = None
        self.heard = asyncio.Event()
        """Set once a snapshot came."""

    async def run(self) -> None:
        """Connect, listen, and start again, until cancelled."""
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(self._path)
            except OSError:
                await asyncio.sleep(RETRY_S)
                continue
            self._writer = writer
            try:
                writer.write(frame(encode(self._hello)))
                await self._listen(reader)
            except (OSError, FrameError, MessageError):
                await asyncio.sleep(RETRY_S)
            finally:
                self._writer = None
                writer.close()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        frames = FrameReader()
        while data := await reader.read(READ_BYTES):
            for payload in frames.feed(data):
                message = decode(payload)
                if isinstance(message, Snapshot):
                    self._on_snapshot(message)
                    self.heard.set()

    def send(self, report: Report) -> None:
        """Send a report, unless control is away or behind: the next one says it all again."""
        writer = self._writer
        if writer is not None and writer.transport.get_write_buffer_size() < MAX_UNSENT:
            writer.write(frame(encode(report)))

    async def send_last(self, report: Report, longest_s: float) -> None:
        """Send a report, see it on its way, and hang up."""
        self.send(report)
        writer = self._writer
        if writer is not None:
            writer.close()
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(longest_s):
                    await writer.wait_closed()
