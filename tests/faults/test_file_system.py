"""F19: a file system that gives no answer when it is asked for the kill switch."""

import signal
from asyncio import to_thread
from pathlib import Path

from tests.e2e.proxy_host import START_S, ProxyHost
from tests.e2e.traffic import Traffic, v1, v2
from tests.faults.libc import preloaded
from tests.kit.h11_peer import H11Backend
from tests.kit.polling import wait_until


def held(tmp_path: Path, primary: H11Backend, candidate: H11Backend) -> tuple[ProxyHost, Path]:
    """A proxy, and the file that makes its file system hang."""
    hold = tmp_path / "hold"
    proxy = ProxyHost.between(tmp_path, primary.port, candidate.port)
    proxy.env = {**proxy.env, **preloaded("file_system", tmp_path, HELD_FILES=str(hold))}
    return proxy, hold


async def test_f19_clients_are_served_and_nothing_is_mirrored_while_nobody_can_look(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        host, hold = held(tmp_path, primary, candidate)
        with host as proxy:
            async with Traffic(proxy.port) as traffic:
                await to_thread(wait_until, lambda: candidate.requests, "copies")
                hold.touch()
                await to_thread(proxy.process.wait_for_line, "kill_switch_out_of_sight")
                await traffic.goes_on()
                before = len(candidate.requests)
                await traffic.goes_on(100)
                assert len(candidate.requests) == before
                hold.unlink()
                await to_thread(wait_until, lambda: len(candidate.requests) > before, "mirroring to go on")


async def test_f19_a_signal_stops_mirroring_while_its_file_cannot_be_made(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        host, hold = held(tmp_path, primary, candidate)
        with host as proxy:
            async with Traffic(proxy.port) as traffic:
                hold.touch()
                proxy.process.send_signal(signal.SIGUSR1)
                await to_thread(proxy.process.wait_for_line, "kill_switch_pulled")
                gone = await to_thread(proxy.kill, "judge")
                await to_thread(proxy.restarted, gone, "judge")  # the supervisor does not wait
                assert not (proxy.state_dir / "kill-switch").exists()
                hold.unlink()
                await to_thread(wait_until, (proxy.state_dir / "kill-switch").is_file, "the file", START_S)
                await traffic.goes_on()
