"""A configuration that is wrong is refused as a whole, before anything listens or is made."""

import socket
from pathlib import Path

import pytest

from proxy.config.models import Settings
from proxy.config.sources import Sources
from proxy.supervisor.lock import LONGEST_PLACE
from proxy.supervisor.process import run
from proxy.supervisor.sockets import StartError
from tests.e2e.proxy_host import ROOT, SERVE
from tests.kit.ports import LOOPBACK
from tests.kit.processes import Process

BACKENDS = {
    "primary": {"version": "v1", "url": "http://127.0.0.1:8000"},
    "candidate": {"version": "v2", "url": "http://127.0.0.1:8001"},
}
WRONG = """\
version: 1
listen: "127.0.0.1:{taken}"
wrokers: 2
services:
  ranker:
    primary: {{version: "v1", url: "http://127.0.0.1:8000/api"}}
    candidate: {{version: "v1", ulr: "http://127.0.0.1:8001"}}
    mirror: {{share: 1.5}}
"""


def test_every_error_is_said_at_once_and_no_port_is_opened(tmp_path: Path) -> None:
    config, state = tmp_path / "shadow-proxy.yaml", tmp_path / "state"
    with socket.create_server((LOOPBACK, 0)) as taken:  # opening it would be the error that is told
        config.write_text(WRONG.format(taken=taken.getsockname()[1]))
        with Process([*SERVE, "-c", str(config), "--state-dir", str(state)], cwd=ROOT) as process:
            assert process.wait() == 2
            said = process.output
    for place in ("3:1  error  wrokers", "6:35  error  services.ranker.primary.url"):
        assert f"{config}:{place}: " in said
    for place in ("7:32  error  services.ranker.candidate.ulr", "8:21  error  services.ranker.mirror.share"):
        assert f"{config}:{place}: " in said
    assert f"{config}:7:26  error  services.ranker.candidate.version: 'v1' is the primary's too" in said
    assert "nothing was started" in said
    assert "the port is taken" not in said
    assert not state.exists()


def test_a_port_that_is_taken_is_an_error_of_usage(tmp_path: Path) -> None:
    urls = ["--primary", "http://127.0.0.1:8000", "--candidate", "http://127.0.0.1:8001"]
    with socket.create_server((LOOPBACK, 0)) as taken:
        where = f"{LOOPBACK}:{taken.getsockname()[1]}"
        for option, other in (("--listen", "--admin-listen"), ("--admin-listen", "--listen")):
            words = [*SERVE, *urls, option, where, other, f"{LOOPBACK}:0", "--state-dir", str(tmp_path / option)]
            with Process(words, cwd=ROOT) as process:
                assert process.wait() == 2
                assert f"cannot listen at {where}" in process.output


def test_a_state_directory_in_use_is_an_error_of_usage(tmp_path: Path) -> None:
    words = [
        *SERVE,
        *("--primary", "http://127.0.0.1:8000", "--candidate", "http://127.0.0.1:8001"),
        *("--listen", f"{LOOPBACK}:0", "--admin-listen", f"{LOOPBACK}:0", "--state-dir", str(tmp_path / "state")),
    ]
    with Process(words, cwd=ROOT) as first:
        first.wait_for_line(r"^Next: ")
        with Process(words, cwd=ROOT) as second:
            assert second.wait() == 2
            assert f"{tmp_path / 'state'} is in use by another shadow-proxy" in second.output
        assert first.exit_code is None


def test_a_state_directory_that_cannot_be_locked_is_an_error_of_usage(tmp_path: Path) -> None:
    (tmp_path / "state" / "lock").mkdir(parents=True)
    urls = ["--primary", "http://127.0.0.1:8000", "--candidate", "http://127.0.0.1:8001"]
    with Process([*SERVE, *urls, "--state-dir", str(tmp_path / "state")], cwd=ROOT) as process:
        assert process.wait() == 2
        assert f"{tmp_path}/state/lock: Is a directory: check who owns {tmp_path}/state" in process.output
        assert "Traceback" not in process.output


def test_no_room_for_sockets_is_an_error_of_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    state = tmp_path / ("s" * LONGEST_PLACE)
    state.mkdir()
    settings = Settings.model_validate({"services": {"a": BACKENDS}})
    with pytest.raises(StartError, match=r"nowhere/shadow-proxy-.*No such file or directory: check who owns"):
        run(settings, Sources(), state, "shadow-proxy-000000")
