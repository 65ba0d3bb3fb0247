"""Control: `python -m proxy.control.process BOOT_JSON`, started by the supervisor with its sockets inherited.

Start: state file, token, Unix socket, admin port. Run: store and publish evidence; SIGHUP reads the configuration
again. End, by SIGTERM or with the supervisor: hear the last reports, store them, close.
"""

import asyncio
import os
import platform
import signal
import socket
import sys
import time
from contextlib import suppress
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from ipaddress import ip_address
from math import inf
from pathlib import Path

import structlog
from aiohttp import web

from proxy.config.models import Settings
from proxy.config.sources import Sources
from proxy.config.token import TokenError, ensure_token
from proxy.control.api import server
from proxy.control.api.auth import Token
from proxy.control.api.call import Control
from proxy.control.api.front import Front
from proxy.control.database import Database, StateError, open_database
from proxy.control.evidence_store import EvidenceStore
from proxy.control.kill_switch import KillSwitchWatch
from proxy.control.links import Link, Links
from proxy.control.metrics import Build
from proxy.control.readiness import Readiness
from proxy.control.reload import Reloader
from proxy.control.snapshots import Snapshots
from proxy.control.state import State
from proxy.ipc.boot import PROCESSES_FILE, SOURCES_FILE, Boot, enter
from proxy.ipc.messages import Snapshot

log = structlog.get_logger()

REFRESH_S = 0.25
LAST_REPORTS_S = 1.0
"""How long a control that is told to end waits for its peers to be gone; the supervisor ends them first."""
BEYOND_DRAIN_S = 10.0
"""How long after `timeouts.drain` workers and judges may go on whose supervisor was killed, as we do with them."""


