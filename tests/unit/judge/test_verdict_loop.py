from typing import Any

import orjson
import pytest

from comparators import Verdict
from proxy.config.models import Settings
from proxy.core.families import (
    COMPARISON_DURATION,
    COMPARISONS,
    DELTA,
    DIFFERENCE_PATHS,
    DIFFERENCES,
    GREETINGS,
    LATENCY_RATIO,
    PAIRS_JUDGED,
    WARM_UP_COMPARISONS,
    WARM_UP_JUDGED,
    Family,
)
from proxy.core.reasons import FailureKind
from proxy.core.sketch import Sketch
from proxy.core.tally import Tally
from proxy.ipc.pairs import SETTINGS_KEPT, Pair, Side
from proxy.judge.verdict_loop import MAX_PATHS, OTHER_PATH, VerdictLoop

SERVICE: dict[str, Any] = {
    "primary": {"version": "v1", "url": "http://127.0.0.1:9001"},
    "candidate": {"version": "v2", "url": "http://127.0.0.1:9002"},
    "endpoints": [
        {"name": "score", "match": "GET /score"},
        {"name": "odd", "match": "GET /odd", "error_statuses": [404]},
    ],
    "rules": [
        {"id": "s", "endpoint": "score", "path": "$.score", "use": "numeric", "abs": 0.1, "reason": "r", "author": "a"},
        {"id": "i", "endpoint": "*", "path": "$.id", "use": "ignore", "reason": "r", "author": "a"},
    ],
}
SCORE, ODD, OTHER = range(3)


@pytest.fixture
def loop() -> VerdictLoop:
    loop = VerdictLoop()
    loop.adopt(1, configured())
    return loop


def configured(**changes: Any) -> Settings:
    return Settings.model_validate({"services": {"ranker": {**SERVICE, **changes}}})


def answer(tree: Any, status: int = 200, duration: float = 0.5) -> Side:
    return Side(status, duration, b"Content-Type: application/json\r\nVary: a", orjson.dumps(tree))


def judge(
    loop: VerdictLoop,
    primary: Side,
    candidate: Side,
    endpoint: int = SCORE,
    snapshot: int = 1,
    *,
    warms_up: bool = False,
) -> Verdict:
    return loop.judge(Pair(snapshot, 0, endpoint, primary, candidate, warms_up)).verdict


def paths(tally: Tally) -> dict[tuple[str, str], int]:
    return {(path, kind): count for (_, _, path, kind), count in tally.counts.get(DIFFERENCE_PATHS.name, {}).items()}


def sketch(tally: Tally, family: Family, *labels: str) -> Sketch:
    return tally.sketches[family.name][labels]


def test_verdicts_are_counted_by_endpoint(loop: VerdictLoop) -> None:
    same, other = answer({"id": 1, "score": 0.5}), answer({"id": 2, "score": 0.5})
    assert judge(loop, same, same) is Verdict.MATCH
    assert judge(loop, same, other) is Verdict.TOLERATED
    assert judge(loop, same, answer({"id": 1, "score": 0.55}), OTHER) is Verdict.MISMATCH
    tally = loop.tally()
    assert tally.counts[COMPARISONS.name] == {
        ("ranker", "score", "match"): 1,
        ("ranker", "score", "tolerated"): 1,
        ("ranker", "other", "mismatch"): 1,
    }
    assert tally.by(DIFFERENCES, "kind", service="ranker") == {"value": 1}
    assert sketch(tally, COMPARISON_DURATION, "ranker").count == 3


def test_a_tally_holds_everything_since_the_start(loop: VerdictLoop) -> None:
    pair = answer({"score": 0.5}), answer({"score": 0.25})
    judge(loop, *pair)
    first = loop.tally()
    judge(loop, *pair)
    second = loop.tally()
    assert (first.total(COMPARISONS), second.total(COMPARISONS)) == (1, 2)
    assert [sketch(each, DELTA, "ranker", "score").count for each in (first, second)] == [1, 2]


