"""One rule for one leaf: a short way to ask it, and what holds whatever the rule."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from comparators import (
    BUILT_IN,
    EQUAL,
    Comparator,
    Comparison,
    EndpointSettings,
    Kind,
    OverBudget,
    Reason,
    RuleSet,
    Tree,
    Verdict,
    compile_rules,
)
from comparators.equality import identical
from comparators.ledger import Ledger
from comparators.tree import Walk
from tests.unit.comparators.trees import rule


def judged(primary: Tree, candidate: Tree, rules: RuleSet) -> Comparison:
    """What a walk makes of two trees, or of what it saw of them before a budget was gone."""
    ledger = Ledger(rules.settings.limits.recorded)
    try:
        Walk(rules, ledger).run(primary, candidate)
    except OverBudget as over:
        ledger.stop(over.reason)
    return ledger.close()


class LeafRule:
    """A comparator at `$.x`."""

    def __init__(self, comparator: Comparator, endpoint: EndpointSettings | None = None, **settings: Any) -> None:
        known = {**BUILT_IN, comparator.name: comparator}
        self.comparator = comparator
        self.rules = compile_rules([rule("$.x", comparator.name, settings)], comparators=known, settings=endpoint)

    def __call__(self, primary: Tree, candidate: Tree) -> Comparison:
        return judged({"x": primary}, {"x": candidate}, self.rules)

    def accepts(self, primary: Tree, candidate: Tree) -> bool:
        verdict = self(primary, candidate).verdict
        assert verdict is not Verdict.INCOMPARABLE
        return verdict is not Verdict.MISMATCH

    def kind(self, primary: Tree, candidate: Tree) -> Kind | None:
        """What sort of difference it finds, if any."""
        differences = self(primary, candidate).differences
        assert all(difference.path == ("$", "x") for difference in differences)
        return differences[0].kind if differences else None

    def magnitude(self, primary: Tree, candidate: Tree) -> float | None:
        (difference,) = self(primary, candidate).differences
        return difference.magnitude

    def reason(self, primary: Tree, candidate: Tree) -> Reason | None:
        return self(primary, candidate).reason

    def must_be_sound(self, primary: Tree, candidate: Tree) -> None:
        """It never raises, changes nothing, answers alike each time, and finds no difference where there is none."""
        before = deepcopy((primary, candidate))
        comparison = self(primary, candidate)
        assert not comparison.failed
        assert identical(before[0], primary)
        assert identical(before[1], candidate)
        assert repr(comparison) == repr(self(primary, candidate))  # NaN is not equal to itself
        context = Walk(self.rules, Ledger(1))
        for value in before:
            assert self(value, deepcopy(value)).verdict is Verdict.MATCH
            assert self.comparator.compare(value, value, self.rules.rules[0].settings, context) is EQUAL
