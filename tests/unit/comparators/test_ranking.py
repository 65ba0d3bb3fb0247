from __future__ import annotations

from copy import deepcopy
from fractions import Fraction
from itertools import combinations
from math import inf, nan, sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparators import (
    EQUAL,
    Accepted,
    Comparison,
    EndpointSettings,
    Finding,
    Kind,
    Limits,
    OverBudget,
    Tree,
    Verdict,
    compile_rules,
    with_custom,
)
from comparators.ledger import Ledger
from comparators.ranking import RANKINGS, Ranking, RankingSettings, Ranks, overlap, rbo, tau_b
from comparators.tree import Walk
from tests.unit.comparators.trees import NO_RULES, found, replaced, rule, trees, walk

KNOWN = with_custom(RANKINGS, base={})
ALPHABET = "abcdefghijklmnopqrstuvwxyz"
SCORED: dict[str, Any] = {"key": "id", "score": "score"}


def judged(primary: Tree, candidate: Tree, limits: Limits | None = None, **settings: Any) -> Comparison:
    rules = compile_rules(
        [rule("$.x", "ranking", settings)],
        comparators=KNOWN,
        settings=EndpointSettings(limits=limits or Limits()),
    )
    return walk({"x": primary}, {"x": candidate}, rules)


def asked(primary: Tree, candidate: Tree, **settings: Any) -> Finding:
    return Ranking().compare(primary, candidate, RankingSettings(**settings), Walk(NO_RULES, Ledger(1)))


def accepts(primary: Tree, candidate: Tree, **settings: Any) -> bool:
    return not isinstance(asked(primary, candidate, **settings), list)


def magnitude(finding: Finding) -> float | None:
    if isinstance(finding, list):
        (difference,) = finding
        return difference.magnitude
    assert isinstance(finding, Accepted)
    return finding.magnitude


def scored(*pairs: tuple[str, float]) -> list[Tree]:
    return [{"id": name, "score": score} for name, score in pairs]


def ranked(*groups: str) -> Ranks:
    """Ranks of one-letter items; a group of several is tied."""
    ranks: Ranks = {}
    for group in groups:
        ranks |= dict.fromkeys(group, len(ranks) + 1)
    return ranks


TEN = list("abcdefghij")
TOP_SWAPPED = list("bacdefghij")
LAST_SWAPPED = list("abcdefghji")


@pytest.mark.parametrize(
    ("ours", "theirs", "p", "expected"),
    [  # the longer ones as the program of the measure's first author prints them
        ("ab", "ab", 0.9, 1.0),
        (ALPHABET, "av", 0.2, 0.900000),
        (ALPHABET, "f", 0.9, 0.053090),
        (ALPHABET, "zclx", 0.9, 0.233312),
        (ALPHABET, "nxqyk", 0.9, 0.049050),
        (ALPHABET, "bnesoactrp", 0.4, 0.172992),
        (ALPHABET, "akdwcjomxrubqitenhspyl", 0.1, 0.948509),
        (ALPHABET, "afdqwtvehcpubinloygrs", 0.4, 0.782330),
        (ALPHABET, "karfvodcjmwgzlypebunq", 0.9, 0.468431),
        ("abcdefghijklmnoqrstuvwxyz", "jtnxyzovchmfldbksguqewari", 0.9, 0.256365),
        ("abcdefghijklmnoqrstuvwxyz", "jtnxyzovchmfldbksguqewari", 0.99, 0.868989),
    ],
)
def test_rbo_is_the_published_one(ours: str, theirs: str, p: float, expected: float) -> None:
    assert rbo(ranked(*ours), ranked(*theirs), p) == pytest.approx(expected, abs=1e-6)


def test_rbo_with_ties_and_different_lengths_is_the_published_one() -> None:
    ours: Ranks = {"red": 1, "blue": 2, "green": 2, "yellow": 4, "pink": 5}
    theirs: Ranks = {"blue": 1, "red": 1, "white": 3, "yellow": 4, "black": 4, "purple": 4, "green": 7}
    assert rbo(ours, theirs, 0.95) == pytest.approx(0.7068257, abs=1e-7)