def test_deltas_of_numeric_rules_are_gathered_zeros_included(loop: VerdictLoop) -> None:
    for score in (0.5, 0.55, 1.0):
        judge(loop, answer({"id": 1, "score": 0.5}), answer({"id": 2, "score": score}))
    deltas = sketch(loop.tally(), DELTA, "ranker", "score")
    assert (deltas.count, deltas.zero) == (3, 1)
    assert deltas.high == pytest.approx(1.0)


def test_durations_are_compared_where_both_sides_answered(loop: VerdictLoop) -> None:
    slow, gone = answer({}, duration=2.0), Side(0, 1.0, failure=FailureKind.TIMEOUT)
    for candidate in (slow, gone):
        judge(loop, answer({}), candidate)
    judge(loop, answer({}, duration=0.0), slow)
    ratio = sketch(loop.tally(), LATENCY_RATIO, "ranker", "score")
    assert (ratio.count, ratio.high) == (1, 4.0)


def test_an_exchange_counts_once_at_each_path_and_kind(loop: VerdictLoop) -> None:
    judge(loop, answer({"a": [1, 2, 3], "b": 1}), answer({"a": [4, 5, "6"]}))
    assert paths(loop.tally()) == {("$.a[*]", "value"): 1, ("$.a[*]", "type"): 1, ("$.b", "missing"): 1}
    assert loop.tally().by(DIFFERENCES, "kind") == {"missing": 1, "type": 1, "value": 2}


def test_what_differs_inside_a_list_of_another_length_has_no_path_of_its_own(loop: VerdictLoop) -> None:
    primary, candidate = {"a": [{"x": 1}, [1]], "ab": 1}, {"a": [{"x": 2}, [1, 2], 3], "ab": 2}
    judge(loop, answer(primary), answer(candidate))
    assert paths(loop.tally()) == {("$.a", "length"): 1, ("$.ab", "value"): 1}


@pytest.mark.parametrize(
    ("primary", "candidate", "verdict", "expected"),
    [
        (answer({}), Side(0, 1.0, failure=FailureKind.TIMEOUT), "candidate_error", {("outcome", "timeout"): 1}),
        (answer({}), answer({}, 503), "candidate_error", {("outcome", "status_503"): 1}),
        (answer({}, 503), answer({}), "primary_error", {}),
        (Side(0, 1.0, failure=FailureKind.RESET), answer({}), "primary_error", {}),
        (answer({}, 500), Side(0, 1.0, failure=FailureKind.RESET), "both_error", {}),
    ],
)
def test_only_the_candidates_own_errors_have_a_path(
    loop: VerdictLoop, primary: Side, candidate: Side, verdict: str, expected: dict[tuple[str, str], int]
) -> None:
    assert judge(loop, primary, candidate) == verdict
    assert paths(loop.tally()) == expected


def test_which_statuses_are_errors_is_the_endpoints_choice(loop: VerdictLoop) -> None:
    assert judge(loop, answer({}), answer({}, 404), ODD) is Verdict.CANDIDATE_ERROR
    assert judge(loop, answer({}), answer({}, 404), SCORE) is Verdict.MISMATCH


def test_paths_are_bounded_and_the_rest_is_one_of_its_kind(loop: VerdictLoop) -> None:
    for number in range(MAX_PATHS):
        judge(loop, answer({f"k{number}": 1}), answer({f"k{number}": 2}))
    judge(loop, answer({"k1": 1, "new": 1, "newer": 1, "newest": 1}), answer({"k1": 2, "new": 2, "newer": 2}))
    found = paths(loop.tally())
    assert len(found) == MAX_PATHS + 2
    assert (found["$.k1", "value"], found[OTHER_PATH, "value"], found[OTHER_PATH, "missing"]) == (2, 1, 1)


def test_a_pair_of_another_configuration_is_refused(loop: VerdictLoop) -> None:
    with pytest.raises(IndexError):
        judge(loop, answer({}), answer({}), endpoint=3)


@pytest.mark.interpreted
def test_pairs_are_judged_by_the_rules_of_their_snapshot_and_counted_together(loop: VerdictLoop) -> None:
    loop.adopt(7, configured(rules=[]))
    off = answer({"score": 0.5}), answer({"score": 0.55})
    assert judge(loop, *off, snapshot=7) is Verdict.MISMATCH
    assert judge(loop, *off, snapshot=1) is Verdict.TOLERATED
    assert loop.tally().by(COMPARISONS, "verdict", endpoint="score") == {"mismatch": 1, "tolerated": 1}
    with pytest.raises(LookupError):
        judge(loop, *off, snapshot=8)


