import json
from pathlib import Path

import orjson
import pytest

from proxy.config.models import Mode
from proxy.control.database import Database, open_database
from proxy.control.evidence_store import EvidenceStore
from proxy.control.status import service_status
from proxy.core.evidence import Report
from proxy.core.families import (
    COMPARISONS,
    DROPPED,
    GREETINGS,
    MIRROR_IN_FLIGHT,
    MIRRORS,
    PAIRS_JUDGED,
    PAIRS_OFFERED,
    REQUESTS,
)
from proxy.core.tally import Tally
from proxy.ipc.messages import Hello, Snapshot
from tests.unit.control.settings import settings


def worker(
    requests: int, *, judge: str = "judge-0:1", offered: int | None = None, incarnation: str = "worker-0:1"
) -> Report:
    """A worker that mirrored all it served, and offered `offered` pairs (default: all) to a judge."""
    tally = Tally()
    tally.count(REQUESTS, ("ranker", "score", "v1", "2xx"), requests)
    tally.count(MIRRORS, ("ranker", "score", "mirrored"), requests)
    tally.count(PAIRS_OFFERED, ("ranker", judge), requests if offered is None else offered)
    tally.gauge(MIRROR_IN_FLIGHT, ("ranker",), 2.0)
    return Report("worker-0", incarnation, tally)


def judge(verdicts: int, incarnation: str = "judge-0:1", worker: str = "worker-0:1") -> Report:
    tally = Tally()
    tally.count(COMPARISONS, ("ranker", "score", "match"), verdicts)
    tally.count(PAIRS_JUDGED, ("ranker", "score", "v1", "2xx", worker), verdicts)
    tally.count(GREETINGS, ("worker-0", worker))
    return Report("judge-0", incarnation, tally)


class House:
    """A store over a state directory; `restart` is a control that was killed and started again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes = directory / "processes.json"
        self.run = "run-1"
        self.open()

    def open(self) -> None:
        self.database: Database = open_database(self.directory / "state")
        self.store = EvidenceStore(self.database, settings(), self.run, self.processes)

    def restart(self, run: str = "run-1") -> None:
        self.database.close()
        self.run = run
        self.open()

    async def hear(self, *reports: Report) -> None:
        for report in reports:
            self.store.saw(Hello(report.process, report.incarnation, 1))
            self.store.take(report)
        await self.store.refresh()

    def supervised(self, *incarnations: str) -> None:
        rows = [
            {"process": f"judge-{i}", "incarnation": one, "up": True, "restarts": 0}
            for i, one in enumerate(incarnations)
        ]
        self.processes.write_text(json.dumps({"supervisor": {"pid": 1, "started_at": 5.0}, "processes": rows}))

    @property
    def tally(self) -> Tally:
        return self.store.published.tally


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_known_label_sets_exist_before_anybody_reports(house: House) -> None:
    assert house.tally.by(COMPARISONS, "verdict", service="ranker", endpoint="score")["mismatch"] == 0


async def test_newer_reports_replace_older_ones(house: House) -> None:
    await house.hear(worker(10), judge(9))
    await house.hear(worker(12), judge(12))
    assert (house.tally.total(REQUESTS), house.tally.total(COMPARISONS)) == (12, 12)


async def test_what_was_shown_is_there_after_a_kill(house: House) -> None:
    await house.hear(worker(10), judge(10))
    house.restart()
    assert (house.tally.total(REQUESTS), house.tally.total(COMPARISONS)) == (10, 10)


async def test_a_report_heard_again_after_a_kill_counts_once(house: House) -> None:
    await house.hear(worker(10), judge(10))
    house.restart()
    await house.hear(worker(11), judge(11))
    assert (house.tally.total(REQUESTS), house.tally.total(DROPPED)) == (11, 0)


async def test_counters_go_on_over_runs_and_earlier_runs_are_folded_once(house: House) -> None:
    await house.hear(worker(10), judge(7))
    for run in ("run-2", "run-2", "run-3"):
        house.restart(run)
        assert house.tally.total(REQUESTS) == 10
        assert house.tally.by(DROPPED, "reason")["judge_lost"] == 3
    await house.hear(worker(5, judge="judge-0:2", incarnation="worker-0:2"), judge(5, "judge-0:2", "worker-0:2"))
    assert house.tally.total(REQUESTS) == 15
    assert house.tally.total(MIRRORS) == house.tally.total(COMPARISONS) + house.tally.total(DROPPED)


async def test_what_is_reckoned_can_be_told_as_json(house: House) -> None:
    await house.hear(worker(10), judge(7))
    await house.hear(judge(0, "judge-0:2"), worker(0, incarnation="worker-0:2"))
    told = service_status("ranker", Snapshot(1, settings(), {"ranker": Mode.SHADOW}), house.tally)
    assert orjson.loads(orjson.dumps(told))["dropped_by"]["judge_lost"] == 3


async def test_levels_of_an_earlier_run_are_gone(house: House) -> None:
    await house.hear(worker(1))
    assert house.tally.gauges[MIRROR_IN_FLIGHT.name] == {("ranker",): 2.0}
    house.restart("run-2")
    assert house.tally.gauges[MIRROR_IN_FLIGHT.name] == {("ranker",): 0.0}


async def test_a_new_incarnation_ends_the_old_one(house: House) -> None:
    await house.hear(worker(10), judge(7))
    assert house.tally.total(DROPPED) == 0
    await house.hear(judge(0, "judge-0:2"))
    assert house.tally.by(DROPPED, "reason")["judge_lost"] == 3


async def test_pairs_offered_to_a_judge_the_supervisor_has_just_started_are_not_lost(house: House) -> None:
    house.supervised("judge-0:9")
    await house.hear(worker(10, judge="judge-0:9"))
    assert house.tally.total(DROPPED) == 0
    assert house.store.published.processes.started_at == 5.0


async def test_evidence_of_what_is_no_longer_configured_is_kept_as_it_was_counted(house: House) -> None:
    tally = Tally()
    tally.count(REQUESTS, ("ranker", "gone", "v1", "2xx"), 3)
    tally.count(REQUESTS, ("gone", "score", "v1", "2xx"), 4)
    await house.hear(Report("worker-0", "worker-0:1", tally))
    assert house.tally.by(REQUESTS, "endpoint") == {"gone": 3, "other": 0, "score": 4}
    assert house.tally.by(REQUESTS, "service") == {"gone": 4, "ranker": 3}


async def test_a_disk_that_refuses_does_not_hide_what_was_counted(house: House) -> None:
    house.database._connection.execute("PRAGMA query_only = ON")
    await house.hear(worker(10))
    assert house.tally.total(REQUESTS) == 10
    house.database._connection.execute("PRAGMA query_only = OFF")
    await house.store.refresh()
    house.restart()
    assert house.tally.total(REQUESTS) == 10


async def test_a_row_that_cannot_be_read_is_left_out(house: House) -> None:
    await house.hear(worker(10))
    house.database.transact(
        lambda connection: connection.execute("INSERT INTO reports VALUES ('x', 'x', 'run-1', x'00ff')"), durable=True
    )
    house.restart()
    assert house.tally.total(REQUESTS) == 10


@pytest.mark.parametrize("content", ["", "{", "[]", '{"processes": [{}]}', '{"processes": 3, "supervisor": {}}'])
async def test_a_processes_file_that_is_not_one_is_no_processes(house: House, content: str) -> None:
    house.processes.write_text(content)
    await house.store.refresh()
    assert house.store.published.processes.members == ()
