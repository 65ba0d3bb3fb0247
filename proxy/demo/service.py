"""One scoring service: `python -m proxy.demo.service --version v1 --listen 127.0.0.1:0`.

    GET  /healthz                  {"status": "ok"}
    POST /v2/score                 {"id": "...", "features": {name: number}} in, its score out
    GET  /patients/{id}/score      the score of a held-out patient

Prints `listening on http://HOST:PORT` when ready and ends on SIGTERM or SIGINT. Errors are problem+json (RFC
9457). Both versions answer in the same shape; `request_id`, `scored_at` and `model_version` differ by
design, label and probabilities as far as the models do.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import uuid4

import orjson
import uvloop
from aiohttp import http_parser, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from proxy.demo import intake, model, rows
from proxy.demo.bugs import PLANTED, Answer, Bug, spoiled

MIB = 1024 * 1024
PROBABILITY_DIGITS = 6  # decimals of an answer
NOT_FOUND = "No such patient"


class Scoring:
    """The service's handlers over one model, the held-out patients and the bugs planted in it."""

    def __init__(self, version: str, bugs: Sequence[Bug] = ()) -> None:
        self._model = model.load(version)
        self._patients: Mapping[str, Sequence[float]] = {row.id: list(row.measurements.values()) for row in rows.load()}
        self._bugs = bugs

    def application(self) -> web.Application:
        """The routes, ready to be served."""
        app = web.Application(client_max_size=MIB, middlewares=[errors_as_problems])
        app.add_routes(
            [
                web.get("/healthz", health),
                web.post("/v2/score", self.score_body),
                web.get("/patients/{id}/score", self.score_held_out),
            ]
        )
        return app

    async def score_body(self, request: web.Request) -> web.Response:
        """Score the measurements in the body."""
        patient = intake.read(await request.read(), self._model.features)
        if isinstance(patient, intake.Refusal):
            return problem(patient.status, patient.title, patient.faults)
        return self._answer(request.method, patient.id, patient.values)

    async def score_held_out(self, request: web.Request) -> web.Response:
        """Score a held-out patient by id."""
        identity = request.match_info["id"]
        values = self._patients.get(identity)
        if values is None:
            return problem(404, NOT_FOUND)
        return self._answer(request.method, identity, values)

    def _answer(self, method: str, identity: str, values: Sequence[float]) -> web.Response:
        answer = spoiled(self._document(identity, values), self._bugs, method)
        return problem(404, NOT_FOUND) if answer is None else json_response(answer)

    def _document(self, identity: str, values: Sequence[float]) -> Answer:
        score = self._model.score(values)
        return {
            "request_id": str(uuid4()),
            "scored_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "model": "tumour-score",
            "model_version": self._model.version,
            "id": identity,
            "label": score.label,
            "probability": round(score.probability, PROBABILITY_DIGITS),
            "segments": [
                {
                    "id": part.id,
                    "probability": round(part.probability, PROBABILITY_DIGITS),
                    "deviation": part.deviation,
                }
                for part in score.segments
            ],
            "unusual": [{"feature": feature, "deviation": deviation} for feature, deviation in score.unusual],
        }


async def health(_: web.Request) -> web.Response:
    """Answer that the process is there."""
    return json_response({"status": "ok"})


def json_response(document: object) -> web.Response:
    """Answer 200 with `document`."""
    return web.Response(body=orjson.dumps(document), content_type="application/json")


def problem(status: int, title: str, faults: Sequence[intake.Fault] = ()) -> web.Response:
    """Answer an error as RFC 9457 describes, with the faults of a body if there are any."""
    document: dict[str, object] = {"type": "about:blank", "title": title, "status": status}
    if faults:
        document["errors"] = faults
    return web.Response(status=status, body=orjson.dumps(document), content_type="application/problem+json")


@web.middleware
async def errors_as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give aiohttp's own refusals (no such route, wrong method, body too large) the shape of all others."""
    try:
        return await handler(request)
    except web.HTTPError as error:
        answer = problem(error.status, error.reason)
        if allow := error.headers.get("Allow"):
            answer.headers["Allow"] = allow
        return answer


def is_our_fault(record: logging.LogRecord) -> bool:
    """Log filter: malformed requests are the client's fault and would each log a traceback."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def runner(app: web.Application) -> web.AppRunner:
    """The server, with bounds on everything a client may send."""
    log = logging.getLogger(__name__)
    log.addFilter(is_our_fault)
    return web.AppRunner(
        app,
        access_log=None,
        logger=log,
        handler_cancellation=True,
        auto_decompress=False,
        keepalive_timeout=15,
        max_line_size=8190,
        max_field_size=8190,
        max_headers=64,
        lingering_time=2,
        shutdown_timeout=5,
    )


async def serve(app: web.Application, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; raises OSError when the address is not to be had."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = runner(app)
    await server.setup()
    try:
        await web.TCPSite(server, host, port).start()
        print(f"listening on {origin(server)}", flush=True)  # noqa: T201  the line a parent process waits for
        await stop.wait()
    finally:
        await server.cleanup()


def origin(server: web.AppRunner) -> str:
    """URL of a started server, with the port it really got."""
    host, port = server.addresses[0][:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def address(text: str) -> tuple[str, int]:
    """`HOST:PORT` taken apart; an IPv6 host stands in brackets."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one service; the exit code is 0 after a signal, 2 when the address cannot be listened on."""
    parser = argparse.ArgumentParser(prog="python -m proxy.demo.service", description="One demo scoring service.")
    parser.add_argument("--version", choices=model.VERSIONS, required=True, help="the model to score with")
    parser.add_argument(
        "--listen", type=address, default="127.0.0.1:0", metavar="HOST:PORT", help="port 0: any free one"
    )
    parser.add_argument("--bugs", choices=PLANTED, default="none", help="faults to plant in the answers")
    options = parser.parse_args(arguments)
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        sys.exit("aiohttp lacks its C parser; its Python parser is not fit to be exposed")
    app = Scoring(options.version, PLANTED[options.bugs]).application()
    try:
        uvloop.run(serve(app, *options.listen))
    except OSError as error:
        print(f"cannot listen on {options.listen[0]}:{options.listen[1]}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
