"""Texts: alike enough by edit distance.

With d the fewest insertions, deletions and substitutions that turn one text into the other (Levenshtein 1966), counted
in characters or words::

    score = 1 - d / max(length of the primary's, length of the candidate's)        both empty: 1
    accepted iff  score >= min

Symmetric, and a lower `min` accepts all that a higher one does. Before that, `normalise` may fold case
(`str.casefold`), compose characters (`nfc`, Unicode Standard Annex 15) and make runs of white space one space, none at
either end; in this order, whatever order they are given in. Words are what stands between white space, so with
`unit: word` white space does not count anyway.

The distance is always computed up to a cutoff: a refused pair's score is known only if the texts are short, and is
its magnitude, 1 - score, then, up to 1,024 units; else there is none.

Limits: 100,000 characters a side, and with `nfc` fewer than 100 combining marks in a row (putting n of them in order
takes n^2 steps); more is `incomparable(text_cap)`. Time goes with the cells of the edit matrix that may matter: length
times the edits that `min` allows. Of these, 8,192 count as much work as one leaf, so that the texts of a pair together
take 0.1 s at most. Cost at `min: 0.95`: 0.02, 0.3, 18 ms for 1, 10, 100 KB; in words 0.01, 0.2, 0.8 ms.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, get_args
from unicodedata import combining, normalize

from rapidfuzz.distance import Levenshtein

from comparators.comparator import EQUAL, Accepted, Context, Finding, OverBudget, Scope, Tree
from comparators.leaves import Exact, ExactSettings
from comparators.verdict import Difference, Kind, Reason

Normalisation = Literal["nfc", "space", "case"]

TEXT_CAP: Final = 100_000
CELLS_PER_UNIT: Final = 8_192
SCORED: Final = 1_024
"""Characters or words up to which a refused pair is scored as well."""
LOW: Final = 0.5

_long_runs: Final = re.compile(r"\W{100,}").findall


@dataclass(frozen=True, slots=True)
class TextSettings:
    """Settings of `text`.

    Attributes:
        min: smallest accepted score, over 0 and up to 1.
        unit: what is counted.
        normalise: differences that do not count: `nfc`, `space`, `case`.
    """

    min: float = 0.95
    unit: Literal["char", "word"] = "char"
    normalise: Sequence[Normalisation] = ()

    def __post_init__(self) -> None:
        if not 0 < self.min <= 1:
            raise ValueError(f"setting 'min' must be over 0 and at most 1, not {self.min}")
        known = get_args(Normalisation)
        if not isinstance(self.normalise, list | tuple) or not all(step in known for step in self.normalise):
            raise ValueError(f"setting 'normalise' must be a list of {', '.join(known)}, not {self.normalise!r}")

    def warnings(self) -> tuple[str, ...]:
        """What is allowed but probably not meant."""
        return ("min below 0.5 accepts texts that have little in common",) if self.min < LOW else ()


class Text:
    """Texts that are alike enough; what is no string is compared exactly."""

    name: ClassVar[str] = "text"
    Settings: ClassVar[type] = TextSettings
    scope: ClassVar[Scope] = Scope.LEAF

    def compare(self, primary: Tree, candidate: Tree, settings: TextSettings, at: Context) -> Finding:
        """Accept by the score."""
        if type(primary) is not str or type(candidate) is not str:
            return Exact().compare(primary, candidate, ExactSettings(), at)
        if primary == candidate:
            return EQUAL
        if len(primary) > TEXT_CAP or len(candidate) > TEXT_CAP:
            raise OverBudget(Reason.TEXT_CAP)
        ours, theirs = _units(primary, settings), _units(candidate, settings)
        longest = max(len(ours), len(theirs))
        edits = int(longest * (1 - settings.min)) + 1
        at.spend(longest * edits // CELLS_PER_UNIT + 1)
        score = Levenshtein.normalized_similarity(ours, theirs, score_cutoff=settings.min)
        if score >= settings.min:
            return Accepted(magnitude=1 - score)
        magnitude = 1 - Levenshtein.normalized_similarity(ours, theirs) if longest <= SCORED else None
        return [Difference(at.path, Kind.TEXT, primary, candidate, magnitude)]


def _units(text: str, settings: TextSettings) -> Sequence[str]:
    if "case" in settings.normalise:
        text = text.casefold()
    if "nfc" in settings.normalise:
        text = _composed(text)
    if settings.unit == "word":
        return text.split()
    return " ".join(text.split()) if "space" in settings.normalise else text


def _composed(text: str) -> str:
    """The text in NFC. No combining mark is a word character, so a run of them is found among what is none."""
    if any(any(map(combining, run)) for run in _long_runs(text)):
        raise OverBudget(Reason.TEXT_CAP)
    return normalize("NFC", text)


TEXTS: Final = (Text(),)
