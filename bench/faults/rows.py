"""The fault matrix as a table: the faults that are measured under load, and where the others are tested."""

from dataclasses import dataclass, field
from typing import Any

from bench.faults import meddling
from bench.faults.candidate import NO_SUCH_NAME, Fault
from bench.faults.evidence import (
    BREAKER_OPENS,
    CLOSED_IN_TIME,
    IN_FLIGHT,
    JUDGE_SMALL,
    OPENS_IN_TIME,
    Check,
    drops,
    meddled,
    only_failures,
    only_verdicts,
)
from bench.faults.meddling import Meddles
from bench.faults.primary import TAKES_S
from bench.load.workload import WORKLOADS, Workload

UPLOAD_BYTES = 512 * 1024
GET = WORKLOADS["get"]
UPLOAD = Workload(
    "upload",
    "POST /uploads/%d HTTP/1.1\r\nHost: api.example\r\nContent-Type: application/octet-stream\r\n"
    f"Content-Length: {UPLOAD_BYTES}\r\n\r\n" + "u" * UPLOAD_BYTES,
)
# A breaker that opens ends the fault. Held shut, every copy meets it.
_SHUT = {"breaker": {"failures": 1_000_000_000}}
# The default is longer than a turn, and no copy would live to its deadline.
_SHORT = {"deadline": "250ms"}
# A connection for every copy, which only a breaker held shut allows: as many as two cores carry beside the rest.
_SOME = {"share": 0.1}
_HEALTHY = Fault("healthy")


@dataclass(frozen=True, slots=True)
class Row:
    """One fault under load. `mirror` and `top` go over the default configuration, `checks` beyond the global rule.

    `clients` is how many connections meddling opens besides those of the load. A row `is_kin` if another one shows
    nearly the same: a quick run leaves it out. A turn takes `least_s` seconds at least, and the primary `primary_s` for
    an answer. Where that is no time at all, pace is measured and not judged: any work at all is a large part of it.
    """

    id: str
    fault: str
    candidate: Fault
    checks: tuple[Check, ...] = ()
    mirror: dict[str, Any] = field(default_factory=dict)
    top: dict[str, Any] = field(default_factory=dict)
    workload: Workload = GET
    meddling: type[Meddles] = Meddles
    clients: int = 0
    is_kin: bool = False
    least_s: float = 0.0
    primary_s: float = TAKES_S


