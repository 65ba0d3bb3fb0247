"""Steady open-loop load on a scoring service: `python -m proxy.demo.load --to URL --rate 50`.

Request i starts at i / rate seconds, come what may. Ends after `--seconds`, or on SIGTERM or SIGINT, once
every request sent is answered, and prints what became of them as a line of JSON.

Two of three requests are `POST /v2/score` with a held-out patient's measurements, the third asks for one by
id. Every request carries one of 100 user ids in `x-user-id`, so that a canary by user has someone to divide.

Nothing waits for an answer: while `in_flight` requests are under way, further ones are skipped and counted.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import aiohttp
import orjson

from proxy.demo import rows

RATE = 50.0  # requests per second, unless told otherwise
USERS = 100
GET_EVERY = 3
TIMEOUT_S = 10.0


@dataclass(slots=True)
class LoadResult:
    """What became of the requests: planned = ok + errors + skipped."""

    ok: int = 0  # answered below 400
    errors: int = 0  # answered 400 or above, or not at all
    skipped: int = 0  # not sent: too many under way


class Request(NamedTuple):
    """One request as it is sent."""

    method: str
    path: str
    body: bytes | None
    headers: dict[str, str]


class Plan:
    """Which request comes i-th; the same for every run."""

    def __init__(self, patients: Sequence[rows.Row]) -> None:
        self._ids = [row.id for row in patients]
        self._bodies = [orjson.dumps({"id": row.id, "features": row.measurements}) for row in patients]

    def request(self, index: int) -> Request:
        """The request at `index`; over three rounds every patient is posted twice and asked for once."""
        turn, patient = divmod(index, len(self._ids))
        headers = {"x-user-id": f"user-{index % USERS}"}
        if (turn + patient) % GET_EVERY == 0:
            return Request("GET", f"/patients/{self._ids[patient]}/score", None, headers)
        headers["content-type"] = "application/json"
        return Request("POST", "/v2/score", self._bodies[patient], headers)


async def run(
    base_url: str,
    plan: Plan,
    rate: float,
    seconds: float | None = None,
    stop: asyncio.Event | None = None,
    *,
    in_flight: int = 100,
    result: LoadResult | None = None,
) -> LoadResult:
    """Send `plan` to `base_url`, `rate` requests a second, for `seconds` or until `stop` is set.

    Ends once every request sent has been answered or has failed. A `result` handed in is counted up while the
    load runs, for a screen that shows it.
    """
    stop, result = stop or asyncio.Event(), result or LoadResult()
    indices = count() if seconds is None else range(round(seconds * rate))
    begin = asyncio.get_running_loop().time()
    async with _session(base_url, in_flight) as session, asyncio.TaskGroup() as group:
        under_way: set[asyncio.Task[None]] = set()
        for index in indices:
            if await _set_before(stop, begin + index / rate):
                break
            if len(under_way) >= in_flight:
                result.skipped += 1
                continue
            task = group.create_task(_send(session, plan.request(index), result))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
    return result


def _session(base_url: str, connections: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        base_url,
        connector=aiohttp.TCPConnector(limit=connections),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


async def _set_before(stop: asyncio.Event, due: float) -> bool:
    """Wait until the loop's clock reads `due`; True if `stop` was set first."""
    try:
        async with asyncio.timeout_at(due):
            return await stop.wait()
    except TimeoutError:
        return False


async def _send(session: aiohttp.ClientSession, request: Request, result: LoadResult) -> None:
    try:
        async with session.request(request.method, request.path, data=request.body, headers=request.headers) as answer:
            await answer.read()
    except (aiohttp.ClientError, TimeoutError):
        result.errors += 1
        return
    if answer.ok:
        result.ok += 1
    else:
        result.errors += 1


async def _until_signal(base_url: str, rate: float, seconds: float | None) -> LoadResult:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return await run(base_url, Plan(rows.load()), rate, seconds, stop)


def positive(text: str) -> float:
    """A number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the load; the exit code is 0, whatever was answered."""
    parser = argparse.ArgumentParser(prog="python -m proxy.demo.load", description="Steady load on a scoring service.")
    parser.add_argument("--to", required=True, metavar="URL", help="where it goes")
    parser.add_argument("--rate", type=positive, default=RATE, metavar="N", help="requests per second")
    parser.add_argument("--seconds", type=positive, metavar="N", help="how long; default: until a signal")
    options = parser.parse_args(arguments)
    result = asyncio.run(_until_signal(options.to, options.rate, options.seconds))
    print(orjson.dumps(result).decode(), flush=True)  # noqa: T201  the line a parent process reads
    return 0


if __name__ == "__main__":
    sys.exit(main())
