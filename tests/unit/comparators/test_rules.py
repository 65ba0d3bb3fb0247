from __future__ import annotations

from typing import Any

import pytest

from comparators import Kind, Rule, RuleErrors, compile_rules
from tests.unit.comparators.trees import found, rule, rule_set, walk


def messages(*rules: Rule) -> list[str]:
    with pytest.raises(RuleErrors) as refused:
        compile_rules(rules)
    return [problem.message for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (rule("$.a", "numric", {"rel": 1}), "there is no comparator 'numric'; did you mean 'numeric'?"),
        (rule("$.a", "zzz"), "there is no comparator 'zzz'; known: classification, datetime, decimal_string"),
        (rule("$.a", "numeric", {"relative": 1}), "there is no setting 'relative'; did you mean 'rel'?"),
        (rule("$.a", "ignore", {"x": 1}), "there is no setting 'x'; known: none"),
        (rule("$.a", "numeric", {"rel": "5%"}), "setting 'rel' must be a number, not '5%'"),
        (rule("$.a", "numeric", {"rel": True}), "setting 'rel' must be a number, not True"),
        (rule("$.a", "exact", {"strict_types": 1}), "setting 'strict_types' must be true or false, not 1"),
        (rule("$.a", "format", {"as": "uid"}), "setting 'as' must be one of uuid, timestamp"),
        (rule("$.a", "format"), "settings are missing, possibly 'as'"),
        (rule("$.a", "numeric"), "give at least one of abs, rel, mean_below, max_below"),
        (rule("$.a", "numeric", {"rel": -1}), "rel must be finite and not negative, not -1"),
        (rule("$.a[", "ignore"), "path at 4: a quoted name, an index or '*' is expected"),
        (rule("$", "ignore"), "ignore on '$' hides too much"),
        (rule("$.*", "ignore"), "ignore on '$.*' hides too much"),
        (rule("$..*", "ignore"), "ignore on '$..*' hides too much"),
        (rule("status", "ignore"), "ignore on 'status' hides too much"),
        (rule("header:Set-Cookie", "ignore"), "ignore on 'header:Set-Cookie' hides too much"),
        (rule("header:content-*", "ignore"), "hides too much"),
        (rule("header:*", "ignore"), "hides too much"),
        (rule("header:access-control-allow-origin", "ignore"), "hides too much"),
        (rule("header:x-csrf", "ignore"), "hides too much"),
        (rule("status", "numeric", {"abs": 1}), "a status takes exact or ignore, not 'numeric'"),
        (rule("header:x", "exact", null_equals_missing=True), "null_equals_missing is for rules that compare a member"),
        (rule("status", "exact", null_equals_missing=True), "null_equals_missing is for rules that compare a member"),
        (Rule("r", "$.a", "exact", {}, reason="", author="ana"), "reason is required"),
        (Rule("r", "$.a", "exact", {}, reason="x", author=" "), "author is required"),
        (Rule("", "$.a", "exact", {}, reason="x", author="ana"), "id is required"),
    ],
)
def test_a_broken_rule_is_refused_with_advice(broken: Rule, message: str) -> None:
    (found_message,) = messages(broken)
    assert message in found_message


def test_all_problems_are_reported_at_once_with_rule_and_position() -> None:
    with pytest.raises(RuleErrors) as refused:
        compile_rules(
            [rule("$.a", "exact", id="ok"), rule("x", "nmeric", {}, id="bad")],
            service_rules=[rule("$.b", "numeric", {"rel": "x", "abz": 1}, id="worse"), rule("$.c", "exact", id="ok")],
        )
    problems = refused.value.problems
    assert [(problem.position, problem.rule) for problem in problems] == [
        (1, "bad"),
        (1, "bad"),
        (2, "worse"),
        (2, "worse"),
        (3, "ok"),
    ]
    assert "rule 4 (ok): the id is used twice" in str(refused.value)


def test_allow_broad_is_an_answer_to_hiding_too_much() -> None:
    broad = [rule("$..*", "ignore", allow_broad=True), rule("header:vary", "ignore", allow_broad=True)]
    assert len(compile_rules(broad).rules) == len(broad)


def winner(*rules: Rule, service_rules: tuple[Rule, ...] = ()) -> str:
    compiled = compile_rules(rules, service_rules=service_rules)
    won = compiled.start.after("a").after("b").rule
    assert won is not None
    return won.id


def exact(path: str) -> Rule:
    return rule(path, "exact", id=path)


def test_precedence() -> None:
    assert winner(exact("$.a.b"), exact("$..b")) == "$.a.b"
    assert winner(exact("$.a.*"), exact("$.a.b"), exact("$.*.*")) == "$.a.b"
    assert winner(exact("$.a.*"), exact("$.*.*")) == "$.a.*"
    assert winner(exact("$.a.*"), exact("$.*.b")) == "$.*.b"
    assert winner(exact("$..b"), exact("$.*..b")) == "$..b"
    assert winner(exact("$..*"), service_rules=(exact("$.a.b"),)) == "$..*"
    assert winner(service_rules=(exact("$.a.b"), exact("$..b"))) == "$.a.b"


def test_a_rule_that_can_never_apply_is_warned_about() -> None:
    compiled = rule_set(rule("$.a", "ignore", id="above"), rule("$.a.b", "exact", id="below"), rule("$.c", "exact"))
    assert [warning.partition(":")[0] for warning in compiled.warnings] == ["below"]
    assert rule_set(rule("$.a", "numeric", {"rel": 0.9}, id="wide")).warnings == (
        "wide: rel above 0.5 accepts almost anything",
    )


def test_selectors_that_multiply_are_refused_by_name() -> None:
    wide = [rule("$" + "".join(f"..{name}{at}" for at in range(6)), "exact", id=name) for name in "abcdef"]
    texts = messages(*wide, rule("$.plain", "exact", id="plain"))
    assert len(texts) == len(wide)
    assert "need more than 2000 states" in texts[0]
    assert "plain" not in texts[0].partition(":")[2]


def test_a_rule_set_serves_many_comparisons() -> None:
    rules = rule_set(rule("$.x", "numeric", {"abs": 1}, id="x"))
    results = [walk({"x": 1.0}, {"x": 1.5}, rules) for _ in range(3)]
    assert results[0] == results[1] == results[2]
    assert results[0].hits == {"x": 1}


def test_settings_may_not_be_what_the_user_did_not_write() -> None:
    settings: dict[str, Any] = {"abs": 1}
    compiled = rule_set(rule("$.x", "numeric", settings))
    settings["abs"] = 100
    assert found(walk({"x": 1}, {"x": 5}, compiled)) == {(("$", "x"), Kind.VALUE)}