def eq_32(ours: str, theirs: str, p: Fraction) -> Fraction:
    """Extrapolated RBO without ties, as printed in the paper."""
    short, long = sorted((ours, theirs), key=len)
    s, l = len(short), len(long)  # noqa: E741  the paper's letters

    def x(d: int) -> int:
        return len(set(short[:d]) & set(long[:d]))

    first = sum((Fraction(x(d), d) * p**d for d in range(1, l + 1)), Fraction(0))
    second = sum((Fraction(x(s) * (d - s), s * d) * p**d for d in range(s + 1, l + 1)), Fraction(0))
    return (1 - p) / p * (first + second) + (Fraction(x(l) - x(s), l) + Fraction(x(s), s)) * p**l


words = st.lists(st.sampled_from(ALPHABET[:12]), min_size=1, max_size=12, unique=True).map("".join)


@given(words, words, st.sampled_from([0.1, 0.5, 0.9, 0.98]))
def test_rbo_without_ties_is_eq_32(ours: str, theirs: str, p: float) -> None:
    assert rbo(ranked(*ours), ranked(*theirs), p) == pytest.approx(float(eq_32(ours, theirs, Fraction(p))), abs=1e-12)


def test_rbo_of_agreement_is_exactly_one_and_of_an_empty_list_zero() -> None:
    for length in range(1, 27):
        assert rbo(ranked(*ALPHABET[:length]), ranked(*ALPHABET[:length]), 0.9) == 1
    assert rbo(ranked(*ALPHABET), ranked(*ALPHABET[:7]), 0.9) == 1
    assert rbo(ranked(), ranked("a"), 0.9) == rbo(ranked("a"), ranked(), 0.9) == pytest.approx(0, abs=1e-15)
    assert rbo(ranked(*"abc"), ranked(*"xyz"), 0.9) == pytest.approx(0, abs=1e-15)


def test_nothing_in_common_is_never_less_than_zero() -> None:
    for length in range(1, 13):
        for p in (0.1, 0.9, 0.99):
            assert 0 <= rbo(ranked(*ALPHABET[:length]), ranked(*ALPHABET[-length:]), p) < 1e-15


def test_a_tie_on_one_side_costs_less_than_a_swap() -> None:
    in_order, tied, swapped = ranked("a", "b", "c"), ranked("ab", "c"), ranked("b", "a", "c")
    assert rbo(in_order, tied, 0.9) == rbo(swapped, tied, 0.9) == pytest.approx(1 - 0.1 / 3)
    assert rbo(in_order, swapped, 0.9) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("ours", "theirs", "k", "expected"),
    [
        (ranked(*TEN), ranked(*TOP_SWAPPED), 10, 1.0),
        (ranked(*TEN), ranked(*TOP_SWAPPED), 1, 0.0),
        (ranked(*TEN), ranked(*"abcdefghiz"), 10, 0.9),
        (ranked(*"abc"), ranked(*"abd"), 10, 2 / 3),
        (ranked(*"abc"), ranked(*"abcd"), 10, 3 / 4),
        (ranked(*"abc"), ranked(*"abcd"), 3, 1.0),
        (ranked(), ranked("a"), 10, 0.0),
        (ranked("a", "b", "c"), ranked("a", "c", "b"), 2, 1 / 2),
        (ranked("a", "bc"), ranked("a", "cb"), 2, 1.0),
        (ranked("a", "b", "c"), ranked("a", "cb"), 2, 2 / 3),
        (ranked("a", "b", "c"), ranked("abc"), 1, 1 / 3),
    ],
)
def test_overlap_is_of_what_is_ranked_k_or_better(ours: Ranks, theirs: Ranks, k: int, expected: float) -> None:
    assert overlap(ours, theirs, k) == overlap(theirs, ours, k) == expected


def kendall(ranks: list[tuple[int, int]]) -> float:
    """Tau-b from the four numbers of the textbook."""
    pairs = list(combinations(ranks, 2))
    concordant = sum((a - c) * (b - d) > 0 for (a, b), (c, d) in pairs)
    discordant = sum((a - c) * (b - d) < 0 for (a, b), (c, d) in pairs)
    tied_here = sum(a == c for (a, _), (c, _) in pairs)
    tied_there = sum(b == d for (_, b), (_, d) in pairs)
    return (concordant - discordant) / sqrt((len(pairs) - tied_here) * (len(pairs) - tied_there))


few_ranks = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), max_size=9)


