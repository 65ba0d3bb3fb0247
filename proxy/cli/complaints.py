"""Problems of a configuration as lines: for people, for scripts, for a code forge's annotations."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from enum import StrEnum

from rich.text import Text

from proxy.config.problems import Place, Problem, Severity

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow"}


class Format(StrEnum):
    """How to print them."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def as_text(problem: Problem) -> Text:
    """`file:line:column  error  path: message`."""
    place = str(Place(problem.file, problem.line, problem.column))
    line = Text(f"{place}  " if place else "")
    line.append(problem.severity.value, _STYLES[problem.severity])
    line.append("  ")
    if problem.path:
        line.append(f"{problem.path}: ", "bold")
    return line.append(problem.message)


def as_github(problem: Problem) -> str:
    """A workflow command; files only get an annotation of their own line."""
    where = f" file={problem.file},line={problem.line},col={problem.column}" if problem.line else ""
    said = f"{problem.path}: {problem.message}" if problem.path else problem.message
    if problem.file and not problem.line:
        said = f"{problem.file}: {said}"
    escaped = said.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::{problem.severity.value}{where}::{escaped}"


def as_json(problems: Iterable[Problem]) -> str:
    """An object with `ok`, counts and `problems`."""
    listed = list(problems)
    errors, warnings = counted(listed)
    body = {
        "ok": errors == 0,
        "errors": errors,
        "warnings": warnings,
        "problems": [asdict(problem) for problem in listed],
    }
    return json.dumps(body, indent=2)


def counted(problems: Sequence[Problem]) -> tuple[int, int]:
    """How many errors and warnings."""
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    return errors, len(problems) - errors


def summary(problems: Sequence[Problem]) -> str:
    """`2 errors, 1 warning`."""
    words = zip(counted(problems), ("error", "warning"), strict=True)
    return ", ".join(f"{number} {word}{'' if number == 1 else 's'}" for number, word in words if number)
