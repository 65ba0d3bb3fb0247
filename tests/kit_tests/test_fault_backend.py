import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kit.fault_backend import Counts, FaultBackend, faulty
from tests.kit.faults import ANSWER, FAULTS, gzip_bomb
from tests.kit.framing import FramingError
from tests.kit.polling import wait_until_async
from tests.kit.raw_client import RawClient
from tests.kit.watch import DEADLINE_S, DeadlineError
from tests.kit.wire import ConnectionEnded

ROOT = Path(__file__).parents[2]
GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


async def test_equal_requests_get_equal_answers() -> None:
    async with FaultBackend("healthy") as one, FaultBackend("healthy") as other:
        heard = []
        for backend in (one, other):
            async with await RawClient.open(backend.port) as client:
                for raw in (GET, POST):
                    await client.send(raw)
                    await client.read_response()
                heard.append(client.received)
    assert heard[0] == heard[1]
    assert b'"length": 5' in heard[0]


ANSWERS = {"interim-flood": 103, "body-long": 200, "gzip-bomb": 200}
"""Faults that begin with an answer that is right by itself."""


async def first_answer(port: int, deadline_s: float = DEADLINE_S) -> int | None:
    """The status of what is answered in time; None if that is nothing, or no HTTP, or incomplete."""
    try:
        async with await RawClient.open(port, deadline_s=deadline_s) as client:
            await client.send(GET)
            return (await client.read_response()).status
    except (DeadlineError, FramingError, ConnectionEnded):
        return None


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if not fault.port and name != "healthy"])
async def test_a_fault_is_played_until_it_recovers(name: str) -> None:
    async with FaultBackend(name, delay_s=30) as backend:
        expected = ANSWERS.get(name)
        assert await first_answer(backend.port, DEADLINE_S if expected else 0.1) == expected
        backend.recover()
        assert await first_answer(backend.port) == 200


async def test_a_drip_is_the_right_answer_in_the_end() -> None:
    async with FaultBackend("drips-head", delay_s=0) as backend, await RawClient.open(backend.port) as client:
        await client.send(GET)
        assert (await client.read_response()).raw == ANSWER


def test_the_bomb_is_small() -> None:
    assert len(gzip_bomb()) < 110_000


async def test_what_is_forgotten_stays_counted() -> None:
    async with FaultBackend("healthy") as backend:
        for _ in range(3):
            async with await RawClient.open(backend.port) as client:
                for _ in range(2):
                    await client.send(POST)
                    await client.read_response()
        await backend.connections[-1].gone()
        before = backend.counts()
        backend.forget()
        assert before == Counts(3, before.open, 6, 6 * len(POST))
        assert backend.counts()._replace(open=0) == before._replace(open=0)
        assert not any(connection.received for connection in backend.connections)


async def test_an_answer_still_to_come_survives_it() -> None:
    async with FaultBackend("slow", delay_s=0.05) as backend, await RawClient.open(backend.port) as client:
        await client.send(POST)
        await backend.received_requests(1)
        backend.forget()
        assert b'"length": 5' in (await client.read_response()).body


async def test_a_connection_goes_on_after_it_was_forgotten() -> None:
    async with FaultBackend("healthy") as backend, await RawClient.open(backend.port) as client:
        for raw in (POST, GET):
            await client.send(raw)
            assert (await client.read_response()).status == 200
            await asyncio.sleep(0)
            backend.forget()
        await client.send(POST[:-2])
        await backend.received_heads(1)
        backend.forget()
        await client.send(POST[-2:])
        assert (await client.read_response()).status == 200
        assert backend.counts() == Counts(1, 1, 3, 2 * len(POST) + len(GET))


async def test_a_peer_that_left_while_nobody_read_is_noticed() -> None:
    async with FaultBackend("deaf") as backend:
        client = await RawClient.open(backend.port)
        await client.send(GET)
        await backend.accepted(1)
        await client.abandon()

        async def is_noticed() -> bool:
            backend.forget()
            return backend.counts().open == 0

        await wait_until_async(is_noticed, "the end of the connection")
        assert backend.counts().connections == 1


async def test_a_fault_that_nobody_plays_is_a_port() -> None:
    async with faulty("refuses") as port:
        assert isinstance(port, int)
        with pytest.raises(ConnectionRefusedError):
            await RawClient.open(port)


# --- as a process


@contextmanager
def process(*words: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tests.kit.fault_backend", *words]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


def line(started: "subprocess.Popen[str]") -> Any:
    assert started.stdout
    return json.loads(started.stdout.readline())


async def test_a_process_says_where_it_is_and_what_came_and_ends_with_its_parent() -> None:
    with process("--fault", "reset-on-request") as started:
        assert started.stdin
        where = line(started)
        assert (where["fault"], where["scheme"]) == ("reset-on-request", "http")
        async with await RawClient.open(where["port"]) as client:
            await client.send(POST)
            with pytest.raises(ConnectionEnded):
                await client.read_response()
        started.stdin.write("\n")
        started.stdin.flush()
        assert line(started) == {"connections": 1, "open": 0, "requests": 1, "received": len(POST)}
        started.stdin.close()
        assert started.wait(10) == 0


@pytest.mark.parametrize("name", ["mute", "black-hole"])
def test_a_process_ends_by_signal(name: str) -> None:
    with process("--fault", name) as started:
        assert line(started)["port"]
        started.send_signal(signal.SIGTERM)
        assert started.wait(10) == 0


def test_a_process_lists_what_there_is() -> None:
    with process("--list") as started:
        assert started.stdout
        assert [row.split()[0] for row in started.stdout.read().splitlines()] == list(FAULTS)
