"""What the two proxies made with aiohttp have in common: their arguments, one call to a backend, and serving."""

import argparse
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import uvloop
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

_HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
     "upgrade", "content-length")
)  # fmt: skip
_TIMEOUT = aiohttp.ClientTimeout(total=10)

SESSION = web.AppKey("session", aiohttp.ClientSession)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Origins:
    """The three backends, as `http://127.0.0.1:PORT`, and the share of the requests to mirror."""

    primary: str
    candidate: str
    secondary: str
    share: float


async def ask(request: web.Request, origin: str, body: bytes) -> web.Response:
    """Send the request to a backend and return its whole answer."""
    session = request.app[SESSION]
    headers = _end_to_end(request.headers)
    async with session.request(
        request.method, origin + request.raw_path, headers=headers, data=body or None, allow_redirects=False
    ) as answer:
        return web.Response(status=answer.status, headers=_end_to_end(answer.headers), body=await answer.read())


def serve(description: str, handler: Callable[[Origins], Handler]) -> None:
    """Read the arguments and serve with uvloop until SIGTERM, in as many processes as asked for."""
    parser = argparse.ArgumentParser(description=description)
    for name in ("port", "primary", "candidate", "secondary"):
        parser.add_argument(f"--{name}", type=int, required=True, help="a port of 127.0.0.1")
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    primary, candidate, secondary = (
        f"http://127.0.0.1:{port}" for port in (options.primary, options.candidate, options.secondary)
    )
    origins = Origins(primary, candidate, secondary, options.share)
    for _ in range(options.workers - 1):
        if os.fork() == 0:
            break
    application = web.Application()
    application.cleanup_ctx.append(_session)
    application.router.add_route("*", "/{tail:.*}", handler(origins))
    web.run_app(
        application, sock=_listener(options.port), access_log=None, print=None, loop=uvloop.new_event_loop(),
        backlog=4096,
    )  # fmt: skip


def _listener(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    return listener


async def _session(application: web.Application) -> AsyncIterator[None]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, timeout=_TIMEOUT, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        application[SESSION] = session
        yield


def _end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP)
