"""One proxy per state directory, and its runtime directory."""

import fcntl
import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Self

from proxy.supervisor.sockets import StartError

RUNTIME_PREFIX = "shadow-proxy-"
LONGEST_PLACE = 70  # a Unix socket's path has room for 107 bytes, sun_path of unix(7)
CONTROL_ENDS_S = 15.0
"""How long a control whose supervisor was killed may take to end; it holds the state file until then."""
_AGAIN_S = 0.05


class StateLock:
    """Two locks: one is held by the supervisor alone, the other by its control too, and so for as long as that lives.

    The first names the runtime directory of whoever holds it. A supervisor that was killed could not remove it:
    the next one does.
    """

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.is_after_a_kill = False
        """Whether the one before us did not end by itself."""
        self.of_control: IO[str]
        self.runtime_dir: Path
        self._files = ExitStack()

    def __enter__(self) -> Self:
        place = self.state_dir
        try:
            with ExitStack() as files:
                own = files.enter_context(_held(place / "lock", 0.0))
                self.of_control = files.enter_context(_held(place / "control.lock", CONTROL_ENDS_S))
                self._take_over(own)
                self._files = files.pop_all()
        except BlockingIOError:
            message = f"{place} is in use by another shadow-proxy; end it, or give this one its own --state-dir"
            raise StartError(message) from None
        except OSError as wrong:
            message = f"{wrong.filename or place}: {wrong.strerror}: check who owns {place}, or give another one"
            raise StartError(f"{message} with --state-dir") from wrong
        return self

    def __exit__(self, *_: object) -> None:
        _remove(self.runtime_dir)
        self._files.close()

    def _take_over(self, own: IO[str]) -> None:
        own.seek(0)
        self.is_after_a_kill = _remove(Path(own.read()))
        self.runtime_dir = Path(tempfile.mkdtemp(prefix=RUNTIME_PREFIX, dir=_place_for_sockets(self.state_dir)))
        own.truncate(0)
        own.write(str(self.runtime_dir))
        own.flush()


def _held(path: Path, patience_s: float) -> IO[str]:
    """The file, locked. Raises BlockingIOError if somebody else goes on holding it, and OSError."""
    file = path.open("a+")
    end = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < end:
                time.sleep(_AGAIN_S)
                continue
            file.close()
            raise
        return file


def _remove(runtime_dir: Path) -> bool:
    """Whether there was one."""
    if not runtime_dir.name.startswith(RUNTIME_PREFIX) or runtime_dir.is_symlink() or not runtime_dir.exists():
        return False
    shutil.rmtree(runtime_dir, ignore_errors=True)
    return True


def _place_for_sockets(state_dir: Path) -> Path:
    """The state directory, which nobody tidies up; the temporary one where that makes a socket's path too long."""
    return state_dir if len(str(state_dir)) <= LONGEST_PLACE else Path(tempfile.gettempdir())
