from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cli.standing import following, killed, processes_down, standing, workers_suspended
from proxy.core.reasons import Suspension
from tests.unit.cli.statuses import BUSY, QUIET, status


def shown(service: dict[str, Any], width: int = 80) -> str:
    return "\n".join(line.plain for line in standing(status(service), service, width))


def test_a_busy_service() -> None:
    assert (
        shown(BUSY)
        == """\
ranker   SHADOW   clients: v1 100 %   up 4m
 agreement    98.60 %  (98.24 to 98.89; raw 91.00)   coverage 97.00 %
 compared     5,010   4,559 match, 381 tolerated, 69 mismatch, 1 candidate_error
 mirrored     5,012 of 5,165 requests   not: 150 method, 3 not_sampled
 dropped      2   2 judge_full
 latency               p50         p95         p99
   v1              38.1 ms     40.2 ms     41.0 ms
   v2              36.2 ms     41.0 ms     44.0 ms
   v2 ÷ v1            0.95        1.02        1.07
 differences  61 status, 9 value   most exchanges first:
  61  item   status  status
   9  score  value   $.scores[*].parts[*].weight"""
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "no requests so far"),
        ({"mode": "primary"}, "mirroring is off"),
        ({"requests": 1, "not_mirrored": {"method": 1}}, "1 request, none mirrored"),
        ({"requests": 9, "mirrored": 9}, "9 requests mirrored, answers under way"),
        ({"requests": 9, "mirrored": 9, "dropped": 9}, "9 requests mirrored, 9 dropped"),
        (
            {"requests": 9, "mirrored": 9, "verdicts": {"both_error": 8, "primary_error": 1, "match": 0}},
            "the primary answered with errors only (8 both_error, 1 primary_error)",
        ),
        (
            {"requests": 9, "mirrored": 9, "verdicts": {"both_error": 8, "incomparable": 1}},
            "answers came, none comparable (8 both_error, 1 incomparable)",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nothing_compared_is_a_sentence_that_says_why(changes: dict[str, Any], why: str) -> None:
    text = shown({**QUIET, **changes})
    assert f" agreement    nothing compared yet: {why}" in text.splitlines()
    assert "coverage" not in text


def test_requests_that_may_not_be_sent_twice_come_with_advice() -> None:
    text = shown({**QUIET, "requests": 3, "not_mirrored": {"method": 3}})
    assert "mark an endpoint read_only" in text


@pytest.mark.parametrize(
    ("errors", "row"),
    [
        (
            {"proxy": 2, "5xx": 1},
            " client errors  3   (2 answered by the proxy: the primary did not answer; 1 5xx of v1)",
        ),
        ({"proxy": 0, "5xx": 1200}, " client errors  1,200   (1,200 5xx of v1)"),
    ],
    ids=["both", "one"],
)
def test_errors_that_clients_saw_are_said(errors: dict[str, int], row: str) -> None:
    assert row in shown({**BUSY, "client_errors": errors}).splitlines()


@pytest.mark.parametrize("said", [{}, {"client_errors": {"proxy": 0, "5xx": 0}}], ids=["absent", "none"])
def test_without_such_errors_there_is_no_row(said: dict[str, Any]) -> None:
    assert "client errors" not in shown({**BUSY, **said})


def test_what_to_do_next_leads_to_the_same_proxy_if_it_is_a_command_of_ours() -> None:
    place = " --admin http://a:1 --token-file /t"
    assert following(status(), [BUSY], place) == f"shadow-proxy status ranker --watch{place}"
    assert following(status(), [QUIET], place) == "curl http://127.0.0.1:8080/"
    assert following(status(), [], place) == f"shadow-proxy status --watch{place}"


def test_an_unknown_latency_is_a_dash_and_has_no_ratio() -> None:
    text = shown({**BUSY, "latency": {"primary": {"p50": 0.001}, "candidate": {}}})
    assert "   v1               1.0 ms           –           –" in text
    assert "   v2                    –           –           –" in text
    assert "÷" not in text


def test_long_paths_are_cut_to_the_width() -> None:
    top = [{"endpoint": "e" * 60, "path": "$." + "p" * 100, "kind": "value", "exchanges": 1}]
    assert max(map(len, shown({**BUSY, "top": top}).splitlines())) <= 80


def test_a_process_that_is_down_is_said() -> None:
    said = {**status(), "processes": [{"process": "judge-0", "up": False}, {"process": "worker-0", "up": True}]}
    assert [line.plain for line in processes_down(said)] == ["judge-0 is down: the supervisor restarts it"]


def test_an_open_breaker_stands_below_what_it_drops() -> None:
    text = shown({**BUSY, "breaker_open": {"workers": 1, "since": "2023-11-14T22:13:20Z"}}).splitlines()
    dropped = next(number for number, line in enumerate(text) if line.startswith(" dropped"))
    assert text[dropped + 1] == " breaker      open since 2023-11-14T22:13:20Z: the candidate gives no answers"
    assert "breaker" not in shown({**BUSY, "breaker_open": None})


def test_what_is_in_quarantine_is_named() -> None:
    text = shown({**BUSY, "quarantined": {"rules": {"slow": 1}, "endpoints": {"e" * 63: 1}}}).splitlines()
    at = text.index(" left out     rule slow in 1 of 1 judge")
    assert text[at + 2] == " " * 14 + "three comparisons took too long, or crashed; see the log"
    assert max(map(len, text)) <= 80
    assert not any("left out" in line for line in shown(BUSY).splitlines())


@pytest.mark.parametrize("cause", [*Suspension, "something newer"])
def test_a_worker_that_mirrors_nothing_says_why(cause: str) -> None:
    said = {**status(BUSY), "suspended": [{"process": "worker-0", "cause": cause}]}
    (line,) = [line.plain for line in workers_suspended(said)]
    assert line.startswith("worker-0 mirrors nothing: ")
    assert line.endswith(cause) == (cause == "something newer")


@given(
    agreed=st.integers(0, 10**6),
    disagreed=st.integers(1, 10**6),
)
def test_a_single_disagreement_never_reads_100(agreed: int, disagreed: int) -> None:
    compared = agreed + disagreed
    text = shown({**BUSY, "compared": compared, "agreement": agreed / compared, "interval": None, "coverage": None})
    assert "100.00 %" not in text


WARM_UP = {"left_s": 42.3, "verdicts": {"match": 1200, "mismatch": 34}}


def test_what_is_compared_while_a_side_may_be_cold_is_no_agreement() -> None:
    verdicts = {"requests": 2000, "mirrored": 1234, "verdicts": WARM_UP["verdicts"]}
    lines = shown({**QUIET, **verdicts, "warm_up": WARM_UP}).splitlines()
    assert " agreement    warming up: 43 s left; 1,234 compared in it do not count" in lines
    over = shown({**QUIET, **verdicts, "warm_up": {**WARM_UP, "left_s": 0.0}}).splitlines()
    assert " agreement    nothing compared yet: the 1,234 verdicts of the warm-up do not count" in over


def test_earlier_evidence_is_shown_beside_a_warm_up() -> None:
    warm_up = {"left_s": 42.3, "verdicts": {"match": 559}}
    lines = shown({**BUSY, "warm_up": warm_up}).splitlines()
    assert " compared     5,010   4,000 match, 381 tolerated, 69 mismatch, 1 candidate_error" in lines
    assert " warm-up      43 s left; 559 compared in it do not count" in lines
    assert " warm-up      over; 559 compared in it do not count" in shown(
        {**BUSY, "warm_up": {**warm_up, "left_s": 0.0}}
    )
    assert "warm-up" not in shown({**BUSY, "warm_up": {"left_s": 0.0, "verdicts": {}}})


def test_a_pulled_kill_switch_is_said_with_what_releases_it() -> None:
    said = {**status(), "kill_switch": {"why": "the kill switch is pulled", "release": "rm /state/kill-switch"}}
    assert [line.plain for line in killed(said)] == [
        "the kill switch is pulled: nothing is mirrored; to change that:",
        "    rm /state/kill-switch",
    ]
    assert not list(killed({**status(), "kill_switch": None}))
