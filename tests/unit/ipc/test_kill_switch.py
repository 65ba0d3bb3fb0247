import os
from collections.abc import Callable, Iterator
from errno import ELOOP
from pathlib import Path

import pytest

from proxy.ipc.kill_switch import KillSwitch, Pulled


@pytest.fixture
def memory() -> Iterator[int]:
    descriptor = KillSwitch.shared()
    yield descriptor
    os.close(descriptor)


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def unreadable(path: Path) -> None:
    path.write_text("\0 off")
    path.chmod(0)


@pytest.mark.parametrize("put", [Path.touch, Path.mkdir, dangling, unreadable], ids=lambda put: put.__name__)
def test_whatever_is_there_pulls_it_and_its_removal_re_arms(
    tmp_path: Path, memory: int, put: Callable[[Path], None]
) -> None:
    switch = KillSwitch(tmp_path, memory)
    assert switch.look() is None
    put(switch.path)
    assert switch.look() == Pulled("the kill switch is pulled", f"rm {tmp_path}/kill-switch")
    switch.path.rename(tmp_path / "elsewhere")
    assert switch.look() is None


def test_pulling_holds_before_there_is_a_file_and_without_a_look_at_one(tmp_path: Path, memory: int) -> None:
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    switch = KillSwitch(circle, memory)
    switch.pull()
    assert "SIGUSR1" in str(switch.look())
    assert list(tmp_path.iterdir()) == [circle]


def test_pulling_it_twice_is_pulling_it_once(tmp_path: Path, memory: int) -> None:
    switch = KillSwitch(tmp_path, memory)
    for _ in range(2):
        switch.pull()
        assert switch.make_file() == ""
    switch.path.unlink()
    assert switch.look() is None


def test_pulling_leaves_what_is_there_as_it_is(tmp_path: Path, memory: int) -> None:
    switch = KillSwitch(tmp_path, memory)
    switch.path.write_text("pulled by ada")
    assert switch.make_file() == ""
    assert switch.path.read_text() == "pulled by ada"


def test_a_directory_that_takes_no_file_is_no_way_out(tmp_path: Path, memory: int) -> None:
    switch = KillSwitch(tmp_path / "state", memory)
    switch.pull()
    assert switch.make_file() == "No such file or directory"
    assert "SIGUSR1" in str(switch.look())
    another_process = KillSwitch(tmp_path / "state", memory)
    assert another_process.look() == switch.look()
    (tmp_path / "state").mkdir()
    assert switch.make_file() == ""
    switch.path.unlink()
    assert switch.look() is None


def test_where_nobody_can_look_nothing_is_mirrored(tmp_path: Path, memory: int) -> None:
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    pulled = KillSwitch(circle, memory).look()
    assert pulled == Pulled(f"the kill switch cannot be looked for ({os.strerror(ELOOP)})", f"make {circle} readable")


def test_a_state_directory_that_never_held_it_and_is_gone_holds_no_switch(tmp_path: Path, memory: int) -> None:
    (tmp_path / "file").touch()
    for gone in ("gone", "file"):
        assert KillSwitch(tmp_path / gone, memory).look() is None


@pytest.mark.parametrize("instead", [None, Path.touch], ids=["nothing", "file"])
def test_once_pulled_a_state_directory_that_is_gone_is_no_release(
    tmp_path: Path, memory: int, instead: Callable[[Path], None] | None
) -> None:
    switch = KillSwitch(tmp_path / "state", memory)
    switch.path.parent.mkdir()
    switch.path.touch()
    assert switch.look()
    away = switch.path.parent.rename(tmp_path / "away")
    if instead:
        instead(switch.path.parent)
    for _ in range(2):
        assert "bring back" in str(switch.look())
    switch.path.parent.unlink(missing_ok=True)
    away.rename(switch.path.parent)
    assert switch.look() == Pulled("the kill switch is pulled", f"rm {switch.path}")
    switch.path.unlink()
    assert switch.look() is None
