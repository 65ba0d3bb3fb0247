"""The contract of `serve`, seen from outside: its clients, its backends, its metrics."""

from asyncio import to_thread
from pathlib import Path

import pytest

from tests.e2e.proxy_host import ProxyHost
from tests.e2e.traffic import WRONG_EVERY, v1, v2
from tests.kit.h11_peer import H11Backend, H11Client

REQUESTS = 200


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_clients_get_the_primarys_bytes_and_every_request_is_compared(tmp_path: Path, workers: str) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port, "--workers", workers) as proxy:
            for first in range(0, REQUESTS, 50):
                async with await H11Client.open(proxy.port) as client:
                    for item in range(first, first + 50):
                        answer = await client.exchange("GET", f"/items/{item}")
                        assert (answer.status, answer.body) == (200, b'{"item":%d}' % item)
            found = await to_thread(proxy.settled, REQUESTS)
            wrong = REQUESTS / WRONG_EVERY
            assert found.total("shadow_comparisons_total") == REQUESTS
            assert found.total("shadow_comparisons_total", verdict="mismatch") == wrong
            assert found.total("shadow_comparisons_total", verdict="match") == REQUESTS - wrong
            assert found.total("shadow_agreement_ratio") == 1 - 1 / WRONG_EVERY
            assert found.total("shadow_coverage_ratio") == 1
        assert sorted(r.target for r in primary.requests) == sorted(r.target for r in candidate.requests)
        assert len(primary.requests) == REQUESTS


async def test_what_must_not_be_sent_twice_reaches_the_primary_only(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            async with await H11Client.open(proxy.port) as client:
                fields = ((b"Host", b"test"), (b"Content-Length", b"4"))
                for method in ("POST", "PUT", "PATCH", "DELETE"):
                    assert (await client.exchange(method, "/items/7", fields, b"body")).body == b'{"item":7}'
            found = await to_thread(proxy.settled, 4)
            assert found.total("shadow_mirrors_total", result="method") == 4
        assert [r.body for r in primary.requests] == [b"body"] * 4
        assert not candidate.requests
