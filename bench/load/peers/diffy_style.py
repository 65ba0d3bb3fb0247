"""A proxy in the manner of Diffy: a request goes to primary, candidate and secondary, and waits for all three.

Diffy compares primary with candidate, and primary with secondary for the noise; this stand-in compares nothing. What it
shows is the price of the design: a client waits for the slowest of three, at three times the calls. There is no share:
every request is multiplied.
"""

import asyncio

from aiohttp import web

from bench.load.peers.upstream import Handler, Origins, ask, serve


def handler(origins: Origins) -> Handler:
    """Return the one handler there is."""

    async def multiply(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        answer, *_ = await asyncio.gather(
            *(ask(request, origin, body) for origin in (origins.primary, origins.candidate, origins.secondary)),
            return_exceptions=True,
        )
        return web.Response(status=502) if isinstance(answer, BaseException) else answer

    return multiply


if __name__ == "__main__":
    serve(__doc__ or "", handler)
