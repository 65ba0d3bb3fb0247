"""`python hung.py PORT`: a candidate that hangs. It accepts, reads, counts the requests and answers none.

Only `GET /received` is answered, in the form of nginx's stub_status, so that it is asked like any other backend.
"""

import asyncio
import sys
from typing import cast

import uvloop


class Silence(asyncio.Protocol):
    """One connection; the count is that of all."""

    requests = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are written to."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Count request lines: the heads sent here are small and arrive whole."""
        Silence.requests += data.count(b" HTTP/1.1\r\n")
        if data.startswith(b"GET /received "):
            text = f"Active connections: 1 \nserver accepts handled requests\n 1 1 {Silence.requests} \n".encode()
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Silence, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
