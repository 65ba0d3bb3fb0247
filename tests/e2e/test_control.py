"""The control process as its peers and operators meet it: over its sockets, killed and started again."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.config.models import Mode, Settings
from proxy.core.families import COMPARISONS, DROPPED, GREETINGS, MIRRORS, PAIRS_JUDGED, PAIRS_OFFERED, REQUESTS
from proxy.core.tally import Tally
from tests.e2e.control_host import TIMEOUT_S, ControlHost, backend
from tests.kit.metrics import assert_identities, parse
from tests.kit.polling import wait_until
from tests.kit.ports import refusing_port
from tests.unit.control.settings import service, settings

SHADOW, PRIMARY = {"mode": "shadow"}, {"mode": "primary"}
MODE_PATH = "/api/v1/services/ranker/mode"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ControlHost]:
    with ControlHost(tmp_path, settings()) as started:
        yield started


def worker_tally(requests: int, *, judge: str = "j1") -> Tally:
    tally = Tally()
    tally.count(REQUESTS, ("ranker", "score", "v1", "2xx"), requests)
    tally.count(MIRRORS, ("ranker", "score", "mirrored"), requests)
    tally.count(PAIRS_OFFERED, ("ranker", judge), requests)
    return tally


def judge_tally(**verdicts: int) -> Tally:
    tally = Tally()
    tally.count(GREETINGS, ("worker-0", "w1"))
    for verdict, count in verdicts.items():
        tally.count(COMPARISONS, ("ranker", "score", verdict), count)
        tally.count(PAIRS_JUDGED, ("ranker", "score", "v1", "2xx", "w1"), count)
    return tally


def wait_for_total(host: ControlHost, wanted: float, name: str = "shadow_requests_total", **labels: str) -> None:
    wait_until(lambda: parse(host.metrics()).total(name, **labels) == wanted, f"{name} {labels} = {wanted}")


# What peers see


def test_a_worker_s_hello_is_answered_with_the_snapshot_and_every_change_is_pushed(host: ControlHost) -> None:
    worker, other = host.connect("worker-0", "w1"), host.connect("worker-1", "w2")
    first = worker.snapshot()
    assert first.modes == {"ranker": Mode.SHADOW}
    assert first.settings == host.settings
    assert other.snapshot() == first
    assert host.change("PUT", MODE_PATH, PRIMARY).status == 200
    for peer in (worker, other):
        pushed = peer.snapshot()
        assert pushed.modes == {"ranker": Mode.PRIMARY}
        assert pushed.version == first.version + 1


def test_a_peer_that_sends_garbage_harms_nobody(host: ControlHost) -> None:
    worker, mad = host.connect(), host.connect("judge-0", "j1")
    mad.send(b"\xff" * 100)
    assert mad.is_hung_up_on()
    assert host.ask("GET", "/api/v1/status").json["refused_peers"] == 1
    assert worker.snapshot()
    worker.report(worker_tally(3))
    wait_for_total(host, 3)


def test_reports_become_metrics_and_status(host: ControlHost) -> None:
    host.supervise(worker_0=True, judge_0=False)
    worker, judge = host.connect("worker-0", "w1"), host.connect("judge-0", "j1")
    worker.report(worker_tally(10))
    judge.report(judge_tally(match=9, mismatch=1))
    wait_for_total(host, 10, "shadow_comparisons_total")
    wait_for_total(host, 10)
    assert_identities(host.metrics())
    status = host.ask("GET", "/api/v1/status").json
    (ranker,) = status["services"]
    assert (ranker["requests"], ranker["compared"], ranker["agreement"], ranker["coverage"]) == (10, 10, 0.9, 1.0)
    assert [(one["process"], one["up"]) for one in status["processes"]] == [("worker-0", True), ("judge-0", False)]
    assert host.ask("GET", "/api/v1/services/ranker").json == ranker
    assert parse(host.metrics()).total("shadow_process_up") == 1


def test_drops_of_a_worker_are_shown_by_reason(host: ControlHost) -> None:
    tally = worker_tally(0)
    tally.count(DROPPED, ("ranker", "too_large"), 4)
    host.connect().report(tally)
    wait_for_total(host, 4, "shadow_dropped_total", reason="too_large")
    (ranker,) = host.ask("GET", "/api/v1/status").json["services"]
    assert (ranker["dropped"], ranker["dropped_by"]["too_large"]) == (4, 4)


# Killed and started again


@pytest.mark.parametrize(
    ("before", "call", "after"),
    [
        ("shadow", ("PUT", MODE_PATH, PRIMARY), "primary"),
        ("primary", ("PUT", MODE_PATH, SHADOW), "shadow"),
        ("primary", ("POST", "/admin/enable-shadow-mode", None), "shadow"),
        ("shadow", ("POST", "/admin/flags", {"v2_enabled": False}), "primary"),
    ],
)
def test_a_kill_right_after_the_answer_loses_no_change(
    tmp_path: Path, before: str, call: tuple[str, str, Any], after: str
) -> None:
    with ControlHost(tmp_path, settings(mode=before)) as host:
        answer = host.change(*call)
        host.kill()
        assert answer.status == 200
        host.start()
        assert host.mode() == after
        assert host.connect().snapshot().modes == {"ranker": Mode(after)}
        (row,) = host.change("GET", "/api/v1/audit").json["audit"]
        assert row["audit_id"] == answer.json["audit_id"]
        assert row["after"]["mode"] == after


def test_a_latched_service_stays_so_over_a_restart_of_everything(tmp_path: Path) -> None:
    with ControlHost(tmp_path, settings()) as host:
        assert host.change("POST", "/admin/flags", {"v2_enabled": False}).status == 200
        assert host.stop() == 0
        host.run = "run-2"
        host.start()
        flags = host.ask("GET", "/admin/flags").json["flags"]
        assert (flags["mode"], flags["v2_enabled"], flags["latched"]) == ("primary", False, True)


def test_counters_shown_never_go_back_when_control_is_killed(host: ControlHost) -> None:
    worker = host.connect()
    for requests in (5, 50):
        worker.report(worker_tally(requests))
        wait_for_total(host, requests)
    host.kill()
    host.start()
    assert parse(host.metrics()).total("shadow_requests_total") == 50
    again = host.connect()
    again.report(worker_tally(60))
    wait_for_total(host, 60)


def test_counters_go_on_in_the_next_run_and_what_was_under_way_is_accounted_for(host: ControlHost) -> None:
    worker, judge = host.connect("worker-0", "w1"), host.connect("judge-0", "j1")
    worker.report(worker_tally(10))
    judge.report(judge_tally(match=8))
    wait_for_total(host, 8, "shadow_comparisons_total")
    wait_for_total(host, 10)
    worker.close()
    judge.close()
    assert host.stop() == 0
    for run in ("run-2", "run-3"):
        host.run = run
        host.start()
        assert parse(host.metrics()).total("shadow_dropped_total", reason="judge_lost") == 2
        assert_identities(host.metrics())
        assert host.stop() == 0


def test_the_last_reports_are_kept_when_control_is_told_to_end(host: ControlHost) -> None:
    worker = host.connect()
    worker.snapshot()
    worker.report(worker_tally(7))
    host.process.send_signal(signal.SIGTERM)
    worker.report(worker_tally(9))
    worker.close()
    assert host.process.wait(10) == 0
    host.start()
    assert parse(host.metrics()).total("shadow_requests_total") == 9


def test_it_ends_with_its_supervisor(host: ControlHost) -> None:
    host.supervisor_dies()
    assert host.process.wait(TIMEOUT_S) == 0
    assert "the supervisor is gone" in host.log


def test_without_its_supervisor_it_hears_its_workers_to_their_end(host: ControlHost) -> None:
    worker = host.connect()
    worker.snapshot()
    host.supervisor_dies()
    for requests in (7, 9):
        worker.report(worker_tally(requests))
        wait_for_total(host, requests)
    worker.close()
    assert host.process.wait(TIMEOUT_S) == 0


def test_without_its_supervisor_it_still_ends_when_told_to(host: ControlHost) -> None:
    host.connect().snapshot()
    host.supervisor_dies()
    wait_until(lambda: "the supervisor is gone" in host.log, "it to notice")
    assert host.stop() == 0


def test_the_signal_meant_for_the_terminal_is_ignored(host: ControlHost) -> None:
    host.process.send_signal(signal.SIGINT)
    assert host.ask("GET", "/healthz").body == b"ok\n"


# Health and readiness


def of(primary: int, candidate: int, **more: Any) -> Settings:
    body = service(primary=f"http://127.0.0.1:{primary}")
    body["candidate"]["url"] = f"http://127.0.0.1:{candidate}"
    return Settings.model_validate({"services": {"ranker": body}, **more})


def test_readiness_needs_a_worker_and_the_primary_and_never_the_candidate(tmp_path: Path) -> None:
    with backend() as primary, refusing_port() as candidate, ControlHost(tmp_path, of(primary, candidate)) as host:
        waiting = host.ask("GET", "/readyz")
        assert (waiting.status, waiting.json["errors"]) == (503, [{"process": "worker", "why": "none is connected"}])
        host.connect().snapshot()
        assert host.ask("GET", "/readyz").json == {"ready": True}
        wait_until(lambda: "candidate is down" in host.log, "the warning")


def test_a_primary_that_is_down_is_named(tmp_path: Path) -> None:
    with refusing_port() as primary, ControlHost(tmp_path, of(primary, 1)) as host:
        host.connect().snapshot()
        errors = host.ask("GET", "/readyz").json["errors"]
        assert errors == [{"service": "ranker", "primary": "v1", "why": "connection refused"}]
        assert host.ask("GET", "/healthz").status == 200
        wait_until(lambda: "clients of ranker get 502" in host.log, "the warning")


# Its log


def test_log_lines_are_json_when_asked_for(tmp_path: Path) -> None:
    with ControlHost(tmp_path, settings(log_format="json")) as host:
        host.change("PUT", MODE_PATH, PRIMARY)
        lines = [json.loads(line) for line in host.log.splitlines()]
        changed = next(line for line in lines if line["event"] == "changed")
        assert (changed["process"], changed["service"], changed["before"], changed["after"]) == (
            "control",
            "ranker",
            "shadow",
            "primary",
        )
        assert {"timestamp", "level"} <= changed.keys()
