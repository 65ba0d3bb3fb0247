"""The kill switch by file and by signal, on real processes, whatever else of them still works."""

import asyncio
import fcntl
import os
import signal
from asyncio import to_thread
from pathlib import Path
from typing import IO

import pytest

from tests.e2e.proxy_host import MODE_PATH, ROOT, START_S, ProxyHost, ask
from tests.e2e.traffic import v1, v2
from tests.kit.h11_peer import H11Backend, H11Client
from tests.kit.polling import wait_until
from tests.kit.processes import Process
from tests.kit.script import hang, read_request
from tests.kit.scripted_backend import ScriptedBackend

COPIES = 5
NO_ANSWER = (read_request(), hang())


async def asked(proxy: ProxyHost, count: int) -> None:
    async with await H11Client.open(proxy.port, deadline_s=START_S) as client:
        for item in range(count):
            assert (await client.exchange("GET", f"/items/{item}")).body == b'{"item":%d}' % item


def switch_of(proxy: ProxyHost) -> Path:
    return proxy.state_dir / "kill-switch"


async def copies_are_cut(candidate: ScriptedBackend) -> None:
    """Wait until the proxy has ended every connection to this candidate, which never answers."""
    await asyncio.gather(*(connection.wire.ended() for connection in candidate.connections))


def is_killed(proxy: ProxyHost) -> bool:
    return bool(proxy.metrics().total("shadow_kill_switch"))


@pytest.mark.parametrize("fate", [signal.SIGSTOP, signal.SIGKILL], ids=["hung", "killed"])
async def test_a_file_stops_copies_in_flight_without_control(tmp_path: Path, fate: signal.Signals) -> None:
    async with H11Backend(v1) as primary, ScriptedBackend(default=NO_ANSWER) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            await asked(proxy, COPIES)
            await candidate.received_requests(COPIES)
            control = proxy.member("control")
            assert control
            os.kill(control.pid, fate)
            switch_of(proxy).touch()
            await copies_are_cut(candidate)
            await asked(proxy, COPIES)
            if fate is signal.SIGSTOP:
                os.kill(control.pid, signal.SIGCONT)
            else:
                await to_thread(proxy.restarted, control, "control")
                await to_thread(wait_until, lambda: is_answering(proxy), "control to answer", START_S)
            found = await to_thread(proxy.settled, 2 * COPIES)
            assert found.total("shadow_dropped_total", reason="draining") == COPIES
            assert found.total("shadow_mirrors_total", result="mode") == COPIES
            assert len(candidate.requests) == COPIES


def is_answering(proxy: ProxyHost) -> bool:
    try:
        return proxy.get("/healthz").status == 200
    except OSError:
        return False


