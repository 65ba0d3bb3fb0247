"""The kill switch: a file whose presence stops mirroring in every worker, whatever else still works.

Workers look for it by themselves, so it holds when control is dead, hung or cannot read its configuration. What
the file contains and what it is does not matter; removing it re-arms. Whoever cannot look mirrors nothing, and who
saw it pulled takes a state directory that is gone for no release.

A signal to the supervisor pulls it: a byte in memory that all processes of this run inherit holds until the file is
made, which a file system may delay or refuse. It needs no disk, and ends with the supervisor.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Final

KILL_SWITCH_FILE: Final = "kill-switch"
_ABSENT: Final = (FileNotFoundError, NotADirectoryError)


@dataclass(frozen=True, slots=True)
class Pulled:
    """Why nothing is mirrored, without paths, and what changes that; both for people."""

    why: str
    release: str


class KillSwitch:
    """The switch of one state directory; `memory` is the descriptor all processes of a run share, see `shared`."""

    def __init__(self, state_dir: Path, memory: int) -> None:
        self.path: Final = state_dir / KILL_SWITCH_FILE
        self._memory = memory
        self._name: Final = str(self.path)
        removal = f"rm {quote(self._name)}"
        self._by_file: Final = Pulled("the kill switch is pulled", removal)
        self._by_signal: Final = Pulled(
            "the kill switch is pulled by a signal",
            f"send SIGUSR1 again once {state_dir} can be written, then {removal}",
        )
        self._out_of_sight: Final = Pulled(
            "the kill switch was pulled, and the state directory is gone",
            f"bring back {state_dir} without {KILL_SWITCH_FILE} in it, or start the proxy again",
        )
        self._was_pulled = False

    @staticmethod
    def shared() -> int:
        """A new descriptor for `memory`, to be inherited."""
        return os.memfd_create("kill-switch")

    def look(self) -> Pulled | None:
        """None while mirroring is allowed. A few microseconds, no descriptor; as long as the file system takes."""
        pulled = self._found()
        self._was_pulled = pulled is not None
        return pulled

    def _found(self) -> Pulled | None:
        if os.pread(self._memory, 1, 0):
            return self._by_signal
        try:
            os.lstat(self._name)
        except _ABSENT:
            is_out_of_sight = self._was_pulled and not self.path.parent.is_dir()
            return self._out_of_sight if is_out_of_sight else None
        except OSError as wrong:
            why = f"the kill switch cannot be looked for ({wrong.strerror})"
            return Pulled(why, f"make {quote(str(self.path.parent))} readable")
        return self._by_file

    def pull(self) -> None:
        """Stop mirroring until the supervisor ends, or `make_file` makes more of it. Waits for no file system."""
        os.pwrite(self._memory, b"!", 0)

    def make_file(self) -> str:
        """Have the file stand for what was pulled; empty, or why it cannot."""
        try:
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except OSError as wrong:
            return wrong.strerror or type(wrong).__name__
        os.ftruncate(self._memory, 0)
        return ""
