from dataclasses import dataclass, field
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest  # type: ignore[import-untyped]  # scipy comes without types

from proxy.core.evidence import Report, agreement, fold, wilson
from proxy.core.families import (
    COMPARISONS,
    DROPPED,
    GREETINGS,
    MIRROR_IN_FLIGHT,
    MIRRORS,
    PAIRS_JUDGED,
    PAIRS_KILLED,
    PAIRS_OFFERED,
    REQUESTS,
    WARM_UP_COMPARISONS,
    WARM_UP_JUDGED,
    WARM_UP_REQUESTS,
)
from proxy.core.tally import Tally


def compared(**verdicts: int) -> Tally:
    tally = Tally()
    for verdict, count in verdicts.items():
        tally.count(COMPARISONS, ("ranker", "score", verdict), count)
    return tally


@dataclass
class Life:
    """One incarnation of a process: what it has counted, and its newest report, which may be older."""

    process: str
    incarnation: str
    tally: Tally = field(default_factory=Tally)
    reported: Tally | None = None
    pending: list[tuple[str, bool]] = field(default_factory=list)
    """Pairs on their way to this judge, by how their request ended and whether it was in the warm-up."""

    def report(self) -> None:
        self.reported = Tally()
        self.reported.add(self.tally)


class Household:
    """A worker and its judge, counting and dying as they do, and what control makes of their reports."""

    def __init__(self) -> None:
        self.lives: list[Life] = []
        self.killed: list[tuple[str, str, str]] = []
        """What judges died of, as each successor is told."""
        self.warms_up = False
        self.worker = self._born("worker-0")
        self.judge = self._born("judge-0")
        self._meet()

    def _born(self, process: str) -> Life:
        life = Life(process, f"{process}:{len(self.lives):04}")
        self.lives.append(life)
        return life

    def _meet(self) -> None:
        labels = ("worker-0", self.worker.incarnation)
        if labels not in self.judge.tally.counts.get(GREETINGS.name, {}):
            self.judge.tally.count(GREETINGS, labels)

    def happens(self, event: str) -> None:
        match event:
            case "judge":
                self._judges()
            case "worker reports":
                self.worker.report()
            case "judge reports":
                self.judge.report()
            case "worker dies":
                self._judges()  # it reads the line to its end, and then meets the next one
                self.worker = self._born("worker-0")
                self._meet()
            case "judge dies":
                self._judge_is_gone()
            case "a pair kills the judge":
                if self.judge.pending:
                    self.killed.append(("ranker", self.worker.incarnation, self.judge.incarnation))
                self._judge_is_gone()
            case "warm-up":
                self.warms_up = not self.warms_up
            case fate:
                self._request(fate)

    def _judge_is_gone(self) -> None:
        self.judge = self._born("judge-0")
        self._meet()
        for pair in self.killed:
            self.judge.tally.count(PAIRS_KILLED, pair)

    def _request(self, fate: str) -> None:
        if fate == "dropped before its end":  # its client is still being answered
            self.worker.tally.count(DROPPED, ("ranker", "in_flight_full"))
            return
        code = "5xx" if fate == "failed" else "2xx"
        self.worker.tally.count(REQUESTS, ("ranker", "score", "v1", code))
        if self.warms_up:
            self.worker.tally.count(WARM_UP_REQUESTS, ("ranker", "score", "v1", code))
        if fate == "not mirrored":
            self.worker.tally.count(MIRRORS, ("ranker", "score", "mode"))
            return
        self.worker.tally.count(MIRRORS, ("ranker", "score", "mirrored"))
        if fate == "dropped":
            self.worker.tally.count(DROPPED, ("ranker", "too_large"))
        elif fate in {"offered", "failed"}:
            self.worker.tally.count(PAIRS_OFFERED, ("ranker", self.judge.incarnation))
            self.judge.pending.append((code, self.warms_up))

    def _judges(self) -> None:
        for code, warms_up in self.judge.pending:
            self.judge.tally.count(COMPARISONS, ("ranker", "score", "match"))
            self.judge.tally.count(PAIRS_JUDGED, ("ranker", "score", "v1", code, self.worker.incarnation))
            if warms_up:
                self.judge.tally.count(WARM_UP_COMPARISONS, ("ranker", "score", "match"))
                self.judge.tally.count(WARM_UP_JUDGED, ("ranker", "score", "v1", code, self.worker.incarnation))
        self.judge.pending.clear()

    def quiet(self) -> None:
        """Nothing is under way any more, and everybody who lives has said so."""
        self._judges()
        for life in (self.worker, self.judge):
            life.report()

    @property
    def reports(self) -> list[Report]:
        return [
            Report(life.process, life.incarnation, life.reported) for life in self.lives if life.reported is not None
        ]

    def folded(self) -> Tally:
        return fold(self.reports, frozenset({self.worker.incarnation, self.judge.incarnation}))


