import asyncio
from typing import Self

import pytest
from structlog.testing import capture_logs

from proxy.config.models import Settings
from proxy.config.units import parse_origin
from proxy.control import readiness as module
from proxy.control.readiness import Probe, Readiness, connect
from tests.kit.ports import black_hole_port, refusing_port
from tests.unit.control.settings import service


class Listener:
    """A TCP port that counts who connects."""

    def __init__(self) -> None:
        self.connections = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._greet, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _greet(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()


def configured(primary: int, candidate: int = 1) -> Settings:
    body = service(primary=f"http://127.0.0.1:{primary}")
    body["candidate"]["url"] = f"http://127.0.0.1:{candidate}"
    return Settings.model_validate({"services": {"ranker": body}})


def with_worker() -> frozenset[str]:
    return frozenset({"judge-0", "worker-1"})


async def test_ready_with_a_worker_and_a_primary_whatever_the_candidate() -> None:
    async with Listener() as primary:
        with refusing_port() as candidate:
            assert await Readiness(configured(primary.port, candidate), with_worker).missing() == []


async def test_without_a_worker_it_is_not_ready() -> None:
    async with Listener() as primary:
        readiness = Readiness(configured(primary.port), lambda: frozenset({"judge-0"}))
        assert await readiness.missing() == [{"process": "worker", "why": "none is connected"}]


async def test_a_primary_that_refuses_is_named_with_the_reason() -> None:
    with refusing_port() as port:
        readiness = Readiness(configured(port), with_worker)
        assert await readiness.missing() == [{"service": "ranker", "primary": "v1", "why": "connection refused"}]


async def test_a_primary_that_does_not_answer_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBE_S", 0.05)
    with black_hole_port() as port:
        assert await connect(parse_origin(f"http://127.0.0.1:{port}")) == "no connection within 0.05 s"


async def test_many_who_ask_at_once_cost_one_connection() -> None:
    async with Listener() as primary:
        probe = Probe(parse_origin(f"http://127.0.0.1:{primary.port}"))
        assert await asyncio.gather(*(probe.refusal() for _ in range(20))) == [None] * 20
        assert await probe.refusal() is None
        assert primary.connections == 1


async def test_who_goes_away_does_not_take_the_answer_from_others() -> None:
    async with Listener() as primary:
        probe = Probe(parse_origin(f"http://127.0.0.1:{primary.port}"))
        first, second = (asyncio.create_task(probe.refusal()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert await second is None


async def test_a_candidate_that_is_down_is_said_once_at_start() -> None:
    async with Listener() as primary:
        with refusing_port() as port, capture_logs() as logs:
            await Readiness(configured(primary.port, port), with_worker).warn_of_backends()
    assert [(line["event"], line["candidate"], line["log_level"]) for line in logs] == [
        ("candidate is down", "v2", "warning")
    ]


async def test_a_primary_that_is_down_is_said_with_what_clients_get() -> None:
    async with Listener() as candidate:
        with refusing_port() as port, capture_logs() as logs:
            await Readiness(configured(port, candidate.port), with_worker).warn_of_backends()
    assert logs == [
        {
            "event": "primary is down",
            "log_level": "warning",
            "service": "ranker",
            "primary": "v1",
            "why": "connection refused",
            "effect": "clients of ranker get 502 or 504 until it accepts connections",
        }
    ]
