"""What a load cost its contestant: CPU of all its processes until the last copy is dealt with, per request."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from bench.load import counters, procfs
from bench.load.backends import Backends
from bench.load.contestants import Contestant
from bench.load.counters import Pairs

T = TypeVar("T")

SETTLE_S = 15.0
_POLL_S = 0.3
_PEER_POLL_S = 0.1
_REPORT_S = 1.1  # the proxy's processes report their counts about once a second; asking sooner only costs it CPU


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU in microseconds per request the primary received; None without a process or without a request.

    `copies` is the share of requests the candidate received as well, `coverage` the share compared (None for
    peers, which compare nothing), `restarted` says that processes came or went, so that their CPU is lost.
    """

    requests: int
    cpu_us: float | None = None
    cpu_us_by_process: dict[str, float] = field(default_factory=dict)
    copies: float | None = None
    coverage: float | None = None
    verdicts: dict[str, int] = field(default_factory=dict)
    drops: dict[str, int] = field(default_factory=dict)
    not_mirrored: dict[str, int] = field(default_factory=dict)
    restarted: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """Every counter at one moment."""

    primary: int
    candidate: int
    pairs: Pairs | None = None
    processes: Sequence[procfs.Process] = ()


def measure(
    contestant: Contestant, sides: Backends, load: Callable[[], T], settle_s: float = SETTLE_S
) -> tuple[T, Cost]:
    """Run the load, wait for its copies and comparisons for at most `settle_s`, account for the CPU used meanwhile."""
    before = _look(contestant, sides)
    outcome = load()
    if contestant.child:
        contestant.child.check_alive()
        _settle(contestant, sides, before, settle_s)
    after = _look(contestant, sides)
    return outcome, between(before, after)


def between(before: Moment, after: Moment) -> Cost:
    """Return what happened from one moment to the next."""
    requests = after.primary - before.primary
    if not after.processes or not requests:
        return Cost(requests)
    used = _cpu_ns_by_process(before, after)
    return Cost(
        requests=requests,
        cpu_us=sum(used.values()) / 1000 / requests,
        cpu_us_by_process={name: cpu_ns / 1000 / requests for name, cpu_ns in used.items()},
        copies=(after.candidate - before.candidate) / requests,
        coverage=_compared(before, after) / requests if after.pairs else None,
        verdicts=_rise(before, after, lambda pairs: pairs.verdicts),
        drops=_rise(before, after, lambda pairs: pairs.drops),
        not_mirrored=_rise(before, after, lambda pairs: pairs.not_mirrored),
        restarted={process.pid for process in before.processes} != {process.pid for process in after.processes},
    )


def _cpu_ns_by_process(before: Moment, after: Moment) -> dict[str, int]:
    earlier = {process.pid: process.cpu_ns for process in before.processes}
    used: dict[str, int] = {}
    for process in after.processes:
        used[process.name] = used.get(process.name, 0) + process.cpu_ns - earlier.get(process.pid, 0)
    return used


def _compared(before: Moment, after: Moment) -> int:
    return after.pairs.compared - before.pairs.compared if before.pairs and after.pairs else 0


def _rise(before: Moment, after: Moment, pick: Callable[[Pairs], dict[str, int]]) -> dict[str, int]:
    if not before.pairs or not after.pairs:
        return {}
    return dict(Counter(pick(after.pairs)) - Counter(pick(before.pairs)))


def _look(contestant: Contestant, sides: Backends) -> Moment:
    return Moment(
        primary=sides.primary.received(),
        candidate=sides.candidate.received(),
        processes=procfs.observe(contestant.child.pid) if contestant.child else (),
        # asked last: answering costs the proxy CPU that belongs to no request
        pairs=counters.pairs(contestant.admin_port) if contestant.admin_port else None,
    )


def _settle(contestant: Contestant, sides: Backends, before: Moment, patience_s: float) -> None:
    """Wait until copies and comparisons are complete, or for as long as is decent."""
    deadline = time.monotonic() + patience_s
    poll_s = _POLL_S if contestant.admin_port else _PEER_POLL_S
    time.sleep(_REPORT_S if contestant.admin_port else poll_s)
    earlier = -1
    while time.monotonic() < deadline:
        copies = sides.candidate.received() - before.candidate
        if _settled(contestant, sides, before, copies, still=copies == earlier):
            return
        earlier = copies
        time.sleep(poll_s)


def _settled(contestant: Contestant, sides: Backends, before: Moment, copies: int, *, still: bool) -> bool:
    """The proxy says how far it is; a peer's copies are counted, and a share of them must only stand still."""
    requests = sides.primary.received() - before.primary
    if contestant.admin_port and before.pairs:
        now = counters.pairs(contestant.admin_port)
        return now.settled and now.requests - before.pairs.requests >= requests
    return still if contestant.setting.share < 1 else copies >= requests
