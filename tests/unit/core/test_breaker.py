"""The breaker as a table, and any traffic through it."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.config.models import Breaker as Settings
from proxy.core.breaker import MOVES, PROBE_EVERY_S, Breaker, Event, IllegalEventError, State

CLOSED, OPEN, HALF_OPEN = State
GOOD, BAD = True, False
FEW = Settings(failures=3, window=10.0, open=30.0, probes=2)


def opened(settings: Settings = FEW, at: float = 0.0) -> Breaker:
    breaker = Breaker(settings)
    for _ in range(settings.failures):
        breaker.failed(at, at)
    return breaker


def probed(breaker: Breaker, *results: bool, start: float = 30.0) -> Breaker:
    """One probe after the other, each a second after the last."""
    for at, is_good in enumerate(results):
        now = start + at * PROBE_EVERY_S
        breaker.probe_sent(now)
        breaker.probe_answered(now) if is_good else breaker.probe_failed(now)
    return breaker


def test_the_defaults_are_those_of_the_configuration() -> None:
    settings = Settings()
    assert (settings.failures, settings.window, settings.open, settings.probes) == (20, 10.0, 30.0, 5)


def test_no_move_is_missing_and_none_is_too_much() -> None:
    assert set(MOVES) < set(product(State, Event))
    assert {(before, after) for (before, _), after in MOVES.items()} == {
        (CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, CLOSED), (HALF_OPEN, OPEN)
    }  # fmt: skip


def test_as_many_failures_as_configured_open_it() -> None:
    breaker = Breaker(FEW)
    for now, state in ((0.0, CLOSED), (5.0, CLOSED), (10.0, OPEN)):
        breaker.failed(now, now)
        assert breaker.state is state
    assert breaker.opened_at == 10.0


def test_failures_spread_over_more_than_the_window_do_not() -> None:
    breaker = Breaker(FEW)
    for at in range(100):
        breaker.failed(at * 5.1, at * 5.1)
    assert breaker.state is CLOSED


def test_it_sends_nothing_until_its_time_is_over_and_then_one() -> None:
    breaker = opened()
    assert not breaker.may_probe(29.9)
    assert breaker.may_probe(30.0)
    breaker.probe_sent(30.0)
    assert not breaker.may_probe(1e9)


def test_good_probes_in_a_row_close_it() -> None:
    assert probed(opened(), GOOD).state is HALF_OPEN
    assert probed(opened(), GOOD, GOOD).state is CLOSED


def test_a_failed_probe_opens_it_anew_and_the_row_begins_anew() -> None:
    breaker = probed(opened(), GOOD, BAD)
    assert breaker.state is OPEN
    assert not breaker.may_probe(60.9)
    assert breaker.may_probe(61.0)
    assert probed(breaker, GOOD, start=61.0).state is HALF_OPEN
    assert breaker.opened_at == 0.0


def test_a_probe_that_says_nothing_gives_its_place_to_the_next() -> None:
    breaker = probed(opened(), GOOD)
    breaker.probe_sent(31.0)
    breaker.probe_gone()
    assert not breaker.may_probe(31.9)
    assert breaker.may_probe(32.0)
    assert probed(breaker, GOOD, start=32.0).state is CLOSED


def test_probes_are_a_second_apart_however_short_it_stays_open() -> None:
    breaker = probed(opened(Settings(failures=1, open=0.01)), BAD, start=1.0)
    assert not breaker.may_probe(1.9)
    assert breaker.may_probe(2.0)


def test_copies_from_before_it_opened_say_nothing_more() -> None:
    breaker = opened()
    breaker.failed(31.0, 0.0)
    breaker.probe_sent(31.0)
    breaker.failed(31.0, 0.0)
    assert breaker.state is HALF_OPEN


def test_copies_from_before_it_closed_do_not_open_it_again() -> None:
    breaker = probed(opened(), GOOD, GOOD)
    for _ in range(FEW.failures):
        breaker.failed(32.0, 30.9)
    assert breaker.state is CLOSED
    for _ in range(FEW.failures):
        breaker.failed(32.0, 31.0)
    assert breaker.state is OPEN


def test_what_failed_before_it_closed_is_forgotten() -> None:
    breaker = probed(opened(Settings(failures=3, window=1000.0, probes=1)), GOOD)
    breaker.failed(31.0, 31.0)
    breaker.failed(31.0, 31.0)
    assert breaker.state is CLOSED
    breaker.failed(31.0, 31.0)
    assert (breaker.state, breaker.opened_at) == (OPEN, 31.0)


@pytest.mark.parametrize(
    "report", [lambda it: it.probe_answered(0.0), Breaker.probe_gone, lambda it: it.probe_failed(0.0)]
)
@pytest.mark.parametrize("make", [lambda: Breaker(FEW), opened], ids=["closed", "open"])
def test_a_probe_nobody_sent_is_our_bug(make: object, report: object) -> None:
    with pytest.raises(IllegalEventError, match="breaker"):
        report(make())  # type: ignore[operator]  # functions, as the lists above show


def test_a_second_probe_is_our_bug() -> None:
    breaker = opened()
    breaker.probe_sent(30.0)
    with pytest.raises(IllegalEventError):
        breaker.probe_sent(40.0)
    with pytest.raises(IllegalEventError):
        Breaker(FEW).probe_sent(0.0)


class AnyTraffic(RuleBasedStateMachine):
    """Copies that start, fail, are answered and vanish in any order; a list of all failures is the judge."""

    @initialize(
        failures=st.integers(1, 5), window=st.floats(0.5, 20.0), open_s=st.floats(0.01, 40.0), probes=st.integers(1, 4)
    )
    def configure(self, failures: int, window: float, open_s: float, probes: int) -> None:
        self.settings = Settings(failures=failures, window=window, open=open_s, probes=probes)
        self.breaker = Breaker(self.settings)
        self.now = 1000.0
        self.failures: list[float] = []  # since it was closed last
        self.sent: list[float] = []
        self.is_probing = False
        self.row = 0
        self.opened = 0.0
        self.closed = 0.0
        self.started: list[float] = []  # of copies under way

    @rule(seconds=st.one_of(st.floats(0.0, 2.0), st.floats(0.0, 50.0), st.just(0.0)))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.breaker.state is CLOSED)
    @rule()
    def a_copy_starts(self) -> None:
        self.started.append(self.now)

    @precondition(lambda self: self.started)
    @rule(data=st.data())
    def a_copy_fails(self, data: st.DataObject) -> None:
        """One from now, or from before it opened, maybe more than once."""
        started = self.started.pop(data.draw(st.integers(0, len(self.started) - 1)))
        before = self.breaker.state
        self.breaker.failed(self.now, started)
        if before is not CLOSED or started < self.closed:
            assert self.breaker.state is before
            return
        self.failures.append(self.now)
        recent = [at for at in self.failures if self.now - at <= self.settings.window]
        assert (self.breaker.state is OPEN) == (len(recent) >= self.settings.failures)
        if self.breaker.state is OPEN:
            self.opened = self.now

    @precondition(lambda self: self.breaker.state is not CLOSED)
    @rule()
    def a_copy_wants_to_be_sent(self) -> None:
        if not self.breaker.may_probe(self.now):
            waits_for_probe = bool(self.sent) and self.now < self.sent[-1] + PROBE_EVERY_S
            is_open = self.breaker.state is OPEN and self.now < self.opened + self.settings.open
            assert self.is_probing or waits_for_probe or is_open
            return
        assert not self.is_probing
        assert not self.sent or self.now >= self.sent[-1] + PROBE_EVERY_S
        assert self.now >= self.opened + self.settings.open
        self.breaker.probe_sent(self.now)
        self.sent.append(self.now)
        self.is_probing = True

    @precondition(lambda self: self.is_probing)
    @rule()
    def the_probe_is_answered(self) -> None:
        self.breaker.probe_answered(self.now)
        self.is_probing = False
        self.row += 1
        assert (self.breaker.state is CLOSED) == (self.row == self.settings.probes)
        if self.breaker.state is CLOSED:
            self.failures, self.row, self.closed = [], 0, self.now

    @precondition(lambda self: self.is_probing)
    @rule()
    def the_probe_fails(self) -> None:
        self.breaker.probe_failed(self.now)
        self.is_probing, self.row, self.opened = False, 0, self.now
        assert self.breaker.state is OPEN

    @precondition(lambda self: self.is_probing)
    @rule()
    def the_probe_vanishes(self) -> None:
        self.breaker.probe_gone()
        self.is_probing = False
        assert self.breaker.state is HALF_OPEN

    @invariant()
    def a_probe_is_under_way_in_half_open_only(self) -> None:
        if self.is_probing:
            assert self.breaker.state is HALF_OPEN
            assert not self.breaker.may_probe(self.now + 1e6)


TestAnyTraffic = AnyTraffic.TestCase


@given(st.integers(1, 8), st.lists(st.floats(0.0, 100.0), max_size=40), st.floats(0.5, 30.0))
def test_it_always_closes_after_enough_good_probes(probes: int, failures: list[float], window: float) -> None:
    breaker = Breaker(Settings(failures=2, window=window, open=5.0, probes=probes))
    for at in sorted(failures):
        breaker.failed(at, at)
    now = 200.0
    for _ in range(probes):
        if breaker.state is not CLOSED:
            assert breaker.may_probe(now)
            breaker.probe_sent(now)
            breaker.probe_answered(now)
            now += PROBE_EVERY_S
    assert breaker.state is CLOSED
