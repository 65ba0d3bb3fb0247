"""The state file: one SQLite database in WAL mode, for this user's eyes only, written by one thread.

A file that cannot be read is copied aside and replaced by an empty one that says of itself that something
was lost. A file that may not be used at all (a link, somebody else's directory, a disk that refuses) is an
error for people.
"""

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from proxy.config.state_dir import StateDirError, ensure_state_dir

T = TypeVar("T")

FILE = "state.db"
LOST = "lost"
"""The row of `meta` that stands in a file which replaced an unreadable one."""

_LAYOUT = 1
_BUSY_S = 2.0
_SCHEMA = f"""
BEGIN;
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE services (
    service TEXT PRIMARY KEY, mode TEXT NOT NULL, latched INTEGER NOT NULL, run TEXT NOT NULL
) STRICT;
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, who TEXT NOT NULL, peer TEXT NOT NULL,
    route TEXT NOT NULL, service TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
    result TEXT NOT NULL, reason TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_is_never_rewritten BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER audit_is_never_shortened BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TABLE reports (
    process TEXT NOT NULL, incarnation TEXT NOT NULL, run TEXT NOT NULL, payload BLOB NOT NULL,
    PRIMARY KEY (process, incarnation)
) STRICT;
CREATE TABLE base (id INTEGER PRIMARY KEY CHECK (id = 1), payload BLOB NOT NULL) STRICT;
PRAGMA user_version = {_LAYOUT};
"""
_WHY = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the state file is read-only",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
    sqlite3.SQLITE_CANTOPEN: "the state file cannot be opened",
    sqlite3.SQLITE_BUSY: "another process holds the state file",
    sqlite3.SQLITE_CORRUPT: "the state file is damaged",
    sqlite3.SQLITE_NOTADB: "the state file is damaged",
}


class StateError(Exception):
    """The state directory or file refuses; the message says why, for people."""


class _UnreadableError(Exception):
    """The file is there and is not, or no longer, ours to read."""


class Database:
    """An open state file. Blocking calls run on its one thread, in the order they were asked for."""

    def __init__(self, connection: sqlite3.Connection, put_aside: Path | None) -> None:
        self.put_aside = put_aside
        """Where the unreadable file this one replaced was copied to."""
        self._connection = connection
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="state")

    def transact(self, work: Callable[[sqlite3.Connection], T], *, durable: bool) -> T:
        """Run `work` in one transaction, here and now. Raises StateError; then nothing was written.

        `durable` waits for the disk; without it a power cut may lose the last transactions, a `kill -9` none.
        """
        connection = self._connection
        try:
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            result = work(connection)
            connection.execute("COMMIT")
        except sqlite3.Error as refused:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise StateError(_why(refused)) from refused
        return result

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work`, which only reads, here and now; a disk that refuses writes does not matter. Raises StateError."""
        try:
            return work(self._connection)
        except sqlite3.Error as refused:
            raise StateError(_why(refused)) from refused

    async def fetch(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`read` on the state file's own thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(self.read, work))

    async def write(self, work: Callable[[sqlite3.Connection], T], *, durable: bool) -> T:
        """`transact` on the state file's own thread. Cancelling the caller does not stop it."""
        transact = partial(self.transact, work, durable=durable)
        return await asyncio.get_running_loop().run_in_executor(self._thread, transact)

    def close(self) -> None:
        """Finish what was asked for and close the file."""
        self._thread.shutdown()
        self._connection.close()


def open_database(directory: Path) -> Database:
    """Open, or make, the state file of a state directory. Raises StateError."""
    try:
        path = ensure_state_dir(directory) / FILE
        _refuse_links(path)
        if not path.exists():
            _make(path, lost=False)
        try:
            return Database(_connect(path), None)
        except _UnreadableError:
            put_aside = _put_aside(path)
            _make(path, lost=True)
            return Database(_connect(path), put_aside)
    except StateDirError as refused:
        raise StateError(str(refused)) from refused
    except OSError as refused:
        raise StateError(f"the state directory refuses: {refused.strerror}") from refused
    except sqlite3.Error as refused:
        raise StateError(_why(refused)) from refused


def _refuse_links(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        found = path.with_name(path.name + suffix)
        if found.is_symlink() or (found.exists() and not found.is_file()):
            raise StateError(f"{found.name} is not a plain file; state is never written through a link")


def _make(path: Path, *, lost: bool) -> None:
    """Put an empty database in place at once, so that a half-made one is never taken for ours."""
    made = path.with_suffix(".new")
    made.unlink(missing_ok=True)
    os.close(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
    connection = sqlite3.connect(made, isolation_level=None)
    connection.executescript(_SCHEMA + "COMMIT;")
    if lost:
        connection.execute("INSERT INTO meta VALUES (?, '')", (LOST,))
    connection.close()
    made.replace(path)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_S)
    try:
        if ours := _is_ours(connection):
            connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.Error as wrong:
        connection.close()
        if _code(wrong) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            raise _UnreadableError from wrong
        raise
    if not ours:
        connection.close()
        raise _UnreadableError
    return connection


def _is_ours(connection: sqlite3.Connection) -> bool:
    healthy: bool = connection.execute("PRAGMA quick_check").fetchone() == ("ok",)
    return healthy and connection.execute("PRAGMA user_version").fetchone() == (_LAYOUT,)


def _put_aside(path: Path) -> Path:
    """Copy the file, then its journal; the original goes only when its replacement is there."""
    kept = path.with_name(f"{path.name}.unreadable-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}")
    for suffix in ("", "-wal"):
        if (source := path.with_name(path.name + suffix)).exists():
            shutil.copy2(source, kept.with_name(kept.name + suffix))
    for suffix in ("-wal", "-shm"):  # a journal of the old file must not be replayed into the new one
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return kept


def _code(wrong: sqlite3.Error) -> int:
    return getattr(wrong, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _why(wrong: sqlite3.Error) -> str:
    return _WHY.get(_code(wrong), "the state file refuses")
