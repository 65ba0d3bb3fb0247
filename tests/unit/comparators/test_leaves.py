from __future__ import annotations

import pytest

from comparators import Kind, Tree, Verdict
from tests.unit.comparators.trees import found, rule, rule_set, walk


@pytest.mark.parametrize(
    ("name", "primary", "candidate"),
    [
        ("uuid", "5f0c8e0a-52d0-4a53-9d2e-4c5a1f6f7f10", "00000000-0000-0000-0000-00000000000F"),
        ("timestamp", "2026-11-20T10:11:12Z", "2026-11-20 10:11:60.5+01:00"),
        ("timestamp", 1_790_000_000, 1_790_000_001.5),
        ("timestamp", 1_790_000_000_000, 1_790_000_000_007),
        ("date", "2026-11-20", "2024-02-29"),
        ("hex", "deadBEEF", "0x00"),
        ("base64", "aGVsbG8=", "aGVsbG8gd29ybGQ"),
        ("url", "https://a.example/x?y", "http://b.example"),
        ("email", "ana@example.org", "b.c+d@mail.example.co"),
        ("number", "12.50", "-3e7"),
        ("number", 12, 13.5),
        ("length", "abcdefgh", "ijklmnopqrstuvw"),
    ],
)
def test_two_values_of_one_class_are_accepted(name: str, primary: Tree, candidate: Tree) -> None:
    rules = rule_set(rule("$.x", "format", {"as": name}))
    assert walk({"x": primary}, {"x": candidate}, rules).verdict is Verdict.TOLERATED


@pytest.mark.parametrize(
    ("name", "primary", "candidate", "kind"),
    [
        ("uuid", "5f0c8e0a-52d0-4a53-9d2e-4c5a1f6f7f10", "n/a", Kind.FORMAT),
        ("uuid", "5f0c8e0a-52d0-4a53-9d2e-4c5a1f6f7f10\n", "5f0c8e0a-52d0-4a53-9d2e-4c5a1f6f7f10", Kind.FORMAT),
        ("timestamp", "2026-11-20T10:11:12Z", "2026-13-20T10:11:12Z", Kind.FORMAT),
        ("timestamp", 1_790_000_000, 1_790_000_000_000, Kind.FORMAT),
        ("timestamp", 1_790_000_000, "2026-11-20T10:11:12Z", Kind.TYPE),
        ("date", "2026-11-20", "2026-02-30", Kind.FORMAT),
        ("hex", "abc", "xyz", Kind.FORMAT),
        ("base64", "aGVsbG8=", "a", Kind.FORMAT),
        ("url", "https://a.example", "/relative", Kind.FORMAT),
        ("email", "ana@example.org", "ana", Kind.FORMAT),
        ("number", "12", "twelve", Kind.FORMAT),
        ("length", "abc", "abcd", Kind.FORMAT),
        ("length", "", "a", Kind.FORMAT),
        ("hex", "a" * 5_000, "b" * 5_000, Kind.FORMAT),
        ("number", True, False, Kind.FORMAT),
        ("hex", "ab", None, Kind.TYPE),
    ],
)
def test_values_outside_the_class_are_refused(name: str, primary: Tree, candidate: Tree, kind: Kind) -> None:
    rules = rule_set(rule("$.x", "format", {"as": name}))
    assert found(walk({"x": primary}, {"x": candidate}, rules)) == {(("$", "x"), kind)}


def test_equal_values_outside_the_class_are_equal() -> None:
    rules = rule_set(rule("$.x", "format", {"as": "uuid"}))
    assert walk({"x": "n/a", "y": 1}, {"x": "n/a", "y": 1}, rules, shortcut=False).verdict is Verdict.MATCH


@pytest.mark.parametrize(
    ("use", "settings"),
    [
        ("exact", {}),
        ("numeric", {"abs": 9.0}),
        ("probability", {"abs": 9.0}),
        ("format", {"as": "number"}),
        ("type", {}),
    ],
)
def test_a_bool_is_a_number_to_no_comparator(use: str, settings: dict[str, Tree]) -> None:
    rules = rule_set(rule("$.x", use, settings))
    for one, other in ((True, 1), (False, 0.0), (1, True), (0.0, False)):
        assert found(walk({"x": one}, {"x": other}, rules)) == {(("$", "x"), Kind.TYPE)}


def test_presence_accepts_any_value_but_null_and_absence() -> None:
    rules = rule_set(rule("$.x", "presence"))
    assert walk({"x": 1}, {"x": [2]}, rules).verdict is Verdict.TOLERATED
    assert found(walk({"x": 1}, {"x": None}, rules)) == {(("$", "x"), Kind.TYPE)}
    assert found(walk({"x": 1}, {}, rules)) == {(("$", "x"), Kind.MISSING)}
    lenient = rule_set(rule("$.x", "presence", {"null_ok": True}))
    assert walk({"x": 1}, {"x": None}, lenient).verdict is Verdict.TOLERATED


@pytest.mark.parametrize(
    ("primary", "candidate", "accepted"),
    [(1, 2.5, True), ({"a": 1}, {}, True), ("a", "b", True), (True, 1, False), (None, 0, False), ([], {}, False)],
)
def test_type_accepts_the_same_json_type_only(primary: Tree, candidate: Tree, *, accepted: bool) -> None:
    comparison = walk([primary], [candidate], rule_set(rule("$[0]", "type")))
    assert comparison.verdict is (Verdict.TOLERATED if accepted else Verdict.MISMATCH)
    assert {kind for _, kind in found(comparison)} <= {Kind.TYPE}


def test_exact_overrules_a_wider_rule() -> None:
    rules = rule_set(rule("$.*", "numeric", {"rel": 0.5}), rule("$.id", "exact"))
    assert found(walk({"id": 10, "x": 10}, {"id": 11, "x": 11}, rules)) == {(("$", "id"), Kind.VALUE)}


def test_numeric_compares_what_is_no_number_exactly() -> None:
    rules = rule_set(rule("$.*", "numeric", {"abs": 100}))
    comparison = walk({"a": "1", "b": True, "c": 1}, {"a": "2", "b": 1, "c": None}, rules)
    assert found(comparison) == {(("$", "a"), Kind.VALUE), (("$", "b"), Kind.TYPE), (("$", "c"), Kind.TYPE)}
    assert comparison.deltas == ()


def test_a_leaf_rule_that_selects_a_container_lets_its_members_be_compared() -> None:
    rules = rule_set(rule("$.list", "numeric", {"abs": 1}))
    assert found(walk({"list": [1.0]}, {"list": [1.5]}, rules)) == {(("$", "list", 0), Kind.VALUE)}
    assert found(walk({"list": [1.0]}, {"list": 1.0}, rules)) == {(("$", "list"), Kind.TYPE)}
