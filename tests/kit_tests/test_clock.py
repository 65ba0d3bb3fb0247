import pytest

from tests.kit.clock import FakeClock


def test_time_moves_only_when_told() -> None:
    clock = FakeClock(start=100.0)
    assert (clock.time(), clock()) == (100.0, 100.0)
    clock.advance(2.5)
    assert clock.time() == 102.5


def test_timers_fire_in_order_at_their_own_instant() -> None:
    clock, fired = FakeClock(), list[tuple[str, float]]()
    for name, delay in (("late", 3.0), ("early", 1.0), ("early too", 1.0)):
        clock.call_later(delay, lambda name=name: fired.append((name, clock.time())))
    clock.advance(2.0)
    assert fired == [("early", 1.0), ("early too", 1.0)]
    clock.advance(1.0)
    assert fired[2:] == [("late", 3.0)]
    assert clock.pending == 0


def test_timer_set_by_a_timer_fires_in_the_same_advance() -> None:
    clock, fired = FakeClock(), list[float]()

    def tick() -> None:
        fired.append(clock.time())
        clock.call_later(1.0, tick)

    clock.call_soon(tick)
    clock.advance(3.0)
    assert fired == [0.0, 1.0, 2.0, 3.0]


def test_cancelled_timer_never_fires_and_is_not_pending() -> None:
    clock, fired = FakeClock(), list[str]()
    timer = clock.call_later(1.0, fired.append, "no")
    soon = clock.call_soon(fired.append, "no")
    assert clock.pending == 2
    timer.cancel()
    soon.cancel()
    assert clock.pending == 0
    clock.advance(2.0)
    assert fired == []
    assert timer.cancelled()
    assert timer.when() == 1.0


def test_ready_callbacks_run_without_time_passing() -> None:
    clock, order = FakeClock(), list[int]()
    clock.call_soon(clock.call_soon, order.append, 2)
    clock.call_soon(order.append, 1)
    clock.run_ready()
    assert (order, clock.time()) == ([1, 2], 0.0)


def test_clock_refuses_to_go_back() -> None:
    with pytest.raises(AssertionError, match="cannot go back"):
        FakeClock().advance(-1.0)


def test_a_turn_runs_what_was_ready_and_not_what_that_adds() -> None:
    clock, ran = FakeClock(), list[str]()
    clock.call_soon(lambda: clock.call_soon(ran.append, "added"))
    clock.call_soon(ran.append, "ready")
    clock.run_turn()
    assert ran == ["ready"]
    clock.run_turn()
    assert ran == ["ready", "added"]
