from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cli.standing import processes_down, standing
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
 differences  most exchanges first
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
            {"requests": 9, "mirrored": 9, "verdicts": {"both_error": 9}},
            "answers came, none comparable (9 both_error)",
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


@given(
    agreed=st.integers(0, 10**6),
    disagreed=st.integers(1, 10**6),
)
def test_a_single_disagreement_never_reads_100(agreed: int, disagreed: int) -> None:
    compared = agreed + disagreed
    text = shown({**BUSY, "compared": compared, "agreement": agreed / compared, "interval": None, "coverage": None})
    assert "100.00 %" not in text
