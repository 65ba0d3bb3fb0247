import json
from typing import Any

import pytest

from proxy.cli.main import main
from tests.unit.cli.statuses import BUSY, status
from tests.unit.cli.stub_admin import StubAdmin

MODE = "/api/v1/services/ranker/mode"


def changed(before: str, after: str) -> dict[str, Any]:
    return {
        "changed": before != after,
        "before": {"mode": before, "weight": 0, "snapshot": 40},
        "after": {"mode": after, "weight": 0, "snapshot": 41},
        "by": "admin",
        "reason": "",
        "audit_id": "a-91",
        "undo": "POST /admin/flags",
    }


@pytest.fixture(autouse=True)
def one_service(admin: StubAdmin, monkeypatch: pytest.MonkeyPatch) -> None:
    admin.say("GET", "/api/v1/status", status(BUSY))
    admin.say("PUT", MODE, changed("shadow", "primary"))
    monkeypatch.setenv("SHADOW_PROXY_ADMIN_TOKEN", "sesame")


def test_a_change_says_before_after_and_undo(admin: StubAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mode", "primary", "ranker", "--reason", "v2 is down", "--admin", admin.url]) == 0
    assert capsys.readouterr().out == (
        "ranker   shadow → primary   audit a-91\n"
        " the primary answers every client; nothing is mirrored\n"
        f"Undo: shadow-proxy mode shadow ranker --admin {admin.url}\n"
    )
    (asked,) = admin.asked
    assert (asked.method, asked.target, asked.authorization) == ("PUT", MODE, "Bearer sesame")
    assert asked.body == {"mode": "primary", "reason": "v2 is down"}


def test_an_undo_that_the_kill_switch_forbids_says_so(admin: StubAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    pulled = {"why": "the kill switch is pulled", "release": "rm /state/kill-switch"}
    admin.say("PUT", MODE, {**changed("shadow", "primary"), "kill_switch": pulled})
    assert main(["mode", "primary", "ranker", "--admin", admin.url]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        f"Undo: shadow-proxy mode shadow ranker --admin {admin.url}",
        "      but first rm /state/kill-switch: the kill switch is pulled",
    ]


def test_the_only_service_need_not_be_named(admin: StubAdmin) -> None:
    assert main(["mode", "primary", "--admin", admin.url]) == 0
    assert [asked.target for asked in admin.asked] == ["/api/v1/status", MODE]


def test_of_several_services_one_must_be_named(admin: StubAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    admin.say("GET", "/api/v1/status", status(BUSY, {**BUSY, "service": "users"}))
    assert main(["mode", "primary", "--admin", admin.url]) == 2
    assert "name one of ranker, users" in capsys.readouterr().err


def test_a_dry_run_asks_for_one_and_says_so(admin: StubAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    admin.say("PUT", f"{MODE}?dry_run=true", changed("shadow", "primary"))
    assert main(["mode", "primary", "ranker", "-n", "--admin", admin.url]) == 0
    assert capsys.readouterr().out.startswith("ranker   shadow → primary (dry run: nothing changed)\n")


def test_the_present_mode_is_no_change(admin: StubAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    admin.say("PUT", MODE, changed("primary", "primary"))
    assert main(["mode", "primary", "ranker", "--admin", admin.url]) == 0
    assert capsys.readouterr().out == "ranker   is primary already: nothing changed\n"


def test_json_is_what_the_proxy_said(admin: StubAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mode", "primary", "ranker", "--json", "--admin", admin.url]) == 0
    assert json.loads(capsys.readouterr().out) == changed("shadow", "primary")


@pytest.mark.parametrize("said", [{}, {"before": 1, "after": 2}, {"before": {}, "after": {}}, [], 5], ids=repr)
def test_json_that_is_no_change_is_exit_3(admin: StubAdmin, capsys: pytest.CaptureFixture[str], said: Any) -> None:
    admin.say("PUT", MODE, json.dumps(said))
    assert main(["mode", "primary", "ranker", "--admin", admin.url]) == 3
    assert "Next: check --admin" in capsys.readouterr().err


def test_a_name_is_one_path_segment(admin: StubAdmin) -> None:
    main(["mode", "primary", "../x", "--admin", admin.url])
    assert [asked.target for asked in admin.asked] == ["/api/v1/services/..%2Fx/mode"]


@pytest.mark.parametrize("status_code", [401, 403, 409, 412, 422, 503])
def test_a_refusal_is_exit_4_with_its_reason_and_advice(
    admin: StubAdmin, capsys: pytest.CaptureFixture[str], status_code: int
) -> None:
    problem = {
        "type": "/problems/latched",
        "title": "Latched",
        "status": status_code,
        "detail": "v2 is latched off",
        "errors": [{"gate": "agreement", "state": "wait"}],
        "hint": "re-arm first",
    }
    admin.say("PUT", MODE, problem, status_code)
    assert main(["mode", "shadow", "ranker", "--admin", admin.url]) == 4
    said = capsys.readouterr().err
    assert said.startswith("shadow-proxy mode: Latched: v2 is latched off\n  gate agreement  state wait")
    assert ("--token-file" if status_code == 401 else "Next: re-arm first") in said


@pytest.mark.parametrize(
    ("mode", "message"),
    [("canary", "canary is reached by a rollout"), ("shadwo", 'no mode shadwo, did you mean "shadow"?')],
)
def test_other_modes_are_refused_before_anybody_is_asked(
    admin: StubAdmin, capsys: pytest.CaptureFixture[str], mode: str, message: str
) -> None:
    assert main(["mode", mode, "--admin", admin.url]) == 2
    assert message in capsys.readouterr().err
    assert admin.asked == []


def test_who_cannot_reach_the_admin_port_hears_of_the_kill_switch(capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--admin", "http://127.0.0.1:1"]
    assert main(["mode", "primary", "ranker", *place]) == 3
    assert "kill-switch" in capsys.readouterr().err
    assert main(["mode", "shadow", "ranker", *place]) == 3
    assert "kill-switch" not in capsys.readouterr().err
