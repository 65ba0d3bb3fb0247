from dataclasses import dataclass, field
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest  # type: ignore[import-untyped]  # scipy comes without types

from proxy.core.evidence import Report, agreement, fold, wilson
from proxy.core.families import COMPARISONS, DROPPED, MIRROR_IN_FLIGHT, MIRRORS, PAIRS_OFFERED, REQUESTS
from proxy.core.tally import Tally


def compared(**verdicts: int) -> Tally:
    tally = Tally()
    for verdict, count in verdicts.items():
        tally.count(COMPARISONS, ("ranker", "score", verdict), count)
    return tally


@dataclass
class Household:
    """A worker and its judges, counting as they do; `reported` are the newest reports control has heard."""

    worker: Tally = field(default_factory=Tally)
    judge: Tally = field(default_factory=Tally)
    judges: int = 0
    lost: int = 0
    reported: dict[str, Report] = field(default_factory=dict)

    @property
    def judge_name(self) -> str:
        return f"judge#{self.judges}"

    def request(self, fate: str) -> None:
        self.worker.count(REQUESTS, ("ranker", "score", "v1", "2xx"))
        if fate == "not":
            self.worker.count(MIRRORS, ("ranker", "score", "mode"))
            return
        self.worker.count(MIRRORS, ("ranker", "score", "mirrored"))
        if fate == "dropped":
            self.worker.count(DROPPED, ("ranker", "too_large"))
        elif fate in {"judged", "pending"}:
            self.worker.count(PAIRS_OFFERED, ("ranker", self.judge_name))
            if fate == "judged":
                self.judge.count(COMPARISONS, ("ranker", "score", "match"))

    def report(self) -> None:
        for process, incarnation, tally in (
            ("worker-0", "worker", self.worker),
            ("judge-0", self.judge_name, self.judge),
        ):
            copy = Tally()
            copy.add(tally)
            self.reported[incarnation] = Report(process, incarnation, copy)

    def judge_dies(self) -> None:
        self.judges += 1
        self.judge = Tally()


fates = st.sampled_from(["not", "dropped", "judged", "pending", "in_flight"])
lives = st.lists(fates | st.just("judge dies"), max_size=60)


def assert_identities(total: Tally) -> None:
    mirrored = total.total(MIRRORS, result="mirrored")
    assert total.total(REQUESTS) == total.total(MIRRORS)
    assert mirrored == total.total(COMPARISONS) + total.total(DROPPED)


@given(lives)
def test_when_all_are_gone_every_mirrored_request_is_a_verdict_or_a_drop(life: list[str]) -> None:
    household = Household()
    for event in life:
        if event == "judge dies":
            household.report()
            household.judge_dies()
        else:
            household.request(event)
    household.report()
    assert_identities(fold(household.reported.values(), frozenset()))


@given(lives)
def test_pairs_lost_with_a_judge_are_counted_as_soon_as_it_is_gone(life: list[str]) -> None:
    household, pending, lost = Household(), 0, 0
    for event in life:
        if event == "judge dies":
            household.report()
            household.judge_dies()
            lost, pending = lost + pending, 0
        else:
            household.request(event)
            pending += event == "pending"
    household.report()
    total = fold(household.reported.values(), frozenset({"worker", household.judge_name}))
    assert total.total(DROPPED, reason="judge_lost") == lost


@given(lives)
def test_dropped_never_falls_while_reports_come_in(life: list[str]) -> None:
    household, before = Household(), 0
    for event in life:
        if event == "judge dies":
            household.judge_dies()
        else:
            household.request(event)
        household.report()
        total = fold(household.reported.values(), frozenset({"worker", household.judge_name}))
        assert total.total(DROPPED) >= before
        before = total.total(DROPPED)


def test_requests_in_flight_in_a_worker_that_is_gone_are_incomplete() -> None:
    household = Household()
    household.request("in_flight")
    household.request("judged")
    household.report()
    alive = fold(household.reported.values(), frozenset({"worker", "judge#0"}))
    gone = fold(household.reported.values(), frozenset({"judge#0"}))
    assert alive.total(DROPPED) == 0
    assert gone.total(DROPPED, reason="incomplete") == 1
    assert_identities(gone)


def test_pairs_of_a_judge_nobody_heard_of_are_lost() -> None:
    household = Household()
    household.request("pending")
    household.report()
    del household.reported["judge#0"]
    assert fold(household.reported.values(), frozenset({"worker"})).total(DROPPED, reason="judge_lost") == 1


