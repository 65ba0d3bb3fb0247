"""Reading the configuration again: SIGHUP and `POST /api/v1/config/reload`.

The same file, environment and flags are read and validated whole. One error, and all of them are said and
nothing changes; else there is one new snapshot. What only a restart can change is said and stays as it was.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from proxy.config.models import Settings
from proxy.config.problems import ConfigError, Place, Problem
from proxy.config.reload import changed, read_again
from proxy.config.sources import Sources
from proxy.control.database import StateError
from proxy.control.snapshots import NotStoredError, Snapshots
from proxy.control.state import Asked, State
from proxy.ipc.boot import prepare_settings

log = structlog.get_logger()

SIGNAL = Asked("signal", "", "SIGHUP")


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading the configuration last: when (Unix seconds), and why it was refused, if it was.

    `needs_restart` names the settings that were read and are not in force.
    """

    at: float
    problems: tuple[Problem, ...] = ()
    refusal: str = ""
    needs_restart: tuple[str, ...] = ()

    @property
    def is_successful(self) -> bool:
        """Whether what was read is in force."""
        return not self.refusal

    @property
    def errors(self) -> list[dict[str, str]]:
        """The problems as JSON rows."""
        return [
            {"place": str(Place(one.file, one.line, one.column)), "setting": one.path, "why": one.message}
            for one in self.problems
        ]


@dataclass(frozen=True, slots=True)
class Reload:
    """What a reload did, or would do: the settings it changes, by name, and the row of the audit log."""

    reading: Reading
    changed: tuple[str, ...] = ()
    version_before: int = 0
    version_after: int = 0
    audit_id: str | None = None


class Reloader:
    """Reads again; `adopt` hears settings just before they are in force."""

    def __init__(
        self, sources: Sources, runtime_dir: Path, snapshots: Snapshots, state: State, adopt: Callable[[Settings], None]
    ) -> None:
        self.last = Reading(time.time())
        self._sources = sources
        self._runtime_dir = runtime_dir
        self._snapshots = snapshots
        self._state = state
        self._adopt = adopt
        self._one_at_a_time = asyncio.Lock()
        self._running: set[asyncio.Task[Reload]] = set()

    async def reload(self, asked: Asked) -> Reload:
        """Read again and put it in force, or refuse it. A caller that goes away does not leave it half done."""
        task = asyncio.ensure_future(self._reload(asked))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def by_signal(self) -> None:
        """Reload with nobody to answer to: a refusal becomes a row of the audit log here."""
        done = await self.reload(SIGNAL)
        if not done.reading.is_successful:
            try:
                await self._state.refuse(SIGNAL, "", f"refused: {done.reading.refusal}")
            except StateError as refused:
                log.warning("a refused reload is not in the audit log yet", why=str(refused))

    async def try_out(self) -> Reload:
        """What a reload would do now."""
        before = self._snapshots.current
        try:
            settings, waiting = await asyncio.to_thread(read_again, self._sources, before.settings)
        except ConfigError as wrong:
            return Reload(_refused(wrong))
        reading = Reading(time.time(), needs_restart=tuple(waiting))
        return Reload(reading, tuple(changed(before.settings, settings)), before.version, before.version + 1)

    async def _reload(self, asked: Asked) -> Reload:
        async with self._one_at_a_time:
            before = self._snapshots.current
            try:
                settings, waiting = await asyncio.to_thread(read_again, self._sources, before.settings)
                keep = await asyncio.to_thread(prepare_settings, self._runtime_dir, settings)
                audit_id = await self._snapshots.reread(settings, asked, keep, self._adopt)
            except ConfigError as wrong:
                done = Reload(_refused(wrong))
            except (NotStoredError, OSError) as wrong:
                done = Reload(Reading(time.time(), refusal=f"it could not be stored: {_why(wrong)}"))
            else:
                reading = Reading(time.time(), needs_restart=tuple(waiting))
                differs = tuple(changed(before.settings, settings))
                done = Reload(reading, differs, before.version, self._snapshots.current.version, audit_id)
            self.last = done.reading
            _say(done)
            return done


def _refused(wrong: ConfigError) -> Reading:
    count = len(wrong.problems)
    return Reading(time.time(), tuple(wrong.problems), f"{count} error{'' if count == 1 else 's'}")


def _why(wrong: NotStoredError | OSError) -> str:
    return str(wrong.strerror if isinstance(wrong, OSError) else wrong)


def _say(done: Reload) -> None:
    reading = done.reading
    for error in reading.errors:
        log.error("configuration error", **error)
    if not reading.is_successful:
        log.error("configuration refused: the one in force stays", why=reading.refusal)
        return
    if reading.needs_restart:
        log.warning("these settings stay as they are until a restart", settings=", ".join(reading.needs_restart))
    log.info("configuration reloaded", snapshot=done.version_after, changed=", ".join(done.changed) or "nothing")
