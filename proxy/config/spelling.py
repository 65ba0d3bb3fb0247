"""The word somebody probably meant."""

from collections.abc import Iterable

CLOSE_ENOUGH = 60.0
"""Least similarity in percent: `ulr` finds `url` (67), `colour` does not find `url`."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, or None when none is close."""
    from rapidfuzz import fuzz, process  # noqa: PLC0415  only needed once somebody has misspelt something

    found = process.extractOne(
        word.lower(), list(known), processor=str.lower, scorer=fuzz.ratio, score_cutoff=CLOSE_ENOUGH
    )
    return found[0] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`, did you mean "url"?`, or nothing."""
    near = nearest(word, known)
    return f', did you mean "{near}"?' if near else ""
