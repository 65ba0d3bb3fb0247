import fcntl
import os
from pathlib import Path

import pytest

from proxy.supervisor import lock
from proxy.supervisor.lock import StateLock
from proxy.supervisor.sockets import StartError


def test_it_makes_a_runtime_directory_and_removes_it(tmp_path: Path) -> None:
    with StateLock(tmp_path) as held:
        assert held.runtime_dir.parent == tmp_path
        assert held.runtime_dir.stat().st_mode & 0o777 == 0o700
        assert not held.is_after_a_kill
    assert not held.runtime_dir.exists()


def test_there_is_one_at_a_time(tmp_path: Path) -> None:
    with StateLock(tmp_path), pytest.raises(StartError, match="is in use by another shadow-proxy"), StateLock(tmp_path):
        pass
    with StateLock(tmp_path):
        pass


def test_what_a_killed_one_left_is_removed_and_known(tmp_path: Path) -> None:
    left = tmp_path / "shadow-proxy-left"
    left.mkdir()
    (tmp_path / "lock").write_text(str(left))
    with StateLock(tmp_path) as held:
        assert held.is_after_a_kill
        assert not left.exists()


@pytest.mark.parametrize("named", ["", "elsewhere", "shadow-proxy-gone"])
def test_nothing_else_is_ever_removed(tmp_path: Path, named: str) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    (tmp_path / "lock").write_text(str(tmp_path / named))
    with StateLock(tmp_path) as held:
        assert not held.is_after_a_kill
    assert other.exists()


def test_a_control_that_outlives_its_supervisor_is_waited_for_and_then_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "CONTROL_ENDS_S", 0.1)
    with StateLock(tmp_path) as held:
        inherited = os.dup(held.of_control.fileno())
    with pytest.raises(StartError, match="in use"), StateLock(tmp_path):
        pass
    os.close(inherited)
    with StateLock(tmp_path) as held, (tmp_path / "control.lock").open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
