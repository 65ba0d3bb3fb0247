from typing import Any

from proxy.config.models import Mode, Settings
from proxy.control.evidence_store import Published
from proxy.control.label_sets import known
from proxy.control.processes import Process, Processes
from proxy.control.status import service_status, status
from proxy.core.evidence import wilson
from proxy.core.families import (
    BACKEND_DURATION,
    BREAKER_OPENED_AT,
    COMPARISONS,
    DIFFERENCE_PATHS,
    DIFFERENCES,
    DROPPED,
    ENDPOINT_QUARANTINED,
    MIRRORING_SUSPENDED,
    MIRRORS,
    REQUESTS,
    RULE_QUARANTINED,
    WARM_UP_COMPARISONS,
    WARM_UP_LEFT,
    WARM_UP_REQUESTS,
)
from proxy.core.tally import Tally
from proxy.ipc.kill_switch import Pulled
from proxy.ipc.messages import Snapshot
from tests.unit.control.settings import settings


def of_ranker(tally: Tally, mode: Mode = Mode.SHADOW, configured: Settings | None = None) -> dict[str, Any]:
    return service_status("ranker", Snapshot(41, configured or settings(), {"ranker": mode}), tally)


def busy() -> Tally:
    tally = known(settings())
    tally.count(REQUESTS, ("ranker", "score", "v1", "2xx"), 200)
    tally.count(MIRRORS, ("ranker", "score", "mirrored"), 105)
    tally.count(MIRRORS, ("ranker", "score", "method"), 95)
    tally.count(DROPPED, ("ranker", "too_large"), 5)
    for verdict, count in {"match": 90, "tolerated": 5, "mismatch": 4, "candidate_error": 1}.items():
        tally.count(COMPARISONS, ("ranker", "score", verdict), count)
    tally.count(DIFFERENCES, ("ranker", "score", "value"), 9)
    return tally


def test_numbers_of_a_service_are_those_of_its_evidence() -> None:
    found = of_ranker(busy())
    assert found["answers"] == {"v1": 1.0, "v2": 0.0}
    assert (found["requests"], found["compared"], found["mirrored"], found["dropped"]) == (200, 100, 105, 5)
    assert (found["agreement"], found["agreement_raw"], found["coverage"]) == (0.95, 0.9, 0.5)
    assert found["interval"] == wilson(95, 100)
    assert found["not_mirrored"]["method"] == 95
    assert "mirrored" not in found["not_mirrored"]
    assert found["dropped_by"]["too_large"] == 5
    assert found["verdicts"]["mismatch"] == 4
    assert found["differences"]["value"] == 9


def test_without_data_there_are_no_ratios() -> None:
    found = of_ranker(known(settings()))
    assert [found[name] for name in ("agreement", "agreement_raw", "interval", "coverage")] == [None] * 4
    assert found["latency"]["candidate"] == {"p50": None, "p95": None, "p99": None}


def test_top_shows_the_five_differences_that_touch_most_exchanges() -> None:
    tally = Tally()
    for number in range(8):
        tally.count(DIFFERENCE_PATHS, ("ranker", "score", f"$.a{number}", "value"), number)
    tally.count(DIFFERENCE_PATHS, ("search", "score", "$.other", "value"), 99)
    top = of_ranker(tally)["top"]
    assert [row["path"] for row in top] == ["$.a7", "$.a6", "$.a5", "$.a4", "$.a3"]
    assert top[0] == {"endpoint": "score", "path": "$.a7", "kind": "value", "exchanges": 7}


def test_latency_is_in_seconds_by_side_over_all_endpoints() -> None:
    tally = Tally()
    for endpoint, seconds in (("score", 0.010), ("other", 0.030)):
        tally.sketch(BACKEND_DURATION, ("ranker", endpoint, "v1", "primary", "serve")).add(seconds)
        tally.sketch(BACKEND_DURATION, ("ranker", endpoint, "v2", "candidate", "mirror")).add(seconds * 2)
    latency = of_ranker(tally)["latency"]
    assert 0.0099 <= latency["primary"]["p50"] <= 0.0101
    assert 0.0198 <= latency["candidate"]["p50"] <= 0.0202


def test_an_open_breaker_says_in_how_many_workers_and_since_when() -> None:
    tally = busy()
    assert of_ranker(tally)["breaker_open"] is None
    for worker, at in (("worker-0", 1_700_000_060), ("worker-1", 1_700_000_000)):
        tally.gauge(BREAKER_OPENED_AT, ("ranker", "v2", worker), at)
    tally.gauge(BREAKER_OPENED_AT, ("search", "v2", "worker-2"), 1)
    assert of_ranker(tally)["breaker_open"] == {"workers": 2, "since": "2023-11-14T22:13:20Z"}


def test_what_is_in_quarantine_is_named() -> None:
    tally = busy()
    assert of_ranker(tally)["quarantined"] == {"rules": {}, "endpoints": {}}
    for family, service, name in (
        (RULE_QUARANTINED, "ranker", "slow"),
        (RULE_QUARANTINED, "search", "x"),
        (ENDPOINT_QUARANTINED, "ranker", "score"),
    ):
        tally.gauge(family, (service, name), 2.0)
    assert of_ranker(tally)["quarantined"] == {"rules": {"slow": 2}, "endpoints": {"score": 2}}


