import os
import signal
from pathlib import Path

import pytest

from proxy.ipc.boot import Boot
from proxy.supervisor.children import Child
from tests.kit.polling import wait_until


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Child:
    """A child whose program says that it runs and then waits for its end."""
    (tmp_path / "patient.py").write_text(
        "import pathlib, signal, sys\n"
        f"pathlib.Path({str(tmp_path)!r}, 'started').write_text(sys.argv[1])\n"
        "signal.pause()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Child("patient", Boot("worker-0", "", "run", "name", str(tmp_path), str(tmp_path), {}))


def started(tmp_path: Path) -> str:
    wait_until(lambda: (tmp_path / "started").exists() and (tmp_path / "started").read_text(), "the child to start")
    return (tmp_path / "started").read_text()


def test_it_is_told_who_it_is_and_gets_a_new_incarnation_each_time(child: Child, tmp_path: Path) -> None:
    child.start()
    first = Boot.decode(started(tmp_path))
    assert first.process == "worker-0"
    assert first.incarnation == child.boot.incarnation
    child.end(5.0)
    child.start()
    assert child.boot.incarnation != first.incarnation
    child.end(5.0)


def test_it_inherits_what_it_is_given(child: Child, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child.environ = {**os.environ, "SEEN": "x"}
    monkeypatch.setenv("UNSEEN", "x")
    child.start()
    started(tmp_path)
    assert child.process is not None
    environ = Path(f"/proc/{child.process.pid}/environ").read_bytes().split(b"\0")
    assert b"SEEN=x" in environ
    assert b"UNSEEN=x" not in environ
    child.end(5.0)


def test_its_death_is_noticed_and_makes_it_due_again(child: Child, tmp_path: Path) -> None:
    child.start()
    started(tmp_path)
    assert child.describe()["up"] is True
    child.signal(signal.SIGKILL)
    wait_until(lambda: child.reap() is not None, "the child to die")
    assert child.describe()["up"] is False
    assert child.due is not None
    assert child.describe()["restarts"] == 1


def test_ending_it_leaves_nothing_running(child: Child, tmp_path: Path) -> None:
    child.start()
    started(tmp_path)
    pid = child.describe()["pid"]
    assert isinstance(pid, int)
    child.end(5.0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_terminal_s_interrupt_does_not_reach_it(child: Child, tmp_path: Path) -> None:
    child.start()
    started(tmp_path)
    assert child.process is not None
    assert os.getpgid(child.process.pid) != os.getpgid(0)
    child.end(5.0)
