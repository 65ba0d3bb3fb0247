"""Evidence: reports of all processes folded into one tally whose identities hold.

Every report is cumulative since its process started, so the newest one replaces the older ones, and a
control that comes back only has to hear from everybody once. What a dead process took with it is
reckoned, not guessed:

    offered to a judge that is gone, or will get no more of a worker's pairs, and not judged  →  judge_lost
    mirrored by a worker that is gone, and neither dropped nor offered                        →  incomplete
    judged for a worker that is gone, beyond what it said it had mirrored                     →  requests, mirrored

The last is what a worker did between its last report and its death, as far as its judge can vouch for it: a
verdict proves a request that was answered and mirrored. Whatever else it did then is in no count.

A worker's account is closed once the judge that had its pairs serves the next incarnation, and not before:
until then the judge may come across more of them. So nothing that was reckoned is ever taken back.

With these, requests = mirrored + not mirrored by reason, and mirrored = verdicts + drops by reason.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import sqrt

from proxy.core.families import COMPARISONS, DROPPED, GREETINGS, MIRRORS, PAIRS_JUDGED, PAIRS_OFFERED, REQUESTS
from proxy.core.reasons import Drop, MirrorResult
from proxy.core.routing import OTHER
from proxy.core.tally import Labels, Tally

Z_95 = 1.959963984540054
ABORTED = ("proxy", "aborted")
"""How a request ended of which only a drop is known: with its worker."""


@dataclass(slots=True)
class Report:
    """All that one incarnation of a process has counted since it started; of two, the older one sorts first."""

    process: str
    incarnation: str
    tally: Tally


@dataclass(slots=True)
class _Account:
    """What is known of one service in one incarnation of a worker.

    `offered` and `judged` are by judge. `requests` and `ends` are by endpoint, backend and code: how all that were
    reported ended, and those that were judged.
    """

    mirrored: int = 0
    dropped: int = 0
    offered: dict[str, int] = field(default_factory=dict)
    judged: dict[str, int] = field(default_factory=dict)
    requests: dict[Labels, int] = field(default_factory=dict)
    ends: dict[Labels, int] = field(default_factory=dict)

    def lost(self, judge: str) -> int:
        """Pairs of which this judge has given no verdict."""
        return max(0, self.offered.get(judge, 0) - self.judged.get(judge, 0))

    def ended(self) -> int:
        """Mirrored requests whose end is known."""
        judges = self.offered.keys() | self.judged.keys()
        return self.dropped + sum(max(self.offered.get(judge, 0), self.judged.get(judge, 0)) for judge in judges)


def fold(reports: Iterable[Report], alive: frozenset[str]) -> Tally:
    """Add up the newest report of each incarnation; `alive` names the incarnations still running."""
    total = Tally()
    kept = list(reports)
    for report in kept:
        total.add(report.tally if report.incarnation in alive else report.tally.without_gauges())
    closed = _Closed(kept, alive)
    for (worker, service), account in _accounts(kept).items():
        for judge in account.offered:
            if judge not in alive or worker in closed:
                total.count(DROPPED, (service, Drop.JUDGE_LOST), account.lost(judge))
        if worker in closed:
            _close(total, service, account)
    for family in (PAIRS_OFFERED, PAIRS_JUDGED, GREETINGS):
        total.counts.pop(family.name, None)
    return total


class _Closed:
    """The workers of which nothing more will be heard: all of a run that is over, else those their judge has left."""

    def __init__(self, reports: Iterable[Report], alive: frozenset[str]) -> None:
        self._alive = alive
        greetings = [labels for report in reports for labels in report.tally.counts.get(GREETINGS.name, {})]
        self._newest: dict[str, str] = {}
        for process, worker in greetings:
            self._newest[process] = max(worker, self._newest.get(process, ""))
        self._process = {report.incarnation: report.process for report in reports} | {
            worker: process for process, worker in greetings
        }

    def __contains__(self, worker: str) -> bool:
        if worker in self._alive:
            return False
        return not self._alive or worker < self._newest.get(self._process.get(worker, ""), "")


def _accounts(reports: Iterable[Report]) -> dict[tuple[str, str], _Account]:
    """By worker and service."""
    accounts: dict[tuple[str, str], _Account] = {}

    def of(worker: str, service: str) -> _Account:
        return accounts.setdefault((worker, service), _Account())

    for report in reports:
        counts, worker = report.tally.counts, report.incarnation
        for (service, *end), count in counts.get(REQUESTS.name, {}).items():
            of(worker, service).requests[tuple(end)] = count
        for (service, _, result), count in counts.get(MIRRORS.name, {}).items():
            of(worker, service).mirrored += count if result == MirrorResult.MIRRORED else 0
        for (service, _), count in counts.get(DROPPED.name, {}).items():
            of(worker, service).dropped += count
        for (service, judge), count in counts.get(PAIRS_OFFERED.name, {}).items():
            of(worker, service).offered[judge] = count
        for (service, *end, judged_worker), count in counts.get(PAIRS_JUDGED.name, {}).items():
            account = of(judged_worker, service)
            account.judged[worker] = account.judged.get(worker, 0) + count
            account.ends[tuple(end)] = account.ends.get(tuple(end), 0) + count
    return accounts


def _close(total: Tally, service: str, account: _Account) -> None:
    """Balance the account of a worker of which nothing more will be heard."""
    ended = account.ended()
    if account.mirrored > ended:
        total.count(DROPPED, (service, Drop.INCOMPLETE), account.mirrored - ended)
    missing = max(0, ended - account.mirrored)
    judged = sorted(account.ends.items())
    surely = [(end, max(0, count - account.requests.get(end, 0))) for end, count in judged]
    for end, count in (*surely, *judged, ((OTHER, *ABORTED), missing)):
        found = min(count, missing)
        missing -= found
        _vouch(total, (service, *end), found)


def _vouch(total: Tally, end: Labels, count: int) -> None:
    """Count mirrored requests that their worker had no time to report."""
    if count > 0:
        total.count(REQUESTS, end, count)
        total.count(MIRRORS, (*end[:2], MirrorResult.MIRRORED), count)


AGREED = ("match", "tolerated")
DISAGREED = ("mismatch", "candidate_error")


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement rate of a service or endpoint, with what it must be read beside. Ratios are None without data."""

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
    verdicts = tally.by(COMPARISONS, "verdict", **labels)
    agreed = sum(verdicts.get(verdict, 0) for verdict in AGREED)
    compared = agreed + sum(verdicts.get(verdict, 0) for verdict in DISAGREED)
    return Agreement(tally.total(REQUESTS, **labels), compared, agreed, verdicts.get("match", 0))


def wilson(successes: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval of a proportion (Wilson, JASA 1927). `trials` is positive."""
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / (1 + z * z / trials)
    # Exactly 0 and 1 at the ends, where rounding would leave a hair's breadth.
    return centre - half if successes else 0.0, centre + half if successes < trials else 1.0
