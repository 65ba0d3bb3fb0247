"""F19, F20: a state file that cannot be written, and one that cannot be read."""

import resource
import sqlite3
from asyncio import to_thread
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.config.models import Mode
from proxy.control.database import FILE
from proxy.core.families import REQUESTS
from proxy.core.tally import Tally
from tests.e2e.control_host import ControlHost
from tests.e2e.proxy_host import MODE_PATH as OF_DEFAULT
from tests.e2e.proxy_host import START_S, ProxyHost
from tests.e2e.traffic import Traffic, v1, v2
from tests.faults.libc import preloaded
from tests.kit.h11_peer import H11Backend
from tests.kit.metrics import parse
from tests.kit.polling import wait_until
from tests.unit.control.settings import settings

SHADOW, PRIMARY = {"mode": "shadow"}, {"mode": "primary"}
LATCH = ("POST", "/admin/flags", {"v2_enabled": False})
MODE_PATH = "/api/v1/services/ranker/mode"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ControlHost]:
    with ControlHost(tmp_path, settings()) as started:
        yield started


# --- F19


@contextmanager
def full_disk(pid: int) -> Iterator[None]:
    """No file of this process may grow inside."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


def test_f19_on_a_full_disk_only_a_less_bold_change_takes_effect(host: ControlHost) -> None:
    host.change("PUT", MODE_PATH, PRIMARY)
    with full_disk(host.process.pid):
        bolder = host.change("PUT", MODE_PATH, SHADOW)
        assert (bolder.status, host.mode()) == (503, "primary")
        assert "nothing was applied" in bolder.json["detail"]
    assert host.change("PUT", MODE_PATH, SHADOW).status == 200
    with full_disk(host.process.pid):
        off = host.change(*LATCH)
        assert (off.status, host.mode()) == (503, "primary")
        assert "mode primary is in force" in off.json["detail"]
    wait_until(lambda: "stored at last" in host.log, "the change on the disk")
    host.kill()
    host.start()
    assert host.mode() == "primary"


def test_f19_a_state_file_that_somebody_holds_refuses_changes_and_nothing_else(host: ControlHost) -> None:
    worker = host.connect()
    assert worker.snapshot().modes == {"ranker": Mode.SHADOW}
    holder = sqlite3.connect(host.state_dir / FILE, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    off = host.change(*LATCH)
    assert (off.status, host.mode()) == (503, "primary")
    assert worker.snapshot().modes == {"ranker": Mode.PRIMARY}
    assert host.change("PUT", MODE_PATH, SHADOW).status == 503
    worker.report(_requests(5))
    holder.close()
    wait_until(lambda: "stored at last" in host.log, "the change on the disk")
    wait_until(lambda: _counted(host) == 5, "what was heard meanwhile")  # shown once it cannot be lost any more
    assert host.change("PUT", MODE_PATH, SHADOW).status == 200


def _requests(count: int) -> Tally:
    tally = Tally()
    tally.count(REQUESTS, ("ranker", "other", "v1", "2xx"), count)
    return tally


def _counted(host: ControlHost) -> float:
    return parse(host.metrics()).total("shadow_requests_total")


def test_f19_a_disk_that_takes_its_time_delays_no_rollback_and_no_reader(tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    host = ControlHost(tmp_path, settings())
    host.environment = {**host.environment, **preloaded("disk", tmp_path, HELD_DISK=str(hold))}
    with host, ThreadPoolExecutor(1) as operator:
        worker = host.connect()
        assert worker.snapshot().modes == {"ranker": Mode.SHADOW}
        hold.touch()
        try:
            asked = operator.submit(host.change, *LATCH)
            assert worker.snapshot().modes == {"ranker": Mode.PRIMARY}
            worker.report(_requests(5))
            assert host.ask("GET", "/healthz").status == 200
            assert host.mode() == "primary"
            assert _counted(host) == 0  # shown once it cannot be lost any more
            assert not asked.done()
        finally:
            hold.unlink()
        assert asked.result().status == 200
        wait_until(lambda: _counted(host) == 5, "what was heard meanwhile")
        host.kill()
        host.start()
        assert host.mode() == "primary"


async def test_f19_clients_are_served_while_the_disk_is_full_and_mirroring_can_be_ended(tmp_path: Path) -> None:
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        with ProxyHost.between(tmp_path, primary.port, candidate.port) as proxy:
            control = proxy.member("control")
            assert control is not None
            async with Traffic(proxy.port) as traffic:
                await traffic.goes_on()
                with full_disk(control.pid):
                    off = await to_thread(proxy.change, *LATCH)
                    assert (off.status, await to_thread(proxy.mode)) == (503, "primary")
                    await traffic.goes_on()
                    heard = len(candidate.requests)
                    await traffic.goes_on(200)
                    assert len(candidate.requests) == heard
                await to_thread(proxy.process.wait_for_line, "stored at last", START_S)
                assert (await to_thread(proxy.change, "PUT", OF_DEFAULT, SHADOW)).status == 200
            await to_thread(proxy.settled, traffic.answered)


# --- F20


def spoilt(path: Path) -> None:
    path.write_bytes(b"spoilt" * 1000)


def torn(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) // 4))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def of_a_newer_version(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def lose(host: ControlHost, spoil: Callable[[Path], None]) -> None:
    """Spoil the state file of a control that has ended in mode `shadow`, and start it again."""
    host.stop()
    for journal in host.state_dir.glob(f"{FILE}-*"):
        journal.unlink()
    spoil(host.state_dir / FILE)
    content = (host.state_dir / FILE).read_bytes()
    host.start()
    (kept,) = host.state_dir.glob(f"{FILE}.unreadable-*")
    assert kept.read_bytes() == content


@pytest.mark.parametrize("spoil", [spoilt, torn, emptied, of_a_newer_version])
def test_f20_an_unreadable_state_file_is_kept_aside_and_every_service_starts_in_primary(
    host: ControlHost, spoil: Callable[[Path], None]
) -> None:
    lose(host, spoil)
    assert host.mode() == "primary"
    assert "STATE LOST" in host.log
    assert parse(host.metrics()).total("shadow_state_lost") == 1


def test_f20_a_loss_holds_until_an_operator_decides(host: ControlHost) -> None:
    lose(host, spoilt)
    host.kill()
    host.start()
    assert host.mode() == "primary"
    assert host.change("POST", "/admin/enable-shadow-mode").status == 200
    host.kill()
    host.start()
    assert host.mode() == "shadow"


@pytest.mark.parametrize("name", [FILE, f"{FILE}-wal"])
def test_f20_a_state_file_that_is_a_link_is_refused(tmp_path: Path, name: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / name).symlink_to(precious)
    host = ControlHost(tmp_path, settings())
    with pytest.raises(AssertionError, match="not a plain file"):
        host.__enter__()
    host.__exit__()
    assert host.process.returncode == 1
    assert precious.read_text() == "precious"


def test_f20_kills_at_any_instant_lose_no_acknowledged_change_and_no_count(host: ControlHost) -> None:
    for turn in range(1, 5):
        worker = host.connect("worker-0", f"w{turn}")
        worker.report(_requests(turn))
        expected = turn * (turn + 1) / 2
        wait_until(lambda: _counted(host) == expected, "the counts")  # noqa: B023
        mode = SHADOW if turn % 2 else PRIMARY
        assert host.change("PUT", MODE_PATH, mode).status == 200
        worker.close()
        host.kill()
        host.start()
        assert host.mode() == mode["mode"]
        assert _counted(host) == expected
