"""F23: a worker whose loop stood still mirrors nothing until it keeps time again, and serves all the while."""

import os
import signal
import time
from asyncio import to_thread
from pathlib import Path

from tests.e2e.proxy_host import START_S, ProxyHost
from tests.e2e.traffic import Traffic, v1
from tests.kit.h11_peer import H11Backend
from tests.kit.metrics import Metrics
from tests.kit.polling import wait_until

STALL_S = 0.3
PUNCTUAL = {"SHADOW_PROXY_SHED__LOOP_LAG": "150ms"}


class PunctualHost(ProxyHost):
    """A proxy with a little more patience than by default: the machine is shared, and a stall is to be ours."""

    env = PUNCTUAL


async def test_f23_a_stalled_worker_sheds_copies_and_comes_back(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, H11Backend(v1) as candidate:
        with PunctualHost.between(tmp_path, primary.port, candidate.port) as proxy:
            async with Traffic(proxy.port) as traffic:
                await traffic.goes_on()
                await to_thread(stall, proxy)
                shed = await to_thread(until, proxy, "shadow_dropped_total", 1, reason="shed")
                assert shed.total("shadow_event_loop_lag_seconds_count") > shed.total(
                    "shadow_event_loop_lag_seconds_bucket", le="0.1"
                )
                await to_thread(proxy.process.wait_for_line, r"mirroring_suspended.*causes=lag")
                await to_thread(proxy.process.wait_for_line, "mirroring_resumed")
                copied = len(candidate.requests)
                await to_thread(wait_until, lambda: len(candidate.requests) > copied, "copies to be started again")
                await traffic.goes_on()
            found = await to_thread(proxy.settled, traffic.answered)
            assert len(primary.requests) == traffic.answered
            dropped = found.total("shadow_dropped_total", reason="shed")
            assert found.total("shadow_comparisons_total") + dropped == traffic.answered
            await to_thread(until, proxy, "shadow_mirroring_suspended", 0)


def stall(proxy: ProxyHost) -> None:
    """Nothing of the worker runs for a while: what a blocked loop looks like from outside."""
    worker = proxy.member("worker")
    assert worker
    os.kill(worker.pid, signal.SIGSTOP)
    time.sleep(STALL_S)  # the stall itself
    os.kill(worker.pid, signal.SIGCONT)


def until(proxy: ProxyHost, name: str, value: int, **labels: str) -> Metrics:
    """Wait until a metric has reached a value, or is down at 0; all metrics then."""

    def reached() -> Metrics | None:
        found = proxy.metrics()
        total = found.total(name, **labels)
        return found if (total >= value if value else total == 0) else None

    found = wait_until(reached, f"{name} {labels} at {value}", START_S)
    assert found
    return found