fates = ["not mirrored", "dropped", "offered", "offered", "failed", "in flight"]
deeds = ["judge", "worker reports", "judge reports", "worker dies", "judge dies", "a pair kills the judge", "warm-up"]
lives = st.lists(st.sampled_from(fates + deeds), max_size=60)


def assert_identities(total: Tally) -> None:
    mirrored = total.total(MIRRORS, result="mirrored")
    assert total.total(REQUESTS) == total.total(MIRRORS)
    assert mirrored == total.total(COMPARISONS) + total.total(DROPPED)


@given(lives)
def test_whoever_died_the_identities_hold_once_nothing_is_under_way(life: list[str]) -> None:
    household = Household()
    for event in life:
        if event != "in flight":
            household.happens(event)
    household.quiet()
    assert_identities(household.folded())


@given(st.lists(st.sampled_from([*fates, *deeds, "dropped before its end"]), max_size=60))
def test_when_all_are_gone_the_identities_hold_whatever_was_under_way(life: list[str]) -> None:
    household = Household()
    for event in life:
        household.happens(event)
    assert_identities(fold(household.reports, frozenset()))


@given(lives)
def test_nothing_that_was_counted_is_ever_taken_back(life: list[str]) -> None:
    household = Household()
    before: dict[str, dict[tuple[str, ...], int]] = {}
    for event in [*life, "worker dies", "judge reports"]:
        household.happens(event)
        total = household.folded()
        for name, table in before.items():
            for labels, count in table.items():
                assert total.counts.get(name, {}).get(labels, 0) >= count, (event, name, labels)
        before = total.counts
    total = fold(household.reports, frozenset())
    for name, table in before.items():
        assert all(total.counts[name].get(labels, 0) >= count for labels, count in table.items())


@given(lives)
def test_nothing_is_counted_that_did_not_happen(life: list[str]) -> None:
    household = Household()
    for event in life:
        household.happens(event)
    household.quiet()
    total = household.folded()
    happened = Tally()
    for one in household.lives:
        happened.add(one.tally)
    for family in (REQUESTS, MIRRORS, COMPARISONS, WARM_UP_REQUESTS):
        assert total.total(family) <= happened.total(family)


def test_pairs_lost_with_a_judge_are_counted_as_soon_as_its_successor_speaks() -> None:
    household = Household()
    for event in ("offered", "offered", "judge", "offered", "worker reports", "judge reports", "judge dies"):
        household.happens(event)
    assert household.folded().total(DROPPED) == 0
    household.happens("judge reports")
    assert household.folded().by(DROPPED, "reason") == {"judge_lost": 1}
    assert_identities(household.folded())


def test_pairs_of_a_judge_nobody_heard_of_are_lost() -> None:
    household = Household()
    for event in ("offered", "worker reports", "judge dies", "judge reports"):
        household.happens(event)
    assert household.folded().total(DROPPED, reason="judge_lost") == 1


KILLED = ("offered", "offered", "worker reports", "a pair kills the judge")


def test_the_pair_that_killed_a_judge_is_no_lost_one() -> None:
    household = Household()
    for event in (*KILLED, "judge reports"):
        household.happens(event)
    assert household.folded().by(DROPPED, "reason") == {"judge_killed": 1, "judge_lost": 1}
    assert_identities(household.folded())


def test_a_kill_counts_once_however_many_judges_tell_of_it() -> None:
    household = Household()
    for event in (*KILLED, "judge dies", "judge reports", "judge dies", "judge reports"):
        household.happens(event)
    for alive in (frozenset({household.worker.incarnation, household.judge.incarnation}), frozenset[str]()):
        total = fold(household.reports, alive)
        assert total.by(DROPPED, "reason") == {"judge_killed": 1, "judge_lost": 1}
        assert_identities(total)


def test_a_kill_vouches_for_a_request_that_its_worker_could_not_report() -> None:
    household = Household()
    for event in ("offered", "a pair kills the judge", "worker dies", "judge reports"):
        household.happens(event)
    total = household.folded()
    assert total.by(DROPPED, "reason") == {"judge_killed": 1}
    assert_identities(total)


