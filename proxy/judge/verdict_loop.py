"""Pairs in, verdicts counted: the comparison of one pair after the other."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

from comparators import (
    Comparison,
    Difference,
    EndpointSettings,
    Failure,
    Kind,
    Path,
    Reason,
    RuleSet,
    Verdict,
    compare,
    compile_rules,
    normalised_path,
)
from proxy.config.bugs import Bugs
from proxy.config.models import Endpoint, Service, Settings
from proxy.config.rules import comparison_rule
from proxy.core.families import (
    COMPARISON_DURATION,
    COMPARISONS,
    DELTA,
    DIFFERENCE_PATHS,
    DIFFERENCES,
    LATENCY_RATIO,
)
from proxy.core.routing import OTHER
from proxy.core.sketch import Gathered
from proxy.core.tally import Tally
from proxy.ipc.pairs import Pair, Side

Place = tuple[str, str]
"""Where exchanges differ and how: a normalised path and a kind."""

MAX_PATHS = 500
OTHER_PATH = "<other>"
NO_ANSWER = "outcome"
UNFINISHED = Comparison(Verdict.INCOMPARABLE, Reason.COMPARATOR_ERROR)


@dataclass(slots=True)
class EndpointVerdicts:
    """The rules of one endpoint and what came of them."""

    service: str
    name: str
    rules: RuleSet
    verdicts: dict[Verdict, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    paths: dict[Place, int] = field(default_factory=dict)
    deltas: Gathered = field(default_factory=Gathered)
    ratio: Gathered = field(default_factory=Gathered)

    def count(self, comparison: Comparison) -> None:
        """Count one comparison."""
        verdict = comparison.verdict
        self.verdicts[verdict] = self.verdicts.get(verdict, 0) + 1
        if comparison.deltas:
            self.deltas.add_all(comparison.deltas)
        if comparison.differences:
            for difference in comparison.differences:
                self.kinds[difference.kind] = self.kinds.get(difference.kind, 0) + 1
            self._touch(signatures(comparison.differences))
        elif verdict is Verdict.CANDIDATE_ERROR and comparison.error is not None:
            self._touch({(NO_ANSWER, comparison.error)})

    def _touch(self, places: set[Place]) -> None:
        """Count an exchange once at each place, and once per kind at those there is no room for."""
        touched = set()
        for place in places:
            fits = place in self.paths or len(self.paths) < MAX_PATHS
            known = place if fits else (OTHER_PATH, place[1])
            self.paths.setdefault(known, 0)
            touched.add(known)
        for known in touched:
            self.paths[known] += 1

    def dump(self, tally: Tally) -> None:
        """Write everything counted so far into a tally."""
        labels = (self.service, self.name)
        for verdict, count in self.verdicts.items():
            tally.count(COMPARISONS, (*labels, verdict), count)
        for kind, count in self.kinds.items():
            tally.count(DIFFERENCES, (*labels, kind), count)
        for (path, kind), count in self.paths.items():
            tally.count(DIFFERENCE_PATHS, (*labels, path, kind), count)
        tally.sketch(DELTA, labels).merge(self.deltas.sketch())
        tally.sketch(LATENCY_RATIO, labels).merge(self.ratio.sketch())


class VerdictLoop:
    """Compares pairs by the rules of their endpoint."""

    def __init__(self, settings: Settings) -> None:
        self._services = tuple(_endpoints(name, service) for name, service in settings.services.items())
        self._names = tuple(settings.services)
        self._durations = tuple(Gathered() for _ in self._names)
        self._bugs = Bugs()

    def judge(self, pair: Pair) -> Comparison:
        """Compare one pair and count what came of it. Raises IndexError for a pair of another configuration."""
        endpoint = self._services[pair.service][pair.endpoint]
        primary, candidate = pair.primary, pair.candidate
        started = perf_counter()
        try:
            comparison = compare(
                primary if primary.status else _failure(primary),
                candidate if candidate.status else _failure(candidate),
                endpoint.rules,
            )
        except Exception as bug:  # noqa: BLE001  the edge round one pair: it costs this verdict and nothing else
            self._bugs.caught("compare", bug)
            comparison = UNFINISHED
        self._durations[pair.service].add(perf_counter() - started)
        endpoint.count(comparison)
        if primary.status and candidate.status and primary.duration > 0:
            endpoint.ratio.add(candidate.duration / primary.duration)
        return comparison

    def tally(self) -> Tally:
        """All that was counted since the start."""
        tally = Tally()
        for name, endpoints, durations in zip(self._names, self._services, self._durations, strict=True):
            for endpoint in endpoints:
                endpoint.dump(tally)
            tally.sketch(COMPARISON_DURATION, (name,)).merge(durations.sketch())
        return tally


def _failure(side: Side) -> Failure:
    assert side.failure is not None
    return Failure(side.failure)


def signatures(differences: Sequence[Difference]) -> set[Place]:
    """The places that these differences of one exchange stand for.

    What differs inside a list whose length differs forms none: an item more at the front makes every item differ.
    """
    torn = {found.path for found in differences if found.kind is Kind.LENGTH}
    return {
        (normalised_path(found.path), str(found.kind)) for found in differences if not torn or not _inside(found, torn)
    }


def _inside(found: Difference, torn: set[Path]) -> bool:
    return any(found.path[:end] in torn for end in range(1, len(found.path)))


def _endpoints(name: str, service: Service) -> tuple[EndpointVerdicts, ...]:
    named = tuple(EndpointVerdicts(name, e.name, endpoint_rules(service, e)) for e in service.endpoints)
    return (*named, EndpointVerdicts(name, OTHER, endpoint_rules(service, None)))


def endpoint_rules(service: Service, endpoint: Endpoint | None) -> RuleSet:
    """The compiled rules of an endpoint; None is `other`. Raises RuleErrors."""
    name = OTHER if endpoint is None else endpoint.name
    settings = EndpointSettings(
        endpoint=name,
        primary_origin=str(service.primary.url),
        candidate_origin=str(service.candidate.url),
    )
    if endpoint is not None and endpoint.error_statuses is not None:
        settings = replace(settings, error_statuses=frozenset(endpoint.error_statuses))
    return compile_rules(
        [comparison_rule(rule) for rule in service.rules if rule.endpoint == name],
        service_rules=[comparison_rule(rule) for rule in service.rules if rule.endpoint == "*"],
        settings=settings,
    )