def test_next_is_a_command_that_leads_on() -> None:
    idle, running = known(settings()), busy()
    assert of_ranker(idle, Mode.PRIMARY)["next"] == "shadow-proxy mode shadow ranker"
    assert of_ranker(idle)["next"] == "curl http://127.0.0.1:8080/"
    assert of_ranker(idle, configured=settings(listen="127.0.0.1:0"))["next"] == "shadow-proxy status ranker --watch"
    assert of_ranker(running)["next"] == "shadow-proxy status ranker --watch"


def test_next_names_a_place_that_can_be_reached() -> None:
    for listen, place in {
        "0.0.0.0:8080": "http://127.0.0.1:8080/",
        "[::]:8080": "http://[::1]:8080/",
        "192.0.2.7:8080": "http://192.0.2.7:8080/",
    }.items():
        configured = settings(listen=listen)
        assert of_ranker(known(settings()), configured=configured)["next"] == f"curl {place}"


def test_next_speaks_tls_where_clients_must() -> None:
    configured = settings(tls={"certificate": "/tls.crt", "key": "/tls.key"})
    assert of_ranker(known(settings()), configured=configured)["next"] == "curl https://127.0.0.1:8080/"


def test_what_clients_suffer_is_counted_by_who_says_it() -> None:
    tally = busy()
    for backend, code, count in (("proxy", "5xx", 7), ("proxy", "4xx", 2), ("v1", "5xx", 3), ("v1", "aborted", 5)):
        tally.count(REQUESTS, ("ranker", "score", backend, code), count)
    tally.count(REQUESTS, ("search", "score", "proxy", "5xx"), 99)
    assert of_ranker(tally)["client_errors"] == {"proxy": 9, "5xx": 3}
    tally.count(REQUESTS, ("ranker", "gone", "v0", "5xx"), 4)
    assert of_ranker(tally)["client_errors"] == {"proxy": 9, "5xx": 7}
    assert of_ranker(Tally())["client_errors"] == {"proxy": 0, "5xx": 0}


def test_a_service_reached_by_host_says_so() -> None:
    snapshot = Snapshot(1, settings("ranker", "search"), {"ranker": Mode.SHADOW, "search": Mode.SHADOW})
    assert (
        service_status("search", snapshot, Tally())["next"] == "curl -H 'Host: search.example' http://127.0.0.1:8080/"
    )


def test_the_whole_answer_names_processes_and_every_service() -> None:
    processes = Processes(1.0, (Process("worker-0", "w1", up=True, restarts=2),))
    snapshot = Snapshot(41, settings("ranker", "search"), {"ranker": Mode.SHADOW, "search": Mode.PRIMARY})
    found = status(snapshot, Published(Tally(), processes), "0.1.0", 12.34, 1)
    assert (found["version"], found["snapshot"], found["fleet"], found["uptime_s"]) == ("0.1.0", 41, "single", 12.3)
    assert found["processes"] == [{"process": "worker-0", "incarnation": "w1", "up": True, "restarts": 2}]
    assert [(one["service"], one["mode"]) for one in found["services"]] == [("ranker", "shadow"), ("search", "primary")]
    assert found["refused_peers"] == 1


def test_workers_that_mirror_nothing_are_named_with_what_they_lack() -> None:
    tally = Tally()
    for cause, holds in {"lag": 0.0, "bugs": 1.0}.items():
        tally.gauge(MIRRORING_SUSPENDED, ("worker-1", cause), holds)
    snapshot = Snapshot(41, settings(), {"ranker": Mode.SHADOW})
    found = status(snapshot, Published(tally, Processes(1.0, ())), "0.1.0", 12.34, 0)
    assert found["suspended"] == [{"process": "worker-1", "cause": "bugs"}]


def test_a_warm_up_is_in_the_counts_but_in_no_ratio() -> None:
    tally = busy()
    tally.count(WARM_UP_REQUESTS, ("ranker", "score", "v1", "2xx"), 150)
    tally.count(WARM_UP_COMPARISONS, ("ranker", "score", "match"), 80)
    for process, left in (("worker-0", 3.0), ("worker-1", 41.26)):
        tally.gauge(WARM_UP_LEFT, ("ranker", process), left)
    found = of_ranker(tally)
    assert (found["requests"], found["verdicts"]["match"]) == (200, 90)
    assert (found["compared"], found["agreement"], found["coverage"]) == (20, 0.75, 0.4)
    assert found["warm_up"]["left_s"] == 41.3
    assert found["warm_up"]["verdicts"] == dict.fromkeys(found["verdicts"], 0) | {"match": 80}


def test_a_pulled_kill_switch_says_what_releases_it() -> None:
    snapshot = Snapshot(41, settings(), {"ranker": Mode.PRIMARY})
    found = status(
        snapshot, Published(Tally(), Processes()), "0.1.0", 1.0, 0, pulled=Pulled("why", "rm /s/kill-switch")
    )
    assert found["kill_switch"] == {"why": "why", "release": "rm /s/kill-switch"}
    assert found["services"][0]["next"] == "rm /s/kill-switch"
