"""The admin port as operators, scripts and attackers meet it."""

import json
import re
import signal
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from proxy.config.sources import Sources
from tests.e2e.control_host import TOKEN, ControlHost
from tests.kit.polling import wait_until
from tests.unit.control.settings import settings

SHADOW, PRIMARY = {"mode": "shadow"}, {"mode": "primary"}
MODE_PATH = "/api/v1/services/ranker/mode"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ControlHost]:
    with ControlHost(tmp_path, settings()) as started:
        yield started


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlHost]:
    with ControlHost(tmp_path_factory.mktemp("control"), settings()) as started:
        yield started


@pytest.fixture
def shared(running: ControlHost) -> ControlHost:
    """A control that many tests ask, in mode shadow when each begins."""
    assert running.change("POST", "/admin/enable-shadow-mode").status == 200
    return running


# What runbooks see


@pytest.mark.parametrize("prefix", ["/admin", "/api/v2/admin", "/api/admin"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_runbook_calls_answer_under_every_prefix(shared: ControlHost, prefix: str, slash: str) -> None:
    assert shared.change("POST", f"{prefix}/flags{slash}", {"shadow_mode": False}).json["message"] == "Flags updated"
    enabled = shared.change("POST", f"{prefix}/enable-shadow-mode{slash}").json
    assert (enabled["message"], enabled["status"]) == ("Shadow mode enabled", "v1 primary with v2 shadows enabled")
    shown = shared.ask("GET", f"{prefix}/flags{slash}").json
    assert enabled.items() >= shown.items()
    assert shown.keys() == {"flags", "migration_status", "services", "snapshot", "kill_switch"}
    assert shown["flags"].keys() >= {"v2_enabled", "v2_primary", "shadow_mode", "v1_deprecated", "migration_logging"}
    assert shown["migration_status"]["phase"] == "PHASE_2_BETA_SHADOW"
    assert shown["services"] == {"ranker": {"mode": "shadow", "weight": 0}}


@pytest.mark.parametrize(
    "body", [{"shadow_mode": False}, {"flags": {"shadow_mode": False}}, {"flag": "shadow_mode", "enabled": False}]
)
def test_a_change_answers_what_was_what_is_and_how_to_go_back(shared: ControlHost, body: dict[str, Any]) -> None:
    done = shared.change("POST", "/admin/flags", {**body, "reason": "v2 is being fixed"}).json
    assert done["changed"] is True
    assert (done["before"]["mode"], done["after"]["mode"]) == ("shadow", "primary")
    assert done["after"]["snapshot"] == done["before"]["snapshot"] + 1 == done["snapshot"]
    assert (done["by"], done["reason"]) == ("admin", "v2 is being fixed")
    assert re.fullmatch(r"a-\d+", done["audit_id"])
    method, path, undo = done["undo"].split(" ", 2)
    assert shared.change(method, path, json.loads(undo)).json["after"]["mode"] == "shadow"


def test_asking_for_the_present_state_is_no_change(shared: ControlHost) -> None:
    done = shared.change("POST", "/admin/enable-shadow-mode").json
    assert (done["changed"], done["audit_id"], done["undo"]) == (False, None, None)


def test_every_undo_leads_back(shared: ControlHost) -> None:
    for body in ({"v2_enabled": False}, {"v2_enabled": True}, {"shadow_mode": True}, {"v2_enabled": False}):
        before = shared.ask("GET", "/admin/flags").json["flags"]
        undo = shared.change("POST", "/admin/flags", body).json["undo"]
        method, path, content = undo.split(" ", 2)
        assert shared.change(method, path, json.loads(content)).status == 200
        assert shared.ask("GET", "/admin/flags").json["flags"] == before
        shared.change("POST", "/admin/flags", body)


# What the native API sees


def test_a_dry_run_says_what_would_be_and_does_nothing(shared: ControlHost) -> None:
    before = shared.change("GET", "/api/v1/audit").json
    said = shared.change("PUT", f"{MODE_PATH}?dry_run=true", PRIMARY).json
    assert (said["dry_run"], said["changed"], said["after"]["mode"], said["audit_id"]) == (True, True, "primary", None)
    assert shared.mode() == "shadow"
    assert shared.change("GET", "/api/v1/audit").json == before


@pytest.mark.parametrize(
    ("method", "path", "body", "would"),
    [
        ("PUT", MODE_PATH, PRIMARY, "take ranker from mode shadow to mode primary"),
        ("POST", "/admin/flags", {"shadow_mode": False}, "take ranker from mode shadow to mode primary"),
        (
            "POST",
            "/admin/flags",
            {"v2_enabled": False},
            "take ranker from mode shadow to mode primary, latched",
        ),
        ("POST", "/admin/enable-shadow-mode", None, "leave ranker in mode shadow"),
    ],
)
def test_a_dry_run_never_claims_to_have_acted(
    shared: ControlHost, method: str, path: str, body: object, would: str
) -> None:
    said = shared.change(method, f"{path}?dry_run=true", body).json
    assert said["message"] == f"Dry run: nothing changed; would {would}"
    assert "status" not in said
    assert shared.mode() == "shadow"


def test_a_stale_snapshot_stops_a_bolder_change_and_never_a_rollback(shared: ControlHost) -> None:
    assert shared.change("PUT", MODE_PATH, PRIMARY, If_Match='"999"').status == 200
    stale = shared.change("PUT", MODE_PATH, SHADOW, If_Match='"999"')
    assert (stale.status, shared.mode()) == (412, "primary")
    present = shared.ask("GET", "/api/v1/status").json["snapshot"]
    assert shared.change("PUT", MODE_PATH, SHADOW, If_Match=f'"{present}"').status == 200


def test_with_several_services_one_must_be_named(tmp_path: Path) -> None:
    with ControlHost(tmp_path, settings("ranker", "search")) as host:
        unclear = host.change("POST", "/admin/flags", {"shadow_mode": False})
        assert (unclear.status, unclear.json["detail"]) == (422, "Say which service: ranker, search.")
        by_query = host.change("POST", "/admin/flags?service=search", {"shadow_mode": False})
        assert by_query.json["services"] == {
            "ranker": {"mode": "shadow", "weight": 0},
            "search": {"mode": "primary", "weight": 0},
        }
        assert '"service":"search"' in by_query.json["undo"]
        assert host.change("POST", "/admin/flags", {"shadow_mode": True, "service": "search"}).json["changed"]
        unknown = host.change("POST", "/admin/enable-shadow-mode", {"service": "rnker"})
        assert (unknown.status, unknown.json["hint"]) == (404, 'did you mean "ranker"?')


def test_the_default_service_is_meant_when_none_is_named(tmp_path: Path) -> None:
    with ControlHost(tmp_path, settings("ranker", "search", default_service="search")) as host:
        assert (
            host.change("POST", "/admin/flags", {"shadow_mode": False}).json["migration_status"]["service"] == "search"
        )


# Refusals: nothing is applied, and the answer says why

REFUSED: dict[str, tuple[str, str, Any, int]] = {
    "not json": ("POST", "/admin/flags", b"{shadow_mode", 400),
    "nan": ("POST", "/admin/flags", b'{"percentage": NaN}', 400),
    "not an object": ("POST", "/admin/flags", b"[1]", 422),
    "deep": ("POST", "/admin/flags", b'{"a":' * 5000 + b"1" + b"}" * 5000, 400),
    "gzip": ("POST", "/admin/flags", b"\x1f\x8b\x08\x00", 400),
    "empty": ("POST", "/admin/flags", None, 422),
    "too large": ("POST", "/admin/flags", b" " * ((1 << 20) + 1), 413),
    "wrong type": ("POST", "/admin/flags", {"shadow_mode": "false"}, 422),
    "unknown flag": ("POST", "/admin/flags", {"shadow_mode": False, "nope": True}, 422),
    "contradiction": ("POST", "/admin/flags", {"v2_enabled": False, "shadow_mode": True}, 422),
    "later mode": ("POST", "/admin/flags", {"shadow_mode": False, "v2_primary": True}, 409),
    "share": ("POST", "/admin/enable-shadow-mode", {"share": 0.5}, 409),
    "unknown key": ("POST", "/admin/enable-shadow-mode", {"shadow": True}, 422),
    "reason": ("PUT", MODE_PATH, {"mode": "primary", "reason": "x" * 501}, 422),
    "mode": ("PUT", MODE_PATH, {"mode": "loud"}, 422),
    "no mode": ("PUT", MODE_PATH, {}, 422),
    "canary": ("PUT", MODE_PATH, {"mode": "canary"}, 409),
    "dry run": ("PUT", f"{MODE_PATH}?dry_run=perhaps", PRIMARY, 422),
    "no service": ("PUT", "/api/v1/services/nope/mode", PRIMARY, 404),
    "list of services": ("POST", "/admin/flags", {"service": [], "shadow_mode": False}, 422),
    "service of parts": ("POST", "/admin/enable-shadow-mode", {"service": {}}, 422),
    "list in the query's place": ("POST", "/admin/flags?service=ranker", {"service": ["ranker"]}, 422),
    "two services": ("POST", "/admin/flags?service=ranker", {"service": "x", "shadow_mode": False}, 422),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_as_a_whole(shared: ControlHost, case: str) -> None:
    method, path, body, status = REFUSED[case]
    refused = shared.change(method, path, body)
    assert refused.status == status
    assert refused.fields["Content-Type"] == "application/problem+json"
    assert refused.json.keys() >= {"type", "title", "status", "detail"}
    assert shared.mode() == "shadow"
    newest, *_ = shared.change("GET", "/api/v1/audit").json["audit"]
    assert newest["result"].startswith(f"{status} ")


def test_a_get_changes_nothing(shared: ControlHost) -> None:
    for path, allow in {"/admin/enable-shadow-mode": "POST", MODE_PATH: "PUT"}.items():
        refused = shared.change("GET", path)
        assert (refused.status, refused.fields["Allow"]) == (405, allow)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 9000 + b"\r\n\r\n", 431),
        (b"GET /" + b"y" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 100 + b"\r\n", 400),
        (b"\x16\x03\x01 not http at all\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /admin/../healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"OPTIONS /admin/flags HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
    ],
    ids=["field", "line", "fields", "tls", "no host", "absolute", "dots", "options *", "options", "two hosts"],
)
def test_bytes_that_are_no_decent_request_get_a_short_answer(shared: ControlHost, sent: bytes, status: int) -> None:
    answer = shared.send(sent)
    assert answer.status == status
    assert answer.fields["Content-Type"] == "application/problem+json"
    said = f"{answer.fields}{answer.body!r}"
    assert "yyyy" not in said
    assert not re.search(r"aiohttp|python|traceback|\.py", said, re.IGNORECASE)
    assert shared.ask("GET", "/healthz").status == 200


# Who may ask


def test_a_change_needs_the_token_and_a_refused_attempt_is_audited(host: ControlHost) -> None:
    missing, wrong = host.ask("PUT", MODE_PATH, PRIMARY), host.ask("PUT", MODE_PATH, PRIMARY, token="guess")
    assert (missing.status, wrong.status) == (401, 401)
    assert missing.body == wrong.body
    assert missing.fields["WWW-Authenticate"] == "Bearer"
    assert host.mode() == "shadow"
    rows = host.change("GET", "/api/v1/audit").json["audit"]
    assert [(row["result"], row["by"], row["service"]) for row in rows] == [("401 unauthorized", "", "ranker")] * 2


def test_guesses_are_throttled_and_the_right_token_is_not(host: ControlHost) -> None:
    statuses = [host.ask("POST", "/admin/flags", SHADOW, token=f"guess {n}").status for n in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert host.change("POST", "/admin/flags", {"v2_enabled": False}).status == 200


def test_reads_are_open_on_loopback_and_stored_rows_are_not(shared: ControlHost) -> None:
    for path in ("/admin/flags", "/api/v1/status", "/api/v1/services/ranker", "/metrics", "/healthz"):
        assert shared.ask("GET", path).status == 200
    assert shared.ask("GET", "/api/v1/audit").status == 401


@pytest.mark.parametrize("open_metrics", [False, True])
def test_on_other_binds_all_but_health_needs_the_token(tmp_path: Path, *, open_metrics: bool) -> None:
    configured = settings(admin={"open_metrics": open_metrics})
    with ControlHost(tmp_path, configured, bind="0.0.0.0") as host:
        for path in ("/admin/flags", "/api/v1/status", "/api/v1/services/ranker", "/api/v1/audit"):
            assert host.ask("GET", path).status == 401
            assert host.change("GET", path).status == 200
        assert host.ask("GET", "/metrics").status == (200 if open_metrics else 401)
        assert host.ask("GET", "/healthz").status == 200


# Reading the configuration again


RELOAD = "/api/v1/config/reload"


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[tuple[ControlHost, Path]]:
    """A control whose configuration is a file."""
    file = tmp_path / "shadow-proxy.yaml"
    file.write_text(json.dumps(settings().model_dump(mode="json")))
    with ControlHost(tmp_path, settings(), sources=Sources(file)) as started:
        yield started, file


def test_a_reload_reaches_every_peer_as_one_snapshot(configured: tuple[ControlHost, Path]) -> None:
    host, file = configured
    worker = host.connect()
    before = worker.snapshot()
    file.write_text(json.dumps(settings("ranker", "search").model_dump(mode="json")))
    done = host.change("POST", RELOAD, {"reason": "one more"}).json
    after = worker.snapshot()
    assert done["after"]["snapshot"] == after.version == after.configuration == before.version + 1
    assert after.settings == settings("ranker", "search")
    assert done["settings"] == ["services.ranker", "services.search"]
    assert host.ask("GET", "/api/v1/services/search").json["mode"] == "shadow"
    assert host.change("POST", "/admin/flags?service=search", {"v2_enabled": False}).json["changed"]
    assert worker.snapshot().modes["search"] == "primary"


def test_the_same_configuration_is_a_snapshot_that_changes_nothing(configured: tuple[ControlHost, Path]) -> None:
    host, _ = configured
    done = host.change("POST", RELOAD).json
    assert (done["changed"], done["settings"], done["undo"]) == (False, [], None)
    assert done["after"]["snapshot"] == done["before"]["snapshot"] + 1


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("services: [", "2:1"),
        ("&a services: *a", "1:1"),
        ("services: !!python/object:os.system {}", "1:11"),
        ("#" * ((1 << 20) + 1), ""),
    ],
    ids=["YAML", "anchor", "tag", "over 1 MiB"],
)
def test_what_cannot_be_read_is_refused_whole(configured: tuple[ControlHost, Path], content: str, where: str) -> None:
    host, file = configured
    file.write_text(content)
    refused = host.change("POST", RELOAD)
    assert (refused.status, refused.json["type"]) == (422, "/problems/config-refused")
    assert refused.json["errors"][0]["place"].startswith(f"{file}:{where}" if where else str(file))
    said = host.ask("GET", "/api/v1/status").json
    assert (said["snapshot"], said["configuration"]["in_force"]) == (1, False)
    newest = host.ask("GET", "/api/v1/audit", token=TOKEN).json["audit"][0]
    assert (newest["route"], newest["result"]) == (f"POST {RELOAD}", "422 config-refused")


