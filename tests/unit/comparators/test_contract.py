"""`contract: superset`: what the candidate may add to a whole answer."""

from __future__ import annotations

import pytest
from hypothesis import given

from comparators import Comparison, Kind, Note, Reason, Response, Rule, Tree, Verdict, compare
from tests.unit.comparators.trees import (
    JSON_HEADER,
    NO_RULES,
    found,
    reference,
    response,
    rule,
    rule_set,
    trees,
    unlimited,
    walk,
)

Pairs = list[tuple[str, str]]


CONTRACT = rule_set(contract="superset", limits=unlimited())


def answers(primary: Pairs, candidate: Pairs, *rules: Rule) -> Comparison:
    ours, theirs = Response.from_pairs(200, primary, b"{}"), Response.from_pairs(200, candidate, b"{}")
    return compare(ours, theirs, rule_set(*rules, contract="superset"))


@given(trees, trees)
def test_it_accepts_exactly_what_is_extra(primary: Tree, candidate: Tree) -> None:
    expected = set(reference(primary, candidate))
    accepted = {each for each in expected if each[1] in (Kind.EXTRA, Kind.TYPE_ONLY)}
    for shortcut in (True, False):
        comparison = walk(primary, candidate, CONTRACT, shortcut=shortcut)
        assert (found(comparison), comparison.accepted) == (expected - accepted, len(accepted))


def test_with_it_a_null_that_is_added_is_one_accepted_difference() -> None:
    assert walk({}, {"a": None}, rule_set(contract="superset", null_equals_missing=True)).accepted == 1


def test_what_is_ignored_stays_the_hit_of_ignore() -> None:
    rules = rule_set(rule("$.debug", "ignore", id="i"), contract="superset")
    comparison = walk({}, {"debug": 1, "new": 1}, rules)
    assert (comparison.hits, comparison.accepted) == ({"i": 1}, 2)


def test_the_candidate_may_add_members_and_header_fields() -> None:
    primary = response({"a": [{"b": 1}]})
    candidate = response({"a": [{"b": 1, "c": 1}], "d": 1}, JSON_HEADER + b"X-Plan: a\r\nX-Plan: b\r\nETag: x\r\n")
    comparison = compare(primary, candidate, CONTRACT)
    assert (comparison.verdict, comparison.accepted, comparison.hits) == (Verdict.TOLERATED, 4, {})
    assert compare(primary, candidate, NO_RULES).count == 4
    assert compare(candidate, primary, CONTRACT).count == 4


def test_a_field_of_both_is_compared_as_ever() -> None:
    assert found(answers([("x", "1")], [("x", "2")])) == {(("header:x",), Kind.HEADER)}
    assert found(answers([("x", "1")], [("x", "1"), ("x", "2")])) == {(("header:x",), Kind.HEADER)}
    assert found(answers([("x", "1")], [])) == {(("header:x",), Kind.HEADER)}
    assert answers([("server", "a")], [("server", "b")]).verdict is Verdict.MATCH


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Set-Cookie", "a=b"),
        ("Content-Type", "text/html"),
        ("Location", "/elsewhere"),
        ("Cache-Control", "public"),
        ("Vary", "cookie"),
        ("Access-Control-Allow-Origin", "*"),
        ("X-CSRF-Key", "1"),
        ("Content-Range", "bytes 0-1/2"),
        ("Sunset", "Sat, 21 Nov 2026 00:00:00 GMT"),
    ],
)
def test_what_must_not_be_ignored_is_not_added_either(name: str, value: str) -> None:
    comparison = answers([], [(name, value)])
    assert {path[0] for path, _ in found(comparison)} == {f"header:{name.lower()}"}
    ignoring = rule(f"header:{name}", "ignore", allow_broad=True, id="i")
    assert answers([], [(name, value)], ignoring).hits == {"i": 1}


def test_a_second_cookie_is_a_difference() -> None:
    comparison = answers([("set-cookie", "a=1")], [("set-cookie", "a=1"), ("set-cookie", "b=1")])
    assert found(comparison) == {(("header:set-cookie", "b"), Kind.HEADER)}


def test_an_added_content_coding_is_left_to_the_bodies() -> None:
    comparison = answers([], [("Content-Encoding", "identity, x-made-up")])
    assert (comparison.verdict, comparison.notes) == (Verdict.TOLERATED, (Note.CONTENT_ENCODING,))
    other = Response.from_pairs(200, [("content-encoding", "x-made-up")], b"[]")
    assert {path for path, _ in found(compare(Response(200, b"", b"{}"), other, CONTRACT))} == {
        ("$",),
        ("header:content-encoding",),
    }


def test_a_field_that_a_rule_compares_may_be_added_too() -> None:
    comparison = answers([], [("X-Trace", "none")], rule("header:x-trace", "format", {"as": "uuid"}, id="t"))
    assert (comparison.verdict, comparison.accepted, comparison.hits) == (Verdict.TOLERATED, 1, {"t": 0})
    comparison = answers([("X-Trace", "-")], [("X-Trace", "none")], rule("header:x-trace", "format", {"as": "uuid"}))
    assert found(comparison) == {(("header:x-trace",), Kind.HEADER)}


def test_a_contract_changes_nothing_about_what_cannot_be_compared() -> None:
    primary, candidate = Response(200, JSON_HEADER, b"{", cut=True), Response(200, JSON_HEADER, b'{"a": 1}')
    assert compare(primary, candidate, CONTRACT).reason is Reason.CAPTURE_CAP
    assert found(compare(response({}), Response(200, JSON_HEADER, b"{"), CONTRACT)) == {(("$",), Kind.PARSE)}