@given(few_ranks)
def test_tau_b_is_the_textbook_one_where_that_is_defined(ranks: list[tuple[int, int]]) -> None:
    sides = [len({rank[side] for rank in ranks}) > 1 for side in (0, 1)]
    expected = kendall(ranks) if all(sides) else float(sides[0] is sides[1])
    assert tau_b(ranks) == pytest.approx(expected, abs=1e-15)
    assert tau_b(reversed(ranks)) == tau_b(ranks) == tau_b([(b, a) for a, b in ranks])


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([12, 2, 1, 12, 2], [1, 4, 7, 1, 0], -0.4714045207910316),  # the example in scipy's reference
        ([1, 2, 3, 4], [1, 2, 3, 4], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 2, 3, 4], [1, 2, 4, 3], 2 / 3),
        ([1, 1, 3], [1, 1, 3], 1.0),
        ([1, 1, 1], [1, 2, 3], 0.0),
        ([1, 1, 1], [1, 1, 1], 1.0),
        ([1], [1], 1.0),
        ([], [], 1.0),
    ],
)
def test_tau_b_by_example(ours: list[int], theirs: list[int], expected: float) -> None:
    assert tau_b(list(zip(ours, theirs, strict=True))) == pytest.approx(expected, abs=1e-15)


def test_a_swap_at_the_top_is_refused_and_one_at_the_end_accepted() -> None:
    comparison = judged(TEN, TOP_SWAPPED)
    assert found(comparison) == {(("$", "x"), Kind.RANK)}
    assert comparison.differences[0].magnitude == pytest.approx(0.1)
    assert (comparison.differences[0].primary, comparison.differences[0].candidate) == (TEN, TOP_SWAPPED)
    assert judged(TEN, LAST_SWAPPED).verdict is Verdict.TOLERATED
    assert magnitude(asked(TEN, LAST_SWAPPED)) == pytest.approx(0.9**8 * 0.1 / 9)


def test_bounds_are_inclusive() -> None:
    assert accepts(TEN, TOP_SWAPPED, min_rbo=0.9)
    assert not accepts(TEN, TOP_SWAPPED, min_rbo=0.9000001)
    assert accepts(TEN, list("abcdefghiz"), min_overlap=0.9, min_rbo=0)
    assert not accepts(TEN, list("abcdefghiz"), min_overlap=0.91, min_rbo=0)
    assert accepts(list("abcd"), list("abdc"), min_rbo=0, min_tau=0.6666)
    assert not accepts(list("abcd"), list("abdc"), min_rbo=0, min_tau=0.6667)


def test_the_magnitude_is_that_of_the_worst_refused_score() -> None:
    reversed_ten = TEN[::-1]
    assert magnitude(asked(TEN, reversed_ten, min_rbo=0, min_tau=0.5)) == 2
    assert magnitude(asked(TEN, reversed_ten, min_rbo=0, min_tau=-1)) == 2
    assert magnitude(asked(TEN, reversed_ten)) == pytest.approx(1 - rbo(ranked(*TEN), ranked(*reversed_ten), 0.9))
    assert magnitude(asked(TEN, list("qrstuvwxyz"))) == 1
    two_lost = list("zbcdefghiy")
    assert magnitude(asked(TEN, two_lost)) == pytest.approx(1 - rbo(ranked(*TEN), ranked(*two_lost), 0.9))
    assert magnitude(asked(TEN, two_lost, min_rbo=0)) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("primary", "candidate"),
    [([], []), ([], ["a"]), (["a"], []), (["a"], ["a"]), (["a"], ["b"]), ([1], [1.0])],
    ids=repr,
)
def test_short_lists(primary: list[Tree], candidate: list[Tree]) -> None:
    assert accepts(primary, candidate) is (primary == candidate)
    assert (judged(primary, candidate).verdict is Verdict.MISMATCH) is (primary != candidate)


def test_both_empty_is_equal() -> None:
    assert asked([], []) is EQUAL


def test_a_list_that_ends_earlier_is_measured_by_the_longer_one() -> None:
    assert accepts(TEN, TEN[:9])
    assert not accepts(TEN, TEN[:8])
    assert not accepts(TEN[:8], TEN)
    assert accepts([*TEN, "k"], TEN)


