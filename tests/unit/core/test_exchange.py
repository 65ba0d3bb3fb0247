from collections import Counter

import pytest

from proxy.core.exchange import Command, Event, Exchange, IllegalEventError, Mirror, Serve

Run = tuple[tuple[Event, ...], tuple[Command, ...]]
OUTCOMES = (Command.OFFER_PAIR, Command.COUNT_DROP)


def legal(serve: Serve, mirror: Mirror, event: Event) -> tuple[Serve, Mirror, tuple[Command, ...]] | None:
    """One step from any state, None if the event is illegal there."""
    exchange = Exchange(mirror)
    exchange.serve = serve
    try:
        commands = exchange.on(event)
    except IllegalEventError:
        return None
    return exchange.serve, exchange.mirror, commands


def runs(serve: Serve, mirror: Mirror, events: tuple[Event, ...] = (), commands: tuple[Command, ...] = ()) -> list[Run]:
    """Every run from here to RELEASE: once served and read, the connection forgets its exchange."""
    if Command.RELEASE in commands:
        return [(events, commands)]
    found: list[Run] = []
    for event in Event:
        if (step := legal(serve, mirror, event)) is not None:
            found += runs(step[0], step[1], (*events, event), commands + step[2])
    assert found, f"stuck in {serve.name} {mirror.name} after {events}"
    return found


FROM_OFF = runs(Serve.OPEN, Mirror.OFF)
FROM_HELD = runs(Serve.OPEN, Mirror.HELD)
NAMES = ["-".join(event.name for event in events) for events, _ in FROM_HELD]


def test_there_are_this_many_runs() -> None:
    # A row deleted from a table only makes runs vanish, which no invariant over the rest can see.
    assert (len(FROM_OFF), len(FROM_HELD)) == (2, 15)


def test_without_a_copy_an_exchange_is_only_released() -> None:
    assert FROM_OFF == [((Event.SERVED,), (Command.RELEASE,)), ((Event.CLIENT_GONE,), (Command.RELEASE,))]


@pytest.mark.parametrize(("events", "commands"), FROM_HELD, ids=NAMES)
class TestEveryRunWithACopy:
    def test_each_command_comes_at_most_once_and_in_order(
        self, events: tuple[Event, ...], commands: tuple[Command, ...]
    ) -> None:
        assert list(commands) == sorted(set(commands)), events

    def test_the_copy_is_sent_exactly_if_it_got_ready(
        self, events: tuple[Event, ...], commands: tuple[Command, ...]
    ) -> None:
        assert (Command.SEND_MIRROR in commands) is (Event.COPY_READY in events)

    def test_a_pair_is_offered_exactly_if_both_sides_have_an_outcome(
        self, events: tuple[Event, ...], commands: tuple[Command, ...]
    ) -> None:
        assert (Command.OFFER_PAIR in commands) is ({Event.SERVED, Event.MIRRORED} <= set(events))

    def test_it_yields_a_pair_or_a_counted_drop_and_never_both(
        self, events: tuple[Event, ...], commands: tuple[Command, ...]
    ) -> None:
        assert sum(command in OUTCOMES for command in commands) == 1, events

    def test_release_comes_last_and_with_both_sides_ended(
        self, events: tuple[Event, ...], commands: tuple[Command, ...]
    ) -> None:
        assert commands[-1] is Command.RELEASE
        assert {Event.SERVED, Event.CLIENT_GONE} & set(events)
        assert {Event.MIRRORED, Event.MIRROR_DROPPED, Event.CLIENT_GONE} & set(events)


def test_after_release_nothing_is_legal() -> None:
    for events, _ in FROM_HELD + FROM_OFF:
        exchange = Exchange(
            Mirror.OFF if len(events) == 1 and (events, (Command.RELEASE,)) in FROM_OFF else Mirror.HELD
        )
        for event in events:
            exchange.on(event)
        late = [event for event in Event if legal(exchange.serve, exchange.mirror, event)]
        assert late == [], f"{late} after {events}"


@pytest.mark.parametrize(
    ("mirror", "first", "then"),
    [
        (Mirror.OFF, [], Event.COPY_READY),
        (Mirror.OFF, [], Event.MIRRORED),
        (Mirror.OFF, [Event.SERVED], Event.SERVED),
        (Mirror.OFF, [Event.SERVED], Event.CLIENT_GONE),
        (Mirror.HELD, [], Event.MIRRORED),
        (Mirror.HELD, [Event.COPY_READY], Event.COPY_READY),
        (Mirror.HELD, [Event.COPY_READY, Event.MIRRORED], Event.MIRROR_DROPPED),
        (Mirror.HELD, [Event.CLIENT_GONE], Event.COPY_READY),
        (Mirror.HELD, [Event.MIRROR_DROPPED], Event.MIRRORED),
    ],
)
def test_what_cannot_happen_raises_and_changes_nothing(mirror: Mirror, first: list[Event], then: Event) -> None:
    exchange = Exchange(mirror)
    for event in first:
        exchange.on(event)
    before = repr(exchange)
    with pytest.raises(IllegalEventError):
        exchange.on(then)
    assert repr(exchange) == before


def test_it_shows_both_states_by_name() -> None:
    assert repr(Exchange(Mirror.HELD)) == "<exchange OPEN HELD>"


def test_every_command_is_reached_by_some_run() -> None:
    seen = Counter(command for _, commands in FROM_HELD for command in commands)
    assert set(seen) == set(Command)
