"""Pure comparison of two HTTP answers: same bytes and same rules give the same verdict, anywhere.

    rules = compile_rules([Rule("score", "$.score", "numeric", {"rel": 0.05}, reason="model v2", author="ana")])
    compare(Response(200, fields, body), Response(200, other_fields, other_body), rules).verdict

The pieces, from the ground up: `outcome` and `verdict` are the words; `selectors`, `automaton` and `rules` turn what
a user writes into one table; `decode` reads bodies, `headers` header fields; `tree` walks two trees with the
comparators of `registry`; `pair` is the ladder from two outcomes to a `Comparison`.
"""

from comparators.comparator import (
    ACCEPTED,
    EQUAL,
    Accepted,
    Ask,
    Comparator,
    Context,
    Equal,
    Finding,
    NoSettings,
    OverBudget,
    Scope,
    Tree,
    differs,
)
from comparators.limits import Limits
from comparators.outcome import Answer, Failure, Outcome, Response
from comparators.pair import compare
from comparators.path import Path, normalised_path, render, signature
from comparators.registry import BUILT_IN, Comparators, with_custom
from comparators.rules import EndpointSettings, Guard, Problem, Rule, RuleErrors, RuleSet, compile_rules
from comparators.verdict import Comparison, Difference, Hint, Kind, Note, Reason, Verdict

__all__ = [
    "ACCEPTED",
    "BUILT_IN",
    "EQUAL",
    "Accepted",
    "Answer",
    "Ask",
    "Comparator",
    "Comparators",
    "Comparison",
    "Context",
    "Difference",
    "EndpointSettings",
    "Equal",
    "Failure",
    "Finding",
    "Guard",
    "Hint",
    "Kind",
    "Limits",
    "NoSettings",
    "Note",
    "Outcome",
    "OverBudget",
    "Path",
    "Problem",
    "Reason",
    "Response",
    "Rule",
    "RuleErrors",
    "RuleSet",
    "Scope",
    "Tree",
    "Verdict",
    "compare",
    "compile_rules",
    "differs",
    "normalised_path",
    "render",
    "signature",
    "with_custom",
]
