import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import structlog

from proxy.config.logs import configure


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err.splitlines()


def test_json_is_one_object_a_line_with_time_level_and_process(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "worker-0")
    structlog.get_logger().warning("candidate is down", service="ranker")
    (line,) = lines(capsys)
    said = json.loads(line)
    assert said.pop("timestamp").endswith("Z")
    assert said == {"event": "candidate is down", "service": "ranker", "level": "warning", "process": "worker-0"}


def test_text_is_one_line_without_colours_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    configure("text", "control")
    structlog.get_logger().info("control is up", snapshot=41)
    (line,) = lines(capsys)
    assert "control is up" in line
    assert "snapshot=41" in line
    assert "\x1b" not in line


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_an_exception_is_shown_with_its_traceback(
    capsys: pytest.CaptureFixture[str], log_format: Literal["text", "json"]
) -> None:
    configure(log_format, "control")
    try:
        int("boom")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "ValueError: invalid literal" in "\n".join(lines(capsys))


def test_a_full_disk_does_not_stop_what_is_logged_about() -> None:
    code = """
import structlog
from proxy.config.logs import configure
configure("text", "control")
for _ in range(100):
    structlog.get_logger().error("x" * 1000)
print("still at work")
"""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=full, text=True, check=False)
    assert done.stdout == "still at work\n"
