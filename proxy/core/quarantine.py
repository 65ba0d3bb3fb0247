"""What is not compared any more, because judges kept dying of it.

A pair that holds its judge is the end of that judge, and leaves a `Kill` behind: what the judge was at. The third
within ten minutes that is blamed on the same suspect puts it in quarantine. There it stays until it is configured
otherwise: `version` is a digest of its configuration, so that a changed suspect is another one, with a clean record.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

KILLS = 3
WITHIN_S = 600.0
REMEMBERED = 128
"""Kills in all: they travel to the next judge on its command line."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """What a kill is blamed on: the rule that was being applied, else the endpoint whose pair it was."""

    kind: Literal["rule", "endpoint"]
    service: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Kill:
    """The end of one judge.

    Attributes:
        judge: its incarnation.
        worker: the incarnation of the worker whose pair it had.
        suspect: what it was at.
        at: when it was found to be dead, monotonic seconds.
    """

    judge: str
    worker: str
    suspect: Suspect
    at: float


def remembered(kills: Iterable[Kill], kill: Kill) -> tuple[Kill, ...]:
    """The kills worth knowing after one more, oldest first: the last three of each suspect."""
    known = (*kills, kill)
    forgotten = [each for each in known if each.suspect == kill.suspect][:-KILLS]
    return tuple(each for each in known if each not in forgotten)[-REMEMBERED:]


def quarantined(kills: Iterable[Kill]) -> frozenset[Suspect]:
    """Suspects with three of these kills within ten minutes."""
    times: dict[Suspect, list[float]] = {}
    for kill in kills:
        times.setdefault(kill.suspect, []).append(kill.at)
    return frozenset(suspect for suspect, at in times.items() if len(at) >= KILLS and at[-1] - at[-KILLS] <= WITHIN_S)
