"""What is wrong with a configuration, as values: where it stands, what it is about, what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

Path = tuple[str | int, ...]
"""Where a setting is in the tree: mapping keys as text, list positions from 0."""


class Severity(StrEnum):
    """An error refuses the configuration; a warning is only said."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a setting was written: a file with line and column from 1, or a variable or flag with both 0."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """`file:line:column`, or just the variable or flag."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One sentence about one setting. `file` is empty when nobody wrote the setting anywhere."""

    file: str
    line: int
    column: int
    severity: Severity
    path: str
    message: str

    def __str__(self) -> str:
        """`file:line:column  error  dotted.path: message`."""
        place = str(Place(self.file, self.line, self.column))
        said = f"{self.path}: {self.message}" if self.path else self.message
        return "  ".join(part for part in (place, self.severity.value, said) if part)


def problem(place: Place | None, path: Path, message: str, severity: Severity = Severity.ERROR) -> Problem:
    """A problem about the setting at `path`, written at `place`."""
    at = place or Place("")
    return Problem(at.file, at.line, at.column, severity, dotted(path), message)


class ConfigError(Exception):
    """The configuration is refused; `problems` holds every error that was found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))


def dotted(path: Path) -> str:
    """A path as people write it: `services.ranker.rules[0].rel`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif "." in part:
            text += f'["{part}"]'
        else:
            text += f".{part}" if text else part
    return text
