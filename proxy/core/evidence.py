"""Evidence: reports of all processes folded into one tally whose identities hold.

Every report is cumulative since its process started, so the newest one replaces the older ones, and a
control that comes back only has to hear from everybody once. What a dead process took with it is
reckoned, not guessed:

    offered to a judge that is gone, or will get no more of a worker's pairs, and not judged  →  judge_lost
    what a judge was at when its watchdog killed it, as its successors say                    →  judge_killed
    mirrored by a worker that is gone, and neither dropped nor offered                        →  incomplete
    judged for a worker that is gone, beyond what it said it had mirrored                     →  requests, mirrored

The last is what a worker did between its last report and its death, as far as its judge can vouch for it: a
verdict proves a request that was answered and mirrored. Whatever else it did then is in no count.

A worker's account is closed once the judge that had its pairs serves the next incarnation, and not before:
until then the judge may come across more of them. That of a judge is closed once a successor has spoken, who knows
what it died of. So nothing that was reckoned is ever taken back.

With these, requests = mirrored + not mirrored by reason, and mirrored = verdicts + drops by reason.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt

from proxy.core.families import (
    COMPARISONS,
    DROPPED,
    GREETINGS,
    MIRRORS,
    PAIRS_JUDGED,
    PAIRS_KILLED,
    PAIRS_OFFERED,
    REQUESTS,
    WARM_UP_COMPARISONS,
    WARM_UP_JUDGED,
    WARM_UP_REQUESTS,
    Family,
)
from proxy.core.reasons import Drop, MirrorResult
from proxy.core.routing import OTHER
from proxy.core.tally import Labels, Tally

Z_95 = 1.959963984540054
EVIDENCE, WARM_UP = "evidence", "warm_up"
"""The phases a request may begin in."""
ABORTED = ("proxy", "aborted")
"""How a request ended of which only a drop is known: with its worker."""


@dataclass(slots=True)
class Report:
    """All that one incarnation of a process has counted since it started.

    `incarnation` is the name of the process, a colon, and a stamp: of two, the older one sorts first.
    """

    process: str
    incarnation: str
    tally: Tally


@dataclass(slots=True)
class _Account:
    """What is known of one service in one incarnation of a worker.

    `offered` and `judged` are by judge; each judge in `killed` died of one pair. `requests` and `ends` are by
    endpoint, backend, code and phase: how all that were reported ended, and those that were judged.
    """

    mirrored: int = 0
    dropped: int = 0
    offered: dict[str, int] = field(default_factory=dict)
    judged: dict[str, int] = field(default_factory=dict)
    killed: set[str] = field(default_factory=set)
    requests: dict[Labels, int] = field(default_factory=dict)
    ends: dict[Labels, int] = field(default_factory=dict)

    def known(self, judge: str) -> int:
        """Pairs of which it is known what this judge made of them."""
        return self.judged.get(judge, 0) + (judge in self.killed)

    def lost(self, judge: str) -> int:
        """Pairs of which this judge has given no verdict, and did not die."""
        return max(0, self.offered.get(judge, 0) - self.known(judge))

    def ended(self) -> int:
        """Mirrored requests whose end is known."""
        judges = self.offered.keys() | self.judged.keys() | self.killed
        return self.dropped + sum(max(self.offered.get(judge, 0), self.known(judge)) for judge in judges)


def fold(reports: Iterable[Report], alive: frozenset[str]) -> Tally:
    """Add up the newest report of each incarnation; `alive` names the incarnations still running."""
    total = Tally()
    kept = list(reports)
    for report in kept:
        total.add(report.tally if report.incarnation in alive else report.tally.without_gauges())
    closed = _Closed(kept, alive)
    for (worker, service), account in _accounts(kept).items():
        if account.killed:
            total.count(DROPPED, (service, Drop.JUDGE_KILLED), len(account.killed))
        for judge in account.offered:
            if closed.has_worker(worker) or closed.has_judge(judge):
                total.count(DROPPED, (service, Drop.JUDGE_LOST), account.lost(judge))
        if closed.has_worker(worker):
            _close(total, service, account)
    for family in (PAIRS_OFFERED, PAIRS_JUDGED, PAIRS_KILLED, WARM_UP_JUDGED, GREETINGS):
        total.counts.pop(family.name, None)
    return total


class _Closed:
    """Of whom nothing more will be heard: everybody in a run that is over.

    Else the workers that their judge has left, and the judges whose successor has spoken.
    """

    def __init__(self, reports: Iterable[Report], alive: frozenset[str]) -> None:
        self._alive = alive
        self._served = _newest(labels for report in reports for labels in report.tally.counts.get(GREETINGS.name, {}))
        self._spoken = _newest((report.process, report.incarnation) for report in reports)

    def has_worker(self, worker: str) -> bool:
        """Whether this worker is gone, and there come no more verdicts on its pairs."""
        return self._is_gone(worker, self._served)

    def has_judge(self, judge: str) -> bool:
        """Whether this judge is gone, and it is known what it died of."""
        return self._is_gone(judge, self._spoken)

    def _is_gone(self, incarnation: str, newest: Mapping[str, str]) -> bool:
        if incarnation in self._alive:
            return False
        return not self._alive or incarnation < newest.get(incarnation.partition(":")[0], "")


def _newest(incarnations: Iterable[Sequence[str]]) -> dict[str, str]:
    """The newest of these incarnations of each process."""
    newest: dict[str, str] = {}
    for process, incarnation in incarnations:
        newest[process] = max(incarnation, newest.get(process, ""))
    return newest


def _accounts(reports: Iterable[Report]) -> dict[tuple[str, str], _Account]:
    """By worker and service."""
    accounts: dict[tuple[str, str], _Account] = {}

    def of(worker: str, service: str) -> _Account:
        return accounts.setdefault((worker, service), _Account())

    for report in reports:
        counts, worker = report.tally.counts, report.incarnation
        for (service, *end), phase, count in _by_phase(counts, REQUESTS, WARM_UP_REQUESTS):
            of(worker, service).requests[*end, phase] = count
        for (service, _, result), count in counts.get(MIRRORS.name, {}).items():
            of(worker, service).mirrored += count if result == MirrorResult.MIRRORED else 0
        for (service, _), count in counts.get(DROPPED.name, {}).items():
            of(worker, service).dropped += count
        for (service, judge), count in counts.get(PAIRS_OFFERED.name, {}).items():
            of(worker, service).offered[judge] = count
        for service, killed_worker, judge in counts.get(PAIRS_KILLED.name, {}):
            of(killed_worker, service).killed.add(judge)
        for (service, *end, judged_worker), phase, count in _by_phase(counts, PAIRS_JUDGED, WARM_UP_JUDGED):
            account = of(judged_worker, service)
            account.judged[worker] = account.judged.get(worker, 0) + count
            account.ends[*end, phase] = account.ends.get((*end, phase), 0) + count
    return accounts


def _by_phase(
    counts: Mapping[str, Mapping[Labels, int]], whole: Family, warm_up: Family
) -> Iterator[tuple[Labels, str, int]]:
    """Counts by labels and phase: those that are evidence, and those of a warm-up."""
    warming = counts.get(warm_up.name, {})
    for labels, count in counts.get(whole.name, {}).items():
        of_warm_up = warming.get(labels, 0)
        yield labels, EVIDENCE, count - of_warm_up
        yield labels, WARM_UP, of_warm_up


def _close(total: Tally, service: str, account: _Account) -> None:
    """Balance the account of a worker of which nothing more will be heard."""
    ended = account.ended()
    if account.mirrored > ended:
        total.count(DROPPED, (service, Drop.INCOMPLETE), account.mirrored - ended)
    missing = max(0, ended - account.mirrored)
    judged = sorted(account.ends.items())
    surely = [(end, max(0, count - account.requests.get(end, 0))) for end, count in judged]
    for end, count in (*surely, *judged, ((OTHER, *ABORTED, EVIDENCE), missing)):
        found = min(count, missing)
        missing -= found
        _vouch(total, (service, *end), found)


def _vouch(total: Tally, end: Labels, count: int) -> None:
    """Count mirrored requests that their worker had no time to report."""
    if count > 0:
        *labels, phase = end
        total.count(REQUESTS, tuple(labels), count)
        total.count(MIRRORS, (*end[:2], MirrorResult.MIRRORED), count)
        if phase == WARM_UP:
            total.count(WARM_UP_REQUESTS, tuple(labels), count)


AGREED = ("match", "tolerated")
DISAGREED = ("mismatch", "candidate_error")


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement rate of a service or endpoint, with what it must be read beside. Ratios are None without data.

    What belongs to a warm-up is in none of its counts.
    """

    requests: int
    compared: int
    agreed: int
    matched: int

    @property
    def ratio(self) -> float | None:
        """(match + tolerated) / (match + tolerated + mismatch + candidate_error)."""
        return self.agreed / self.compared if self.compared else None

    @property
    def raw(self) -> float | None:
        """The same, counting exact matches only."""
        return self.matched / self.compared if self.compared else None

    @property
    def coverage(self) -> float | None:
        """Compared / requests: beside the ratio, so that a silent candidate can never look perfect."""
        return min(1.0, self.compared / self.requests) if self.requests else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The ratio's 95 % Wilson interval."""
        return wilson(self.agreed, self.compared) if self.compared else None


def agreement(tally: Tally, **labels: str) -> Agreement:
    """The agreement over all label sets with these values, e.g. `agreement(tally, service="ranker")`."""
    verdicts, warming = (tally.by(family, "verdict", **labels) for family in (COMPARISONS, WARM_UP_COMPARISONS))

    def count(*names: str) -> int:
        return sum(verdicts.get(name, 0) - warming.get(name, 0) for name in names)

    requests = tally.total(REQUESTS, **labels) - tally.total(WARM_UP_REQUESTS, **labels)
    return Agreement(requests, count(*AGREED, *DISAGREED), count(*AGREED), count("match"))


def wilson(successes: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval of a proportion (Wilson, JASA 1927). `trials` is positive."""
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / (1 + z * z / trials)
    # Exactly 0 and 1 at the ends, where rounding would leave a hair's breadth.
    return centre - half if successes else 0.0, centre + half if successes < trials else 1.0
