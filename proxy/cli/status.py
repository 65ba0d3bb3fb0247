"""`shadow-proxy status`: who answers clients, and how far the candidate agrees."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.text import Text

from proxy.cli.admin import AdminClient, same_place
from proxy.cli.credentials import connect
from proxy.cli.exits import CommandError, Exit
from proxy.cli.options import DEFAULT_ADMIN, Admin, Ascii, Json, TokenFile
from proxy.cli.screen import Screen
from proxy.cli.standing import following, killed, processes_down, standing, workers_suspended
from proxy.config.spelling import did_you_mean

_EVERY_S = 1.0


def status(
    service: Annotated[str | None, typer.Argument(help="One service; default: all.")] = None,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until Ctrl-C.")] = False,
    admin: Admin = DEFAULT_ADMIN,
    token_file: TokenFile = None,
    as_json: Json = False,
    ascii_only: Ascii = False,
) -> None:
    """\b
    Examples:
      shadow-proxy status
      shadow-proxy status ranker --watch
      shadow-proxy status --json
      shadow-proxy status --admin http://127.0.0.1:9081

    Shows who answers clients, how far the candidate agrees, what was dropped and why.
    Agreement always stands beside coverage: the share of all requests that was compared.
    """  # noqa: D205, D301, D415  \b keeps the lines of the examples apart
    client = connect(admin, token_file)
    screen = Screen(ascii_only=ascii_only)
    place = same_place(admin, token_file)
    if watch:
        with suppress(KeyboardInterrupt):
            _watch(client, service, screen, place, as_json=as_json)
    elif as_json:
        typer.echo(json.dumps(_chosen(client.status(), service), indent=2, ensure_ascii=False))
    else:
        screen.lines(lines(client.status(), service, screen.width, place))


def lines(said: Mapping[str, Any], service: str | None, width: int, place: str = "") -> Iterator[Text]:
    """The whole screen; `place` holds the options that lead to this proxy. Raises CommandError: no such service."""
    services = _chosen(said, service)["services"]
    yield from killed(said)
    yield from processes_down(said)
    yield from workers_suspended(said)
    for number, one in enumerate(services):
        if number:
            yield Text()
        yield from standing(said, one, width)
    yield Text(f"Next: {following(said, services, place)}")


def _chosen(said: Mapping[str, Any], service: str | None) -> dict[str, Any]:
    services = said["services"]
    if service is not None:
        names = [one["service"] for one in services]
        if service not in names:
            meant = did_you_mean(service, names)
            raise CommandError(Exit.USAGE, f"no service {service}{meant}", f"name one of {', '.join(names)}")
        services = [one for one in services if one["service"] == service]
    return {**said, "services": services}


def _watch(client: AdminClient, service: str | None, screen: Screen, place: str, *, as_json: bool) -> None:
    """One status a second: in place on a terminal, one after the other in a pipe, a line each as JSON."""
    if as_json or not screen.console.is_terminal:
        while True:
            said = client.status()
            if as_json:
                typer.echo(json.dumps(_chosen(said, service), ensure_ascii=False))
            else:
                screen.lines(lines(said, service, screen.width, place))
                screen.line()
            time.sleep(_EVERY_S)
    with Live(console=screen.console, auto_refresh=False, screen=True) as live:
        while True:
            live.update(_frame(client, service, screen, place), refresh=True)
            time.sleep(_EVERY_S)


def _frame(client: AdminClient, service: str | None, screen: Screen, place: str) -> Text:
    """The screen now; a proxy that does not answer is shown as such, since it may come back."""
    try:
        shown = list(lines(client.status(), service, screen.width, place))
    except CommandError as wrong:
        if wrong.code is not Exit.UNREACHABLE:
            raise
        shown = [Text(str(wrong), "bold red"), Text("trying again every second")]
    return Text("\n").join(screen.text(line) for line in (*shown, Text("Ctrl-C ends this", "dim")))