def test_a_reload_that_asks_for_more_or_comes_late_is_refused(configured: tuple[ControlHost, Path]) -> None:
    host, _ = configured
    assert host.change("POST", RELOAD, {"file": "/etc/passwd"}).status == 422
    assert host.change("POST", RELOAD, If_Match='"7"').status == 412
    assert host.change("POST", RELOAD, If_Match='"1"').json["after"] == {"snapshot": 2}
    assert host.ask("POST", RELOAD).status == 401


def read_at(host: ControlHost) -> str:
    return str(host.ask("GET", "/api/v1/status").json["configuration"]["read_at"])


def is_read_since(host: ControlHost, before: str) -> bool:
    return read_at(host) != before


def test_a_signal_is_in_the_audit_log_whatever_came_of_it(configured: tuple[ControlHost, Path]) -> None:
    host, file = configured
    good = file.read_text()
    for content in ("wrokers: 1", good):
        file.write_text(content)
        before = read_at(host)
        host.process.send_signal(signal.SIGHUP)
        wait_until(partial(is_read_since, host, before), "the configuration to be read")

    def rows() -> list[tuple[str, str, str]]:
        found = host.ask("GET", "/api/v1/audit", token=TOKEN).json["audit"]
        return [(row["by"], row["route"], row["result"]) for row in reversed(found)]

    refused = ("signal", "SIGHUP", "refused: 2 errors")
    wait_until(lambda: rows() == [refused, ("signal", "SIGHUP", "applied")], "both rows")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
    ],
    ids=str,
)
def test_pages_of_others_and_rebound_names_are_refused_with_a_valid_token(
    shared: ControlHost, fields: dict[str, str], status: int
) -> None:
    assert shared.change("PUT", MODE_PATH, PRIMARY, **fields).status == status
    assert shared.ask("GET", "/metrics", **fields).status == status
    assert shared.mode() == ("primary" if status == 200 else "shadow")