class ControlProcess:
    """Everything control holds, from start to end."""

    def __init__(self, boot: Boot, settings: Settings, database: Database) -> None:
        self._boot = boot
        self._database = database
        self._state = State(database, boot.run)
        self._kill_switch = KillSwitchWatch(boot.kill_switch, self._state)
        self._stop = asyncio.Event()
        self._ends_at = inf
        self._evidence = EvidenceStore(database, settings, boot.run, Path(boot.runtime_dir) / PROCESSES_FILE)
        self._links = Links(self._evidence)
        self._readiness = Readiness(settings, lambda: self._links.connected)
        self._snapshots = self._first_snapshot(settings)
        self._reloader = Reloader(
            _sources(boot), Path(boot.runtime_dir), self._snapshots, self._state, self._adopt_settings
        )
        self._reloads: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until told to stop, then drain."""
        self._listen_for_the_end()
        loop = asyncio.get_running_loop()
        unix = await loop.create_unix_server(lambda: Link(self._links), sock=_inherited(self._boot, "control"))
        admin = await self._open_admin_port()
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        beside = [loop.create_task(self._readiness.warn_of_backends()), loop.create_task(self._watch_kill_switch())]
        self._boot.announce_ready()
        current = self._kill_switch.in_force(self._snapshots.current)
        log.info("control is up", snapshot=current.version, modes=_shown(current))
        try:
            await self._keep_evidence()
        finally:
            for task in beside:
                task.cancel()
            await self._drain(unix, admin)

    def _reload(self) -> None:
        async def reload() -> None:
            await self._reloader.by_signal()
            self._boot.announce_reloaded()

        task = asyncio.get_running_loop().create_task(reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    def _adopt_settings(self, settings: Settings) -> None:
        self._evidence.configure(settings)
        self._readiness.configure(settings)

    def _first_snapshot(self, settings: Settings) -> Snapshots:
        stored = self._state.boot()
        snapshots = Snapshots(settings, self._state, self._links.publish, stored, self._boot.run)
        try:
            if stored.lost:
                self._state.settle(snapshots.current.version, dict(snapshots.states))
            self._state.number(snapshots.current.version)
        except StateError as refused:
            log.error("the state file cannot be written: changes will be refused", why=str(refused))  # noqa: TRY400  said all
        if stored.lost:
            log.error(
                "STATE LOST: the state file was unreadable; every service starts in mode primary, counts start at 0",
                kept_as=str(self._database.put_aside),
                next="shadow-proxy mode shadow SERVICE",
            )
        return snapshots

    def _listen_for_the_end(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._end, LAST_REPORTS_S)
        alive = self._boot.fds["alive"]

        def supervisor_is_gone() -> None:
            if not os.read(alive, 1):
                loop.remove_reader(alive)
                longest_s = self._snapshots.current.settings.timeouts.drain + BEYOND_DRAIN_S
                log.warning("the supervisor is gone: control ends with its workers", longest_s=longest_s)
                self._end(longest_s)

        loop.add_reader(alive, supervisor_is_gone)

    def _end(self, within: float) -> None:
        self._ends_at = min(self._ends_at, asyncio.get_running_loop().time() + within)
        self._stop.set()

    async def _open_admin_port(self) -> web.ServerRunner:
        listener = _inherited(self._boot, "admin")
        loopback = ip_address(listener.getsockname()[0]).is_loopback
        build = Build(_version(), platform.python_version(), time.time())
        control = Control(
            self._snapshots,
            self._state,
            self._evidence,
            self._links,
            self._readiness,
            self._reloader,
            self._kill_switch,
            build,
        )
        front = Front(control, self._token(), loopback=loopback)
        return await server.start(front.answer, listener)

    def _token(self) -> Token:
        try:
            return Token(ensure_token(self._snapshots.current.settings, Path(self._boot.state_dir)).token)
        except TokenError as wrong:
            log.error("no token is accepted: nothing can be changed", why=str(wrong))  # noqa: TRY400  said all
            return Token(None)

    async def _watch_kill_switch(self) -> None:
        """Beside the storing of evidence, which a disk may hold up."""
        while True:
            self._kill_switch.look()
            await asyncio.sleep(REFRESH_S)

    async def _keep_evidence(self) -> None:
        while not self._stop.is_set():
            await self._store()
            try:
                await asyncio.wait_for(self._stop.wait(), REFRESH_S)
            except TimeoutError:
                continue

    async def _store(self) -> None:
        with suppress(StateError):  # said where it happened; what is owed stays owed
            await self._evidence.refresh()
            await self._snapshots.settle()
            await self._state.settle_owed()

    async def _drain(self, unix: asyncio.Server, admin: web.ServerRunner) -> None:
        unix.close()
        await self._hear_the_last()
        self._links.close()
        await admin.cleanup()
        await self._store()
        log.info("control ends")

    async def _hear_the_last(self) -> None:
        """Store what peers report until they are gone, as long as there is time."""
        clock = asyncio.get_running_loop().time
        while not await self._links.all_gone(min(REFRESH_S, max(0.0, self._ends_at - clock()))):
            if clock() >= self._ends_at:
                log.info("peers are still there; they will find the next control")
                return
            await self._store()


def _shown(snapshot: Snapshot) -> dict[str, str]:
    return {service: str(mode) for service, mode in snapshot.modes.items()}


def _sources(boot: Boot) -> Sources:
    return Sources.decode((Path(boot.runtime_dir) / SOURCES_FILE).read_text())


def _version() -> str:
    try:
        return installed_version("shadow-proxy")
    except PackageNotFoundError:  # run from a checkout
        return "0+checkout"


def _inherited(boot: Boot, purpose: str) -> socket.socket:
    inherited = socket.socket(fileno=boot.fds[purpose])
    inherited.setblocking(False)  # noqa: FBT003  the standard library's signature
    return inherited


async def _run(boot: Boot, settings: Settings, database: Database) -> None:
    await ControlProcess(boot, settings, database).run()


def main(argument: str) -> int:
    """Run control to its end; the exit code."""
    boot = enter(argument)
    settings = boot.settings()
    try:
        server.check_parser()
        database = open_database(Path(boot.state_dir))
    except (server.ParserError, StateError) as wrong:
        log.critical("control cannot start", why=str(wrong))
        return 1
    try:
        asyncio.run(_run(boot, settings, database))
    finally:
        database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