async def test_a_signal_makes_the_file_which_outlives_workers_and_the_proxy(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, ScriptedBackend(default=NO_ANSWER) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            await asked(proxy, COPIES)
            await candidate.received_requests(COPIES)
            for _ in range(2):
                proxy.process.send_signal(signal.SIGUSR1)
            await copies_are_cut(candidate)
            assert switch_of(proxy).is_file()
            gone = await to_thread(proxy.kill, "worker")
            await asked(proxy, COPIES)
            await to_thread(proxy.restarted, gone, "worker")
            assert len(candidate.requests) == COPIES
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            assert "the kill switch is pulled" in proxy.process.output
            await asked(proxy, COPIES)
            assert len(candidate.requests) == COPIES
            assert proxy.status()["mode"] == "primary"


async def test_a_signal_before_the_proxy_is_ready_makes_the_file_too(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        proxy = ProxyHost.between(tmp_path, primary.port, candidate.port)
        proxy.state_dir.mkdir(mode=0o700)
        with (proxy.state_dir / "control.lock").open("a") as earlier:  # a control that has yet to end
            fcntl.flock(earlier, fcntl.LOCK_EX)
            await to_thread(signalled_while_it_waits, proxy, earlier)
        assert len(candidate.requests) == 0


def signalled_while_it_waits(proxy: ProxyHost, earlier: IO[str]) -> None:
    with Process(proxy.argv, cwd=ROOT, env=proxy.env) as process:
        process.wait_for_line("waiting_for_earlier_control")
        process.send_signal(signal.SIGUSR1)
        fcntl.flock(earlier, fcntl.LOCK_UN)
        port = int(process.wait_for_line(r"^clients +http://127.0.0.1:(\d+)$", START_S)[1])
        process.wait_for_line(r"^ mirrored   nothing; to change that: rm ")
        wait_until(switch_of(proxy).is_file, "the file")
        for item in range(COPIES):
            assert ask(port, "GET", f"/items/{item}").status == 200


async def test_a_signal_does_without_a_state_directory(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, ScriptedBackend(default=NO_ANSWER) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            await asked(proxy, 1)
            await candidate.received_requests(1)
            kept = proxy.state_dir.rename(tmp_path / "elsewhere")
            proxy.process.send_signal(signal.SIGUSR1)
            await copies_are_cut(candidate)
            gone = await to_thread(proxy.kill, "worker")
            await asked(proxy, 1)
            await to_thread(proxy.restarted, gone, "worker")
            assert len(candidate.requests) == 1
            assert "SIGUSR1" in proxy.get("/api/v1/status").json["kill_switch"]["release"]
            kept.rename(proxy.state_dir)
            proxy.process.send_signal(signal.SIGUSR1)
            await to_thread(wait_until, switch_of(proxy).is_file, "the file to be made")
            switch_of(proxy).unlink()
            await to_thread(wait_until, lambda: not is_killed(proxy), "the switch to be released")


async def test_nothing_is_mirrored_by_workers_that_start_or_reload_beside_it(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            switch_of(proxy).mkdir()
            await to_thread(wait_until, lambda: is_off(proxy), "the workers to see it")
            before = len(candidate.requests)
            gone = await to_thread(proxy.kill, "worker")
            await asked(proxy, COPIES)
            await to_thread(proxy.restarted, gone, "worker")
            proxy.process.send_signal(signal.SIGHUP)
            await asked(proxy, COPIES)
            assert len(candidate.requests) == before
            switch_of(proxy).rmdir()
            await to_thread(wait_until, lambda: is_on(proxy, candidate, before), "mirroring to go on")


def is_off(proxy: ProxyHost) -> bool:
    """Whether a request is not mirrored any more; each look is one."""
    ask(proxy.port, "GET", "/items/1")
    return proxy.metrics().total("shadow_mirrors_total", result="mode") > 0


def is_on(proxy: ProxyHost, candidate: H11Backend, before: int) -> bool:
    ask(proxy.port, "GET", "/items/1")
    return len(candidate.requests) > before


async def test_control_says_so_and_lets_nobody_mirror_meanwhile(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            await to_thread(told, proxy)
            before = len(candidate.requests)
            assert (await to_thread(proxy.switch, "shadow"))["changed"] is True
            await to_thread(wait_until, lambda: is_on(proxy, candidate, before), "mirroring to go on")


def told(proxy: ProxyHost) -> None:
    switch = switch_of(proxy)
    assert proxy.get("/api/v1/status").json["kill_switch"] is None
    switch.touch()
    wait_until(lambda: is_off(proxy), "the workers to see it")
    said = proxy.get("/api/v1/status").json
    (service,) = said["services"]
    assert (service["mode"], service["next"]) == ("primary", f"rm {switch}")
    pulled = {"why": "the kill switch is pulled", "release": f"rm {switch}"}
    assert said["kill_switch"] == pulled
    assert proxy.metrics().total("shadow_mode", mode="primary") == 1
    assert is_killed(proxy)
    assert proxy.get("/readyz").status == 200
    decided = proxy.get("/admin/flags").json
    assert decided["kill_switch"] == pulled
    assert decided["flags"].items() >= {"mode": "shadow", "v2_enabled": True, "latched": False}.items()
    for method, path, body in (
        ("PUT", MODE_PATH, {"mode": "shadow"}),
        ("PUT", f"{MODE_PATH}?dry_run=true", {"mode": "shadow"}),
        ("POST", "/admin/enable-shadow-mode", {}),
        ("POST", "/admin/flags", {"v2_enabled": True}),
    ):
        refused = proxy.change(method, path, body)
        assert (refused.status, refused.json["hint"]) == (409, f"rm {switch}"), (path, refused.body)
    done = proxy.switch("primary")
    assert (done["changed"], done["kill_switch"]) == (True, pulled)
    assert proxy.change("PUT", MODE_PATH, {"mode": "shadow"}).status == 409
    assert proxy.change("POST", "/admin/flags", {"v2_enabled": True}).status == 409  # though it is decided
    switch.unlink()
    wait_until(lambda: rows(proxy) == [False, True], "both audit rows")
    assert proxy.mode() == "primary"  # as decided meanwhile


def rows(proxy: ProxyHost) -> list[bool]:
    """What the audit rows about the switch say, newest first."""
    fields = {"Authorization": f"Bearer {proxy.token_file.read_text().strip()}"}
    found = ask(proxy.admin, "GET", "/api/v1/audit", None, fields).json["audit"]
    return [row["after"]["kill_switch"] for row in found if row["route"] == "kill-switch"]


async def test_what_happened_to_it_while_nothing_ran_is_audited_once(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            switch = switch_of(proxy)
        switch.symlink_to("nowhere")
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            await to_thread(wait_until, lambda: rows(proxy) == [True], "the row")
            gone = await to_thread(proxy.kill, "control")
            await to_thread(proxy.restarted, gone, "control")
            await to_thread(wait_until, lambda: is_answering(proxy), "control to answer", START_S)
        switch.unlink()
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            await to_thread(wait_until, lambda: rows(proxy) == [False, True], "both rows")
            assert await to_thread(proxy.mode) == "shadow"
