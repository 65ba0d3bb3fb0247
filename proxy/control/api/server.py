"""aiohttp, as far as the admin port needs it: strict, small, quiet, and never its pure-Python parser."""

import asyncio
import logging
import socket
from time import monotonic
from typing import Any

import structlog
from aiohttp import http_parser, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from proxy.control.api.auth import Throttle
from proxy.control.api.front import Front
from proxy.control.api.problems import Problem

log = structlog.get_logger()

MAX_CONNECTIONS = 32
_SETTINGS: dict[str, Any] = {
    "auto_decompress": False,
    "access_log": None,
    "keepalive_timeout": 15.0,
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
    """Makes such connections, and refuses them above the limit."""

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()

    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=asyncio.get_running_loop(), logger=_silent(), **_SETTINGS)


def _silent() -> logging.Logger:
    """A logger for what aiohttp would say: a traceback for every malformed request."""
    logger = logging.getLogger("proxy.control.aiohttp")
    logger.disabled = True
    return logger


def check_parser() -> None:
    """Raise ParserError unless aiohttp parses with its C extension."""
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise ParserError("aiohttp was installed without its C extension: install a wheel, or build it with a compiler")


async def start(front: Front, listener: socket.socket) -> web.ServerRunner:
    """Serve the admin port on a listening socket; `cleanup()` of the answer ends it within seconds."""
    runner = web.ServerRunner(_Server(front.answer, handler_cancellation=True), shutdown_timeout=5.0)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    return runner
