"""Rules: what a user writes, checked and compiled once into what a comparison reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from comparators.automaton import BoundRule, State, TooManyStatesError, build
from comparators.comparator import Ask, Scope
from comparators.headers import Headers, Origins
from comparators.limits import Limits
from comparators.policies import protected
from comparators.registry import BUILT_IN, Comparators, build_settings, unknown
from comparators.selectors import Selector, SelectorError, parse
from comparators.tolerance import Bounds, Numeric
from comparators.urls import Url

SERVER_ERRORS: Final = frozenset(range(500, 600))
DEFAULT_LIMITS: Final = Limits()
STATUS_COMPARATORS: Final = ("exact", "ignore")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as written.

    Attributes:
        id: names it in hits, problems and warnings; unique in a rule set.
        path: selector text (`comparators.selectors`).
        use: name of a comparator.
        settings: that comparator's settings.
        reason: why differences here are acceptable; required, as is the author.
        author: who says so.
        allow_broad: it may ignore the whole body, or a header whose loss is an outage or a security hole.
        null_equals_missing: a selected member that is null stands for an absent one; its endpoint may say so for all.
    """

    id: str
    path: str
    use: str
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    reason: str = ""
    author: str = ""
    allow_broad: bool = False
    null_equals_missing: bool = False


Guard = Callable[[Rule, Ask], Ask]
"""What stands between a rule and its comparator: the question as it is, or another one in its place."""


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """What an endpoint says besides its rules.

    Attributes:
        endpoint: its name, for comparators and signatures.
        error_statuses: statuses that make an outcome an error.
        status_equal: classes of statuses that count as one, such as {200, 204}.
        null_equals_missing: a member that is null stands for an absent one.
        strict_types: 1 and 1.0 differ, in kind `type`.
        contract: `superset` lets the candidate add members anywhere in the body, and header fields other than those
            that must not be ignored (`comparators.headers`).
        key_order: members that both objects have must come in one order.
        body: how to read bodies; `auto` goes by media type.
        primary_origin: the primary's own origin (`http://10.0.0.7:8001`), taken out of links before they are compared.
        candidate_origin: likewise.
        limits: budgets.
    """

    endpoint: str = ""
    error_statuses: frozenset[int] = SERVER_ERRORS
    status_equal: tuple[frozenset[int], ...] = ()
    null_equals_missing: bool = False
    strict_types: bool = False
    contract: Literal["exact", "superset"] = "exact"
    key_order: bool = False
    body: Literal["auto", "json", "text", "bytes"] = "auto"
    primary_origin: str = ""
    candidate_origin: str = ""
    limits: Limits = DEFAULT_LIMITS


class Problem(NamedTuple):
    """What is wrong with one rule; `position` counts from 0 through endpoint rules, then service rules."""

    position: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"rule {self.position + 1} ({self.rule or 'without id'}): {self.message}"


