"""The whole matrix: a load that fits the machine, then row by row a proxy, a candidate and their turns."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.faults import client, sides, turns
from bench.faults.candidate import Candidate, Fault
from bench.faults.driver import driver
from bench.faults.evidence import IDENTITIES, Evidence
from bench.faults.primary import Primary
from bench.faults.rows import GET, Row
from bench.faults.rule import MIB, Allowance, Finding, Outcome, Side, findings, verdict
from bench.faults.scene import Config, Scene
from bench.faults.turns import Load, Part, Stage
from bench.load.child import ChildError
from bench.load.openloop import CONNECTIONS
from bench.load.workload import Workload

ALLOWANCE = Allowance(budget_bytes=64 * MIB, connections=200, clients=CONNECTIONS)
SHARES_OF_MOST = {"get": 1 / 5, "upload": 1 / 10}
"""Two cores carry client, primary, candidate and all processes of the proxy: nobody is to wait for a core."""
_PROBES = {"get": 4_000, "upload": 200}

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to play: turns of so many seconds, and of at least so many requests where those are small."""

    rows: tuple[Row, ...]
    rounds: int
    seconds: float
    requests: int
    parts: tuple[Part, ...] = (Part.OFF, Part.ON, Part.TWIN)

    def load(self, row: Row, rate_rps: float) -> Load:
        """Return the load of a row at this rate."""
        at_least = self.requests if row.workload is GET else 1
        seconds = max(self.seconds, row.least_s)
        return Load(rate_rps, max(at_least, round(rate_rps * seconds)), self.rounds, self.parts)


@dataclass(frozen=True, slots=True)
class Judged:
    """One row, measured and held against the rule and its own checks; `failure` is why it could not be played."""

    row: Row
    rate_rps: float = 0.0
    off: Side | None = None
    on: Side | None = None
    twin: Side | None = None
    evidence: Evidence | None = None
    findings: tuple[Finding, ...] = ()
    checks: dict[str, Outcome] = field(default_factory=dict)
    failure: str = ""

    @property
    def outcome(self) -> Outcome:
        """Whether the row holds."""
        if self.failure:
            return Outcome.NO
        return verdict([*(finding.outcome for finding in self.findings), *self.checks.values()])


def play(plan: Plan, directory: Path, say: Say) -> Iterator[Judged]:
    """Play the rows one after the other; everything started is ended, whatever happens."""
    with ExitStack() as stack:
        clients = stack.enter_context(driver())
        primaries: dict[float, Primary] = {}
        rates: dict[tuple[str, float], float] = {}
        for number, row in enumerate(plan.rows):
            here = directory / f"row-{number}"
            try:
                if row.primary_s not in primaries:
                    primaries[row.primary_s] = stack.enter_context(Primary(directory, row.primary_s))
                primary = primaries[row.primary_s].url
                kind = (row.workload.name, row.primary_s)
                if kind not in rates:
                    rates[kind] = _rate(row.workload, primary, clients, directory / f"calibration-{len(rates)}")
                    say(
                        f"{row.workload.name}, answered after {row.primary_s * 1e3:g} ms: {rates[kind]:,.0f} per second"
                    )
                yield _play_row(row, plan.load(row, rates[kind]), primary, clients, here)
            except (ChildError, OSError, TimeoutError) as error:
                yield Judged(row, failure=str(error))


def _rate(workload: Workload, primary: str, clients: Executor, directory: Path) -> float:
    """Ask a proxy that mirrors to a healthy candidate as fast as it answers; return what of that is measured at."""
    count = _PROBES[workload.name]
    with (
        Candidate(Fault("healthy")) as well,
        Scene(Config(primary, well.url), directory) as scene,
    ):
        scene.switch("shadow")
        played = clients.submit(client.play, scene.port, workload, [0.0] * count).result()
    return SHARES_OF_MOST[workload.name] * count / played.elapsed_s


def _play_row(row: Row, load: Load, primary: str, clients: Executor, directory: Path) -> Judged:
    with Candidate(row.candidate) as candidate:
        config = Config(primary, candidate.url, row.mirror, row.top)
        with Scene(config, directory) as scene:
            played = list(turns.play(Stage(row, config, scene, load, clients)))
        return judge(row, load.rate_rps, played, candidate.counts())


def judge(row: Row, rate_rps: float, played: Sequence[turns.Turn], candidate: dict[str, int]) -> Judged:
    """Hold the turns of a row against the rule and its checks."""
    off, on, twin = (sides.side(played, part) for part in (Part.OFF, Part.ON, Part.TWIN))
    assert off
    assert on
    seen = sides.evidence(played, candidate)
    return Judged(
        row,
        rate_rps,
        off,
        on,
        twin,
        seen,
        findings(off, twin if row.primary_s else None, on, replace(ALLOWANCE, clients=ALLOWANCE.clients + row.clients)),
        {check.says: check.outcome(seen) for check in (IDENTITIES, *row.checks)},
    )
