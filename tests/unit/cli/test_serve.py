import json
import re
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.cli.main import main
from proxy.cli.serve import House, ready_json, ready_lines
from proxy.config.flags import Flags
from proxy.config.load import load
from proxy.config.models import ListenerTls
from proxy.config.token import EnsuredToken
from tests.kit.processes import Process
from tests.unit.config.writing import MINIMAL, write

URLS = ["--primary", "http://127.0.0.1:8001", "--candidate", "http://127.0.0.1:8002"]


def house(token: EnsuredToken, flags: Flags | None = None) -> House:
    flags = flags or Flags(primary="http://127.0.0.1:8001", candidate="http://127.0.0.1:8002")
    return House(load(None, flags, {}).settings, Path("/state"), "shadow-proxy-000000", token)


def test_the_ready_screen_tells_addresses_token_what_is_mirrored_and_what_to_try(home: Path) -> None:
    kept = home / ".local/state/shadow-proxy/admin-token"
    made = EnsuredToken(kept, made=True, token="7c1e")
    assert ready_lines(house(made), "127.0.0.1:8080", "127.0.0.1:8081", {"default": "shadow"}) == [
        "clients    http://127.0.0.1:8080",
        "admin      http://127.0.0.1:8081",
        "token      7c1e   (shown once)",
        f"           kept in {kept}",
        "",
        "default   SHADOW",
        " primary    v1  http://127.0.0.1:8001   answers every client",
        " candidate  v2  http://127.0.0.1:8002   is compared",
        " mirrored   GET, HEAD, OPTIONS; mark an endpoint read_only to mirror it",
        "",
        "Try:  curl http://127.0.0.1:8080/",
        "Next: shadow-proxy status",
    ]


def test_a_token_made_before_is_not_shown_again() -> None:
    token = EnsuredToken(Path("/state/admin-token"), made=False, token="7c1e")
    text = "\n".join(ready_lines(house(token), "0.0.0.0:80", "127.0.0.1:9081", {"default": "shadow"}))
    assert "7c1e" not in text
    assert "in /state/admin-token   (for commands: --token-file)" in text
    assert "Try:  curl http://127.0.0.1:80/" in text
    assert "Next: shadow-proxy status --admin http://127.0.0.1:9081" in text


def test_a_stored_mode_that_beats_the_configured_one_is_said() -> None:
    token = EnsuredToken(None, made=False, token="7c1e")
    text = "\n".join(ready_lines(house(token), "127.0.0.1:1", "127.0.0.1:2", {"default": "primary"}))
    assert "default   PRIMARY   (kept from before; shadow is configured)" in text
    assert "mirrored   nothing; to change that: shadow-proxy mode shadow default --admin http://127.0.0.1:2" in text


PULLED = {"why": "the kill switch is pulled", "release": "rm /state/kill-switch"}


def test_what_the_kill_switch_stops_is_not_put_down_to_an_earlier_decision() -> None:
    token = EnsuredToken(None, made=False, token="7c1e")
    lines = ready_lines(house(token), "127.0.0.1:1", "127.0.0.1:2", {"default": "primary"}, PULLED)
    assert "default   PRIMARY   (the kill switch is pulled)" in lines
    assert " mirrored   nothing; to change that: rm /state/kill-switch" in lines


@pytest.mark.parametrize("pulled", [PULLED, None], ids=["pulled", "released"])
def test_the_json_line_tells_of_the_kill_switch(pulled: dict[str, str] | None) -> None:
    token = EnsuredToken(None, made=False, token="7c1e")
    line = ready_json(house(token), "127.0.0.1:1", "127.0.0.1:2", {"default": "primary"}, pulled)
    assert json.loads(line)["kill_switch"] == pulled


