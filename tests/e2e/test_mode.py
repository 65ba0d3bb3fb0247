"""Modes switched while clients ask: in force at once, without a failed request, and kept across restarts."""

from asyncio import to_thread
from pathlib import Path

import pytest

from tests.e2e.proxy_host import ProxyHost
from tests.e2e.traffic import Traffic, v1, v2
from tests.kit.h11_peer import H11Backend
from tests.kit.polling import wait_until


def mirrors(proxy: ProxyHost, result: str) -> float:
    return proxy.metrics().total("shadow_mirrors_total", result=result)


def grows(proxy: ProxyHost, result: str) -> None:
    before = mirrors(proxy, result)
    wait_until(lambda: mirrors(proxy, result) > before, f"more requests count as {result}")


async def test_switching_under_load_fails_no_request(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            async with Traffic(proxy.port) as traffic:
                await to_thread(grows, proxy, "mirrored")
                done = await to_thread(proxy.switch, "primary")
                assert (done["before"]["mode"], done["after"]["mode"]) == ("shadow", "primary")
                await to_thread(grows, proxy, "mode")
                await to_thread(proxy.switch, "shadow")
                await to_thread(grows, proxy, "mirrored")
                await traffic.goes_on()
            found = await to_thread(proxy.settled, traffic.answered)
            assert len(primary.requests) == traffic.answered
            assert len(candidate.requests) <= found.total("shadow_mirrors_total", result="mirrored")


async def test_once_mode_primary_is_in_force_the_candidate_hears_nothing(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            await to_thread(proxy.switch, "primary")
            async with Traffic(proxy.port) as traffic:
                await to_thread(grows, proxy, "mode")
                heard = len(candidate.requests)
                await traffic.goes_on(200)
                assert len(candidate.requests) == heard


async def test_runbook_calls_switch_it_too(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            for call, body in (("/admin/flags", {"shadow_mode": True}), ("/admin/enable-shadow-mode", {})):
                off = await to_thread(proxy.change, "POST", "/admin/flags", {"v2_enabled": False})
                assert (off.status, await to_thread(proxy.mode)) == (200, "primary")
                assert (await to_thread(proxy.change, "POST", call, body)).status == 200
                flags = (await to_thread(proxy.get, "/admin/flags")).json["flags"]
                assert flags.items() >= {"mode": "shadow", "shadow_mode": True, "v2_enabled": True}.items()
            async with Traffic(proxy.port):
                await to_thread(grows, proxy, "mirrored")


@pytest.mark.parametrize(("stored", "configured"), [("primary", "shadow"), ("shadow", "primary")])
async def test_a_restart_takes_the_safer_of_the_stored_and_the_configured_mode(
    tmp_path: Path, stored: str, configured: str
) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            await to_thread(proxy.switch, stored)
        with ProxyHost.between(tmp_path, primary.port, candidate.port, "--mode", configured) as proxy:
            assert await to_thread(proxy.mode) == "primary"
