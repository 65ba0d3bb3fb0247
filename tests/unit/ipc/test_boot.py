import os
from pathlib import Path

from proxy.ipc.boot import Boot, prepare_settings
from tests.unit.ipc.test_messages import SETTINGS


def boot(runtime_dir: str = "/run/x", **fds: int) -> Boot:
    return Boot("control", "c1", "run-1", "host-1", runtime_dir, "/state", fds)


def test_it_survives_the_command_line() -> None:
    assert Boot.decode(boot(alive=3, admin=4).encode()) == boot(alive=3, admin=4)


def test_sockets_lie_in_the_runtime_directory() -> None:
    assert boot().control_socket == "/run/x/control.sock"
    assert boot().judge_socket("worker-0") == "/run/x/worker-0.sock"


def test_settings_are_those_this_run_was_started_with(tmp_path: Path) -> None:
    prepare_settings(tmp_path, SETTINGS)()
    assert boot(str(tmp_path)).settings() == SETTINGS


def test_a_process_at_work_says_its_name() -> None:
    read, write = os.pipe()
    try:
        boot(ready=write).announce_ready()
        assert os.read(read, 100) == b"control\n"
    finally:
        os.close(read)
        os.close(write)