def test_verdicts_of_a_judge_that_is_gone_count_once_for_all_its_workers() -> None:
    """Two incarnations of a worker offered 100 pairs each to one judge, which died after 150 verdicts."""
    offered = Tally()
    offered.count(REQUESTS, ("ranker", "score", "v1", "2xx"), 100)
    offered.count(MIRRORS, ("ranker", "score", "mirrored"), 100)
    offered.count(PAIRS_OFFERED, ("ranker", "judge#0"), 100)
    reports = [
        Report("worker-0", "worker#0", offered),
        Report("worker-0", "worker#1", offered),
        Report("judge-0", "judge#0", compared(match=150)),
    ]
    for alive in (frozenset[str](), frozenset({"worker#1"}), frozenset({"worker#0", "worker#1"})):
        total = fold(reports, alive)
        assert total.by(DROPPED, "reason") == {"judge_lost": 50}
        assert_identities(total)


shares = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.booleans()), max_size=60)


@given(shares, st.sets(st.sampled_from(["worker#0", "worker#1", "worker#2"])))
def test_the_identities_hold_for_any_workers_and_judges_once_the_judges_are_gone(
    pairs: list[tuple[int, int, bool]], alive: set[str]
) -> None:
    """`pairs` are (worker, judge, whether it was judged)."""
    workers, judges = [Tally() for _ in range(3)], [Tally() for _ in range(2)]
    for worker, judge, is_judged in pairs:
        workers[worker].count(REQUESTS, ("ranker", "score", "v1", "2xx"))
        workers[worker].count(MIRRORS, ("ranker", "score", "mirrored"))
        workers[worker].count(PAIRS_OFFERED, ("ranker", f"judge#{judge}"))
        if is_judged:
            judges[judge].count(COMPARISONS, ("ranker", "score", "match"))
    reports = [Report(f"worker-{n}", f"worker#{n}", tally) for n, tally in enumerate(workers)]
    reports += [Report("judge-0", f"judge#{n}", tally) for n, tally in enumerate(judges)]
    total = fold(reports, frozenset(alive))
    assert_identities(total)
    assert total.total(DROPPED, reason="judge_lost") == sum(not is_judged for *_, is_judged in pairs)


def test_levels_of_the_gone_are_left_out_and_offers_are_our_own_business() -> None:
    tally = Tally()
    tally.gauge(MIRROR_IN_FLIGHT, ("ranker",), 4)
    tally.count(PAIRS_OFFERED, ("ranker", "judge#0"), 0)
    reports = [Report("worker-0", "worker", tally)]
    assert fold(reports, frozenset({"worker"})).gauges[MIRROR_IN_FLIGHT.name] == {("ranker",): 4}
    assert fold(reports, frozenset()).gauges == {}
    assert PAIRS_OFFERED.name not in fold(reports, frozenset()).counts


def test_folding_does_not_change_the_reports() -> None:
    household = Household()
    household.request("pending")
    household.report()
    first = fold(household.reported.values(), frozenset())
    assert fold(household.reported.values(), frozenset()).counts == first.counts


def test_agreement_counts_match_and_tolerated_against_mismatch_and_candidate_error() -> None:
    tally = compared(
        match=90, tolerated=5, mismatch=4, candidate_error=1, primary_error=3, both_error=500, incomparable=500
    )
    tally.count(REQUESTS, ("ranker", "score", "v1", "2xx"), 200)
    found = agreement(tally, service="ranker")
    assert (found.ratio, found.raw, found.coverage, found.compared) == (0.95, 0.9, 0.5, 100)


def test_a_dead_candidate_agrees_in_nothing() -> None:
    assert agreement(compared(match=0, candidate_error=50)).ratio == 0.0


def test_no_data_is_no_ratio() -> None:
    found = agreement(Tally(), service="ranker")
    assert (found.ratio, found.raw, found.coverage, found.interval) == (None, None, None, None)


@pytest.mark.parametrize("trials", [1, 2, 3, 10, 56, 1000, 123_456])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.986, 0.999, 1.0])
def test_the_wilson_interval_is_scipys(trials: int, share: float) -> None:
    successes = round(share * trials)
    expected = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert wilson(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(st.integers(1, 10**9))
def test_the_wilson_interval_of_none_begins_at_0_and_of_all_ends_at_1(trials: int) -> None:
    assert wilson(0, trials)[0] == 0.0
    assert wilson(trials, trials)[1] == 1.0


@given(st.integers(1, 10**9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_wilson_interval_holds_the_ratio_and_solves_its_equation(counts: tuple[int, int]) -> None:
    successes, trials = counts
    low, high = wilson(successes, trials)
    share = successes / trials
    assert 0.0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1.0
    for bound in (low, high):
        if 0.0 < bound < 1.0:
            deviation = abs(share - bound) / sqrt(bound * (1 - bound) / trials)
            assert deviation == pytest.approx(1.959963984540054, rel=1e-3) or bound == pytest.approx(share, abs=1e-9)
