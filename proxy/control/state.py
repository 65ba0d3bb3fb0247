"""What an operator decided and who did it: modes that outlive a restart, and the audit log."""

import sqlite3
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from proxy.config.models import Mode
from proxy.control.database import LOST, Database, StateError

Row = tuple[float | str, ...]
_VERSION = "snapshot"
_READING = "reading"
_MOST_OWED = 1000
"""Audit rows held while the disk refuses, beyond which refusals have none; what came about always has its row."""


@dataclass(frozen=True, slots=True)
class ServiceState:
    """What can be switched of one service.

    Attributes:
        mode: who answers.
        latched: somebody asked for no candidate at all; mode is `primary` until somebody says otherwise.
    """

    mode: Mode
    latched: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked for a change, from where, by which call, and why."""

    who: str
    peer: str
    route: str
    reason: str = ""


BOOT = Asked("boot", "", "boot")


@dataclass(frozen=True, slots=True)
class Decision:
    """A service's state as last stored, and the run of the supervisor in which that was.

    `run` is empty when the configuration has since been read again, and said another mode than before.
    """

    state: ServiceState
    run: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What the file remembers at boot; `lost` if it replaced one that could not be read."""

    version: int
    decisions: dict[str, Decision]
    lost: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One service's way from one state to another, and the snapshots it leads from and to."""

    service: str
    before: ServiceState
    after: ServiceState
    version_before: int
    version_after: int

    def end(self, *, after: bool) -> dict[str, Any]:
        """One end of the step, as answers and the audit log show it."""
        state = self.after if after else self.before
        return {
            "mode": state.mode,
            "weight": 0,
            "v2_enabled": not state.latched,
            "snapshot": self.version_after if after else self.version_before,
        }