def test_overlap_and_tau_look_at_the_first_k_and_rbo_at_everything() -> None:
    primary, candidate = [*TEN, *"klmno"], [*TEN, *"pqrst"]
    assert accepts(primary, candidate, min_rbo=0, min_tau=1)
    assert not accepts(primary, candidate, min_rbo=0, k=15)
    assert not accepts(primary, candidate)
    assert not accepts(list("abcd"), list("abdc"), k=4, min_rbo=0, min_tau=1)
    assert accepts(list("abcd"), list("abdc"), k=3, min_overlap=0, min_rbo=0, min_tau=1)


def test_the_order_of_equal_scores_says_nothing() -> None:
    primary = scored(("a", 0.9), ("b", 0.5), ("c", 0.5), ("d", 0.5), ("e", 0.1))
    candidate = scored(("a", 0.8), ("d", 0.4), ("b", 0.4), ("c", 0.4), ("e", 0.3))
    for k in (1, 2, 3, 4, 5):
        assert magnitude(asked(primary, candidate, **SCORED, k=k, min_overlap=1, min_rbo=1, min_tau=1)) == 0
    assert not accepts(primary, candidate, key="id")


def test_equal_scores_apart_are_no_tie() -> None:
    primary = scored(("a", 1), ("b", 0), ("c", 1))
    assert not accepts(primary, scored(("c", 1), ("b", 0), ("a", 1)), **SCORED)


def test_a_candidate_that_gives_everything_one_score_is_refused() -> None:
    primary = scored(*((name, 1 - place / 10) for place, name in enumerate(TEN)))
    candidate = scored(*((name, 0.5) for name in TEN))
    assert not accepts(primary, candidate, **SCORED)
    assert not accepts(primary, candidate, **SCORED, min_rbo=0, min_tau=0.5)


def test_only_key_and_score_of_an_item_count() -> None:
    primary = [{"id": 1, "title": "one"}, {"id": 2}]
    assert judged(primary, [{"id": 1, "title": "uno"}, {"id": 2.0}], key="id").verdict is Verdict.TOLERATED
    assert judged(primary, deepcopy(primary), key="id").verdict is Verdict.MATCH


NO_RANKINGS: list[tuple[Tree, dict[str, Any]]] = [
    (None, {}),
    ("abc", {}),
    ({"a": 1}, {}),
    (["a", None], {}),
    (["a", True], {}),
    (["a", nan], {}),
    (["a", ["b"]], {}),
    (["a", {"id": "b"}], {}),
    (["a", "b"], {"key": "id"}),
    ([{"id": "a"}, {"ID": "b"}], {"key": "id"}),
    ([{"id": "a"}, {"id": False}], {"key": "id"}),
    ([{"id": "a"}, {"id": {}}], {"key": "id"}),
    ([{"id": "a"}], SCORED),
    ([{"id": "a", "score": "1"}], SCORED),
    ([{"id": "a", "score": True}], SCORED),
    ([{"id": "a", "score": None}], SCORED),
]


@pytest.mark.parametrize(("node", "settings"), NO_RANKINGS, ids=repr)
def test_what_is_no_ranking_is_a_difference_of_type(node: Tree, settings: dict[str, Any]) -> None:
    ranking: list[Tree] = scored(("a", 1), ("b", 0)) if settings else ["a", "b"]
    anything: dict[str, Any] = {"min_overlap": 0, "min_rbo": 0}
    assert found(judged(ranking, node, **settings, **anything)) == {(("$", "x"), Kind.TYPE)}
    assert found(judged(node, ranking, **settings, **anything)) == {(("$", "x"), Kind.TYPE)}
    assert judged(node, deepcopy(node), **settings).verdict is Verdict.MATCH


@pytest.mark.parametrize("twice", [["a", "b", "a"], [1, 1.0], [10**400, 10**400]], ids=["text", "spelling", "huge"])
def test_a_ranking_names_nothing_twice(twice: list[Tree]) -> None:
    assert found(judged(["a"], twice, min_overlap=0, min_rbo=0)) == {(("$", "x"), Kind.KEY)}
    assert found(judged(twice, ["a"], min_overlap=0, min_rbo=0)) == {(("$", "x"), Kind.KEY)}


