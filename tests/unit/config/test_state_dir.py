import os
import re
from pathlib import Path

import pytest

from proxy.config.instance import ensure_instance
from proxy.config.state_dir import StateDirError, default_state_dir, ensure_state_dir, keep


def test_the_default_follows_the_desktop_convention() -> None:
    assert default_state_dir({"XDG_STATE_HOME": "/x", "HOME": "/h"}) == Path("/x/shadow-proxy")
    assert default_state_dir({"XDG_STATE_HOME": "x", "HOME": "/h"}) == Path("/h/.local/state/shadow-proxy")
    assert default_state_dir({"HOME": "/h"}) == Path("/h/.local/state/shadow-proxy")


def test_a_missing_directory_is_made_for_its_owner_only(tmp_path: Path) -> None:
    path = ensure_state_dir(tmp_path / "a" / "b")
    assert path.stat().st_mode & 0o777 == 0o700
    assert ensure_state_dir(path) == path


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(StateDirError, match="is a symbolic link"):
        ensure_state_dir(tmp_path / "link")


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o702])
def test_a_directory_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(StateDirError, match="chmod 700"):
        ensure_state_dir(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o711])
def test_a_directory_others_can_only_read_is_closed_to_them(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    assert ensure_state_dir(tmp_path).stat().st_mode & 0o777 == 0o700


def test_another_user_s_directory_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(tmp_path, 65534, 65534)
        foreign = tmp_path
    else:
        foreign = Path("/usr")
    before = foreign.stat().st_mode
    with pytest.raises(StateDirError, match="another user owns it"):
        ensure_state_dir(foreign)
    assert foreign.stat().st_mode == before


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateDirError, match="is not a directory"):
        ensure_state_dir(tmp_path / "file")
    with pytest.raises(StateDirError, match="--state-dir"):
        ensure_state_dir(tmp_path / "file" / "below")


def test_a_kept_file_is_made_once_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    assert keep(path, "one")
    assert not keep(path, "two")
    assert path.read_text() == "one"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_in_a_kept_files_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateDirError, match="is not a plain file"):
        keep(tmp_path / "kept", "one")
    assert not (tmp_path / "elsewhere").exists()


def test_an_instance_keeps_its_name(tmp_path: Path) -> None:
    name = ensure_instance(tmp_path)
    assert re.fullmatch(r"shadow-proxy-[0-9a-f]{6}", name)
    assert ensure_instance(tmp_path) == name
    assert (tmp_path / "instance").stat().st_mode & 0o777 == 0o600


def test_two_state_directories_are_two_instances(tmp_path: Path) -> None:
    assert len({ensure_instance(ensure_state_dir(tmp_path / str(number))) for number in range(5)}) == 5


@pytest.mark.parametrize("content", [b"", b"\xff", b"other"])
def test_a_spoilt_instance_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "instance").write_bytes(content)
    with pytest.raises(StateDirError, match="remove it"):
        ensure_instance(tmp_path)
