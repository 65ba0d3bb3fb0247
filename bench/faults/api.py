"""`python api.py PORT SECONDS`: a version of the API that takes its time, and little CPU.

It answers what was asked, so that equal requests get equal bytes; uploads are read to their end. The time is that of
an API that works for its answer, and passes in a timer.
"""

import asyncio
import re
import sys
from typing import cast

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"


class Api(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._head = b""
        self._missing = 0
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are written to."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read a request to its end, then answer it."""
        if not self._missing:
            self._head += data
            if _HEAD_END not in self._head:
                return
            head, _, data = self._head.partition(_HEAD_END)
            self._head = b""
            method, target, _ = head.split(b" ", 2)
            found = _LENGTH.search(head)
            self._missing = int(found[1]) if found else 0
            said = b'{"method": "%b", "target": "%b", "length": %d}' % (method, target, self._missing)
            fields = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(said)
            self._answer = b"HTTP/1.1 200 OK\r\n" + fields + said
        self._missing -= len(data)
        if not self._missing:
            asyncio.get_running_loop().call_later(self._seconds, self._transport.write, self._answer)


async def _serve(port: int, seconds: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Api(seconds), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
