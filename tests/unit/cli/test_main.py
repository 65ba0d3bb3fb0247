import re
import subprocess
import sys

import pytest

from proxy.cli.main import COMMANDS, main, overview


def test_help_opens_with_examples_and_lists_every_command() -> None:
    text = overview()
    assert text.startswith("Examples:\n  shadow-proxy demo\n")
    assert re.findall(r"^  (\w+)   +[A-Z]", text, re.MULTILINE) == list(COMMANDS)
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_opens_with_its_examples_and_fits_80_columns(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"Usage: shadow-proxy {command} ")
    assert lines[2].strip() == "Examples:"
    assert lines[3].strip().startswith(f"shadow-proxy {command}")
    assert max(map(len, lines)) <= 80


def test_help_can_be_asked_for_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "status"]) == 0
    assert "shadow-proxy status" in capsys.readouterr().out


def test_no_command_is_a_usage_error_that_helps(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr().out == overview()


def test_an_unknown_command_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chekc"]) == 2
    assert capsys.readouterr().err == (
        'shadow-proxy: no such command: chekc, did you mean "check"?\nNext: shadow-proxy --help\n'
    )


def test_an_unknown_option_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--jsno"]) == 2
    assert "--json" in capsys.readouterr().err


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("shadow-proxy ")


def test_the_example_passes_check(tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--example"]) == 0
    path = tmp_path_factory.mktemp("example") / "shadow-proxy.yaml"
    path.write_text(capsys.readouterr().out)
    assert main(["check", "-c", str(path), "--strict"]) == 0


def test_the_overview_imports_nothing_heavy() -> None:
    program = (
        "import sys; from proxy.cli.main import main; main(['--help']);"
        "print(sorted({'typer', 'rich', 'pydantic', 'yaml', 'aiohttp', 'uvloop', 'rapidfuzz'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_closed_pipe_is_no_traceback() -> None:
    program = f"{sys.executable} -m proxy.cli.main check --help | true"
    done = subprocess.run(["sh", "-c", program], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
