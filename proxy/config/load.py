"""Reading the configuration: flags > environment > file > defaults, and every error at once, with its place.

    file, environment, flags  →  layers  →  one tree  →  Settings
              problems of reading    problems of validating    contradictions, problems of rules, cautions

A tree that does not validate is mended first, so that the last of these are said at the same time. Raises
ConfigError with all errors; opens nothing but the file, and the certificates, keys and secrets it names.
"""

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from proxy.config.cautions import cautions
from proxy.config.certificates import certificate_problems
from proxy.config.environment import environment_layer
from proxy.config.flags import Flags, flags_layer
from proxy.config.header import ReadSecret
from proxy.config.layers import Layer, Stack
from proxy.config.mending import is_consequence, mended
from proxy.config.models import Settings
from proxy.config.problems import ConfigError, Path, Place, Problem, Severity, dotted, problem
from proxy.config.rules import rule_problems
from proxy.config.secret_file import secrets_of
from proxy.config.token import TOKEN_VARIABLE, is_explicit
from proxy.config.wording import meant, sentence
from proxy.config.yaml_tree import MAX_BYTES, parse


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
    settings, problems = _validated(stack, secrets_of(environ))
    crossed = [
        *settings.contradictions(),
        *_exposed(settings, environ),
        *rule_problems(settings),
        *certificate_problems(settings),
    ]
    for path, said in crossed:
        if not (is_consequence(path, said) or _is_said(problems, path)):
            problems.append(problem(stack.at(path), path, said))
    if problems:
        raise ConfigError(_sorted(problems))
    warnings = [problem(stack.at(path), path, said, Severity.WARNING) for path, said in cautions(settings)]
    return Loaded(settings, _sorted(warnings), stack)


def _file_layer(file: FilePath) -> Layer:
    place = Place(str(file))
    try:
        content = _content(file)
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


def _content(file: FilePath) -> bytes:
    """What it holds, and at most one byte more than is read. Raises OSError.

    A pipe is refused, not waited for: a proxy that runs reads its configuration too.
    """
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise OSError(errno.EINVAL, "Is not a plain file")
        return opened.read(MAX_BYTES + 1)


def _validated(stack: Stack, read_secret: ReadSecret) -> tuple[Settings, list[Problem]]:
    """The settings, mended where they had to be, and what was wrong with them so far."""
    tree, read = stack.merged(), stack.problems
    try:
        return Settings.model_validate(tree, context=read_secret), read
    except ValidationError as wrong:
        errors = wrong.errors(include_url=False)
    invalid = [said for path, said in _invalid(stack, errors) if not _is_said(read, path)]
    return mended(tree, (error["loc"] for error in errors)), read + invalid


def _invalid(stack: Stack, errors: list[ErrorDetails]) -> Iterator[tuple[Path, Problem]]:
    misspelt = {meant(error["loc"]) for error in errors if error["type"] == "extra_forbidden"}
    for error in errors:
        if error["type"] == "missing" and error["loc"] in misspelt:
            continue
        path = tuple(part for part in error["loc"] if part != "[key]")
        yield path, problem(_place(stack, error, path), path, sentence(error, path, stack.spelled(path)))


def _place(stack: Stack, error: ErrorDetails, path: Path) -> Place | None:
    about_key = error["type"] == "extra_forbidden" or "[key]" in error["loc"]
    return stack.at(path, key=about_key)


def _is_said(said: list[Problem], path: Path) -> bool:
    """Whether there is a problem with this place or one round it: a second one is its consequence."""
    taken = {before.path for before in said if before.path}
    return any(dotted(path[:length]) in taken for length in range(1, len(path) + 1))


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
