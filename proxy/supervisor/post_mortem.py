"""What a judge died of: whether a pair was the end of it, and which rule or endpoint that is to be blamed on."""

import signal
from dataclasses import replace

import structlog

from proxy.core.quarantine import KILLS, WITHIN_S, Kill, quarantined, remembered
from proxy.ipc.boot import Boot
from proxy.ipc.whereabouts import Whereabouts, read_whereabouts

LATE_S = 1.0
"""A watchdog's clock goes on while its process is stopped, which then dies late and of nothing that it did."""
WATCHDOG = {signal.SIGPROF, signal.SIGALRM}
"""What the watchdog ends a judge by: its CPU time, and its clock."""
DEEDS = {signal.SIGPROF, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}
"""What a process dies of by what it does, CPU time first; other signals come from people or the system."""
TOO_SLOW = "until it is changed, or judge.stall raised, and the config reloaded"
CRASHED = "until it is changed and the config reloaded; a crash is a bug: report it"

log = structlog.get_logger()


def examined(boot: Boot, exit_code: int, now: float) -> Boot:
    """What the successor of this judge is told: its boot, with what it died of if a pair was the end of it.

    `now` is when it was found to be dead, monotonic seconds.
    """
    left, number = read_whereabouts(boot.whereabouts), -exit_code
    if left is None or left.judge != boot.incarnation or not _is_blamed(left, number, now):
        if number == signal.SIGALRM:
            log.warning("the watchdog's clock ended this judge; nothing is blamed", judge=boot.incarnation)
        return boot
    kill = Kill(left.judge, left.worker, left.suspect, now)
    kills = remembered(boot.kills, kill)
    _tell(kill, signal.Signals(number), is_last=kill.suspect in quarantined(kills))
    return replace(boot, kills=kills)


def _is_blamed(left: Whereabouts, number: int, now: float) -> bool:
    """Whether the pair is to be blamed for a death by this signal.

    By the clock only a rule's comparator is: it may wait for something. Our own code never does, it only computes, so
    that the machine was late and not the pair.
    """
    if number == signal.SIGALRM:
        return left.suspect.kind == "rule" and now <= left.until + LATE_S
    return number in DEEDS


def _tell(kill: Kill, number: signal.Signals, *, is_last: bool) -> None:
    suspect = kill.suspect
    blamed = {"judge": kill.judge, "service": suspect.service, suspect.kind: suspect.name, "signal": number.name}
    log.warning("judge_killed_by_a_pair", **blamed)
    if is_last:
        log.error(
            "quarantined",
            **blamed,
            why=f"{KILLS} judges died of it within {WITHIN_S / 60:.0f} minutes",
            next=f"pairs it is needed for are incomparable {TOO_SLOW if number in WATCHDOG else CRASHED}",
        )
