"""Pairs in, verdicts counted: the comparison of one pair after the other.

Settings come with the pairs and name the rules; counts are kept by service and endpoint, whatever the rules
were, for as long as the judge lives. What was judged is also counted by worker: when one is killed, its last
report is older than its last pairs, and these counts are what is left of them.

A pair that warms up is compared and counted like any other, and once more apart, to be taken off where there is
talk of evidence. What tolerances are chosen by, deltas and latency ratios, leaves it out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

from comparators import (
    Comparison,
    Difference,
    EndpointSettings,
    Failure,
    Guard,
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
    GREETINGS,
    LATENCY_RATIO,
    PAIRS_JUDGED,
    WARM_UP_COMPARISONS,
    WARM_UP_JUDGED,
)
from proxy.core.gathered import Gathered
from proxy.core.quarantine import Kill
from proxy.core.routing import OTHER
from proxy.core.tally import Tally
from proxy.ipc.pairs import SETTINGS_KEPT, Pair, Side
from proxy.ipc.whereabouts import mark
from proxy.judge.quarantine import Quarantine, endpoint_suspect
from proxy.judge.watchdog import Watchdog

Place = tuple[str, str]
"""Where exchanges differ and how: a normalised path and a kind."""
Answered = tuple[str, str]
"""How a client request ended: the backend whose answer it got, and the class of its status."""

MAX_PATHS = 500
OTHER_PATH = "<other>"
NO_ANSWER = "outcome"
NOT_ANSWERED: Answered = ("proxy", "5xx")
UNFINISHED = Comparison(Verdict.INCOMPARABLE, Reason.COMPARATOR_ERROR)
QUARANTINED = Comparison(Verdict.INCOMPARABLE, Reason.QUARANTINED)


@dataclass(slots=True)
class EndpointVerdicts:
    """What came of one endpoint's pairs. `judged` is by worker, then by who answered the client and how.

    `warm_up` and `warm_up_judged` are those of `verdicts` and `judged` that are no evidence.
    """

    service: str
    name: str
    verdicts: dict[Verdict, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    paths: dict[Place, int] = field(default_factory=dict)
    deltas: Gathered = field(default_factory=Gathered)
    ratio: Gathered = field(default_factory=Gathered)
    judged: dict[str, dict[Answered, int]] = field(default_factory=dict)
    warm_up: dict[Verdict, int] = field(default_factory=dict)
    warm_up_judged: dict[str, dict[Answered, int]] = field(default_factory=dict)

    def count(self, comparison: Comparison, *, warms_up: bool) -> None:
        """Count one comparison."""
        verdict = comparison.verdict
        self.verdicts[verdict] = self.verdicts.get(verdict, 0) + 1
        if warms_up:
            self.warm_up[verdict] = self.warm_up.get(verdict, 0) + 1
        elif comparison.deltas:
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
        for verdict, count in self.warm_up.items():
            tally.count(WARM_UP_COMPARISONS, (*labels, verdict), count)
        for kind, count in self.kinds.items():
            tally.count(DIFFERENCES, (*labels, kind), count)
        for (path, kind), count in self.paths.items():
            tally.count(DIFFERENCE_PATHS, (*labels, path, kind), count)
        for family, by_worker in ((PAIRS_JUDGED, self.judged), (WARM_UP_JUDGED, self.warm_up_judged)):
            for worker, judged in by_worker.items():
                for answered, count in judged.items():
                    tally.count(family, (*labels, *answered, worker), count)
        tally.sketch(DELTA, labels).merge(self.deltas.sketch())
        tally.sketch(LATENCY_RATIO, labels).merge(self.ratio.sketch())


@dataclass(slots=True)
class EndpointUnderRules:
    """An endpoint while some settings apply.

    `answered` is by the first digit of the status the client got; `mark` is what the watchdog hears of its pairs.
    """

    verdicts: EndpointVerdicts
    rules: RuleSet
    answered: tuple[Answered, ...]
    mark: bytes
    quarantined: bool


@dataclass(slots=True)
class ServiceUnderRules:
    """A service while some settings apply."""

    endpoints: tuple[EndpointUnderRules, ...]
    duration: Gathered


class VerdictLoop:
    """Compares pairs by the rules of their endpoint in the settings of their snapshot.

    Without a watchdog, none is told; `kills` are those of earlier judges.
    """

    def __init__(self, watchdog: Watchdog | None = None, kills: Sequence[Kill] = ()) -> None:
        self._watchdog = watchdog
        self._quarantine = Quarantine(kills)
        self._settings: dict[int, tuple[ServiceUnderRules, ...]] = {}
        self._newest = 0
        self._verdicts: dict[tuple[str, str], EndpointVerdicts] = {}
        self._durations: dict[str, Gathered] = {}
        self._greetings: dict[tuple[str, str], int] = {}
        self._worker = ""
        self._bugs = Bugs()

    def greet(self, process: str, worker: str) -> None:
        """The pairs that follow are of this incarnation of a worker, and there come no more of any other."""
        self._worker = worker
        self._greetings[process, worker] = 1
        self._settings.clear()
        self._newest = 0

    def adopt(self, snapshot: int, settings: Settings) -> None:
        """Pairs of this snapshot, which may still come beside older ones, are made under these settings.

        Those of an older one may be told late: what holds for the judge as a whole is taken from the newest.
        """
        self._settings.pop(snapshot, None)
        if len(self._settings) == SETTINGS_KEPT:
            del self._settings[next(iter(self._settings))]
        stall = settings.judge.stall
        self._settings[snapshot] = tuple(self._service(*named, stall) for named in settings.services.items())
        if snapshot >= self._newest:
            self._newest = snapshot
            self._quarantine.adopt(settings)
            if self._watchdog is not None:
                self._watchdog.allows(stall)

    def judge(self, pair: Pair) -> Comparison:
        """Compare one pair and count what came of it. Raises LookupError for one of settings that never came."""
        service = self._settings[pair.snapshot][pair.service]
        endpoint = service.endpoints[pair.endpoint]
        primary, candidate = pair.primary, pair.candidate
        started = perf_counter()
        if self._watchdog is not None:
            self._watchdog.compares(started, endpoint.mark)
        try:
            comparison = (
                QUARANTINED
                if endpoint.quarantined
                else compare(
                    primary if primary.status else _failure(primary),
                    candidate if candidate.status else _failure(candidate),
                    endpoint.rules,
                )
            )
        except Exception as bug:  # noqa: BLE001  the edge round one pair: it costs this verdict and nothing else
            self._bugs.caught("compare", bug)
            comparison = UNFINISHED
        service.duration.add(perf_counter() - started)
        verdicts = endpoint.verdicts
        verdicts.count(comparison, warms_up=pair.warms_up)
        answered = endpoint.answered[primary.status // 100]
        _increase(verdicts.judged, self._worker, answered)
        if pair.warms_up:
            _increase(verdicts.warm_up_judged, self._worker, answered)
        elif primary.duration > 0 and candidate.duration > 0 and primary.status and candidate.status:
            verdicts.ratio.add(candidate.duration / primary.duration)
        return comparison

    def tally(self) -> Tally:
        """All that was counted since the start."""
        tally = Tally()
        for verdicts in self._verdicts.values():
            verdicts.dump(tally)
        for name, duration in self._durations.items():
            tally.sketch(COMPARISON_DURATION, (name,)).merge(duration.sketch())
        for greeted in self._greetings:
            tally.count(GREETINGS, greeted)
        self._quarantine.dump(tally)
        return tally

    def _service(self, name: str, service: Service, stall: float) -> ServiceUnderRules:
        answered = (NOT_ANSWERED, *((service.primary.version, f"{hundreds}xx") for hundreds in range(1, 10)))
        guard = None if self._watchdog is None else self._quarantine.guard(name, service, stall, self._watchdog)
        endpoints = tuple(
            EndpointUnderRules(
                self._verdicts.setdefault(place, EndpointVerdicts(*place)),
                endpoint_rules(service, endpoint, guard),
                answered,
                mark(suspect),
                suspect in self._quarantine,
            )
            for endpoint in (*service.endpoints, None)
            for place in [(name, OTHER if endpoint is None else endpoint.name)]
            for suspect in [endpoint_suspect(name, service, endpoint, stall)]
        )
        return ServiceUnderRules(endpoints, self._durations.setdefault(name, Gathered()))


def _increase(judged: dict[str, dict[Answered, int]], worker: str, answered: Answered) -> None:
    of_worker = judged.get(worker)
    if of_worker is None:
        of_worker = judged[worker] = {}
    of_worker[answered] = of_worker.get(answered, 0) + 1


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


def endpoint_rules(service: Service, endpoint: Endpoint | None, guard: Guard | None = None) -> RuleSet:
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
        guard=guard,
    )
