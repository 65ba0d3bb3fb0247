"""F27, F28, F32: the proxy is ended or told otherwise while its candidate hangs; the wall clock jumps."""

import ast
import asyncio
import signal
from asyncio import to_thread
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.proxy_host import ROOT, ProxyHost
from tests.e2e.test_drain import CLIENTS, Customers, big
from tests.e2e.test_reload import Stage
from tests.e2e.traffic import Traffic, v1, v2
from tests.faults.libc import preloaded
from tests.kit.fault_backend import FaultBackend
from tests.kit.h11_peer import H11Backend

# --- F27


async def test_f27_no_answer_is_lost_at_sigterm_and_copies_under_way_are_counted(tmp_path: Path) -> None:
    async with H11Backend(big) as primary, FaultBackend("mute") as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            customers = Customers(proxy.port)
            asking = [asyncio.create_task(customers.ask(first)) for first in range(CLIENTS)]
            await customers.busy(10 * CLIENTS)
            proxy.process.send_signal(signal.SIGTERM)
            await asyncio.gather(*asking)
            assert await to_thread(proxy.process.wait) == 0
        assert len(primary.requests) == customers.answered
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as again:
            found = await to_thread(again.settled, customers.answered)
            assert found.total("shadow_requests_total", code="2xx") == customers.answered
            assert found.total("shadow_dropped_total", reason="draining") > 0


# --- F28


async def test_f28_no_request_fails_over_reloads_while_the_candidate_hangs(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        stage = Stage(tmp_path, stack)
        await stage.start()
        hanging = await stack.enter_async_context(FaultBackend("mute"))
        async with Traffic(stage.proxy.port) as traffic:
            right, stage.candidate.port = stage.candidate.port, hanging.port
            stage.write()
            hangs = await to_thread(stage.reload)
            await traffic.goes_on()
            stage.write(top="wrokers: 2")
            refused = await to_thread(stage.reload)
            assert (refused["configuration"]["in_force"], refused["snapshot"]) == (False, hangs["snapshot"])
            await traffic.goes_on()
            stage.candidate.port = right
            stage.write()
            assert (await to_thread(stage.reload))["snapshot"] > hangs["snapshot"]
            await traffic.goes_on()
        await to_thread(stage.compared, traffic.answered)
        metrics = await to_thread(stage.proxy.metrics)
        assert metrics.total("shadow_requests_total", code="2xx") == traffic.answered
        assert hanging.requests


# --- F32

HOUR_S = 3600


async def test_f32_a_wall_clock_that_jumps_ends_nothing_early_and_nothing_late(tmp_path: Path) -> None:
    """The proxy has no request under way and one connection open at each jump; both outlive it."""
    clock = tmp_path / "clock"
    clock.write_text("0")
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        host = ProxyHost.between(tmp_path, primary.port, candidate.port)
        host.env = {**host.env, **preloaded("clock", tmp_path, WALL_CLOCK=str(clock))}
        with host as proxy:
            async with Traffic(proxy.port) as traffic:
                for moved in (HOUR_S, -HOUR_S, 0):
                    await traffic.goes_on()
                    clock.write_text(str(moved))
                    await traffic.goes_on(200)
            found = await to_thread(proxy.settled, traffic.answered)
            assert found.total("shadow_requests_total", code="2xx") == traffic.answered
            assert found.total("shadow_backend_failures_total") == 0
            assert found.total("shadow_dropped_total") == found.total("shadow_dropped_total", reason="judge_lost") == 0
            clock.write_text(str(HOUR_S))
            said = (await to_thread(proxy.switch, "primary"))["audit_id"]
            (row,) = [row for row in audit(proxy) if row["audit_id"] == said]
            now = datetime.now(UTC) + timedelta(hours=1)
            assert abs(datetime.fromisoformat(row["at"]) - now) < timedelta(minutes=30)  # the clock was moved indeed


async def test_f32_a_start_an_hour_before_the_last_one_counts_on(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    answered = 0
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        for moved in (0, -HOUR_S):
            clock.write_text(str(moved))
            host = ProxyHost.between(tmp_path, primary.port, candidate.port)
            host.env = {**host.env, **preloaded("clock", tmp_path, WALL_CLOCK=str(clock))}
            with host as proxy:
                async with Traffic(proxy.port) as traffic:
                    await traffic.goes_on()
                answered += traffic.answered
                await to_thread(proxy.settled, answered)


def audit(proxy: ProxyHost) -> Any:
    return proxy.change("GET", "/api/v1/audit", {}).json["audit"]


CALENDAR = {
    "proxy/control/api/native.py": "uptime, for people",
    "proxy/control/database.py": "the name of a file put aside",
    "proxy/control/process.py": "when this build started, for people",
    "proxy/control/reload.py": "when the configuration was read, for people",
    "proxy/control/state.py": "times in the audit log",
    "proxy/demo/service.py": "a field of the demo's answers",
    "proxy/supervisor/children.py": "names of starts, each later than the one before",
    "proxy/supervisor/process.py": "when it started, for people",
    "proxy/worker/app.py": "the Date field",
    "proxy/worker/breaker_notices.py": "since when a breaker is open, for people",
}
"""The modules that ask for the time of day, and what for: every other time here is monotonic."""

WALL_CLOCKS = {("time", "time"), ("time", "time_ns"), ("time", "gmtime"), ("time", "localtime"), ("time", "strftime")}
DATETIMES = {"now", "utcnow", "today"}


def wall_clock_calls(tree: ast.AST) -> Iterator[ast.AST]:
    """Where a module asks what time it is, or imports what tells."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            pair = (node.value.id, node.attr)
            if pair in WALL_CLOCKS or (node.value.id in {"datetime", "date"} and node.attr in DATETIMES):
                yield node
        elif isinstance(node, ast.ImportFrom):
            yield from (name for name in node.names if (node.module or "", name.name) in WALL_CLOCKS)


@pytest.mark.interpreted  # it reads the sources
def test_f32_only_what_people_read_knows_the_time_of_day() -> None:
    files = [*ROOT.glob("proxy/**/*.py"), *ROOT.glob("comparators/**/*.py")]
    asking = {str(file.relative_to(ROOT)) for file in files if any(wall_clock_calls(ast.parse(file.read_text())))}
    assert asking == CALENDAR.keys()
