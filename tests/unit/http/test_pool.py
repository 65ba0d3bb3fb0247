from dataclasses import dataclass

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from proxy.http.pool import Advice, BackendPool


@dataclass(eq=False)
class Connection:
    opened_at: float = 0.0
    idle_until: float = 0.0


@dataclass(eq=False)
class Waiter:
    is_gone: bool = False


def pool(
    max_connections: int = 2, max_idle: int = 2, max_waiting: int = 1, idle_s: float = 4.0, max_age_s: float = 300.0
) -> BackendPool[Connection, Waiter]:
    return BackendPool(max_connections, max_idle, max_waiting, idle_s, max_age_s)


def lent(to: BackendPool[Connection, Waiter], now: float = 0.0) -> Connection:
    assert to.take(now) is Advice.OPEN
    return Connection(opened_at=now)


def test_an_empty_pool_opens_up_to_its_limit_then_waits_then_refuses() -> None:
    connections = pool()
    assert [connections.take(0.0) for _ in range(3)] == [Advice.OPEN, Advice.OPEN, Advice.WAIT]
    connections.waiting.append(first := Waiter())
    assert connections.take(0.0) is Advice.REFUSE
    assert repr(connections) == "<pool 2 open, 0 idle, 1 waiting>"
    first.is_gone = True
    assert connections.take(0.0) is Advice.WAIT
    assert repr(connections) == "<pool 2 open, 0 idle, 0 waiting>"


def test_the_connection_used_last_is_used_next() -> None:
    connections = pool()
    first, second = lent(connections), lent(connections)
    assert connections.give(first, 1.0, 60.0)
    assert connections.give(second, 2.0, 60.0)
    assert connections.take(3.0) is second
    assert connections.take(3.0) is first
    assert connections.open == 2


def test_one_past_its_time_hides_no_good_one() -> None:
    connections = pool(max_connections=3, max_idle=3)
    first, second, third = (lent(connections) for _ in range(3))
    assert connections.give(first, 0.0, 60.0)
    assert connections.give(second, 0.0, 3.0)
    assert connections.give(third, 0.0, 1.0)
    assert connections.take(2.0) is second
    assert connections.take(2.0) is first
    assert connections.take(2.0) is Advice.WAIT
    assert connections.expired(2.0) == [third]


@pytest.mark.parametrize(
    ("told_s", "until"),
    [pytest.param(60.0, 4.0, id="pool.idle is sooner"), pytest.param(1.0, 1.0, id="the backend's is sooner")],
)
def test_an_unused_connection_is_good_for_the_sooner_of_both_times(told_s: float, until: float) -> None:
    connections = pool()
    connection = lent(connections)
    assert connections.give(connection, 0.0, told_s)
    assert connections.expired(until - 0.01) == []
    assert connections.take(until) is Advice.OPEN
    assert connections.expired(until) == [connection]
    assert connections.idle == []


def test_a_connection_is_not_kept_over_the_idle_limit_or_its_age() -> None:
    connections = pool(max_idle=1, max_age_s=10.0)
    first, second = lent(connections), lent(connections)
    assert not connections.give(first, 10.1, 60.0)
    assert connections.give(first, 10.0, 60.0)
    assert not connections.give(second, 0.0, 60.0)


def test_an_ended_connection_makes_room() -> None:
    connections = pool(max_connections=1)
    connection = lent(connections)
    assert connections.give(connection, 0.0, 60.0)
    connections.gone(connection)
    assert repr(connections) == "<pool 0 open, 0 idle, 0 waiting>"
    assert connections.take(0.0) is Advice.OPEN
    connections.gone(None)
    assert connections.open == 0


class Lending(RuleBasedStateMachine):
    """Whatever happens in whatever order: the counts agree and nothing is lent twice."""

    busy = Bundle[Connection]("busy")

    def __init__(self) -> None:
        super().__init__()
        self.pool = pool(max_connections=3, max_idle=2, idle_s=2.0, max_age_s=5.0)
        self.now = 0.0
        self.held: set[Connection] = set()

    @rule(seconds=st.floats(0.0, 3.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=busy)
    def take(self) -> Connection:
        found = self.pool.take(self.now)
        if isinstance(found, Connection):
            assert found not in self.held
            assert found.idle_until > self.now
        elif found is Advice.OPEN:
            found = Connection(opened_at=self.now)
        else:
            assert self.pool.open == self.pool.max_connections
            return Connection()
        self.held.add(found)
        return found

    @rule(connection=consumes(busy), told_s=st.floats(0.1, 3.0))
    def give(self, connection: Connection, told_s: float) -> None:
        if connection in self.held:
            self.held.remove(connection)
            if not self.pool.give(connection, self.now, told_s):
                self.pool.gone(connection)

    @rule(connection=consumes(busy))
    def end(self, connection: Connection) -> None:
        if connection in self.held:
            self.held.remove(connection)
            self.pool.gone(connection)

    @rule()
    def expire(self) -> None:
        for connection in self.pool.expired(self.now):
            self.pool.gone(connection)

    @invariant()
    def counts_agree(self) -> None:
        assert self.pool.open == len(self.held) + len(self.pool.idle) <= self.pool.max_connections
        assert len(self.pool.idle) <= self.pool.max_idle


TestLending = Lending.TestCase