class RuleErrors(ValueError):  # noqa: N818  it carries several
    """Everything that is wrong with a set of rules."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, eq=False)
class RuleSet:
    """The compiled rules of one endpoint; read-only, so every comparison may share it.

    Attributes:
        rules: all of them, by index.
        start: the automaton's state at `$`.
        headers: header rules.
        status: the rule for the status, if there is one.
        bounded: rules that ask something of the response as a whole, with their bounds.
        shape: containers are looked at as such: for a `superset` rule, or for the order of keys.
        settings: the endpoint's other settings.
        warnings: what is allowed but probably not meant, one text each.
    """

    rules: tuple[BoundRule, ...]
    start: State
    headers: Headers
    status: BoundRule | None
    bounded: tuple[tuple[BoundRule, Bounds], ...]
    shape: bool
    settings: EndpointSettings
    warnings: tuple[str, ...]


def compile_rules(
    rules: Sequence[Rule] = (),
    *,
    service_rules: Sequence[Rule] = (),
    settings: EndpointSettings | None = None,
    comparators: Comparators = BUILT_IN,
    guard: Guard | None = None,
) -> RuleSet:
    """Check and compile the rules of one endpoint, each list in the order of its file.

    Where several rules select one node an endpoint's rule beats its service's; then the one with fewer `..` wins,
    with fewer wildcards, with more literal segments, the later one. `RuleErrors` carries every problem found.
    `guard` decides what is asked in the name of a rule; without one it is the rule's comparator.
    """
    settings = settings or EndpointSettings()
    comparators = {**comparators, Url.name: Url(Origins(settings.primary_origin, settings.candidate_origin))}
    problems: list[Problem] = []
    bound: list[BoundRule] = []
    seen: set[str] = set()
    for position, rule in enumerate((*rules, *service_rules)):
        messages = list(_problems(rule, comparators))
        if rule.id in seen:
            messages.append("the id is used twice")
        seen.add(rule.id)
        problems += (Problem(position, rule.id, message) for message in messages)
        if not messages:
            layer = position < len(rules)
            bound.append(_bind(rule, len(bound), (layer, position), comparators, guard))
    if problems:
        raise RuleErrors(problems)
    return _assemble(bound, settings)


def _problems(rule: Rule, comparators: Comparators) -> Iterator[str]:
    for name in ("id", "reason", "author"):
        if not str(getattr(rule, name)).strip():
            yield f"{name} is required"
    selector = None
    try:
        selector = parse(rule.path)
    except SelectorError as error:
        yield f"path {error}"
    if rule.use not in comparators:
        yield unknown("comparator", rule.use, comparators)
        return
    try:
        build_settings(comparators[rule.use].Settings, rule.settings)
    except ValueError as error:
        yield from str(error).splitlines()
    if selector is not None:
        yield from _misplaced(rule, selector, comparators[rule.use].scope)


def _misplaced(rule: Rule, selector: Selector, scope: Scope) -> Iterator[str]:
    """Comparators that make no sense where the selector points, and `ignore` where it hides too much."""
    if selector.part == "status" and rule.use not in STATUS_COMPARATORS:
        yield f"a status takes {' or '.join(STATUS_COMPARATORS)}, not {rule.use!r}; see also status_equal"
    if selector.part == "header" and scope is Scope.MEMBERS:
        yield f"{rule.use!r} compares members of a body; a header has none"
    if rule.null_equals_missing and (selector.part != "body" or rule.use == "superset"):
        yield "null_equals_missing is for rules that compare a member of a body"
    if rule.use == "ignore" and not rule.allow_broad and _hides_too_much(selector):
        yield f"ignore on {rule.path!r} hides too much; name what changes, or set allow_broad: true"


def _hides_too_much(selector: Selector) -> bool:
    if selector.part == "header":
        return protected(selector.header, prefix=selector.prefix)
    return all(segment.wild for segment in selector.segments)


def _bind(rule: Rule, index: int, place: tuple[int, int], comparators: Comparators, guard: Guard | None) -> BoundRule:
    selector = parse(rule.path)
    comparator = comparators[rule.use]
    settings = build_settings(comparator.Settings, rule.settings)
    bounds = settings.bounds() if isinstance(settings, Numeric) else None
    layer, position = place
    return BoundRule(
        index=index,
        id=rule.id,
        selector=selector,
        comparator=comparator,
        settings=settings,
        ask=comparator.compare if guard is None else guard(rule, comparator.compare),
        rank=(layer, *selector.specificity, position),
        bounds=bounds,
        plain_bounds=bounds if bounds is not None and bounds.plain else None,
        whole=comparator.scope is not Scope.LEAF,
        ignores=rule.use == "ignore",
        broad=rule.allow_broad,
        null_equals_missing=rule.null_equals_missing,
        superset=rule.use == "superset",
    )


def _assemble(bound: Sequence[BoundRule], settings: EndpointSettings) -> RuleSet:
    body = [rule for rule in bound if rule.selector.part == "body"]
    status = [rule for rule in bound if rule.selector.part == "status"]
    try:
        start, winners = build(body)
    except TooManyStatesError as error:
        problems = [Problem(rule.index, rule.id, str(error)) for rule in error.culprits]
        raise RuleErrors(problems) from error
    return RuleSet(
        rules=tuple(bound),
        start=start,
        headers=Headers(
            [rule for rule in bound if rule.selector.part == "header"],
            Origins(settings.primary_origin, settings.candidate_origin),
            superset=settings.contract == "superset",
        ),
        status=max(status, key=lambda rule: rule.rank, default=None),
        bounded=tuple((rule, rule.bounds) for rule in body if rule.bounds is not None and rule.bounds.whole),
        shape=settings.key_order or any(rule.superset for rule in body),
        settings=settings,
        warnings=tuple(_warnings(bound, body, winners)),
    )


def _warnings(bound: Sequence[BoundRule], body: Sequence[BoundRule], winners: frozenset[int]) -> Iterator[str]:
    for rule in body:
        if rule.index not in winners:
            yield f"{rule.id}: can never apply to {rule.selector.text}; other rules win, or ignore what is above it"
    for rule in bound:
        if callable(settings_warnings := getattr(rule.settings, "warnings", None)):
            yield from (f"{rule.id}: {text}" for text in settings_warnings())