def test_infinite_scores_and_huge_names_are_ranked() -> None:
    primary = scored(("a", inf), ("b", 10**400), ("c", nan), ("d", nan))
    assert accepts(primary, scored(("a", 1), ("b", 0.5), ("c", 0.2), ("d", 0.1)), **SCORED, min_rbo=1)
    assert not accepts([10**400, 1], [10**400 + 1, 1])


def test_more_items_than_the_budget_are_not_looked_at() -> None:
    with pytest.raises(OverBudget, match="leaves"):
        judged(list(range(100)), list(range(1, 101)), Limits(leaves=100))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, "k must be 1 or more"),
        ({"k": 65, "min_tau": 0.5}, "k may be 64 at most"),
        ({"score": "s"}, "score needs key"),
        ({"min_overlap": 1.5}, "min_overlap must be from 0 to 1, not 1.5"),
        ({"min_rbo": nan}, "min_rbo must be from 0 to 1, not nan"),
        ({"min_tau": -2}, "min_tau must be from -1 to 1, not -2"),
        ({"p": 1}, "p must be between 0 and 1, not 1"),
        ({"p": 0.0}, "p must be between 0 and 1, not 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judged([], [], **settings)


def test_settings_that_accept_anything_warn() -> None:
    lenient = rule("$.x", "ranking", {"min_overlap": 0, "min_rbo": 0})
    (warning,) = compile_rules([lenient], comparators=KNOWN).warnings
    assert "any two rankings are accepted" in warning
    assert compile_rules([rule("$.x", "ranking", {"k": 65})], comparators=KNOWN).warnings == ()


items = st.tuples(st.sampled_from("abcdefgh"), st.sampled_from([0.1, 0.5, 0.9]))
rankings = st.lists(items, max_size=8, unique_by=lambda item: item[0]).map(lambda pairs: scored(*pairs))
shares = st.sampled_from([0, 0.3, 0.5, 0.8, 0.9, 1])
bounds = st.fixed_dictionaries(
    {"k": st.integers(1, 9), "min_overlap": shares, "min_rbo": shares, "min_tau": st.none() | shares}
)


@given(rankings, rankings, bounds)
def test_neither_side_is_the_reference(primary: list[Tree], candidate: list[Tree], settings: dict[str, Any]) -> None:
    there, back = asked(primary, candidate, **SCORED, **settings), asked(candidate, primary, **SCORED, **settings)
    assert type(there) is type(back)
    assert there is EQUAL or magnitude(there) == magnitude(back)


@given(rankings, rankings, bounds, st.sampled_from(["min_overlap", "min_rbo", "min_tau"]), shares)
def test_a_lower_bound_never_refuses_more(
    primary: list[Tree], candidate: list[Tree], settings: dict[str, Any], name: str, lower: float
) -> None:
    if settings[name] is not None and lower <= settings[name] and accepts(primary, candidate, **SCORED, **settings):
        assert accepts(primary, candidate, **SCORED, **{**settings, name: lower})


@given(rankings, bounds, st.data())
def test_a_stranger_at_the_top_is_found(ranking: list[Tree], settings: dict[str, Any], data: st.DataObject) -> None:
    if ranking:
        place = data.draw(st.integers(0, len(ranking) - 1))
        mutated = replaced(ranking, ("$", place, "id"), "stranger")
        strict = {**settings, "min_rbo": 1}
        assert found(judged(ranking, mutated, **SCORED, **strict)) == {(("$", "x"), Kind.RANK)}


@given(trees, st.sampled_from([{}, {"key": "a"}, {"key": "a", "score": "b"}]))
def test_identity_is_never_a_difference(tree: Tree, settings: dict[str, Any]) -> None:
    assert asked(tree, deepcopy(tree), **settings) is EQUAL


@given(trees, trees, st.sampled_from([{}, {"key": "a"}, {"key": "a", "score": "b"}]))
def test_any_trees_get_an_answer_twice_the_same_and_stay_as_they_are(
    primary: Tree, candidate: Tree, settings: dict[str, Any]
) -> None:
    before = repr((primary, candidate))
    first, second = asked(primary, candidate, **settings), asked(primary, candidate, **settings)
    assert repr(first) == repr(second)
    assert repr((primary, candidate)) == before
    if isinstance(first, list):
        assert {difference.kind for difference in first} <= {Kind.RANK, Kind.KEY, Kind.TYPE}
