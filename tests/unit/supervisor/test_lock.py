import fcntl
import os
import tempfile
from pathlib import Path

import pytest
import structlog

from proxy.supervisor import lock
from proxy.supervisor.lock import StateLock
from proxy.supervisor.sockets import StartError


def test_it_makes_a_runtime_directory_and_removes_it(tmp_path: Path) -> None:
    with StateLock(tmp_path) as held:
        assert held.runtime_dir.parent == Path(tempfile.gettempdir())
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
    (left / "settings.json").write_text("{}")
    (tmp_path / "lock").write_text(str(left))
    with StateLock(tmp_path) as held:
        assert held.is_after_a_kill
        assert not left.exists()


def test_what_keeps_the_state_is_its_owner_s_alone_also_if_it_was_not(tmp_path: Path) -> None:
    (tmp_path / "lock").touch(0o644)
    with StateLock(tmp_path):
        assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
            "lock": 0o600,
            "control.lock": 0o600,
        }


def test_its_runtime_directory_is_locked_against_who_tidies_up(tmp_path: Path) -> None:
    with StateLock(tmp_path) as held:
        place = os.open(held.runtime_dir, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(place, fcntl.LOCK_SH | fcntl.LOCK_NB)
        os.close(place)


def test_a_temporary_directory_too_far_down_for_sockets_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 70)))
    with pytest.raises(StartError, match="set TMPDIR to a shorter one"), StateLock(tmp_path):
        pass


@pytest.mark.parametrize("named", ["", "elsewhere", "shadow-proxy-gone", "shadow-proxy-link", "shadow-proxy-file"])
def test_nothing_else_is_ever_removed(tmp_path: Path, named: str) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    (tmp_path / "shadow-proxy-link").symlink_to(other)
    (tmp_path / "shadow-proxy-file").touch()
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
    with (
        structlog.testing.capture_logs() as logs,
        pytest.raises(StartError, match=r"control of a shadow-proxy that was killed, 0\.3 s later; end it"),
        StateLock(tmp_path, drain_s=0.2),
    ):
        pass
    assert [(line["event"], line["longest_s"]) for line in logs] == [
        ("waiting_for_earlier_control", pytest.approx(0.3))
    ]
    os.close(inherited)
    with StateLock(tmp_path) as held, (tmp_path / "control.lock").open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
