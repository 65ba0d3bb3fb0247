import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.main import main
from tests.kit.ports import refusing_port
from tests.kit.processes import Process
from tests.unit.cli.statuses import BUSY, QUIET, status
from tests.unit.cli.stub_admin import StubAdmin, stub_admin

STATUS = "/api/v1/status"


def test_status_shows_every_service_and_what_to_do_next(admin: StubAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    admin.say("GET", STATUS, status(BUSY, {**QUIET, "service": "users"}))
    assert main(["status", "--admin", admin.url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ranker   SHADOW")
    assert "users   SHADOW   clients: v1 100 %   up 4m" in lines
    assert lines[-1] == f"Next: shadow-proxy status ranker --watch --admin {admin.url}"


def test_what_to_do_next_carries_the_options_that_were_given(
    admin: StubAdmin, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = home / "my token"
    token.write_text("sesame")
    token.chmod(0o600)
    admin.say("GET", STATUS, status({**BUSY, "next": "shadow-proxy mode shadow ranker"}))
    assert main(["status", "--admin", admin.url, "--token-file", str(token)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"Next: shadow-proxy mode shadow ranker --admin {admin.url} --token-file '{token}'"
    )


def test_one_service_can_be_named(admin: StubAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    admin.say("GET", STATUS, status(BUSY, {**QUIET, "service": "users"}))
    assert main(["status", "users", "--admin", admin.url]) == 0
    assert "ranker" not in capsys.readouterr().out


def test_a_misspelt_service_is_a_usage_error(admin: StubAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    admin.say("GET", STATUS, status(BUSY))
    assert main(["status", "rnker", "--admin", admin.url]) == 2
    assert capsys.readouterr().err == (
        'shadow-proxy status: no service rnker, did you mean "ranker"?\nNext: name one of ranker\n'
    )


def test_json_is_what_the_proxy_said(admin: StubAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    admin.say("GET", STATUS, status(BUSY))
    assert main(["status", "--json", "--admin", admin.url]) == 0
    assert json.loads(capsys.readouterr().out) == status(BUSY)


def test_ascii_prints_nothing_else(admin: StubAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    admin.say("GET", STATUS, status(BUSY))
    assert main(["status", "--ascii", "--admin", admin.url]) == 0
    assert capsys.readouterr().out.isascii()


def test_a_proxy_that_is_not_there_is_exit_3(capsys: pytest.CaptureFixture[str]) -> None:
    with refusing_port() as port:
        assert main(["status", "--admin", f"127.0.0.1:{port}"]) == 3
    said = capsys.readouterr().err
    assert f"no answer from the admin port at http://127.0.0.1:{port}: Connection refused" in said
    assert "Next: is it running? Start it with `shadow-proxy serve`" in said


def test_another_program_at_that_port_is_exit_3(admin: StubAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    admin.say("GET", STATUS, "<html>", 200)
    assert main(["status", "--admin", admin.url]) == 3
    assert "not as a shadow-proxy" in capsys.readouterr().err


@pytest.mark.parametrize("said", [{}, {"services": 1}, {"services": ["a"]}, {"services": [{}]}, [1], 5], ids=repr)
@pytest.mark.parametrize("words", [["status"], ["status", "a", "--json"], ["mode", "primary"]], ids=" ".join)
def test_json_that_is_no_status_is_exit_3_with_advice(
    admin: StubAdmin, capsys: pytest.CaptureFixture[str], words: list[str], said: Any
) -> None:
    admin.say("GET", STATUS, json.dumps(said))
    assert main([*words, "--admin", admin.url]) == 3
    assert "Next: check --admin: this may be the proxy port" in capsys.readouterr().err


@pytest.mark.parametrize("token", ["se\nsame", "s\u00e9same", "\u20acsesame", "sesame sesame"], ids=ascii)
def test_a_token_in_the_environment_that_is_none_is_a_usage_error_and_not_repeated(
    admin: StubAdmin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], token: str
) -> None:
    monkeypatch.setenv("SHADOW_PROXY_ADMIN_TOKEN", token)
    assert main(["status", "--admin", admin.url]) == 2
    said = capsys.readouterr().err
    assert "$SHADOW_PROXY_ADMIN_TOKEN: a token is one line of printable ASCII" in said
    assert "same" not in said
    assert admin.asked == []


def test_a_host_that_is_no_name_is_exit_3() -> None:
    assert main(["status", "--admin", f"http://{'x' * 64}.\u00e9:1"]) == 3


@pytest.mark.parametrize("url", ["ftp://a", "http://", "http://a:x", "http://a/b"])
def test_what_is_no_admin_address_is_a_usage_error(url: str) -> None:
    assert main(["status", "--admin", url]) == 2


def test_the_kept_token_goes_to_loopback_by_itself(admin: StubAdmin, home: Path) -> None:
    kept = home / ".local/state/shadow-proxy/admin-token"
    kept.parent.mkdir(parents=True)
    kept.write_text("sesame\n")
    kept.chmod(0o600)
    admin.say("GET", STATUS, status(BUSY))
    main(["status", "--admin", admin.url])
    assert [asked.authorization for asked in admin.asked] == ["Bearer sesame"]


def test_a_token_file_open_to_everybody_is_a_usage_error(
    admin: StubAdmin, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = home / "token"
    path.write_text("sesame")
    path.chmod(0o644)
    assert main(["status", "--admin", admin.url, "--token-file", str(path)]) == 2
    assert "chmod 600" in capsys.readouterr().err
    assert admin.asked == []


def test_watching_goes_on_until_interrupted(admin: StubAdmin) -> None:
    admin.say("GET", STATUS, status(BUSY))
    argv = [sys.executable, "-m", "proxy.cli.main", "status", "--watch", "--admin", admin.url]
    with Process(argv) as process:
        process.wait_for_line("^Next: ")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
        assert "Traceback" not in process.output


def test_a_proxy_that_ends_while_watched_in_a_pipe_is_exit_3() -> None:
    with stub_admin() as admin:
        admin.say("GET", STATUS, status(BUSY))
        argv = [sys.executable, "-m", "proxy.cli.main", "status", "--watch", "--json", "--admin", admin.url]
        process = Process(argv)
        process.wait_for_line('"service": "ranker"')
    with process:
        assert process.wait() == 3
