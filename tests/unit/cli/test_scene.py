from pathlib import Path
from typing import Any

import pytest

from proxy.cli.scene import Scene, as_json, broken, has_result, is_settled, moving, opening, program, report, summary
from proxy.demo.bugs import BUGS
from proxy.demo.load import LoadResult

URLS = {
    "v1": "http://127.0.0.1:9101",
    "v2": "http://127.0.0.1:9102",
    "proxy": "http://127.0.0.1:8080",
    "admin": "http://127.0.0.1:8081",
}
SCENE = Scene(URLS, "7c1e", Path("/tmp/shadow-demo-x/admin-token"), bugs=BUGS, rate=50.0, patient="wdbc-001")
SERVICE: dict[str, Any] = {
    "service": "scoring",
    "mode": "shadow",
    "answers": {"v1": 1.0, "v2": 0.0},
    "requests": 1005,
    "compared": 1000,
    "agreement": 0.625,
    "interval": (0.594, 0.655),
    "agreement_raw": 0.0,
    "coverage": 1000 / 1005,
    "mirrored": 1002,
    "not_mirrored": {},
    "dropped": 2,
    "dropped_by": {"judge_lost": 2},
    "verdicts": {"tolerated": 625, "mismatch": 375},
    "differences": {"status": 30, "value": 205},
    "top": [{"endpoint": "score", "path": "$.segments[*].deviation", "kind": "value", "exchanges": 205}],
    "latency": {
        "primary": {"p50": 0.00068, "p95": 0.001, "p99": 0.0014},
        "candidate": {"p50": 0.0011, "p95": 0.0015, "p99": 0.0018},
    },
}
EMPTY = SERVICE | {"requests": 0, "compared": 0, "agreement": None, "interval": None, "coverage": None, "mirrored": 0}


def status(service: dict[str, Any]) -> dict[str, Any]:
    return {"services": [service], "uptime_s": 61.0}


def test_the_opening_says_where_everything_is_and_what_to_try() -> None:
    assert [line.plain for line in opening(SCENE, 80)] == [
        "primary    v1  http://127.0.0.1:9101   scoring model, answers every client",
        "candidate  v2  http://127.0.0.1:9102   its successor, 3 planted bugs, seen as:",
        "               status                  patients lost on the way to the new store",
        "               type at $.probability   a number became text",
        "               value at $..deviation   computed in 32 bits, not 64",
        "proxy          http://127.0.0.1:8080   gets 50 requests/s",
        "admin          http://127.0.0.1:8081   /metrics, /api/v1/status",
        "token      7c1e   (shown once)",
        "",
        "Try, in another terminal:",
        "  curl http://127.0.0.1:8080/patients/wdbc-001/score",
        "  shadow-proxy status --watch",
        "  shadow-proxy mode primary --token-file /tmp/shadow-demo-x/admin-token",
        "  curl http://127.0.0.1:8081/metrics",
        "Ctrl-C ends everything.",
        "",
    ]


def test_a_command_too_long_for_the_screen_is_broken_where_a_shell_takes_it() -> None:
    words = ["shadow-proxy mode primary", "--admin http://127.0.0.1:41234", "--token-file /tmp/admin-token"]
    assert list(broken(words, 70)) == [
        "shadow-proxy mode primary --admin http://127.0.0.1:41234 \\",
        "    --token-file /tmp/admin-token",
    ]
    assert list(broken(words, 120)) == [" ".join(words)]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_moving_line_about_differences_is_wider_than_the_screen(width: int) -> None:
    service = SERVICE | {"top": [SERVICE["top"][0] | {"path": "$." + "deep." * 30}]}
    assert len(list(moving(status(service), 5, width))[-1]) <= width


def test_the_moving_part_fits_80_columns_after_hours() -> None:
    slow = {"p50": 0.0123, "p95": 0.1, "p99": 0.999}
    long = SERVICE | {
        "compared": 999_999,
        "requests": 999_999,
        "dropped": 12_345,
        "agreement": 0.99999,
        "interval": (0.99998, 1.0),
        "coverage": 0.99999,
        "latency": {"primary": slow, "candidate": slow},
    }
    assert max(len(line.plain) for line in moving(status(long), 20_000, 80)) <= 80


def test_the_moving_part_shows_agreement_beside_coverage_and_both_latencies() -> None:
    assert [line.plain for line in moving(status(SERVICE), 75, 80)] == [
        "mode shadow · clients always get v1 · mirrored to v2 · 1m",
        "1,000 compared   agreement 62.50 % (59.40 to 65.50)   coverage 99.50 %",
        "dropped 2   v1 p50 0.68 ms, p99 1.4 ms   v2 p50 1.1 ms, p99 1.8 ms",
        "differences   205 value, 30 status",
        " 20.50 %  score          value      $.segments[*].deviation",
    ]
    assert report(status(SERVICE), 75.2) == (
        "75s   1,000 compared   agreement 62.50 % (59.40 to 65.50)   coverage 99.50 %   dropped 2   "
        "v1 p50 0.68 ms, p99 1.4 ms   v2 p50 1.1 ms, p99 1.8 ms"
    )


def test_before_the_first_pair_there_is_a_sentence_and_no_number() -> None:
    *_, last = moving(status(EMPTY), 1, 80)
    assert last.plain == "nothing compared yet: no requests so far"
    assert not has_result(EMPTY)
    assert not has_result(SERVICE | {"requests": 0})
    assert has_result(SERVICE)


def test_it_is_settled_once_all_that_was_sent_is_counted_and_judged() -> None:
    sent = LoadResult(ok=1000, errors=5)
    assert is_settled(SERVICE, sent)
    assert not is_settled(SERVICE, LoadResult(ok=1006))
    assert not is_settled(SERVICE | {"mirrored": 1003}, sent)


def test_the_summary_counts_what_the_clients_saw_first() -> None:
    first, second, *_ = summary(status(SERVICE), LoadResult(ok=1004, errors=1, skipped=3), 20, 80)
    assert first.plain == "1,005 requests in 20s, 1 error, 3 skipped"
    assert second.plain.startswith("scoring   SHADOW")
    said = as_json(status(SERVICE), LoadResult(ok=1004, errors=1, skipped=3), 20.04)
    assert said["load"] == {"seconds": 20.0, "answered": 1004, "errors": 1, "skipped": 3}
    assert said["agreement"] == 0.625


def test_commands_to_try_are_called_as_this_shell_finds_them(tmp_path: Path) -> None:
    (tmp_path / ".venv/bin").mkdir(parents=True)
    beside = tmp_path / ".venv/bin/shadow-proxy"
    python = str(beside.with_name("python"))
    assert program(python, "", tmp_path) == "shadow-proxy"
    beside.touch(mode=0o755)
    assert program(python, "", tmp_path) == ".venv/bin/shadow-proxy"
    assert program(python, "", tmp_path / "elsewhere") == str(beside)
    assert program(python, str(beside.parent), tmp_path) == "shadow-proxy"
