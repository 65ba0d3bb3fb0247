"""Whatever the candidate does, clients get the primary's bytes, and every copy ends in a verdict or a drop."""

from asyncio import to_thread
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.proxy_host import ProxyHost, ask
from tests.e2e.traffic import v1
from tests.kit.h11_peer import H11Backend, H11Client
from tests.kit.polling import wait_until
from tests.kit.ports import black_hole_port, refusing_port
from tests.kit.script import read_request, reset, respond, send
from tests.kit.scripted_backend import ScriptedBackend

REQUESTS = 60
Fault = Callable[[], AbstractAsyncContextManager[int]]


def scripted(make: Callable[[], ScriptedBackend]) -> Fault:
    @asynccontextmanager
    async def fault() -> AsyncIterator[int]:
        async with make() as backend:
            yield backend.port

    return fault


@asynccontextmanager
async def refusing() -> AsyncIterator[int]:
    with refusing_port() as port:
        yield port


@asynccontextmanager
async def black_hole() -> AsyncIterator[int]:
    with black_hole_port() as port:
        yield port


CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
FAULTS: dict[str, Fault] = {
    "hangs": scripted(ScriptedBackend.mute),
    "never-reads": scripted(ScriptedBackend.deaf),
    "resets": scripted(lambda: ScriptedBackend(default=(read_request(), reset()))),
    "breaks-off": scripted(lambda: ScriptedBackend(default=(read_request(), send(CUT), reset()))),
    "talks-nonsense": scripted(lambda: ScriptedBackend(default=respond(b"220 mail.example ESMTP\r\n"))),
    "refuses": refusing,
    "is-a-black-hole": black_hole,
}


SERVICE = """\
  {name}:
    hosts: [{name}.example]
    primary: {{version: "v1", url: "http://127.0.0.1:{primary}"}}
    candidate: {{version: "v2", url: "http://127.0.0.1:{candidate}"}}
    mirror: {{deadline: 1s, in_flight: 20, max_connections: 20, warm_up: 0s}}
"""


@dataclass(slots=True)
class Place:
    """One proxy with a service for each fault, called as the fault."""

    proxy: ProxyHost
    asked: int = 0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("faults")
    config = folder / "shadow-proxy.yaml"
    async with H11Backend(v1) as primary, AsyncExitStack() as stack:
        services = [
            SERVICE.format(name=name, primary=primary.port, candidate=await stack.enter_async_context(fault()))
            for name, fault in FAULTS.items()
        ]
        config.write_text("version: 1\nservices:\n" + "".join(services))
        with ProxyHost(folder, "--config", str(config)) as proxy:
            yield Place(proxy)


def is_said_open(proxy: ProxyHost, fault: str) -> bool:
    """What the judge says of the same copies may be there before."""
    return proxy.metrics().total("shadow_breaker_open", service=fault, backend="v2") == 1


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("fault", FAULTS)
async def test_clients_do_not_notice_a_candidate_that(place: Place, fault: str) -> None:
    host = ((b"Host", f"{fault}.example".encode()),)
    async with await H11Client.open(place.proxy.port) as client:  # one connection: a hung one would end the test
        for item in range(REQUESTS):
            answer = await client.exchange("GET", f"/items/{item}", host)
            assert (answer.status, answer.body) == (200, b'{"item":%d}' % item)
        assert client.reusable
    place.asked += REQUESTS
    found = await to_thread(place.proxy.settled, place.asked)
    errors = found.total("shadow_comparisons_total", service=fault, verdict="candidate_error")
    assert errors == found.total("shadow_comparisons_total", service=fault)
    drops = {
        reason: found.total("shadow_dropped_total", service=fault, reason=reason)
        for reason in ("in_flight_full", "breaker_open")
    }
    assert errors + sum(drops.values()) == REQUESTS
    assert found.total("shadow_dropped_total", service=fault) == sum(drops.values())
    assert errors >= 20
    assert found.total("shadow_agreement_ratio", service=fault) == 0
    await to_thread(wait_until, lambda: is_said_open(place.proxy, fault), "the worker says that its breaker is open")


async def test_a_candidate_that_is_down_at_the_start_is_a_warning(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary:
        with refusing_port() as candidate, ProxyHost.between(tmp_path, primary.port, candidate) as proxy:
            await to_thread(proxy.process.wait_for_line, "candidate is down")
            assert (await to_thread(proxy.get, "/readyz")).status == 200


async def test_a_candidate_that_comes_back_is_compared_again(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, H11Backend(v1) as placeholder:
        port = placeholder.port
        await placeholder.__aexit__(None, None, None)
        with ProxyHost.between(tmp_path, primary.port, port) as proxy:
            assert (await to_thread(ask, proxy.port, "GET", "/items/1")).body == b'{"item":1}'
            await to_thread(proxy.settled, 1)
            async with ScriptedBackend(port=port, default=respond(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")):
                assert (await to_thread(ask, proxy.port, "GET", "/items/2")).body == b'{"item":2}'
                found = await to_thread(proxy.settled, 2)
                assert found.total("shadow_comparisons_total", verdict="mismatch") == 1


async def test_a_dead_primary_is_a_502_to_each_client_and_named_by_readyz(tmp_path: Path) -> None:
    async with H11Backend(v1) as candidate:
        with refusing_port() as primary, ProxyHost.between(tmp_path, primary, candidate.port) as proxy:
            for _ in range(3):
                answer = await to_thread(ask, proxy.port, "GET", "/items/1")
                assert answer.status == 502
                assert answer.fields["Content-Type"] == "application/problem+json"
                assert answer.json == {
                    "type": "about:blank", "title": "Bad Gateway", "status": 502, "reason": "connect_refused"
                }  # fmt: skip
            ready = await to_thread(proxy.get, "/readyz")
            assert ready.status == 503
            assert ready.json["errors"] == [{"service": "default", "primary": "v1", "why": "connection refused"}]
            found = await to_thread(proxy.settled, 3)
            assert found.total("shadow_comparisons_total", verdict="primary_error") == 3
            assert found.total("shadow_agreement_ratio") == 0
