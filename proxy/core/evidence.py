"""Evidence: reports of all processes folded into one tally whose identities hold.

Every report is cumulative since its process started, so the newest one replaces the older ones, and a
control that comes back only has to hear from everybody once. What a dead process took with it is
reckoned, not guessed:

    pairs offered to a judge incarnation that is gone, minus the verdicts it reported  →  judge_lost
    mirrored by a worker that is gone, minus its drops and the pairs it had offered    →  incomplete

With these, requests = mirrored + not mirrored by reason, and mirrored = verdicts + drops by reason.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

from proxy.core.families import COMPARISONS, DROPPED, MIRRORS, PAIRS_OFFERED, REQUESTS
from proxy.core.reasons import Drop, MirrorResult
from proxy.core.tally import Tally

Z_95 = 1.959963984540054


@dataclass(slots=True)
class Report:
    """All that one incarnation of a process has counted since it started."""

    process: str
    incarnation: str
    tally: Tally


def fold(reports: Iterable[Report], alive: frozenset[str]) -> Tally:
    """Add up the newest report of each incarnation; `alive` names the incarnations still running."""
    total = Tally()
    kept = list(reports)
    verdicts = {report.incarnation: report.tally for report in kept}
    for report in kept:
        gone = report.incarnation not in alive
        total.add(report.tally.without_gauges() if gone else report.tally)
        for service, lost in _lost_with_worker(report.tally) if gone else ():
            total.count(DROPPED, (service, Drop.INCOMPLETE), lost)
    for service, lost in _lost_with_judges(total, verdicts, alive):
        total.count(DROPPED, (service, Drop.JUDGE_LOST), lost)
    total.counts.pop(PAIRS_OFFERED.name, None)
    return total


def _lost_with_judges(total: Tally, verdicts: dict[str, Tally], alive: frozenset[str]) -> Iterable[tuple[str, int]]:
    """What all workers offered to judges that are gone, minus the verdicts these had reported."""
    for (service, judge), offered in total.counts.get(PAIRS_OFFERED.name, {}).items():
        if judge not in alive:
            judged = verdicts[judge].total(COMPARISONS, service=service) if judge in verdicts else 0
            if offered > judged:
                yield service, offered - judged


def _lost_with_worker(tally: Tally) -> Iterable[tuple[str, int]]:
    """What a worker that is gone had mirrored, minus what it had dropped or offered."""
    for service in {labels[0] for labels in tally.counts.get(MIRRORS.name, {})}:
        mirrored = tally.total(MIRRORS, service=service, result=MirrorResult.MIRRORED)
        ended = tally.total(DROPPED, service=service) + tally.total(PAIRS_OFFERED, service=service)
        if mirrored > ended:
            yield service, mirrored - ended


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
