"""`shadow-proxy serve`: everything that can be refused is refused before a port opens, then the processes run."""

import json
import shlex
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from proxy.cli.admin import AdminClient, same_place
from proxy.cli.complaints import as_text, summary
from proxy.cli.exits import CommandError, Exit
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
from proxy.cli.standing import killed
from proxy.config.flags import Flags
from proxy.config.instance import ensure_instance
from proxy.config.load import Loaded
from proxy.config.logs import configure
from proxy.config.models import Mode, Service, Settings
from proxy.config.problems import ConfigError
from proxy.config.sources import Sources
from proxy.config.state_dir import StateDirError, default_state_dir, ensure_state_dir
from proxy.config.token import TOKEN_FILE, EnsuredToken, TokenError, ensure_token
from proxy.supervisor.process import run
from proxy.supervisor.pulling import defer_pulling
from proxy.supervisor.sockets import StartError

_ASK_S = 2.0
_HERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  wildcards, to be told apart


def serve(
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
    ascii_only: Ascii = False,
) -> None:
    """\b
    Examples:
      shadow-proxy serve --primary http://v1:8000 --candidate http://v2:8000
      shadow-proxy serve -c shadow-proxy.yaml
      shadow-proxy serve -c shadow-proxy.yaml --listen 0.0.0.0:8080 --workers 2
      shadow-proxy serve -c shadow-proxy.yaml --mode primary

    Answers clients from the primary, mirrors what may be sent twice to the candidate, and compares.
    Runs until Ctrl-C or SIGTERM; answers under way are finished first. SIGHUP reads the configuration again,
    SIGUSR1 pulls the kill switch: a file that stops mirroring for as long as it is there.
    """  # noqa: D205, D301, D415  \b keeps the lines of the examples apart
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it asks for what we do anyway, until the supervisor hears it
    defer_pulling()
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
    sources = Sources(config, flags)
    loaded = _loaded(sources, screen)
    try:
        house = _prepare(loaded.settings, sources)
    except (StateDirError, TokenError) as wrong:
        raise CommandError(Exit.USAGE, str(wrong)) from wrong
    raise typer.Exit(_run(house, _announcer(screen, house)))


@dataclass(frozen=True, slots=True)
class House:
    """All that is decided before the first process starts."""

    settings: Settings
    state_dir: Path
    instance: str
    token: EnsuredToken
    sources: Sources = field(default_factory=Sources)


def _loaded(sources: Sources, screen: Screen) -> Loaded:
    try:
        loaded = sources.load()
    except ConfigError as wrong:
        for problem in wrong.problems:
            screen.prose(as_text(problem), error=True)
        file = sources.file
        advice = f"`shadow-proxy check -c {file}` shows the same" if file else "shadow-proxy serve --help"
        raise CommandError(Exit.USAGE, f"{summary(wrong.problems)}, nothing was started", advice) from None
    for warning in loaded.warnings:
        screen.prose(as_text(warning), error=True)
    return loaded


def _prepare(settings: Settings, sources: Sources) -> House:
    wanted = Path(settings.state_dir) if settings.state_dir else default_state_dir()
    state_dir = ensure_state_dir(wanted)
    return House(settings, state_dir, ensure_instance(state_dir), ensure_token(settings, state_dir), sources)


def _run(house: House, announce: Callable[[str, str], None]) -> int:
    configure(house.settings.log_format, "supervisor")
    try:
        return run(
            house.settings,
            house.sources,
            house.state_dir,
            house.instance,
            on_ready=lambda started: announce(started.listen, started.admin),
        )
    except StartError as wrong:
        raise CommandError(Exit.USAGE, str(wrong)) from wrong


def _announcer(screen: Screen, house: House) -> Callable[[str, str], None]:
    def announce(listen: str, admin: str) -> None:
        said = _status(house, admin)
        modes, pulled = modes_in_force(house.settings, said), said.get("kill_switch")
        if house.settings.log_format == "json":
            typer.echo(ready_json(house, listen, admin, modes, pulled))
        else:
            screen.lines([*killed(said), *ready_lines(house, listen, admin, modes, pulled)])

    return announce


