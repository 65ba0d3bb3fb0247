"""Every request passes here: is it for us, is it allowed, what does it ask; and every refusal leaves here."""

import asyncio
from time import monotonic

import structlog
from aiohttp import web
from aiohttp.web_exceptions import HTTPRequestEntityTooLarge
from aiohttp.web_request import BaseRequest

from proxy.control.api.auth import ADMIN, GUESSES, Throttle, Token, check_host, check_origin, throttled, unauthorized
from proxy.control.api.call import Call, Control, parse_body
from proxy.control.api.problems import Problem
from proxy.control.api.routes import Access, Route, find
from proxy.control.database import StateError
from proxy.control.state import Asked

log = structlog.get_logger()

REQUEST_S = 10.0
ROW_S = 1.0
"""Longest wait for the audit row of a refusal; on a disk that hangs it comes after the answer."""
_REFUSALS_KEPT = 60
"""Refused attempts of one peer that become audit rows, per minute: a flood must not fill the disk."""


class Front:
    """Answers requests. `loopback` tells whether only this machine can reach the port."""

    def __init__(self, control: Control, token: Token, *, loopback: bool) -> None:
        self._control = control
        self._token = token
        self._loopback = loopback
        self._guesses = Throttle(GUESSES)
        self._refusals = Throttle(_REFUSALS_KEPT)
        self._rows: set[asyncio.Task[None]] = set()

    async def answer(self, request: BaseRequest) -> web.StreamResponse:
        """The answer to one request; never raises for what the client did."""
        try:
            async with asyncio.timeout(REQUEST_S):
                return await self._answer(request)
        except Problem as refused:
            problem = refused
        except TimeoutError:
            problem = Problem(
                503, "too-slow", f"There was no answer within {REQUEST_S:g} s; a change may still be applied."
            )
        except Exception:
            # The edge of the admin port: one request is lost, the process is not.
            log.exception("admin request failed", method=request.method)
            problem = Problem(500, "internal", "This call failed; the log says more.")
        await self._keep(request, problem)
        return problem.response()

    async def _answer(self, request: BaseRequest) -> web.StreamResponse:
        self._check_sender(request)
        route, parameters = find(request.method, _path(request))
        who = self._identify(request, route)
        call = await _call(request, parameters, who, f"{route.method} {route.path}")
        return await route.handler(self._control, call)

    def _check_sender(self, request: BaseRequest) -> None:
        hosts = request.headers.getall("Host", [])
        sockname = request.get_extra_info("sockname") or ("",)
        check_host(hosts, str(sockname[0]), self._control.settings.admin.hosts)
        origins = request.headers.getall("Origin", [])
        check_origin(origins, request.headers.getall("Sec-Fetch-Site", []), hosts[0])

    def _identify(self, request: BaseRequest, route: Route) -> str:
        """Who asks: the token's name, or nobody where no token is needed."""
        if self._token.accepts(request.headers.getall("Authorization", [])):
            return ADMIN
        open_metrics = self._control.settings.admin.open_metrics
        if not route.access.needs_token(loopback=self._loopback, open_metrics=open_metrics):
            return ""
        raise throttled() if self._guesses.over(request.remote or "", monotonic()) else unauthorized()

    async def _keep(self, request: BaseRequest, problem: Problem) -> None:
        """Write the audit row of an attempt to change something that got a problem for an answer."""
        try:
            route, parameters = find(request.method, _path(request))
        except Problem:
            return
        peer = request.remote or ""
        if route.access is not Access.CHANGE or self._refusals.over(peer, monotonic()):
            return
        accepted = self._token.accepts(request.headers.getall("Authorization", []))
        asked = Asked(ADMIN if accepted else "", peer, f"{route.method} {route.path}")
        why = f"{problem.status} {problem.kind}"
        row = asyncio.create_task(self._append(asked, parameters.get("service", ""), why))
        self._rows.add(row)
        row.add_done_callback(self._rows.discard)
        await asyncio.wait({row}, timeout=ROW_S)

    async def _append(self, asked: Asked, service: str, why: str) -> None:
        try:
            await self._control.state.refuse(asked, service, why)
        except StateError as refused:
            log.warning(
                "a refused attempt is not in the audit log yet", attempt=asked.route, result=why, why=str(refused)
            )


def _path(request: BaseRequest) -> str:
    return request.raw_path.partition("?")[0]


async def _call(request: BaseRequest, parameters: dict[str, str], who: str, route: str) -> Call:
    try:
        content = await request.read()
    except HTTPRequestEntityTooLarge:
        raise Problem(413, "too-large", "The body is over 1 MiB.") from None
    if_match = request.headers.get("If-Match")
    return Call(
        parameters=parameters,
        query=dict(request.query),
        body=parse_body(content),
        who=who,
        peer=request.remote or "",
        route=route,
        accept=request.headers.get("Accept", ""),
        if_match=None if if_match is None else if_match.strip().strip('"'),
    )
