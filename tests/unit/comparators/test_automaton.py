from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from comparators.automaton import INERT, State
from tests.unit.comparators.trees import rule, rule_set


def states(start: State) -> list[State]:
    seen, pending = {id(start): start}, [start]
    while pending:
        state = pending.pop()
        for child in (*state.literals.values(), state.other):
            if id(child) not in seen:
                seen[id(child)] = child
                pending.append(child)
    return list(seen.values())


def test_without_rules_there_is_one_inert_state() -> None:
    assert rule_set().start is INERT
    assert states(INERT) == [INERT]


def test_nothing_is_expanded_below_a_rule_that_judges_the_whole_node() -> None:
    start = rule_set(rule("$.a", "ignore"), rule("$.a.b.c", "exact")).start
    assert start.after("a").prune
    assert start.after("a").after("b") is INERT


def test_states_know_what_lies_below() -> None:
    start = rule_set(rule("$.a.*.score", "numeric", {"rel": 1.0}), rule("$.b", "exact")).start
    assert (start.aggregate_below, start.inert) == (True, False)
    assert start.after("a").after(3).aggregate_below
    assert not start.after("a").after(3).after("label").aggregate_below
    assert (start.after("b").aggregate_below, start.after("b").inert) == (False, False)
    assert start.after("c").inert


def test_indices_and_names_are_told_apart() -> None:
    start = rule_set(rule("$[1]", "exact", id="index"), rule("$['1']", "exact", id="name")).start
    assert [state.rule and state.rule.id for state in (start.after(1), start.after("1"), start.after(0))] == [
        "index",
        "name",
        None,
    ]


paths = st.lists(st.sampled_from([".a", ".b", "..a", ".*", "[0]", "..*"]), max_size=4).map(
    lambda parts: "$" + "".join(parts)
)


@given(st.lists(paths, max_size=4, unique=True))
def test_what_states_claim_about_below_is_true(texts: list[str]) -> None:
    start = rule_set(*(rule(text, "numeric", {"rel": 0.1}) for text in texts)).start
    for state in states(start):
        reachable = states(state)
        assert state.inert is all(each.rule is None for each in reachable)
        assert state.aggregate_below is any(each.rule is not None for each in reachable)
