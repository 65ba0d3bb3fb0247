"""Comparison rules, compiled at load so that a bad selector or setting is an error with its line."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from comparators import rules as comparison
from proxy.config.models import Rule, Service, Settings
from proxy.config.problems import Path

_SETTING = re.compile(r"setting '([^']+)'")


@dataclass(frozen=True, slots=True)
class Scope:
    """The rules that are compiled together: an endpoint's own (none for the rest), then the service's."""

    endpoint: str
    own: tuple[tuple[int, Rule], ...]
    shared: tuple[tuple[int, Rule], ...]

    def index(self, position: int) -> int:
        """The place in the service's list of the rule at a compiler's position."""
        return (*self.own, *self.shared)[position][0]

    def compile(self) -> comparison.RuleSet:
        """The compiled rules. Raises comparators.rules.RuleErrors."""
        return comparison.compile_rules(
            [comparison_rule(rule) for _, rule in self.own],
            service_rules=[comparison_rule(rule) for _, rule in self.shared],
        )


def comparison_rule(rule: Rule) -> comparison.Rule:
    """A configured rule as the comparison library wants it."""
    return comparison.Rule(
        id=rule.id,
        path=rule.path,
        use=rule.use,
        settings=rule.settings,
        reason=rule.reason,
        author=rule.author,
        allow_broad=rule.allow_broad,
    )


def scopes(rules: Iterable[tuple[int, Rule]]) -> Iterator[Scope]:
    """Rules with their places, by endpoint; first the scope of endpoints that have none of their own."""
    rules = tuple(rules)
    shared = tuple((index, rule) for index, rule in rules if rule.endpoint == "*")
    yield Scope("*", (), shared)
    for endpoint in dict.fromkeys(rule.endpoint for _, rule in rules if rule.endpoint != "*"):
        yield Scope(endpoint, tuple((i, rule) for i, rule in rules if rule.endpoint == endpoint), shared)


def rule_problems(settings: Settings) -> Iterator[tuple[Path, str]]:
    """Path and sentence of each rule that does not compile."""
    for name, service in settings.services.items():
        for below, message in dict.fromkeys(_problems(service.rules)):
            yield ("services", name, "rules", *below), message


def _problems(rules: Sequence[Rule]) -> Iterator[tuple[Path, str]]:
    for scope in scopes(enumerate(rules)):
        try:
            scope.compile()
        except comparison.RuleErrors as wrong:
            for found in wrong.problems:
                index = scope.index(found.position)
                yield (index, *_part(found.message, rules[index])), found.message.removeprefix("path ")


def _part(message: str, rule: Rule) -> Path:
    """The key of the rule that a message is about, as far as the message tells."""
    if message.startswith("path "):
        return ("path",)
    if "no comparator" in message:
        return ("use",)
    if "id is used twice" in message:
        return ("id",)
    named = _SETTING.search(message)
    return (named[1],) if named and named[1] in rule.settings else ()


def rule_cautions(service: Service) -> Iterator[tuple[Path, str]]:
    """What is allowed and probably not meant, in rules that compile."""
    for scope in scopes(enumerate(service.rules)):
        # In an endpoint's scope only its own rules are judged: a shared one that loses there may win elsewhere.
        judged = {rule.id: index for index, rule in scope.own or scope.shared}
        for warning in scope.compile().warnings:
            rule, _, message = warning.partition(": ")
            if rule in judged:
                yield ("rules", judged[rule]), message
