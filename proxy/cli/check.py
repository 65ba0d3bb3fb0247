"""`shadow-proxy check`: everything that is wrong with a configuration, before anything listens."""

import json
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.complaints import Format, as_github, as_json, as_text, counted, summary
from proxy.cli.exits import Exit
from proxy.cli.options import (
    AdminListen,
    Ascii,
    Candidate,
    Config,
    InitialMode,
    Listen,
    LogFormat,
    Primary,
    StateDir,
    Workers,
)
from proxy.cli.screen import Screen
from proxy.config.flags import Flags
from proxy.config.load import Loaded, load
from proxy.config.problems import ConfigError, Place, Problem, problem
from proxy.config.state_dir import default_state_dir
from proxy.config.token import TOKEN_FILE, TOKEN_VARIABLE, TokenError, chosen_token, read_token
from proxy.config.units import Origin

_CONNECT_S = 3.0


def check(
    config: Config = None,
    primary: Primary = None,
    candidate: Candidate = None,
    listen: Listen = None,
    admin_listen: AdminListen = None,
    *,
    mode: InitialMode = None,
    workers: Workers = None,
    state_dir: StateDir = None,
    log_format: LogFormat = None,
    connect: Annotated[bool, typer.Option("--connect", help="Also try to connect to every backend.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 when there are warnings.")] = False,
    show_origin: Annotated[bool, typer.Option("--show-origin", help="List every setting and who set it.")] = False,
    output: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TEXT,
    ascii_only: Ascii = False,
) -> None:
    """\b
    Examples:
      shadow-proxy check -c shadow-proxy.yaml
      shadow-proxy check -c shadow-proxy.yaml --connect --strict
      shadow-proxy check -c shadow-proxy.yaml --show-origin
      shadow-proxy check -c shadow-proxy.yaml --format github

    Says all that is wrong with a configuration, each with file, line and column. Opens no port.

    Exit 0: fine · 1: a backend does not answer, or warnings with --strict · 2: errors.
    """  # noqa: D205, D301, D415  \b keeps the lines of the examples apart
    screen = Screen(ascii_only=ascii_only)
    flags = Flags(
        primary=primary,
        candidate=candidate,
        listen=listen,
        admin_listen=admin_listen,
        mode=mode,
        workers=workers,
        state_dir=state_dir,
        log_format=log_format,
    )
    try:
        loaded = load(config, flags)
    except ConfigError as wrong:
        _print(screen, wrong.problems, output, config)
        raise typer.Exit(Exit.USAGE) from None
    problems = [*loaded.warnings, *_token_problems(loaded)]
    wrong_token = counted(problems)[0] > 0
    if connect:
        problems += _connection_problems(loaded)
    if show_origin and output is Format.TEXT:
        _print_origins(screen, loaded)
    _print(screen, problems, output, config, loaded)
    if wrong_token:
        raise typer.Exit(Exit.USAGE)
    errors, warnings = counted(problems)
    raise typer.Exit(Exit.NO if errors or (strict and warnings) else Exit.OK)


def _print(
    screen: Screen, problems: list[Problem], output: Format, config: Path | None, loaded: Loaded | None = None
) -> None:
    match output:
        case Format.JSON:
            typer.echo(as_json(problems))
        case Format.GITHUB:
            for one in problems:
                typer.echo(as_github(one))
        case Format.TEXT:
            for one in problems:
                screen.prose(as_text(one))
            screen.line(_verdict(problems, config, loaded))


def _verdict(problems: list[Problem], config: Path | None, loaded: Loaded | None) -> str:
    name = str(config or "flags and environment")
    found = summary(problems)
    if loaded is None or counted(problems)[0]:
        return f"{name}: {found}"
    services = loaded.settings.services.values()
    parts = [
        (len(services), "service"),
        (sum(len(service.endpoints) for service in services), "endpoint"),
        (sum(len(service.rules) for service in services), "rule"),
    ]
    said = ", ".join(f"{number} {word}{'' if number == 1 else 's'}" for number, word in parts)
    return f"{name}: ok   {said}" + (f"   {found}" if found else "")


def _print_origins(screen: Screen, loaded: Loaded) -> None:
    rows = [(path, json.dumps(value, ensure_ascii=False), origin) for path, value, origin in loaded.origins()]
    wide = max(len(path) for path, _, _ in rows)
    deep = min(max(len(value) for _, value, _ in rows), 40)
    for path, value, origin in rows:
        screen.line(f"{path:<{wide}}  {value:<{deep}}  {origin}")
    screen.line()


def _token_problems(loaded: Loaded) -> Iterator[Problem]:
    """What `serve` would say of the token somebody chose, or of the one that was made before."""
    settings = loaded.settings
    kept = (Path(settings.state_dir).expanduser() if settings.state_dir else default_state_dir()) / TOKEN_FILE
    try:
        if chosen_token(settings) is None and os.path.lexists(kept):
            read_token(kept)
    except TokenError as wrong:
        if TOKEN_VARIABLE in os.environ:
            yield problem(Place(TOKEN_VARIABLE), (), str(wrong))
        else:
            path = ("admin", "token_file") if settings.admin.token_file else ("state_dir",)
            yield problem(loaded.stack.at(path), path, str(wrong))


def _connection_problems(loaded: Loaded) -> Iterator[Problem]:
    backends = [
        (("services", name, side, "url"), backend.url)
        for name, service in loaded.settings.services.items()
        for side, backend in (("primary", service.primary), ("candidate", service.candidate))
    ]
    with ThreadPoolExecutor(max_workers=16) as pool:
        answers = pool.map(_why_unreachable, [origin for _, origin in backends])
        for (path, origin), why in zip(backends, answers, strict=True):
            if why:
                yield problem(loaded.stack.at(path), path, f"{origin} does not answer: {why}")


def _why_unreachable(origin: Origin) -> str:
    try:
        socket.create_connection((origin.host, origin.port), timeout=_CONNECT_S).close()
    except TimeoutError:
        return f"no connection within {_CONNECT_S:g} s"
    except OSError as wrong:
        return wrong.strerror or str(wrong)
    return ""