class State:
    """The tables `meta`, `services` and `audit` of the state file. Every method may raise StateError."""

    def __init__(self, database: Database, run: str) -> None:
        self._database = database
        self._run = run
        self._owed: list[Row] = []

    @property
    def was_lost(self) -> bool:
        """Whether this file was begun at this start, in place of one that could not be read."""
        return self._database.put_aside is not None

    def boot(self) -> Stored:
        """What was stored. A stored mode this version does not know counts as `primary`."""
        return self._database.read(_stored)

    def settle(self, version: int, states: dict[str, ServiceState]) -> None:
        """Store a boot after a loss: these states from now on, and no loss any more."""

        def work(connection: sqlite3.Connection) -> None:
            for service, state in states.items():
                _store(connection, service, state, self._run)
                step = Step(service, state, state, version, version)
                _append(connection, BOOT, step, "the state file was unreadable")
            connection.execute("DELETE FROM meta WHERE name = ?", (LOST,))

        self._database.transact(work, durable=True)

    def number(self, version: int) -> None:
        """Store the snapshot number of this boot."""
        self._database.transact(lambda connection: _number(connection, version), durable=True)

    async def outdate(self, services: Collection[str], version: int) -> None:
        """Store that what was decided about these services is older than the configuration of the next snapshot."""

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("UPDATE services SET run = '' WHERE service = ?", [(name,) for name in services])
            _number(connection, version)

        await self._database.write(work, durable=True)

    async def reread(self, versions: tuple[int, int], asked: Asked) -> str:
        """Append the audit row of a configuration that is in force, from one snapshot to another; its id.

        What the disk refuses now is owed.
        """
        before, after = (orjson.dumps({"snapshot": version}).decode() for version in versions)
        row = (time.time(), asked.who, asked.peer, asked.route, "", before, after, "applied", asked.reason)

        def work(connection: sqlite3.Connection) -> str:
            _number(connection, versions[1])
            return _insert(connection, row)

        try:
            return await self._database.write(work, durable=True)
        except StateError:
            self._owed.append(row)
            raise

    def reading(self) -> dict[str, Any] | None:
        """What came of reading the configuration last, if that was in this run of the supervisor."""
        found = self._database.read(lambda connection: _meta(connection).get(_READING))
        kept = orjson.loads(found) if found else {}
        return kept["reading"] if kept.get("run") == self._run else None

    async def keep_reading(self, reading: Mapping[str, Any]) -> None:
        """Store what came of reading the configuration, for the next control of this run."""
        kept = orjson.dumps({"run": self._run, "reading": reading}).decode()
        await self._database.write(
            lambda connection: connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_READING, kept)),
            durable=False,
        )

    async def record(self, step: Step, asked: Asked) -> str:
        """Store a step with its audit row; on the disk when this returns. The audit row's id."""

        def work(connection: sqlite3.Connection) -> str:
            _store(connection, step.service, step.after, self._run)
            _number(connection, step.version_after)
            return _append(connection, asked, step, "applied")

        return await self._database.write(work, durable=True)

    def owe(self, asked: Asked, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """The audit row of what came about without us; it is appended when what is owed is settled."""
        ends = (orjson.dumps(end).decode() for end in (before, after))
        self._owed.append((time.time(), asked.who, asked.peer, asked.route, "", *ends, "applied", asked.reason))

    def newest(self, route: str) -> dict[str, Any]:
        """What came about by the newest audit row of this route; empty if there is none."""
        found = self._database.read(
            lambda connection: connection.execute(
                "SELECT after FROM audit WHERE route = ? ORDER BY id DESC LIMIT 1", (route,)
            ).fetchone()
        )
        return {} if found is None else dict(orjson.loads(found[0]))

    async def refuse(self, asked: Asked, service: str, why: str) -> None:
        """Append the audit row of an attempt that did not succeed; what the disk refuses now is owed."""
        row = (time.time(), asked.who, asked.peer, asked.route, service, "{}", "{}", why, asked.reason)
        if len(self._owed) < _MOST_OWED:
            self._owed.append(row)
        await self.settle_owed()

    async def settle_owed(self) -> None:
        """Append the audit rows that are owed."""
        rows = list(self._owed)
        if not rows:
            return
        self._owed.clear()
        try:
            await self._database.write(lambda connection: _insert_all(connection, rows), durable=False)
        except StateError:
            self._owed[:0] = rows
            raise

    async def audit(self, limit: int, before: int | None) -> list[dict[str, Any]]:
        """The newest audit rows, newest first; only those older than the row numbered `before`."""
        rows = await self._database.fetch(
            lambda connection: connection.execute(
                "SELECT id, at, who, peer, route, service, before, after, result, reason FROM audit"
                " WHERE id < ? ORDER BY id DESC LIMIT ?",
                (2**62 if before is None else before, limit),
            ).fetchall()
        )
        return [_shown(row) for row in rows]


def _shown(row: tuple[Any, ...]) -> dict[str, Any]:
    number, at, who, peer, route, service, before, after, result, reason = row
    return {
        "audit_id": f"a-{number}",
        "at": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "by": who,
        "peer": peer,
        "route": route,
        "service": service,
        "before": orjson.loads(before),
        "after": orjson.loads(after),
        "result": result,
        "reason": reason,
    }


def _stored(connection: sqlite3.Connection) -> Stored:
    meta = _meta(connection)
    decisions = {
        service: Decision(_state(mode, latched=bool(latched)), run)
        for service, mode, latched, run in connection.execute("SELECT service, mode, latched, run FROM services")
    }
    return Stored(int(meta.get(_VERSION, 0)), decisions, LOST in meta)


def _meta(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT name, value FROM meta").fetchall())


def _state(mode: str, *, latched: bool) -> ServiceState:
    known = mode in {Mode.PRIMARY, Mode.SHADOW}
    return ServiceState(Mode(mode) if known else Mode.PRIMARY, latched)


def _store(connection: sqlite3.Connection, service: str, state: ServiceState, run: str) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO services VALUES (?, ?, ?, ?)", (service, state.mode, int(state.latched), run)
    )


def _number(connection: sqlite3.Connection, version: int) -> None:
    """Store a snapshot number; what was owed comes late, and must not turn it back."""
    connection.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name)"
        " DO UPDATE SET value = MAX(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))",
        (_VERSION, str(version)),
    )


def _append(connection: sqlite3.Connection, asked: Asked, step: Step, result: str) -> str:
    before, after = (orjson.dumps(step.end(after=end)).decode() for end in (False, True))
    return _insert(
        connection,
        (time.time(), asked.who, asked.peer, asked.route, step.service, before, after, result, asked.reason),
    )


def _insert_all(connection: sqlite3.Connection, rows: list[Row]) -> None:
    for row in rows:
        _insert(connection, row)


def _insert(connection: sqlite3.Connection, row: Row) -> str:
    done = connection.execute(
        "INSERT INTO audit (at, who, peer, route, service, before, after, result, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        row,
    )
    return f"a-{done.lastrowid}"
