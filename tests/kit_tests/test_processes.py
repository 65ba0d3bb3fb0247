import os
import signal
import sys
from pathlib import Path

import pytest

from tests.kit.processes import Member, Process, session_members
from tests.kit.watch import DeadlineError

SERVE = (
    "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print('ready on 4711')\nsignal.pause()"
)
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready')\nwhile True: signal.pause()"
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print("ready", flush=True)
child.wait()
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_line_is_awaited_and_stop_returns_the_exit_code() -> None:
    with Process(python(SERVE)) as process:
        assert process.wait_for_line(r"ready on (\d+)")[1] == "4711"
        assert process.wait_for_line("ready"), "a past line is found again"
        assert process.exit_code is None
        assert process.stop() == 7
    assert process.exit_code == 7


def test_leaving_the_block_stops_the_command() -> None:
    with Process(python(SERVE)) as process:
        process.wait_for_line("ready")
    assert process.exit_code == 7


def test_environment_and_directory_reach_the_command(tmp_path: Path) -> None:
    code = "import os, sys; print(os.environ['COLOUR'], os.getcwd(), file=sys.stderr)"
    with Process(python(code), env={"COLOUR": "teal"}, cwd=tmp_path) as process:
        assert process.wait() == 0
        assert process.output == f"teal {tmp_path}\n"


def test_missing_line_quotes_the_output() -> None:
    with Process(python(SERVE)) as process:
        process.wait_for_line("ready")
        with pytest.raises(DeadlineError, match="ready on 4711"):
            process.wait_for_line("never said", deadline_s=0)


def test_command_that_dies_is_noticed_before_the_deadline() -> None:
    with Process(python("raise SystemExit('broken config')")) as process:
        with pytest.raises(DeadlineError, match=r"output ended without.*\n.*broken config"):
            process.wait_for_line("ready", deadline_s=3_600)
        assert process.wait() == 1


def test_command_that_ignores_sigterm_is_killed_and_fails_the_test() -> None:
    process = Process(python(STUBBORN))
    process.wait_for_line("ready")
    with pytest.raises(DeadlineError, match="the end of"):
        process.stop(deadline_s=0)
    assert process.exit_code == -signal.SIGKILL


def orphan_of(process: Process) -> Member:
    """Kill the command as soon as it has a child; the child lives on."""
    process.wait_for_line("ready")
    (child,) = process.children()
    assert process.kill() == -signal.SIGKILL
    return child


def test_orphan_is_found_reported_and_killed() -> None:
    process = Process(python(PARENT))
    orphan = orphan_of(process)
    assert "signal.pause" in orphan.command
    assert process.children() == [orphan]
    with pytest.raises(AssertionError, match=f"left processes running:\n  {orphan.pid} "), process:
        pass
    assert session_members(process.pid) == []


def test_failing_test_keeps_its_own_error_and_leaves_nothing() -> None:
    process = Process(python(PARENT))
    orphan_of(process)
    with pytest.raises(ZeroDivisionError), process:
        raise ZeroDivisionError
    assert session_members(process.pid) == []


def test_session_of_this_test_is_seen() -> None:
    assert os.getpid() in [member.pid for member in session_members(os.getsid(0))]
