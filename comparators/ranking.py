"""Rankings: lists whose order is the answer, such as search results and recommendations, best first.

The node is a list. Without `key` its items are their own names: strings or numbers. With `key` they are objects, and
that member names the item; with `score`, which needs `key`, neighbours whose `score` is equal share a rank, and their
order among themselves says nothing. Nothing else in an item is looked at, and 1 and 1.0 are one name.

Three scores, each 1 for rankings that agree, each with its lower bound. With A and B the items ranked k or better::

    overlap = |A ∩ B| / max(|A|, |B|)          that is over k, or over the longer length if no list is that long
    RBO     = sum over d = 1..l of (1-p) p^(d-1) A_d,  plus  p^l A_l
    tau-b   = (concordant - discordant) / sqrt((pairs untied here) * (pairs untied there))

RBO is the extrapolated rank-biased overlap (Webber, Moffat, Zobel 2010, eq. 32) of the whole lists, lengths s <= l,
with its terms gathered by depth d. With X_d items that both sides rank d or better and n_d, n'_d that each does::

    A_d = 2 (X_d + A_s (d - s)) / (n_d + n'_d)      without the (d - s) up to s, where the shorter list ends

so beyond its end, where its n_d is d, the shorter list is taken to agree as it did until there. Without ties n_d is d
everywhere. Tied items are all at the rank of the first one, and A_d is the paper's eq. 28; with different lengths it is
RBO^w of Corsi and Urbano (SIGIR 2024). Tau-b (Kendall 1945) is over the items among the first k of both lists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, combinations, islice
from math import sqrt
from typing import ClassVar, Final

from comparators.comparator import EQUAL, Accepted, Context, Finding, Scope, Tree, differs
from comparators.equality import identical
from comparators.tolerance import Number
from comparators.verdict import Difference, Kind

LONGEST_TAU: Final = 64
"""Largest `k` with `min_tau`, whose cost is quadratic."""

Name = str | int | float
Ranks = dict[Name, int]
"""The rank of each item, in the order of the list; the first is 1, and tied items have the rank of the first one."""


@dataclass(frozen=True, slots=True)
class RankingSettings:
    """Settings of `ranking`.

    Attributes:
        k: how deep overlap and tau look; RBO sees the whole lists, and p^k of its weight lies deeper.
        key: member of an item that names it; None if the items are names.
        score: member of an item with its score; None if no two items can be tied.
        min_overlap: least accepted overlap, in [0, 1].
        min_rbo: least accepted RBO, in [0, 1].
        p: how patient RBO's reader is, in (0, 1): each rank weighs p times the one before it.
        min_tau: least accepted tau-b, in [-1, 1]; None does not ask.
    """

    k: int = 10
    key: str | None = None
    score: str | None = None
    min_overlap: float = 0.9
    min_rbo: float = 0.95
    p: float = 0.9
    min_tau: float | None = None

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k must be 1 or more, not {self.k}")
        if self.score is not None and self.key is None:
            raise ValueError("score needs key, the member that names an item")
        for name, bound, least in (
            ("min_overlap", self.min_overlap, 0),
            ("min_rbo", self.min_rbo, 0),
            ("min_tau", self.min_tau, -1),
        ):
            if bound is not None and not least <= bound <= 1:
                raise ValueError(f"{name} must be from {least} to 1, not {bound}")
        if not 0 < self.p < 1:
            raise ValueError(f"p must be between 0 and 1, not {self.p}")
        if self.min_tau is not None and self.k > LONGEST_TAU:
            raise ValueError(f"with min_tau k may be {LONGEST_TAU} at most, not {self.k}")

    def warnings(self) -> tuple[str, ...]:
        """What is allowed but probably not meant."""
        asked = self.min_overlap > 0 or self.min_rbo > 0 or self.min_tau is not None
        return () if asked else ("without min_overlap, min_rbo and min_tau any two rankings are accepted",)


class Ranking:
    """Rankings that agree well enough; see the module for shapes and scores.

    A refusal is one `rank` for the whole list. Its magnitude is 1 minus the lowest of the scores that were refused;
    that of an acceptance is 1 minus the lowest score. Something that is no ranking as the settings describe it is
    `type`, one that names an item twice is `key`. Linear in the lists, but for tau.
    """

    name: ClassVar[str] = "ranking"
    Settings: ClassVar[type] = RankingSettings
    scope: ClassVar[Scope] = Scope.NODE

    def compare(self, primary: Tree, candidate: Tree, settings: RankingSettings, at: Context) -> Finding:
        """Accept if every score that is asked for reaches its bound."""
        if identical(primary, candidate):
            return EQUAL
        if type(primary) is not list or type(candidate) is not list:
            return differs(at, Kind.TYPE, primary, candidate)
        at.spend(max(len(primary), len(candidate)))
        ours, theirs = _ranks(primary, settings), _ranks(candidate, settings)
        if isinstance(ours, Kind):
            return differs(at, ours, primary, candidate)
        if isinstance(theirs, Kind):
            return differs(at, theirs, primary, candidate)
        if ours == theirs:  # every score is 1
            return Accepted(magnitude=0.0)
        scores = [
            (overlap(ours, theirs, settings.k), settings.min_overlap),
            (rbo(ours, theirs, settings.p), settings.min_rbo),
        ]
        if settings.min_tau is not None:
            scores.append((tau_b(_shared(ours, theirs, settings.k)), settings.min_tau))
        refused = [score for score, bound in scores if score < bound]
        if refused:
            return [Difference(at.path, Kind.RANK, primary, candidate, 1 - min(refused))]
        return Accepted(magnitude=1 - min(score for score, _ in scores))


def overlap(ours: Ranks, theirs: Ranks, k: int) -> float:
    """The share of items ranked k or better that both sides have there; the lists are not both empty."""
    a, b = ({name for name, rank in ranks.items() if rank <= k} for ranks in (ours, theirs))
    return len(a & b) / max(len(a), len(b))


def rbo(ours: Ranks, theirs: Ranks, p: float) -> float:
    """Extrapolated rank-biased overlap; 0 if one list is empty.

    Summed as 1 minus what the disagreements cost, so that rankings that agree everywhere score 1 and not nearly 1.
    """
    short, long = sorted((len(ours), len(theirs)))
    depths = range(1, long + 1)
    shared = _reached((max(ours[name], theirs[name]) for name in ours.keys() & theirs.keys()), depths)
    here, there = (map(max, _reached(ranks.values(), depths), depths) for ranks in (ours, theirs))
    agreement = until_short = lost = 0.0
    weight = 1 - p
    for depth, x, n, m in zip(depths, shared, here, there, strict=True):
        supposed = until_short * (depth - short) if depth > short else 0
        agreement = 2 * (x + supposed) / (n + m)
        if depth == short:
            until_short = agreement
        lost += weight * (1 - agreement)
        weight *= p
    return max(0.0, 1 - lost - p**long * (1 - agreement))


def _reached(ranks: Iterable[int], depths: range) -> Iterator[int]:
    """For each depth how many of the ranks are that good or better."""
    return accumulate(map(Counter(ranks).__getitem__, depths))


def tau_b(ranks: Iterable[tuple[int, int]]) -> float:
    """Kendall's tau-b of items by their two ranks, in [-1, 1].

    Where a side ties all items there is no order to agree with: 1 if both sides do (so also for fewer than two
    items), 0 if one does.
    """
    agreed = ours = theirs = 0
    for (a, b), (c, d) in combinations(ranks, 2):
        here, there = (a > c) - (a < c), (b > d) - (b < d)
        agreed += here * there
        ours += here * here
        theirs += there * there
    return agreed / sqrt(ours * theirs) if ours and theirs else float(ours == theirs)


def _shared(ours: Ranks, theirs: Ranks, k: int) -> list[tuple[int, int]]:
    """Both ranks of the items that are among the first k of both lists."""
    return [(ours[name], theirs[name]) for name in set(islice(ours, k)) & set(islice(theirs, k))]


def _ranks(items: list[Tree], settings: RankingSettings) -> Ranks | Kind:
    """The ranks in a list, or the kind of what is wrong with it."""
    ranks: Ranks = {}
    rank = 0
    above: Number | None = None
    for position, item in enumerate(items, 1):
        read = _read(item, settings)
        if read is None:
            return Kind.TYPE
        name, score = read
        if name in ranks:
            return Kind.KEY
        if score is None or score != above:
            rank = position
        ranks[name] = rank
        above = score
    return ranks


def _read(item: Tree, settings: RankingSettings) -> tuple[Name, Number | None] | None:
    """The name of an item and its score if there are scores; None if it does not have the shape for that."""
    if settings.key is None:
        return (item, None) if _is_name(item) else None
    if type(item) is not dict or not _is_name(item.get(settings.key)):
        return None
    if settings.score is None:
        return item[settings.key], None
    score = item.get(settings.score)
    return (item[settings.key], score) if type(score) in (int, float) else None


def _is_name(value: Tree) -> bool:
    return type(value) in (str, int, float) and bool(value == value)  # noqa: PLR0124  NaN names nothing


RANKINGS: Final = (Ranking(),)
