"""The README's commands are run as they stand there, and what they print has the shape that is shown."""

import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.proxy_host import PATIENT, ROOT, START_S
from tests.kit.ports import LOOPBACK
from tests.kit.processes import Process

README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
CLI = [sys.executable, "-m", "proxy.cli.main"]
SERVICE = [sys.executable, "-m", "proxy.demo.service", "--version"]
LOAD = [sys.executable, "-m", "proxy.demo.load", "--seconds", "1", "--rate", "60", "--to"]


def shown(start: str) -> tuple[list[str], list[str]]:
    """The one command of a code block that starts with these words, and the lines shown below it."""
    ((command, output),) = [
        (lines[0].removeprefix("$ "), lines[1:])
        for lines in (block.splitlines() for block in re.findall(r"^```\n(.+?)^```", README, re.DOTALL | re.MULTILINE))
        if lines[0].startswith(f"$ {start}")
    ]
    assert output, f"{command}: nothing is shown"
    return command.split(), output


def shape(line: str) -> str:
    """A line without what differs from run to run: numbers, tokens, folders and how far columns lie apart."""
    line = re.sub(r"\S*/(?=admin-token|shadow-proxy )", "", line)
    line = re.sub(r"(?<=/)wdbc-\d+", "PATIENT", line)
    return re.sub(r" +", " ", re.sub(r"\b[0-9a-f]{32}\b|\d[\d,.]*", "#", line)).strip()


def labels(lines: list[str]) -> list[str]:
    """The rows of a status by their first word; the rows of single differences by none."""
    return [found[0] for line in lines if (found := re.match(r" {1,3}(v\d ÷ v\d|[a-z]\w*)", line))]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    for name, value in PATIENT.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture
def backends() -> Iterator[dict[str, str]]:
    """The demo's services, by the addresses the README gives backends."""
    with ExitStack() as stack:
        places = {}
        for shown_at, version in (("http://127.0.0.1:8000", "v1"), ("http://127.0.0.1:8001", "v2")):
            service = stack.enter_context(Process([*SERVICE, version], cwd=ROOT))
            places[shown_at] = service.wait_for_line(r"^listening on (\S+)")[1]
        yield places


@pytest.mark.usefixtures("home")
def test_quick_start_serve_status_mode(backends: dict[str, str]) -> None:
    (program, *words), ready = shown("shadow-proxy serve")
    assert program == "shadow-proxy"
    anywhere = ["--listen", f"{LOOPBACK}:0", "--admin-listen", f"{LOOPBACK}:0"]
    with Process([*CLI, *(backends.get(word, word) for word in words), *anywhere], cwd=ROOT) as proxy:
        proxy.wait_for_line(r"^Next: ", START_S)
        printed = [line for line in proxy.output.splitlines() if "[info" not in line]
        place = re.compile(r" --admin \S+$")
        assert [place.sub("", shape(line)) for line in printed] == [shape(line) for line in ready]
        clients = proxy.wait_for_line(r"^clients +(\S+)")[1]
        admin = proxy.wait_for_line(r"^admin +(\S+)")[1]
        with Process([*LOAD, clients], cwd=ROOT) as load:
            assert load.wait(START_S) == 0
        assert labels(settled_status(admin)) == labels(shown("shadow-proxy status")[1])
        (mode,) = set(re.findall(r"`shadow-proxy (mode primary)`", README))
        assert "shadow → primary" in output_of([*mode.split(), "--admin", admin])


def settled_status(admin: str) -> list[str]:
    """What `status` says once the judge has reported; watched, so that nobody has to guess when."""
    with Process([*CLI, "status", "--watch", "--admin", admin], cwd=ROOT) as watch:
        watch.wait_for_line(r"^ differences", START_S)
    return output_of(["status", "--admin", admin]).splitlines()


def output_of(words: list[str]) -> str:
    with Process([*CLI, *words], cwd=ROOT) as command:
        assert command.wait(START_S) == 0, command.output
        return command.output


def test_make_demo() -> None:
    command, screen = shown("make demo")
    (recipe,) = re.findall(r"^demo:.*\n\t\$\(BIN\)/shadow-proxy (.+) \$\(ARGS\)$", MAKEFILE, re.MULTILINE)
    assert command == ["make", "demo"]
    printed = output_of([*recipe.split(), "--seconds", "2", "--ports", "auto"]).splitlines()
    assert opening(printed) == opening(screen)
    summary = next(n for n, line in enumerate(printed) if " requests in " in line)
    shown_summary = next(n for n, line in enumerate(screen) if " requests in " in line)
    assert labels(printed[summary:]) == labels(screen[shown_summary:])


def opening(lines: list[str]) -> list[str]:
    """What stands above the moving part; commands on one line each, wherever the admin port is."""
    upper = "\n".join(lines[: lines.index("Ctrl-C ends everything.") + 1])
    return [shape(line) for line in re.sub(r" \\\n +|(?<= )--admin \S+", " ", upper).splitlines()]


def test_check_finds_nothing_wrong_with_the_configuration_that_is_shown(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.+?)```", README, re.DOTALL)
    file = tmp_path / "shadow-proxy.yaml"
    file.write_text(block)
    (command,) = set(re.findall(r"`shadow-proxy (check -c FILE)`", README))
    assert f"{file}: ok" in output_of([str(file) if word == "FILE" else word for word in command.split()])
