"""aiohttp, as far as the admin port needs it: strict, small, quiet, and never its pure-Python parser."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import structlog
from aiohttp import http_parser, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from proxy.control.api.auth import Throttle
from proxy.control.api.front import REQUEST_S
from proxy.control.api.problems import Problem

log = structlog.get_logger()

Answer = Callable[[BaseRequest], Awaitable[web.StreamResponse]]

MAX_CONNECTIONS = 32
_SETTINGS: dict[str, Any] = {
    "auto_decompress": False,
    "access_log": None,
    "max_line_size": 8190,
    "max_field_size": 8190,
    "max_headers": 64,
    "lingering_time": 2.0,
}
_malformed = Throttle(1)


class ParserError(Exception):
    """aiohttp lacks its C parser; the pure-Python one has let requests be smuggled."""


class _Connection(RequestHandler):
    """One connection; bytes that are not HTTP are answered in our words, and logged once a minute."""

    __slots__ = ()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  it quotes what the client sent
    ) -> web.StreamResponse:
        if not _malformed.over("", monotonic()):
            log.warning("malformed request on the admin port", peer=request.remote)
        if request.writer.output_size > 0:
            raise ConnectionError
        if isinstance(exc, LineTooLong):
            problem = Problem(431, "head-too-large", "The request line or a field is over 8,190 bytes.")
        else:
            problem = Problem(status, "malformed", "This is not a request this port understands.")
        response = problem.response()
        response.force_close()
        return response


class _Server(web.Server):
    """Makes such connections. Above the limit the oldest that waits for a request ends: nobody is locked out by those.

    A request is in service once it has come whole; what is promised and not sent holds no place.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__(self._serve, handler_cancellation=True)
        self._answer = answer
        self._open: dict[RequestHandler, asyncio.Transport] = {}
        self._requests: dict[RequestHandler, BaseRequest] = {}

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._open[handler] = transport
        if len(self._open) > MAX_CONNECTIONS:
            oldest = next(each for each in self._open if not self._is_in_service(each))  # at the latest, the new one
            self._open.pop(oldest).abort()

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        self._open.pop(handler, None)
        super().connection_lost(handler, exc)

    def __call__(self) -> RequestHandler:
        # aiohttp ends a connection that has had no whole head for its keep-alive time, from the first byte or the last
        # answer on; bytes that trickle in do not put that off.
        return _Connection(
            self, loop=asyncio.get_running_loop(), logger=_silent(), keepalive_timeout=REQUEST_S, **_SETTINGS
        )

    async def _serve(self, request: BaseRequest) -> web.StreamResponse:
        self._requests[request.protocol] = request
        try:
            return await self._answer(request)
        finally:
            del self._requests[request.protocol]

    def _is_in_service(self, handler: RequestHandler) -> bool:
        request = self._requests.get(handler)
        return request is not None and request.content.is_eof()


def _silent() -> logging.Logger:
    """A logger for what aiohttp would say: a traceback for every malformed request."""
    logger = logging.getLogger("proxy.control.aiohttp")
    logger.disabled = True
    return logger


def check_parser() -> None:
    """Raise ParserError unless aiohttp parses with its C extension."""
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise ParserError("aiohttp was installed without its C extension: install a wheel, or build it with a compiler")


async def start(answer: Answer, listener: socket.socket) -> web.ServerRunner:
    """Serve the admin port on a listening socket; `cleanup()` of what this returns ends it within seconds."""
    runner = web.ServerRunner(_Server(answer), shutdown_timeout=5.0)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    return runner
