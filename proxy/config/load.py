"""Reading the configuration: flags > environment > file > defaults, and every error at once, with its place.

    file, environment, flags  →  layers  →  one tree  →  Settings
              problems of reading    problems of validating    problems of rules, cautions

Raises ConfigError with all errors; opens nothing but the file.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from proxy.config.cautions import cautions
from proxy.config.environment import environment_layer
from proxy.config.flags import Flags, flags_layer
from proxy.config.layers import Layer, Stack
from proxy.config.models import ContradictionError, Settings
from proxy.config.problems import ConfigError, Path, Place, Problem, Severity, dotted, problem
from proxy.config.rules import rule_problems
from proxy.config.source import MAX_BYTES, parse
from proxy.config.token import TOKEN_VARIABLE, is_explicit
from proxy.config.wording import meant, sentence


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid configuration, what is odd about it, and who set what."""

    settings: Settings
    warnings: list[Problem]
    stack: Stack

    def origins(self) -> Iterator[tuple[str, Any, str]]:
        """Every setting in force: dotted path, value as JSON, `file:line:column`, variable, flag or `default`."""
        for path, value in _leaves(self.settings.model_dump(mode="json"), ()):
            yield dotted(path), value, self.stack.origin(path)


def load(file: FilePath | None = None, flags: Flags | None = None, environ: Mapping[str, str] = os.environ) -> Loaded:
    """The configuration of these three sources; each may be empty. Raises ConfigError."""
    below = Stack([_file_layer(file)] if file else [])
    stack = below.over(environment_layer(environ, below.services()))
    stack = stack.over(flags_layer(flags or Flags(), stack))
    tree = stack.merged()
    problems = [*stack.problems, *_with_places(stack, rule_problems(tree))]
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as wrong:
        problems += _not_said_before(problems, _invalid(stack, wrong))
        raise ConfigError(_sorted(problems)) from None
    problems += _with_places(stack, _exposed(settings, environ))
    if problems:
        raise ConfigError(_sorted(problems))
    warnings = [problem(stack.at(path), path, said, Severity.WARNING) for path, said in cautions(settings)]
    return Loaded(settings, _sorted(warnings), stack)


def _file_layer(file: FilePath) -> Layer:
    place = Place(str(file))
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except OSError as wrong:
        advice = "check the path"
        if isinstance(wrong, FileNotFoundError):
            advice += ", or write one with `shadow-proxy schema --example`"
        raise ConfigError([problem(place, (), f"{wrong.strerror}: {advice}")]) from wrong
    document = parse(content, str(file))
    tree = {} if document.tree is None else document.tree
    if document.tree is None and document.problems:
        raise ConfigError(document.problems)
    if not isinstance(tree, dict):
        message = "a configuration is a mapping of keys to values, such as listen: 127.0.0.1:8080"
        raise ConfigError([*document.problems, problem(document.values[()], (), message)])
    return Layer(tree, document.keys, document.values, document.spelled, document.problems)


def _invalid(stack: Stack, wrong: ValidationError) -> Iterator[tuple[Path, Problem]]:
    errors = wrong.errors(include_url=False)
    misspelt = {meant(error["loc"]) for error in errors if error["type"] == "extra_forbidden"}
    for error in errors:
        if error["type"] == "missing" and error["loc"] in misspelt:
            continue
        found = error.get("ctx", {}).get("error")
        if isinstance(found, ContradictionError):
            for below, message in found.found:
                path = error["loc"] + below
                yield path, problem(stack.at(path), path, message)
        else:
            path = tuple(part for part in error["loc"] if part != "[key]")
            yield path, problem(_place(stack, error, path), path, sentence(error, path, stack.spelled(path)))


def _place(stack: Stack, error: ErrorDetails, path: Path) -> Place | None:
    about_key = error["type"] == "extra_forbidden" or "[key]" in error["loc"]
    return stack.at(path, key=about_key)


def _not_said_before(said: list[Problem], new: Iterable[tuple[Path, Problem]]) -> list[Problem]:
    """The new problems, without those about a place that already has one: they are its consequences."""
    taken = {before.path for before in said if before.path}
    return [one for path, one in new if not any(dotted(path[:length]) in taken for length in range(1, len(path) + 1))]


def _exposed(settings: Settings, environ: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """An admin port others can reach needs a chosen token and a word that this is meant."""
    admin = settings.admin
    if admin.listen.is_loopback:
        return
    missing = []
    if not is_explicit(settings, environ):
        missing.append(f"a token (admin.token_file or {TOKEN_VARIABLE})")
    if not admin.insecure_bind:
        missing.append("admin.insecure_bind: true")
    if missing:
        yield (
            ("admin", "listen"),
            f"others can reach {admin.listen}: that needs {' and '.join(missing)}; or listen on 127.0.0.1",
        )


def _with_places(stack: Stack, found: Iterable[tuple[Path, str]]) -> list[Problem]:
    return [problem(stack.at(path), path, message) for path, message in found]


def _sorted(problems: list[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda one: (one.file, one.line, one.column, one.path))


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _leaves(below, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for index, below in enumerate(value):
            yield from _leaves(below, (*path, index))
    else:
        yield path, value
