"""A few in each turn, every one of them, and none twice."""

from dataclasses import dataclass, field

from proxy.worker.sweep import AT_ONCE, Sweep
from tests.kit.clock import FakeClock


@dataclass
class Timer:
    """Overdue at a time; notes when it was told."""

    at: float
    ended: list[float]

    def is_overdue(self, now: float) -> bool:
        return self.at <= now

    def tick(self, now: float) -> None:
        self.ended.append(now)


class Broken(Timer):
    def tick(self, now: float) -> None:
        raise ValueError(now)


@dataclass
class Round:
    clock: FakeClock = field(default_factory=FakeClock)
    ended: list[float] = field(default_factory=list)
    bugs: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sweep = Sweep(self.clock.call_soon, self.bugs.append)


def test_only_what_is_overdue_ends_and_a_few_in_each_turn() -> None:
    seen = Round()
    timers = [Timer(at, seen.ended) for at in (1.0, 3.0)] * (2 * AT_ONCE)
    seen.sweep.over(timers, 2.0)
    assert seen.ended == [2.0] * AT_ONCE
    seen.clock.run_turn()
    assert seen.ended == [2.0] * 2 * AT_ONCE
    assert seen.clock.pending == 0


def test_a_round_that_is_not_over_is_not_begun_anew() -> None:
    seen = Round()
    timers = [Timer(1.0, seen.ended) for _ in range(AT_ONCE + 1)]
    seen.sweep.over(timers, 1.0)
    seen.sweep.over(timers, 2.0)
    seen.clock.run_ready()
    assert seen.ended == [1.0] * (AT_ONCE + 1)
    seen.sweep.over(timers[:1], 3.0)
    assert seen.ended[-1] == 3.0


def test_a_bug_in_one_does_not_stop_the_others() -> None:
    seen = Round()
    timers = [Timer(0.0, seen.ended), Broken(0.0, seen.ended), Timer(0.0, seen.ended)]
    seen.sweep.over(timers, 1.0)
    assert (seen.ended, [str(bug) for bug in seen.bugs]) == ([1.0, 1.0], ["1.0"])
