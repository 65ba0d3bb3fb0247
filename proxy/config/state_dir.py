"""The state directory: where it is, and small files in it that are made once and then kept."""

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp


class StateDirError(Exception):
    """The state directory cannot be used; the message says what to do."""


def default_state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """`$XDG_STATE_HOME/shadow-proxy`, or `~/.local/state/shadow-proxy`."""
    home = environ.get("XDG_STATE_HOME", "")
    # The specification says to ignore a relative path here.
    base = Path(home) if home.startswith("/") else Path(environ.get("HOME") or Path.home()) / ".local" / "state"
    return base / "shadow-proxy"


def ensure_state_dir(path: Path) -> Path:
    """The directory, for its owner's eyes only: made so if it is missing, closed to readers if it is there.

    One that somebody else owns or can write to may hold anything, and is refused. Raises StateDirError.
    """
    path = path.expanduser().absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        _check(path, path.lstat())
        path.chmod(0o700)
    except OSError as wrong:
        raise StateDirError(f"{path}: {wrong.strerror}: give another place with --state-dir") from wrong
    return path


def _check(path: Path, found: os.stat_result) -> None:
    mode = found.st_mode
    if stat.S_ISLNK(mode):
        raise StateDirError(f"{path}: is a symbolic link: give the directory itself with --state-dir")
    if not stat.S_ISDIR(mode):
        raise StateDirError(f"{path}: is not a directory: give another place with --state-dir")
    if found.st_uid != os.geteuid():
        raise StateDirError(f"{path}: another user owns it: chown it, or give another place with --state-dir")
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StateDirError(f"{path}: others can write there: look for what they left, then chmod 700 {path}")


def keep(path: Path, text: str) -> bool:
    """Make a file for its owner's eyes only, unless it is there; whether it was made. Raises StateDirError.

    It appears whole or not at all, and a symbolic link in its place is refused.
    """
    try:
        if not _is_there(path):
            return _make(path, text)
    except OSError as wrong:
        raise StateDirError(f"{path}: {wrong.strerror}: check who owns {path.parent}") from wrong
    return False


def _is_there(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode):
        raise StateDirError(f"{path}: is not a plain file: remove it, and one is made at the next start")
    return True


def _make(path: Path, text: str) -> bool:
    handle, temporary = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        Path(temporary).unlink()
    return True
