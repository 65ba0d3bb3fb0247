"""`shadow-proxy demo` as people run it: a command, its screen, its end."""

import json
import os
import pty
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

import pytest

from tests.kit.polling import wait_until
from tests.kit.processes import Member, Process, session_members

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-m", "proxy.cli.main", "demo", "--ports", "auto"]
RESULT = r"(\d+) compared   agreement ([\d.]+) % \([\d.]+ to [\d.]+\)   coverage [\d.]+ %   dropped \d+"
MOVING = r"(\d+) compared   agreement ([\d.]+) % \([\d.]+ to [\d.]+\)   coverage [\d.]+ %\s+dropped \d+   v1 p50"
START_S = 30.0


@pytest.fixture(autouse=True)
def leaves_no_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("demo")  # a short name: paths of sockets are short
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    assert not list(folder.glob("shadow-demo-*"))


def member(demo: Process, words: str) -> Member:
    (found,) = [member for member in demo.children() if words in member.command]
    return found


def test_it_ends_by_itself_with_a_summary_that_adds_up_and_the_bugs_show_in_it() -> None:
    strange = {"SHADOW_PROXY_ADMIN_TOKEN": "another's", "SHADOW_PROXY_LISTEN": "nonsense"}
    words = [*DEMO, "--seconds", "2", "--rate", "100", "--json", "--bugs"]
    with Process([*words, "some"], cwd=ROOT, env=strange) as buggy, Process([*words, "none"], cwd=ROOT) as clean:
        said = [summary(demo) for demo in (buggy, clean)]
    assert 0 < said[0]["agreement"] < said[1]["agreement"] < 1
    assert {"status", "type", "value"} <= {kind for kind, number in said[0]["differences"].items() if number}


def summary(demo: Process) -> dict[str, Any]:
    assert demo.wait(START_S) == 0
    said: dict[str, Any] = json.loads(demo.output)
    assert said["load"].items() >= {"answered": 200, "errors": 0, "skipped": 0}.items()
    assert said["requests"] == said["mirrored"] == 200 == sum(said["verdicts"].values()) + said["dropped"]
    assert said["top"][0]["exchanges"] > 0
    return said


def test_it_says_where_everything_is_and_how_it_goes_until_ctrl_c() -> None:
    with Process(DEMO, cwd=ROOT) as demo:
        for label in ("primary    v1", "candidate  v2", "proxy", "admin"):
            demo.wait_for_line(rf"^{label} +http://127\.0\.0\.1:\d+   ", START_S)
        demo.wait_for_line(r"^token +[0-9a-f]{32}   \(shown once\)$")
        demo.wait_for_line(RESULT, START_S)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(START_S) == 0
        assert re.search(r"^\d+ requests in \d+s, 0 errors$", demo.output, re.MULTILINE)
        assert "Traceback" not in demo.output


def test_on_a_terminal_the_numbers_move_in_place() -> None:
    terminal, side = pty.openpty()
    os.set_blocking(terminal, False)
    seen = bytearray()

    def shows(pattern: bytes) -> bool:
        with suppress(OSError):  # nothing to read now, or nobody writes any more
            seen.extend(os.read(terminal, 1 << 16))
        return re.search(pattern, re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", seen)) is not None

    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "40"}
    demo = Popen(DEMO, cwd=ROOT, env=environment, stdin=DEVNULL, stdout=side, stderr=side, start_new_session=True)
    os.close(side)
    try:
        wait_until(lambda: shows(MOVING.encode()), "a result", START_S)
        assert b"\x1b[" in seen
        demo.send_signal(signal.SIGINT)
        wait_until(lambda: shows(rb"\d+ requests in \d+s, 0 errors"), "the summary", START_S)
        assert demo.wait(START_S) == 0
    finally:
        demo.kill()
        demo.wait()
        os.close(terminal)
    wait_until(lambda: not session_members(demo.pid), "nothing is left")


@pytest.mark.parametrize(("name", "words"), [("v2", "demo.service --version v2"), ("proxy", "cli.main serve")])
def test_a_process_that_dies_ends_the_demo_and_is_named(name: str, words: str) -> None:
    with Process(DEMO, cwd=ROOT) as demo:
        demo.wait_for_line(RESULT, START_S)
        os.kill(member(demo, words).pid, signal.SIGKILL)
        assert demo.wait(START_S) == 1
        assert f"shadow-proxy demo: {name} was ended by SIGKILL" in demo.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_it_starts_leaves_nothing_behind(number: signal.Signals) -> None:
    with Process(DEMO, cwd=ROOT) as demo:
        wait_until(demo.children, "the first process", START_S)
        demo.send_signal(number)
        assert demo.wait(START_S) == 130
        demo.assert_nothing_left()


def test_a_killed_demo_takes_its_processes_with_it(leaves_no_folder: Path) -> None:
    with Process(DEMO, cwd=ROOT) as demo:
        demo.wait_for_line(RESULT, START_S)
        demo.kill()
        demo.assert_nothing_left(START_S)
    for left in leaves_no_folder.glob("shadow-demo-*"):  # its folder, which nobody was there to remove
        for file in left.iterdir():
            file.unlink()
        left.rmdir()
