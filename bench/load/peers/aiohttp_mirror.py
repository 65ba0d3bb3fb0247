"""A mirroring proxy as people write it themselves: an afternoon with aiohttp.

It reads the body, starts a task that sends the copy, asks the primary and answers. Nothing is compared and nothing is
bounded; the copies' answers and errors are ignored. uvloop is on, and connections are kept alive.
"""

import asyncio
import random
from contextlib import suppress

import aiohttp
from aiohttp import web

from bench.load.peers.upstream import Handler, Origins, ask, serve


def handler(origins: Origins) -> Handler:
    """Return the one handler there is."""
    copies: set[asyncio.Task[None]] = set()

    async def copy(request: web.Request, body: bytes) -> None:
        with suppress(aiohttp.ClientError, TimeoutError):
            await ask(request, origins.candidate, body)

    async def relay(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if random.random() < origins.share:
            task = asyncio.create_task(copy(request, body))
            copies.add(task)
            task.add_done_callback(copies.discard)
        return await ask(request, origins.primary, body)

    return relay


if __name__ == "__main__":
    serve(__doc__ or "", handler)
