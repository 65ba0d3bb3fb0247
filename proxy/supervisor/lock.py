"""One proxy per state directory, and its runtime directory.

The runtime directory is in the temporary one, not in the state directory: it holds credentials in plain text, and
a state directory is backed up. Nor is it in XDG_RUNTIME_DIR, which goes when its user logs out and the proxy may stay.
"""

import fcntl
import os
import shutil
import stat
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Self

import structlog

from proxy.supervisor.sockets import StartError

RUNTIME_PREFIX = "shadow-proxy-"
LONGEST_PLACE = 70  # a Unix socket's path has room for 107 bytes, sun_path of unix(7)
CONTROL_ENDS_S = 15.0
"""How long, after `timeouts.drain`, a control whose supervisor was killed may take to end with its workers; it holds
the state file until then."""
_AGAIN_S = 0.05
_ADVICE = "end it, or give this one its own --state-dir"


class StateLock:
    """Two locks: one is held by the supervisor alone, the other by its control too, and so for as long as that lives.

    The first names the runtime directory of whoever holds it. A supervisor that was killed could not remove it:
    the next one does. `drain_s` is how long answers in flight may take.
    """

    def __init__(self, state_dir: Path, drain_s: float = 0.0) -> None:
        self.state_dir = state_dir
        self.is_after_a_kill = False
        """Whether the one before us did not end by itself."""
        self.of_control: IO[str]
        self.runtime_dir: Path
        self._patience_s = drain_s + CONTROL_ENDS_S
        self._files = ExitStack()

    def __enter__(self) -> Self:
        place = self.state_dir
        try:
            with ExitStack() as files:
                own = files.enter_context(_opened(place / "lock"))
                self.of_control = files.enter_context(_opened(place / "control.lock"))
                if not _is_ours(own):
                    raise StartError(f"{place} is in use by another shadow-proxy; {_ADVICE}")
                self._await_control()
                self._take_over(own, files)
                self._files = files.pop_all()
        except OSError as wrong:
            message = f"{wrong.filename or place}: {wrong.strerror}: check who owns {place}, or give another one"
            raise StartError(f"{message} with --state-dir") from wrong
        return self

    def __exit__(self, *_: object) -> None:
        _remove(self.runtime_dir)
        self._files.close()

    def _await_control(self) -> None:
        """A control that outlives its supervisor counts the answers that its workers still give."""
        if _is_ours(self.of_control):
            return
        structlog.get_logger().warning(
            "waiting_for_earlier_control",
            why="its supervisor was killed; it ends once its workers have given their answers in flight",
            longest_s=self._patience_s,
        )
        end = time.monotonic() + self._patience_s
        while not _is_ours(self.of_control):
            if time.monotonic() >= end:
                raise StartError(
                    f"{self.state_dir} is still in use by the control of a shadow-proxy that was killed, "
                    f"{self._patience_s:g} s later; {_ADVICE}"
                )
            time.sleep(_AGAIN_S)

    def _take_over(self, own: IO[str], files: ExitStack) -> None:
        own.seek(0)
        self.is_after_a_kill = _remove(Path(own.read()))
        self.runtime_dir = Path(tempfile.mkdtemp(prefix=RUNTIME_PREFIX, dir=_place_for_sockets()))
        files.callback(os.close, _kept_from_tidying(self.runtime_dir))
        own.truncate(0)
        own.write(str(self.runtime_dir))
        own.flush()


def _opened(path: Path) -> IO[str]:
    """The file, made for its owner's eyes only."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    file = os.fdopen(descriptor, "a+")
    os.fchmod(descriptor, 0o600)  # an earlier version's was open to readers
    return file


def _is_ours(file: IO[str]) -> bool:
    """Lock it, if nobody else has."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _kept_from_tidying(runtime_dir: Path) -> int:
    """A descriptor that holds a lock: systemd-tmpfiles leaves what is locked so alone, however old (tmpfiles.d(5))."""
    descriptor = os.open(runtime_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _remove(runtime_dir: Path) -> bool:
    """Whether there was one, of ours."""
    if not runtime_dir.name.startswith(RUNTIME_PREFIX):
        return False
    try:
        found = runtime_dir.lstat()
    except OSError:
        return False
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return False
    shutil.rmtree(runtime_dir, ignore_errors=True)
    return True


def _place_for_sockets() -> str:
    place = tempfile.gettempdir()
    if len(place.encode()) > LONGEST_PLACE:
        raise StartError(f"{place}: is too long for the path of a socket; set TMPDIR to a shorter one")
    return place
