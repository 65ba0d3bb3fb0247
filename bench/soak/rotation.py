"""What happens when: the candidate's faults in turn, and what is done to the proxy meanwhile. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from bench.faults.candidate import NO_SUCH_NAME, Fault

STEP_S = 20.0

FAULTS = (
    Fault("healthy"),
    Fault("refuses"),
    Fault("mute"),
    Fault("black-hole"),
    Fault("drips-head", 1.0),
    Fault("reset-in-body"),
    Fault("endless-chunked"),
    Fault("drips-body", 1.0),
    Fault("garbage"),
    Fault("body-short"),
    Fault("huge-head"),
    Fault("two-lengths"),
    Fault("tls-hang"),
    NO_SUCH_NAME,
    Fault("slow", 10.0),
    Fault("reset-on-connect"),
    Fault("gzip-bomb"),
    Fault("fin-in-chunk"),
)


class Deed(StrEnum):
    """Something done to the proxy under load."""

    RELOAD = "reload"
    BAD_RELOAD = "refused reload"
    PRIMARY = "mode primary"
    SHADOW = "mode shadow"
    KILL_SWITCH = "kill switch"
    REARM = "kill switch released"
    KILL_JUDGE = "judge killed"


# Seconds into a step of twenty, and in every how many steps.
_SCORE = (
    (4.0, Deed.PRIMARY, 2),
    (6.0, Deed.SHADOW, 2),
    (9.0, Deed.RELOAD, 1),
    (11.0, Deed.BAD_RELOAD, 3),
    (13.0, Deed.KILL_SWITCH, 4),
    (15.0, Deed.REARM, 4),
    (17.0, Deed.KILL_JUDGE, 3),
)


@dataclass(frozen=True, slots=True)
class Cue:
    """A deed and when it is due, in seconds from the start of its step."""

    at_s: float
    deed: Deed


def fault(step: int) -> Fault:
    """Return what the candidate plays in this step, counted from 0."""
    return FAULTS[step % len(FAULTS)]


def cues(step: int, step_s: float = STEP_S) -> Iterator[Cue]:
    """Return what is done in this step, in order; a shorter step is the same, faster."""
    return (Cue(at_s * step_s / STEP_S, deed) for at_s, deed, every in _SCORE if step % every == every - 1)