def _status(house: House, admin: str) -> dict[str, Any]:
    """What the proxy says about itself; nothing if it cannot be asked."""
    with suppress(CommandError):
        return AdminClient(f"http://{_reachable(admin)}", house.token.token, timeout_s=_ASK_S).status()
    return {}


def modes_in_force(settings: Settings, said: Mapping[str, Any]) -> dict[str, str]:
    """Each service's mode: what the proxy says, since a stored mode that is safer beats the configured one."""
    modes = {name: service.mode.value for name, service in settings.services.items()}
    return modes | {one["service"]: one["mode"] for one in said.get("services") or ()}


def ready_json(
    house: House, listen: str, admin: str, modes: Mapping[str, str], pulled: Mapping[str, str] | None = None
) -> str:
    """The ready message as one line; the token itself stays out of what may be collected as logs."""
    token_file = str(house.token.path) if house.token.path else None
    body = {"event": "ready", "listen": listen, "admin": admin, "token_file": token_file, "modes": dict(modes)}
    return json.dumps({**body, "kill_switch": pulled})


def ready_lines(
    house: House, listen: str, admin: str, modes: Mapping[str, str], pulled: Mapping[str, str] | None = None
) -> list[str]:
    """What stands on the screen once clients are answered; `pulled` as status tells of the kill switch."""
    scheme = "https" if house.settings.tls.is_on else "http"
    lines = [f"clients    {scheme}://{listen}", f"admin      http://{admin}", *_token_lines(house.token)]
    for name, service in house.settings.services.items():
        mirroring = f"shadow-proxy mode shadow {name}{_place(house, admin, changes=True)}"
        lines += ["", *_service_lines(name, service, modes[name], mirroring, pulled)]
    hosts = [host for service in house.settings.services.values() for host in service.hosts[:1]]
    field = f" -H {shlex.quote(f'Host: {hosts[0]}')}" if len(hosts) == len(house.settings.services) else ""
    following = f"Next: shadow-proxy status{_place(house, admin)}"
    return [*lines, "", f"Try:  curl{field} {scheme}://{_reachable(listen)}/", following]


def _token_lines(token: EnsuredToken) -> list[str]:
    if token.path is None:
        return ["token      from the environment"]
    place = f"{token.path}" if _is_usual(token) else f"{token.path}   (for commands: --token-file)"
    if not token.made:
        return [f"token      in {place}"]
    return [f"token      {token.token}   (shown once)", f"           kept in {place}"]


def _is_usual(token: EnsuredToken) -> bool:
    """Whether commands find it by themselves."""
    return token.path is None or token.path == default_state_dir() / TOKEN_FILE


def _place(house: House, admin: str, *, changes: bool = False) -> str:
    """The options that lead a command here; on loopback only one that `changes` something needs a token."""
    needs_token = changes or not house.settings.admin.listen.is_loopback
    token_file = house.token.path if needs_token and not _is_usual(house.token) else None
    return same_place(f"http://{_reachable(admin)}", token_file)


def _service_lines(
    name: str, service: Service, mode: str, mirroring: str, pulled: Mapping[str, str] | None
) -> list[str]:
    """About one service; `mirroring` is the command that starts it."""
    why = pulled["why"] if pulled else f"kept from before; {service.mode} is configured"
    head = f"{name}   {mode.upper()}" + (f"   ({why})" if mode != service.mode else "")
    primary = f" primary    {service.primary.version}  {service.primary.url}   answers every client"
    if mode == Mode.PRIMARY:
        return [head, primary, f" mirrored   nothing; to change that: {pulled['release'] if pulled else mirroring}"]
    share = "" if service.mirror.share == 1 else f" ({100 * service.mirror.share:g} %)"
    marked = [endpoint.match for endpoint in service.endpoints if endpoint.read_only and endpoint.mirror]
    methods = ", ".join([*service.mirror.methods, *marked])
    return [
        head,
        primary,
        f" candidate  {service.candidate.version}  {service.candidate.url}   is compared",
        f" mirrored   {methods}{share}; mark an endpoint read_only to mirror it",
    ]


def _reachable(address: str) -> str:
    """An address one can connect to, for one that stands for all of them."""
    host, _, port = address.rpartition(":")
    return f"{_HERE.get(host, host)}:{port}"