def test_names_in_admin_hosts_are_ours(tmp_path: Path) -> None:
    with ControlHost(tmp_path, settings(admin={"hosts": ["proxy.example"]})) as host:
        assert host.ask("GET", "/healthz", Host="proxy.example:8081").status == 200


def test_without_a_usable_token_nothing_can_be_changed(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("world-readable\n")
    (tmp_path / "token").chmod(0o644)
    configured = settings(admin={"token_file": str(tmp_path / "token")})
    with ControlHost(tmp_path, configured, environment={}) as host:
        assert host.ask("PUT", MODE_PATH, PRIMARY, token="world-readable").status == 401
        assert "nothing can be changed" in host.log
        assert "world-readable" not in host.log


def test_no_answer_and_no_log_line_holds_the_token(host: ControlHost) -> None:
    host.change("PUT", MODE_PATH, PRIMARY)
    seen = host.log + host.metrics() + host.change("GET", "/api/v1/audit").body.decode()
    assert TOKEN not in seen
    assert TOKEN.encode() not in b"".join(path.read_bytes() for path in host.state_dir.iterdir())


def test_idle_connections_never_keep_an_operator_out(host: ControlHost) -> None:
    held = [socket.create_connection(("127.0.0.1", host.port), 10) for _ in range(40)]
    try:
        assert host.change("POST", "/admin/flags", {"v2_enabled": False}).status == 200
        assert host.mode() == "primary"
    finally:
        for connection in held:
            connection.close()
