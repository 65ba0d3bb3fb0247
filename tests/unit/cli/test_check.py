import json
import socket
from pathlib import Path

import pytest

from proxy.cli.main import main
from tests.kit.ports import refusing_port
from tests.unit.config.writing import MINIMAL, write

WRONG = MINIMAL.replace('url: "http://127.0.0.1:8002"', "ulr: x") + "workers: 100\n"


def test_a_good_file_is_ok(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, MINIMAL)
    assert main(["check", "-c", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: ok   1 service, 0 endpoints, 0 rules\n"


def test_every_error_has_a_line_and_the_exit_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, WRONG)
    assert main(["check", "-c", str(path)]) == 2
    assert capsys.readouterr().out == (
        f'{path}:4:30  error  services.ranker.candidate.ulr: unknown key, did you mean "url"?\n'
        f"{path}:5:10  error  workers: 100 is over 64\n"
        f"{path}: 2 errors\n"
    )


def test_json_lists_the_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, WRONG)
    assert main(["check", "-c", str(path), "--format", "json"]) == 2
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], said["errors"], said["warnings"]) == (False, 2, 0)
    assert said["problems"][1] == {
        "file": str(path),
        "line": 5,
        "column": 10,
        "severity": "error",
        "path": "workers",
        "message": "100 is over 64",
    }


def test_github_gets_annotations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, WRONG)
    assert main(["check", "-c", str(path), "--format", "github"]) == 2
    assert f"::error file={path},line=5,col=10::workers: 100 is over 64" in capsys.readouterr().out


def test_warnings_are_no_failure_unless_strict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, MINIMAL + "    endpoints: [{name: score, match: 'POST /score'}]\n")
    assert main(["check", "-c", str(path)]) == 0
    assert capsys.readouterr().out.endswith(": ok   1 service, 1 endpoint, 0 rules   1 warning\n")
    assert main(["check", "-c", str(path), "--strict"]) == 1


def test_connect_names_the_backend_that_does_not_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as up, refusing_port() as down:
        text = MINIMAL.replace("8001", str(up.getsockname()[1])).replace("8002", str(down))
        assert main(["check", "-c", str(write(tmp_path, text)), "--connect"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert f"services.ranker.candidate.url: http://127.0.0.1:{down} does not answer: Connection refused" in lines[0]


def test_origins_say_who_set_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHADOW_PROXY_WORKERS", "2")
    path = write(tmp_path, MINIMAL)
    assert main(["check", "-c", str(path), "--show-origin", "--listen", "127.0.0.1:0"]) == 0
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines() if line}
    assert rows["listen"] == ['"127.0.0.1:0"', "--listen"]
    assert rows["workers"] == ["2", "SHADOW_PROXY_WORKERS"]
    assert rows["services.ranker.primary.version"] == ['"v1"', f"{path}:3:24"]
    assert rows["limits.interim"] == ["16", "default"]


def test_a_token_file_open_to_everybody_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = tmp_path / "token"
    token.write_text("sesame")
    token.chmod(0o644)
    path = write(tmp_path, f"admin: {{token_file: {token}}}\n{MINIMAL}")
    assert main(["check", "-c", str(path)]) == 2
    said = capsys.readouterr().out
    assert f"{path}:1:21  error  admin.token_file: " in said
    assert "sesame" not in said


def test_without_a_file_the_flags_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--primary", "http://a.example", "--candidate", "http://b.example"]) == 0
    assert capsys.readouterr().out == "flags and environment: ok   1 service, 0 endpoints, 0 rules\n"


@pytest.mark.parametrize("token", ["", "two words"])
def test_a_token_that_serve_would_refuse_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("SHADOW_PROXY_ADMIN_TOKEN", token)
    assert main(["check", "-c", str(write(tmp_path, MINIMAL))]) == 2
    said = capsys.readouterr().out
    assert said.startswith("SHADOW_PROXY_ADMIN_TOKEN  error  $SHADOW_PROXY_ADMIN_TOKEN: ")
    assert "two words" not in said


def test_a_kept_token_that_serve_would_refuse_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "admin-token").touch(mode=0o600)
    assert main(["check", "-c", str(write(tmp_path, MINIMAL)), "--state-dir", str(tmp_path)]) == 2
    assert f"--state-dir  error  state_dir: {tmp_path}/admin-token: holds no token" in capsys.readouterr().out


def test_it_takes_the_flags_of_serve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--mode", "shadwo", "--workers", "0", "--state-dir", str(tmp_path), "--log-format", "xml"]
    assert main(["check", "-c", str(write(tmp_path, MINIMAL)), *words]) == 2
    flags = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert flags[:-1] == ["--log-format", "--mode", "--workers"]