def test_commands_to_paste_carry_what_leads_here(home: Path) -> None:
    elsewhere = EnsuredToken(Path("/state/admin-token"), made=False, token="7c1e")
    lines = ready_lines(house(elsewhere), "127.0.0.1:1", "127.0.0.1:8081", {"default": "primary"})
    assert lines[-1] == "Next: shadow-proxy status"
    assert any(line.endswith("mode shadow default --token-file /state/admin-token") for line in lines)
    exposed = load(
        None,
        Flags("http://a.example", "http://b.example", admin_listen="0.0.0.0:8081"),
        {"SHADOW_PROXY_ADMIN_TOKEN": "7c1e", "SHADOW_PROXY_ADMIN__INSECURE_BIND": "true"},
    ).settings
    open_house = House(exposed, home, "shadow-proxy-000000", elsewhere)
    *_, following = ready_lines(open_house, "127.0.0.1:1", "0.0.0.0:8081", {"default": "shadow"})
    assert following == "Next: shadow-proxy status --token-file /state/admin-token"


def test_clients_are_told_to_come_by_tls_where_they_must(home: Path) -> None:
    token = EnsuredToken(home / "token", made=False, token="7c1e")
    plain = house(token)
    tls = ListenerTls(certificate="cert.pem", key="key.pem")
    served = replace(plain, settings=plain.settings.model_copy(update={"tls": tls}))
    lines = ready_lines(served, "127.0.0.1:1", "127.0.0.1:2", {"default": "shadow"})
    assert lines[0] == "clients    https://127.0.0.1:1"
    assert "Try:  curl https://127.0.0.1:1/" in lines


def test_the_json_line_never_holds_the_token() -> None:
    token = EnsuredToken(Path("/state/admin-token"), made=True, token="7c1e")
    assert "7c1e" not in ready_json(house(token), "127.0.0.1:1", "127.0.0.1:2", {"default": "shadow"})


def test_a_wrong_configuration_ends_with_2_before_anything_is_made(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(home, MINIMAL + "wokers: 1\n")
    assert main(["serve", "-c", str(path), "--state-dir", str(home / "state")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        f'{path}:5:1  error  wokers: unknown key, did you mean "workers"?\n'
        "shadow-proxy serve: 1 error, nothing was started\n"
        f"Next: `shadow-proxy check -c {path}` shows the same\n"
    )
    assert not (home / "state").exists()


def test_an_exposed_admin_port_without_a_token_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *URLS, "--admin-listen", "0.0.0.0:8081"]) == 2
    assert "--admin-listen  error  admin.listen: others can reach 0.0.0.0:8081" in capsys.readouterr().err


def test_a_linked_state_directory_ends_with_2(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "link").symlink_to(home)
    assert main(["serve", *URLS, "--state-dir", str(home / "link")]) == 2
    assert "is a symbolic link" in capsys.readouterr().err


def test_a_taken_port_ends_with_2(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        argv = [sys.executable, "-m", "proxy.cli.main", "serve", *URLS, "--listen", listen]
        with Process([*argv, "--admin-listen", "127.0.0.1:0", "--state-dir", str(home / "state")]) as process:
            assert process.wait() == 2
            assert "cannot listen at" in process.output


def test_serve_answers_status_and_ends_in_order(home: Path) -> None:
    state = home / "state"
    argv = [sys.executable, "-m", "proxy.cli.main", "serve", *URLS, "--state-dir", str(state)]
    with Process([*argv, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]) as process:
        admin = process.wait_for_line(r"^admin +(http://\S+)")[1]
        token = process.wait_for_line(r"^token +([0-9a-f]{32})   \(shown once\)")[1]
        assert (state / "admin-token").read_text().strip() == token
        process.wait_for_line(r"^Next: shadow-proxy status --admin")
        change = ["mode", "primary", "--admin", admin, "--token-file", str(state / "admin-token")]
        assert main(["status", "--admin", admin]) == 0
        assert main(change) == 0
        assert process.stop() == 0
    assert re.fullmatch(r"shadow-proxy-[0-9a-f]{6}\n", (state / "instance").read_text())