def test_counts_of_endpoints_and_services_that_are_gone_stay(loop: VerdictLoop) -> None:
    judge(loop, answer({}), answer({}))
    loop.adopt(2, Settings.model_validate({"services": {"search": {**SERVICE, "endpoints": [], "rules": []}}}))
    judge(loop, answer({}), answer({}), endpoint=0, snapshot=2)
    assert loop.tally().by(COMPARISONS, "service") == {"ranker": 1, "search": 1}


def test_the_newest_settings_are_remembered_and_another_worker_begins_anew(loop: VerdictLoop) -> None:
    for snapshot in range(2, 2 + SETTINGS_KEPT):
        loop.adopt(snapshot, configured())
    judge(loop, answer({}), answer({}), snapshot=2)
    with pytest.raises(LookupError):
        judge(loop, answer({}), answer({}), snapshot=1)
    loop.greet("worker-0", "worker-0:2")
    with pytest.raises(LookupError):
        judge(loop, answer({}), answer({}), snapshot=2)


def test_what_was_judged_is_vouched_for_by_worker_and_by_what_its_client_got(loop: VerdictLoop) -> None:
    for worker in ("worker-0:1", "worker-0:2"):
        loop.greet("worker-0", worker)
        loop.adopt(1, configured())
        judge(loop, answer({}), answer({}))
        judge(loop, answer({}, 503), answer({}))
    judge(loop, Side(0, 1.0, failure=FailureKind.RESET), answer({}), ODD)
    tally = loop.tally()
    assert tally.counts[PAIRS_JUDGED.name] == {
        ("ranker", "score", "v1", "2xx", "worker-0:1"): 1,
        ("ranker", "score", "v1", "5xx", "worker-0:1"): 1,
        ("ranker", "score", "v1", "2xx", "worker-0:2"): 1,
        ("ranker", "score", "v1", "5xx", "worker-0:2"): 1,
        ("ranker", "odd", "proxy", "5xx", "worker-0:2"): 1,
    }
    assert set(tally.counts[GREETINGS.name]) == {("worker-0", "worker-0:1"), ("worker-0", "worker-0:2")}


@pytest.mark.interpreted
def test_a_bug_in_a_comparison_costs_that_verdict_only(loop: VerdictLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    same = answer({"score": 0.5})
    with monkeypatch.context() as patch:
        patch.setattr("proxy.judge.verdict_loop.compare", broken)
        assert judge(loop, same, same) is Verdict.INCOMPARABLE
    assert judge(loop, same, same) is Verdict.MATCH
    assert loop.tally().by(COMPARISONS, "verdict") == {"incomparable": 1, "match": 1}


def test_what_warms_up_is_counted_as_always_and_apart_and_chooses_no_tolerance(loop: VerdictLoop) -> None:
    one, other = answer({"score": 0.5}), answer({"score": 0.9})
    for warms_up in (True, False, True):
        judge(loop, one, other, warms_up=warms_up)
    tally = loop.tally()
    assert tally.counts[COMPARISONS.name] == {("ranker", "score", "mismatch"): 3}
    assert tally.counts[WARM_UP_COMPARISONS.name] == {("ranker", "score", "mismatch"): 2}
    assert tally.total(PAIRS_JUDGED) == 3
    assert tally.counts[WARM_UP_JUDGED.name] == {("ranker", "score", "v1", "2xx", ""): 2}
    assert tally.total(DIFFERENCES) == 3
    assert sketch(tally, DELTA, "ranker", "score").count == 1
    assert sketch(tally, LATENCY_RATIO, "ranker", "score").count == 1


def test_a_side_whose_time_says_nothing_is_in_no_latency_ratio(loop: VerdictLoop) -> None:
    timed, untimed = answer({}), answer({}, duration=0.0)
    for sides in ((timed, untimed), (untimed, timed)):
        judge(loop, *sides)
    assert sketch(loop.tally(), LATENCY_RATIO, "ranker", "score").count == 0
