"""What becomes of a change that fails: over a real state file, without a network of processes."""

import asyncio
import json
import os
import socket
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from proxy.config.models import Mode
from proxy.config.sources import Sources
from proxy.control.api import front, server
from proxy.control.api.auth import Token
from proxy.control.api.call import Control
from proxy.control.api.front import Front
from proxy.control.database import Database, open_database
from proxy.control.evidence_store import EvidenceStore
from proxy.control.kill_switch import KillSwitchWatch
from proxy.control.links import Links
from proxy.control.metrics import Build
from proxy.control.readiness import Readiness
from proxy.control.reload import Reloader
from proxy.control.snapshots import Keep, Snapshots
from proxy.control.state import Asked, State
from proxy.ipc.kill_switch import KillSwitch
from proxy.ipc.messages import Snapshot
from tests.kit.polling import wait_until_async
from tests.unit.control.settings import settings

FLAGS, KILL = "/admin/flags", {"v2_enabled": False}
ASKED = Asked("admin", "127.0.0.1", "POST reload")


@dataclass
class Admin:
    """An admin port and the state file below it; `publish_fails` makes every change an accident."""

    database: Database
    state: State
    published: list[Snapshot] = field(default_factory=list)
    port: int = 0
    publish_fails: bool = False
    snapshots: Snapshots = field(init=False)

    def publish(self, snapshot: Snapshot) -> None:
        if self.publish_fails:
            raise RuntimeError("the cable was cut at /secret/place")
        self.published.append(snapshot)

    async def change(self, body: object) -> tuple[int, dict[str, Any]]:
        """Status and content of the answer to `POST /admin/flags`."""
        url = f"http://127.0.0.1:{self.port}{FLAGS}"
        async with (
            aiohttp.ClientSession(headers={"Authorization": "Bearer token"}) as session,
            session.post(url, data=json.dumps(body)) as answer,
        ):
            return answer.status, json.loads(await answer.read())

    async def results(self) -> list[str]:
        """Of the audit rows, oldest first."""
        return [row["result"] for row in reversed(await self.state.audit(50, None))]


@asynccontextmanager
async def admin_port(directory: Path) -> AsyncIterator[Admin]:
    configured, database = settings(), open_database(directory / "state")
    memory = KillSwitch.shared()
    admin = Admin(database, State(database, "run-1"))
    evidence = EvidenceStore(database, configured, "run-1", directory / "processes.json")
    snapshots = admin.snapshots = Snapshots(configured, admin.state, admin.publish, admin.state.boot(), "run-1")
    control = Control(
        snapshots,
        admin.state,
        evidence,
        Links(evidence),
        Readiness(configured, frozenset),
        Reloader(Sources(), directory, snapshots, admin.state, evidence.configure),
        KillSwitchWatch(KillSwitch(directory, memory), admin.state),
        Build("0", "3", 0.0),
    )
    listener = socket.create_server(("127.0.0.1", 0))
    admin.port = listener.getsockname()[1]
    runner = await server.start(Front(control, Token("token"), loopback=True).answer, listener)
    try:
        yield admin
    finally:
        await runner.cleanup()
        database.close()
        os.close(memory)


async def test_an_accident_is_a_500_without_internals_and_an_audit_row(tmp_path: Path) -> None:
    async with admin_port(tmp_path) as admin:
        admin.publish_fails = True
        with capture_logs() as logs:
            status, said = await admin.change(KILL)
        assert (status, "secret" in str(said)) == (500, False)
        assert await admin.results() == ["500 internal"]
        assert [line["event"] for line in logs] == ["admin request failed"]


async def test_a_disk_that_hangs_delays_the_audit_row_and_not_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "REQUEST_S", 0.05)
    monkeypatch.setattr(front, "ROW_S", 0.05)
    works_again = threading.Event()

    def hang(_connection: sqlite3.Connection) -> None:
        works_again.wait(30)

    async with admin_port(tmp_path) as admin:
        hanging = asyncio.create_task(admin.database.write(hang, durable=False))
        try:
            status, said = await admin.change(KILL)
        finally:
            works_again.set()
            await hanging
        assert (status, said["detail"]) == (503, "There was no answer within 0.05 s; a change may still be applied.")
        assert await admin.results() == ["applied", "503 too-slow"]


async def test_a_change_of_a_service_that_is_removed_before_the_answer_is_overtaken(tmp_path: Path) -> None:
    works_again, storing = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(_statement: str) -> None:
        loop.call_soon_threadsafe(storing.set)
        works_again.wait(30)

    async with admin_port(tmp_path) as admin:

        async def is_off() -> bool:
            return admin.published[-1].modes["ranker"] is Mode.PRIMARY

        admin.database._connection.set_trace_callback(hang)
        keep: Keep = lambda: lambda: None  # noqa: E731  it keeps nothing
        reread = asyncio.create_task(admin.snapshots.reread(settings("other"), ASKED, keep, lambda _: None))
        await storing.wait()
        change = asyncio.create_task(admin.change(KILL))
        try:
            await wait_until_async(is_off, "mode primary in force")
        finally:
            works_again.set()
        await reread
        status, said = await change
        assert (status, said.get("type")) == (409, "/problems/overtaken")


async def test_a_refusal_that_the_disk_refuses_is_in_the_audit_log_once_it_works_again(tmp_path: Path) -> None:
    async with admin_port(tmp_path) as admin:
        admin.database._connection.execute("PRAGMA query_only = 1")
        with capture_logs() as logs:
            status, _ = await admin.change({"v2_enabled": False})
            wrong, _ = await admin.change({"nope": True})
        assert (status, wrong) == (503, 422)
        assert "a refused attempt is not in the audit log yet" in [line["event"] for line in logs]
        admin.database._connection.execute("PRAGMA query_only = 0")
        await admin.state.settle_owed()
        await admin.state.settle_owed()
        assert await admin.results() == ["503 not-stored", "422 invalid-flags"]
