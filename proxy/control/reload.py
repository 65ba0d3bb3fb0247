"""Reading the configuration again: SIGHUP and `POST /api/v1/config/reload`.

The same file, environment and flags are read and validated whole. One error, and all of them are said and
nothing changes; else there is one new snapshot. What only a restart can change is said and stays as it was.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import structlog

from proxy.config.models import Settings
from proxy.config.problems import ConfigError, Place, Problem, Severity
from proxy.config.reload import changed, read_again
from proxy.config.sources import Sources
from proxy.control.database import StateError
from proxy.control.snapshots import Keep, NotStoredError, Snapshots
from proxy.control.state import Asked, State
from proxy.ipc.boot import SETTINGS_FILE, prepare_settings

log = structlog.get_logger()

SIGNAL = Asked("signal", "", "SIGHUP")
_BEFORE = f"{SETTINGS_FILE}.before"
"""The settings in force, beside themselves, while others take their place."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading the configuration last: when (Unix seconds), and why it was refused, if it was.

    `needs_restart` names the settings that were read and are not in force.
    """

    at: float
    problems: tuple[Problem, ...] = ()
    refusal: str = ""
    needs_restart: tuple[str, ...] = ()

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """The reverse of `dataclasses.asdict`, by way of JSON."""
        problems = (Problem(**{**one, "severity": Severity(one["severity"])}) for one in told["problems"])
        return cls(told["at"], tuple(problems), told["refusal"], tuple(told["needs_restart"]))

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
    """Reads again; `adopt` hears settings just before they are in force.

    What came of it outlives control: the next one of the same run starts with the settings in force, and must not
    say that all is well with the file.
    """

    def __init__(
        self, sources: Sources, runtime_dir: Path, snapshots: Snapshots, state: State, adopt: Callable[[Settings], None]
    ) -> None:
        told = state.reading()
        self.last = Reading.of(told) if told else Reading(time.time())
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
        settings, reading = await self._read()
        if settings is None:
            return Reload(reading)
        return Reload(reading, tuple(changed(before.settings, settings)), before.version, before.version + 1)

    async def _reload(self, asked: Asked) -> Reload:
        async with self._one_at_a_time:
            settings, reading = await self._read()
            done = Reload(reading) if settings is None else await self._apply(settings, reading, asked)
            self.last = done.reading
            _say(done)
            try:
                await self._state.keep_reading(asdict(done.reading))
            except StateError as refused:
                log.warning("a restart of control would forget what came of this", why=str(refused))
            return done

    async def _read(self) -> tuple[Settings | None, Reading]:
        """What the sources say now; no settings if they are refused."""
        try:
            settings, waiting = await asyncio.to_thread(read_again, self._sources, self._snapshots.current.settings)
        except ConfigError as wrong:
            return None, _refused(wrong)
        return settings, Reading(time.time(), needs_restart=tuple(waiting))

    async def _apply(self, settings: Settings, reading: Reading, asked: Asked) -> Reload:
        before = self._snapshots.current.settings
        try:
            keep = await asyncio.to_thread(_prepare, self._runtime_dir, settings)
            done = await self._snapshots.reread(settings, asked, keep, self._adopt)
        except (NotStoredError, OSError) as wrong:
            return Reload(Reading(reading.at, refusal=f"it could not be stored: {_why(wrong)}"))
        finally:
            (self._runtime_dir / _BEFORE).unlink(missing_ok=True)
        differs = tuple(changed(before, settings))
        return Reload(reading, differs, done.version_before, done.version_after, done.audit_id)


def _prepare(runtime_dir: Path, settings: Settings) -> Keep:
    """Write settings for processes that start from now on. Raises OSError.

    Putting them in place and taking that back are renames: neither needs room on a disk.
    """
    put_in_place = prepare_settings(runtime_dir, settings)
    in_force, before = runtime_dir / SETTINGS_FILE, runtime_dir / _BEFORE
    before.unlink(missing_ok=True)
    before.hardlink_to(in_force)

    def keep() -> Callable[[], None]:
        put_in_place()
        return take_back

    def take_back() -> None:
        before.replace(in_force)

    return keep


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
