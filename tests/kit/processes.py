"""Real commands as child processes: started, read line by line, stopped, and seen to leave nothing behind.

Each command leads a session of its own, and every process it starts stays in that session, also when its
parent dies first. So `/proc/*/stat` finds the whole family at any time, and leaving the `with` block
asserts that none of it is left running.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Thread
from typing import IO, Self

from tests.kit.polling import wait_until
from tests.kit.watch import DeadlineError

START_S = 15.0
STOP_S = 10.0
FAMILY_STOP_S = 2.0
_GONE_STATES = "ZX"  # a zombie runs nothing; whoever adopted it has yet to notice


@dataclass(frozen=True, slots=True)
class Member:
    """A running process of a session."""

    pid: int
    command: str


def session_members(session: int) -> list[Member]:
    """The running processes of a session, by pid (proc(5), `/proc/[pid]/stat` field 6)."""
    pids = sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [Member(pid, _command(pid)) for pid in pids if _running_session(pid) == session]


def _running_session(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it ended while we looked
        return None
    state, _parent, _group, session = stat.rpartition(")")[2].split()[:4]  # the name before `)` may contain anything
    return None if state in _GONE_STATES else int(session)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""


class Output:
    """Every line a process printed, stdout and stderr as they came, read by two threads."""

    def __init__(self, streams: Sequence[IO[str]]) -> None:
        self._lines: list[str] = []
        self._open = len(streams)
        self._changed = Condition()
        self._readers = [Thread(target=self._read, args=(stream,), daemon=True) for stream in streams]
        for reader in self._readers:
            reader.start()

    @property
    def text(self) -> str:
        with self._changed:
            return "".join(self._lines)

    def wait_for(self, pattern: str, deadline_s: float) -> re.Match[str]:
        """The first match in any line, past lines included.

        Raises:
            DeadlineError: no such line in time, or the output ended without it; quotes the whole output.
        """
        give_up = time.monotonic() + deadline_s
        seen = 0
        with self._changed:
            while True:
                for line in self._lines[seen:]:
                    if match := re.search(pattern, line):
                        return match
                seen = len(self._lines)
                left = give_up - time.monotonic()
                if not self._open or left <= 0:
                    why = f"not within {deadline_s} s" if self._open else "the output ended without"
                    raise DeadlineError(f"{why}: a line with {pattern!r}; output:\n{''.join(self._lines)}")
                self._changed.wait(left)

    def join(self, deadline_s: float) -> None:
        for reader in self._readers:
            reader.join(deadline_s)

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._add(line)
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def _add(self, line: str) -> None:
        with self._changed:
            self._lines.append(line)
            self._changed.notify_all()


class Process:
    """`with Process([sys.executable, "-m", …]) as process:` runs a command for the length of the block.

    `env` is added to the environment of the tests. Leaving the block stops the command by SIGTERM and fails
    if it does not end in time or leaves a process behind; either way nothing is alive afterwards.
    """

    def __init__(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
        self.argv = list(argv)
        self._popen = subprocess.Popen(
            self.argv,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="backslashreplace",
            start_new_session=True,
        )
        assert self._popen.stdout
        assert self._popen.stderr
        self._output = Output([self._popen.stdout, self._popen.stderr])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            self.stop()
            if kind is None:
                self.assert_nothing_left()
        except AssertionError:
            if kind is None:  # a failing test keeps its own error
                raise
        finally:
            self._kill_family()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def output(self) -> str:
        """Everything printed so far."""
        return self._output.text

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number if one ended it."""
        return self._popen.poll()

    def children(self) -> list[Member]:
        """The running processes of the command's session, itself left out."""
        return [member for member in session_members(self.pid) if member.pid != self.pid]

    def wait_for_line(self, pattern: str, deadline_s: float = START_S) -> re.Match[str]:
        """The first match of a regular expression in any line of stdout or stderr, past lines included."""
        return self._output.wait_for(pattern, deadline_s)

    def wait(self, deadline_s: float = STOP_S) -> int:
        """Wait for the end of the command; returns its exit code."""
        try:
            code = self._popen.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise DeadlineError(f"not within {deadline_s} s: the end of {self.argv}; output:\n{self.output}") from None
        if not session_members(self.pid):  # an orphan may hold the pipes open for as long as it lives
            self._output.join(FAMILY_STOP_S)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def stop(self, deadline_s: float = STOP_S) -> int:
        """SIGTERM, then wait: returns the exit code. A command that does not end in time is killed and fails."""
        self.send_signal(signal.SIGTERM)
        try:
            return self.wait(deadline_s)
        except DeadlineError:
            self._kill_family()
            raise

    def kill(self) -> int:
        """SIGKILL to the command itself; its children live on. Returns the exit code."""
        self.send_signal(signal.SIGKILL)
        return self.wait()

    def assert_nothing_left(self, deadline_s: float = FAMILY_STOP_S) -> None:
        """Wait until no process of the session runs; raises AssertionError that lists those that do."""
        try:
            wait_until(lambda: not session_members(self.pid), "an empty session", deadline_s)
        except DeadlineError:
            left = "\n".join(f"  {member.pid} {member.command}" for member in session_members(self.pid))
            raise AssertionError(f"{self.argv} left processes running:\n{left}\noutput:\n{self.output}") from None

    def _kill_family(self) -> None:
        for member in session_members(self.pid):
            try:
                os.kill(member.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._popen.wait()
        wait_until(lambda: not session_members(self.pid), "the end of killed processes")
        self._output.join(FAMILY_STOP_S)
