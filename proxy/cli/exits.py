"""Exit codes, and the errors that end a command with one."""

from enum import IntEnum


class Exit(IntEnum):
    """What the shell is told."""

    OK = 0
    NO = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    INTERRUPTED = 130


class CommandError(Exception):
    """Ends a command: what happened, what to do next, and the exit code."""

    def __init__(self, code: Exit, message: str, advice: str = "") -> None:
        self.code = code
        self.advice = advice
        super().__init__(message)