def test_requests_in_flight_in_a_worker_are_incomplete_once_its_judge_serves_the_next() -> None:
    household = Household()
    for event in ("in flight", "offered", "worker reports", "worker dies"):
        household.happens(event)
    assert household.folded().total(DROPPED) == 0
    household.happens("judge reports")
    assert household.folded().by(DROPPED, "reason") == {"incomplete": 1, "judge_lost": 0}
    assert_identities(household.folded())


def test_verdicts_vouch_for_requests_that_a_killed_worker_could_not_report() -> None:
    household = Household()
    for event in ("offered", "worker reports", "offered", "failed", "offered", "worker dies", "judge reports"):
        household.happens(event)
    total = household.folded()
    assert total.by(REQUESTS, "code") == {"2xx": 3, "5xx": 1}
    assert (total.total(MIRRORS), total.total(COMPARISONS), total.total(DROPPED)) == (4, 4, 0)


def test_verdicts_vouch_for_what_a_killed_worker_did_in_its_warm_up_as_such() -> None:
    household = Household()
    events = ("warm-up", "offered", "not mirrored", "worker reports", "offered", "failed", "worker dies", "warm-up")
    for event in (*events, "offered"):
        household.happens(event)
    household.quiet()
    total = household.folded()
    assert (total.total(REQUESTS), total.by(WARM_UP_REQUESTS, "code")) == (5, {"2xx": 3, "5xx": 1})
    found = agreement(total, service="ranker")
    assert (found.requests, found.compared, found.coverage) == (1, 1, 1.0)
    assert_identities(total)


def test_a_drop_vouches_for_a_request_whose_end_nobody_saw() -> None:
    household = Household()
    household.happens("dropped before its end")
    household.happens("worker reports")
    total = fold(household.reports, frozenset())
    assert total.counts[REQUESTS.name] == {("ranker", "other", "proxy", "aborted"): 1}
    assert_identities(total)


def test_levels_of_the_gone_are_left_out_and_offers_are_our_own_business() -> None:
    tally = Tally()
    tally.gauge(MIRROR_IN_FLIGHT, ("ranker",), 4)
    tally.count(PAIRS_OFFERED, ("ranker", "judge#0"), 0)
    reports = [Report("worker-0", "worker", tally)]
    assert fold(reports, frozenset({"worker"})).gauges[MIRROR_IN_FLIGHT.name] == {("ranker",): 4}
    assert fold(reports, frozenset()).gauges == {}
    assert PAIRS_OFFERED.name not in fold(reports, frozenset()).counts


@given(lives)
def test_folding_does_not_change_the_reports(life: list[str]) -> None:
    household = Household()
    for event in life:
        household.happens(event)
    assert household.folded().counts == household.folded().counts


def test_agreement_counts_match_and_tolerated_against_mismatch_and_candidate_error() -> None:
    tally = compared(
        match=90, tolerated=5, mismatch=4, candidate_error=1, primary_error=3, both_error=500, incomparable=500
    )
    tally.count(REQUESTS, ("ranker", "score", "v1", "2xx"), 200)
    found = agreement(tally, service="ranker")
    assert (found.ratio, found.raw, found.coverage, found.compared) == (0.95, 0.9, 0.5, 100)


def test_what_warms_up_is_no_evidence() -> None:
    tally = compared(match=90, mismatch=10)
    tally.count(REQUESTS, ("ranker", "score", "v1", "2xx"), 300)
    tally.count(WARM_UP_REQUESTS, ("ranker", "score", "v1", "2xx"), 100)
    for verdict, count in {"match": 41, "mismatch": 9}.items():
        tally.count(WARM_UP_COMPARISONS, ("ranker", "score", verdict), count)
    found = agreement(tally, service="ranker")
    assert (found.requests, found.compared, found.agreed, found.matched) == (200, 50, 49, 49)
    assert (found.ratio, found.coverage) == (0.98, 0.25)


def test_before_the_warm_up_is_over_there_is_no_ratio() -> None:
    tally = compared(match=90)
    tally.count(WARM_UP_COMPARISONS, ("ranker", "score", "match"), 90)
    found = agreement(tally, service="ranker")
    assert (found.ratio, found.raw, found.coverage, found.interval) == (None, None, None, None)


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
