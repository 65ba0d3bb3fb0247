"""What the processes have counted: the newest report of each incarnation, stored as it comes.

Counters that were shown are never taken back: what is published was stored first, so a control that is
killed comes back with at least that. Rows are keyed by process and incarnation and hold cumulative
reports, so storing one again changes nothing. Rows of an earlier run are folded once, at boot, into the
base that this run counts on from.
"""

import asyncio
import sqlite3
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from proxy.config.models import Settings
from proxy.control.database import Database, StateError
from proxy.control.label_sets import known
from proxy.control.processes import Processes, read_processes
from proxy.core.evidence import Report, fold
from proxy.core.tally import Tally
from proxy.ipc.messages import Hello, MessageError, decode, encode

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Published:
    """What metrics and status are made from: one moment's evidence and processes. Nobody writes into it.

    The evidence is all there is, also of what is no longer configured.
    """

    tally: Tally
    processes: Processes


class EvidenceStore:
    """Takes reports at any time; `refresh` stores and publishes them."""

    def __init__(self, database: Database, settings: Settings, run: str, processes_file: Path) -> None:
        self._database = database
        self._settings = settings
        self._run = run
        self._processes_file = processes_file
        self._base, self._reports = _load(database, run)
        self._newest: dict[str, str] = {}
        for report in self._reports.values():
            self._meet(report.process, report.incarnation)
        self._unstored: dict[str, Report] = {}
        self._refused = False
        self._seen = self._alive(read_processes(processes_file))
        self.published = self._fold(dict(self._reports), *self._seen)

    def saw(self, hello: Hello) -> None:
        """A process said who it is: its earlier incarnations are gone."""
        self._meet(hello.process, hello.incarnation)

    def configure(self, settings: Settings) -> None:
        """From the next refresh on, the label sets of these settings exist."""
        self._settings = settings
        self._seen = frozenset(), Processes()

    def take(self, report: Report) -> None:
        """A newer report of an incarnation."""
        self._reports[report.incarnation] = report
        self._unstored[report.incarnation] = report

    async def refresh(self) -> None:
        """Store what came since the last call, then publish all of it."""
        # First who lives, then what they said: a process is restarted later than its last words reach us, so one that
        # is found to be gone has been heard to its end.
        seen = self._alive(await asyncio.to_thread(read_processes, self._processes_file))
        fresh, self._unstored = self._unstored, {}
        reports = dict(self._reports)
        if fresh:
            await self._store(fresh)
        if fresh or seen != self._seen:
            self._seen = seen
            self.published = await asyncio.to_thread(self._fold, reports, *seen)

    def _alive(self, processes: Processes) -> tuple[frozenset[str], Processes]:
        """Who is alive: the newest incarnation of each process we were told of, by itself or by the supervisor."""
        for member in processes.members:
            self._meet(member.process, member.incarnation)
        return frozenset(self._newest.values()), processes

    def _meet(self, process: str, incarnation: str) -> None:
        self._newest[process] = max(incarnation, self._newest.get(process, ""))

    async def _store(self, fresh: dict[str, Report]) -> None:
        try:
            await self._database.write(partial(_upsert, self._run, fresh), durable=False)
        except StateError as refused:
            self._unstored = fresh | self._unstored
            if not self._refused:
                log.error("evidence is shown but not stored", why=str(refused))  # noqa: TRY400  the message says it all
            self._refused = True
        else:
            self._refused = False

    def _fold(self, reports: dict[str, Report], alive: frozenset[str], processes: Processes) -> Published:
        total = fold(reports.values(), alive)
        total.add(self._base)
        evidence = known(self._settings)  # first: its labels are text, those of what is reckoned are enums
        evidence.add(total)
        return Published(evidence, processes)


def _load(database: Database, run: str) -> tuple[Tally, dict[str, Report]]:
    """The base with all earlier runs folded in, and this run's reports, oldest incarnation first."""
    base = Tally()
    for report in database.read(lambda found: _reports(found.execute("SELECT payload FROM base"))):
        base.add(report.tally)
    earlier = database.read(lambda found: _reports(found.execute("SELECT payload FROM reports WHERE run <> ?", (run,))))
    if earlier:
        base.add(fold(earlier, frozenset()))
        try:
            database.transact(partial(_replace_base, run, base), durable=True)
        except StateError as refused:
            log.error("earlier evidence is counted, but not stored", why=str(refused))  # noqa: TRY400  said all
    current = database.read(
        lambda found: _reports(found.execute("SELECT payload FROM reports WHERE run = ? ORDER BY rowid", (run,)))
    )
    return base, {report.incarnation: report for report in current}


def _replace_base(run: str, base: Tally, connection: sqlite3.Connection) -> None:
    """Both at once: a row is either in the base or still there, never both."""
    payload = encode(Report("base", "base", base))
    connection.execute("INSERT OR REPLACE INTO base VALUES (1, ?)", (payload,))
    connection.execute("DELETE FROM reports WHERE run <> ?", (run,))


def _reports(rows: sqlite3.Cursor) -> list[Report]:
    reports = []
    for (payload,) in rows.fetchall():
        try:
            message = decode(payload)
        except MessageError as wrong:
            log.warning("a stored report is left out", why=str(wrong))
            continue
        if isinstance(message, Report):
            reports.append(message)
    return reports


def _upsert(run: str, reports: dict[str, Report], connection: sqlite3.Connection) -> None:
    connection.executemany(
        "INSERT INTO reports VALUES (?, ?, ?, ?)"
        " ON CONFLICT (process, incarnation) DO UPDATE SET payload = excluded.payload",
        [(report.process, report.incarnation, run, encode(report)) for report in reports.values()],
    )