ROWS = (
    Row("none", "candidate is well: what mirroring itself costs", _HEALTHY, (only_verdicts("match"),)),
    Row("none", "the same, and the primary answers at once", _HEALTHY, (only_verdicts("match"),), primary_s=0.0),
    Row("F1", "refuses connections", Fault("refuses"), (OPENS_IN_TIME, BREAKER_OPENS, only_failures("connect"))),
    Row(
        "F2", "answers no SYN", Fault("black-hole"),
        (IN_FLIGHT, only_failures("timeout")), _SHUT | {"connect_timeout": "250ms"},
    ),
    Row(
        "F3", "never answers", Fault("mute"),
        (IN_FLIGHT, BREAKER_OPENS, only_failures("timeout")), _SHORT,
    ),
    Row("F4", "stops reading inside 512 KiB (10 % of uploads)", Fault("stops-reading"), (IN_FLIGHT,),
        _SHUT | _SHORT | _SOME, workload=UPLOAD,
        is_kin=True),
    Row(
        "F5", "drips its head, 1 B/s (10 % of requests)", Fault("drips-head", 1.0),
        (IN_FLIGHT, only_failures("timeout")), _SHUT | _SHORT | _SOME,
    ),
    Row(
        "F6", "drips its body, 1 B/s (10 % of requests)", Fault("drips-body", 1.0),
        (IN_FLIGHT, only_failures("timeout")), _SHUT | _SHORT | _SOME, is_kin=True,
    ),
    # 1 MiB for every copy would be gigabytes per second: a saturated machine, where shedding is the answer.
    Row(
        "F7", "body without end (2 % of requests)", Fault("endless-length"),
        (IN_FLIGHT, only_verdicts("incomparable")), _SHUT | {"share": 0.02},
    ),
    Row(
        "F8", "resets inside the body (10 % of requests)", Fault("reset-in-body"),
        (only_verdicts("candidate_error"), only_failures("truncated", "reset")), _SHUT | _SOME,
    ),
    Row(
        "F9", "talks nonsense (10 % of requests)", Fault("garbage"), (only_failures("protocol"),), _SHUT | _SOME,
    ),
    Row(
        "F9", "1 MB head (5 % of requests)", Fault("huge-head"), (only_failures("protocol"),), _SHUT | {"share": 0.05},
        is_kin=True,
    ),
    Row(
        "F10", "body too short, then waits (10 % of requests)", Fault("body-short"),
        (IN_FLIGHT, only_failures("timeout")), _SHUT | _SHORT | _SOME,
    ),
    Row(
        "F10", "two lengths (10 % of requests)", Fault("two-lengths"), (only_failures("protocol"),), _SHUT | _SOME,
        is_kin=True,
    ),
    Row(
        "F11", "TLS handshake hangs (10 % of requests)", Fault("tls-hang"),
        (IN_FLIGHT, only_failures("tls", "timeout")), _SHUT | _SOME | {"tls_timeout": "250ms"},
    ),
    Row("F12", "name is unknown", NO_SUCH_NAME, (IN_FLIGHT,), _SHUT),
    Row("F13", "takes 10 s", Fault("slow", 10.0), (IN_FLIGHT, drops("in_flight_full")), _SHUT),
    Row("F14", "ten times slower", Fault("slow", 10 * TAKES_S), (only_verdicts("match"),), is_kin=True),
    Row("F15", "uploads of 512 KiB, candidate is well", _HEALTHY, (only_verdicts("match"),), workload=UPLOAD),
    Row(
        "F16", "100 KB of gzip that are 100 MB (2 % of requests)", Fault("gzip-bomb"),
        (only_verdicts("incomparable"), JUDGE_SMALL), {"share": 0.02},
    ),
    Row("F18", "judge is killed twice a second", _HEALTHY, (meddled("judges were killed"),),
        meddling=meddling.KillsJudges),
    Row(
        "F26", "1,000 idle clients, 50 heads byte by byte", _HEALTHY,
        (meddled("slow heads were closed"), CLOSED_IN_TIME),
        top={"timeouts": {"request_head": f"{meddling.HEAD_LIMIT_S}s"}}, meddling=meddling.Crowds,
        clients=meddling.IDLE_CLIENTS + meddling.SLOW_HEADS, least_s=meddling.CROWD_S,
    ),
    Row("F28", "two reloads per second, every other one refused", _HEALTHY, (meddled("reloads were asked for"),),
        meddling=meddling.Reloads),
    Row("F30", "40 clients per second leave too early", _HEALTHY, (meddled("clients left"),),
        meddling=meddling.Aborts),
)  # fmt: skip

# No load comparison makes sense: one right answer, not a distribution, is asked for.
ELSEWHERE = {
    "F17": "comparison bombs",
    "F19": "state disk full or slow",
    "F20": "state torn or corrupt",
    "F21": "100,000 distinct paths",
    "F22": "malformed requests",
    "F23": "worker loop blocked",
    "F24": "open-file limit",
    "F25": "memory pressure",
    "F27": "SIGTERM under load",
    "F29": "primary dies",
    "F31": "unsafe methods",
    "F32": "wall clock jumps",
    "F33": "loops",
    "F34": "candidate is the primary",
}


def chosen(ids: set[str] | None) -> tuple[Row, ...]:
    """Return the rows of these ids, or all; KeyError names ids that there are not."""
    known = {row.id for row in ROWS}
    if unknown := (ids or set()) - known:
        raise KeyError(", ".join(sorted(unknown)))
    return tuple(row for row in ROWS if ids is None or row.id in ids)
