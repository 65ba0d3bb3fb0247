from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.quarantine import KILLS, REMEMBERED, WITHIN_S, Kill, Suspect, quarantined, remembered

RULE = Suspect("rule", "ranker", "slow", "v1")
ENDPOINT = Suspect("endpoint", "ranker", "score", "v1")


def kills(*found: tuple[Suspect, float]) -> tuple[Kill, ...]:
    known: tuple[Kill, ...] = ()
    for number, (suspect, at) in enumerate(found):
        known = remembered(known, Kill(f"judge-0:{number:04}", "worker-0:1", suspect, at))
    return known


def test_three_kills_within_ten_minutes_put_a_suspect_in_quarantine() -> None:
    assert quarantined(kills((RULE, 0.0), (RULE, 1.0))) == frozenset()
    assert quarantined(kills((RULE, 0.0), (RULE, 1.0), (RULE, WITHIN_S))) == {RULE}
    assert quarantined(kills((RULE, 0.0), (RULE, 1.0), (RULE, WITHIN_S + 0.1))) == frozenset()


def test_the_last_three_kills_count() -> None:
    assert quarantined(kills(*((RULE, at) for at in (0.0, 500.0, 700.0, 900.0)))) == {RULE}


def test_suspects_are_told_apart_by_what_they_are_and_how_they_are_configured() -> None:
    changed, other = replace(RULE, version="v2"), replace(RULE, service="search")
    assert quarantined(kills((RULE, 0.0), (ENDPOINT, 1.0), (RULE, 2.0), (changed, 3.0), (other, 4.0))) == frozenset()


def test_who_is_in_quarantine_stays_there_however_long_ago_its_kills_were() -> None:
    found = kills(*[(RULE, 0.0)] * KILLS, *((ENDPOINT, 1000.0 * at) for at in range(1, 50)))
    assert quarantined(found) == {RULE}


@given(st.lists(st.tuples(st.integers(0, 99), st.floats(0, 1e6)), max_size=300))
def test_what_is_remembered_is_bounded_and_no_kill_of_a_suspect_that_was_forgotten_is_newer(
    found: list[tuple[int, float]],
) -> None:
    suspects = [replace(RULE, name=f"rule-{number}") for number in range(100)]
    known = kills(*((suspects[number], at) for number, at in sorted(found, key=lambda each: each[1])))
    assert len(known) <= REMEMBERED
    for suspect in suspects:
        assert sum(kill.suspect == suspect for kill in known) <= KILLS
    assert [kill.judge for kill in known] == sorted(kill.judge for kill in known)
