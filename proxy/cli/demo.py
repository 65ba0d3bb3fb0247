"""`shadow-proxy demo`: two scoring services, the proxy between them and a steady load, in one process tree."""

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from types import FrameType
from typing import Annotated, Any, Literal

import typer
from rich.live import Live
from rich.text import Text

from proxy.cli import scene
from proxy.cli.admin import AdminClient
from proxy.cli.exits import CommandError, Exit
from proxy.cli.options import Ascii
from proxy.cli.screen import Screen
from proxy.config.token import read_token
from proxy.demo import rows
from proxy.demo.bugs import PLANTED
from proxy.demo.load import RATE, LoadResult
from proxy.demo.stage import Ports, Stage, StageError, stage

_TICK_S = 0.1
_FRAME_S = 0.5
_REPORT_S = 5.0
_SETTLE_S = 5.0


def demo(
    *,
    bugs: Annotated[Literal["none", "some"], typer.Option(help="Faults to plant in v2: some are three.")] = "some",
    rate: Annotated[float, typer.Option(metavar="N", min=0.1, max=5000, help="Requests per second.")] = RATE,
    seconds: Annotated[float | None, typer.Option(metavar="N", min=0.1, help="How long; default: to Ctrl-C.")] = None,
    ports: Annotated[
        Ports, typer.Option(help="usual: 8080, 8081, 9101, 9102, or the next free; auto: any.")
    ] = Ports.USUAL,
    as_json: Annotated[bool, typer.Option("--json", help="Print only the summary, as JSON.")] = False,
    ascii_only: Ascii = False,
) -> None:
    """\b
    Examples:
      shadow-proxy demo
      shadow-proxy demo --bugs none --rate 200
      shadow-proxy demo --seconds 10 --json

    Starts two versions of a scoring service, the proxy between them and a steady load,
    and shows how far the versions agree. v2 has three planted bugs.
    Needs no network, no container and no configuration. Ctrl-C ends all of it.

    Exit 1 when a process of it ends unasked.
    """  # noqa: D205, D301, D415  \b keeps the lines of the examples apart
    ending = Ending()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ending.tell)
    screen = Screen(ascii_only=ascii_only)
    try:
        with stage() as built:
            built.start(bugs, ports)
            client = AdminClient(built.urls["admin"], None)
            built.play(rate, seconds)
            ending.check()
            started_at = monotonic()
            with suppress(KeyboardInterrupt):
                if as_json:
                    _keep_going(built, ending, lambda: None, _FRAME_S)
                else:
                    screen.lines(scene.opening(_scene(built, bugs, rate), screen.width))
                    _show(built, ending, client, screen, started_at)
            elapsed_s = monotonic() - started_at
            result = built.end_load()
            said = _settled(client, result)
    except StageError as wrong:
        raise CommandError(Exit.NO, str(wrong)) from wrong
    if as_json:
        typer.echo(json.dumps(scene.as_json(said, result, elapsed_s), indent=2, ensure_ascii=False))
    else:
        screen.lines(scene.summary(said, result, elapsed_s, screen.width))


class Ending:
    """Remembers that the demo was told to end: an exception raised inside a callback of Python's own is lost."""

    is_told = False

    def tell(self, _number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        self.is_told = True
        raise KeyboardInterrupt

    def check(self) -> None:
        """Raise again what was lost, as it is inside a fork."""
        if self.is_told:
            raise KeyboardInterrupt


def _scene(built: Stage, bugs: str, rate: float) -> scene.Scene:
    return scene.Scene(
        urls=built.urls,
        token=read_token(built.token_file),
        token_file=built.token_file,
        bugs=PLANTED[bugs],
        rate=rate,
        patient=rows.load()[0].id,
        program=scene.program(sys.executable, os.environ.get("PATH", ""), Path.cwd()),
    )


def _show(built: Stage, ending: Ending, client: AdminClient, screen: Screen, started_at: float) -> None:
    """In place on a terminal, a line now and then in a pipe, until the load ends."""
    if not screen.console.is_terminal:
        _keep_going(built, ending, lambda: _report(client, screen, monotonic() - started_at), _REPORT_S)
        return
    with Live(console=screen.console, auto_refresh=False, transient=True) as live:

        def draw() -> None:
            lines = _lines(client, monotonic() - started_at, screen.width)
            live.update(Text("\n").join(screen.text(line) for line in lines), refresh=True)

        _keep_going(built, ending, draw, _FRAME_S)


def _keep_going(built: Stage, ending: Ending, show: Callable[[], object], every_s: float) -> None:
    due = 0.0
    while built.is_playing() and not ending.is_told:
        if monotonic() >= due and show() is not False:
            due = monotonic() + every_s
        sleep(_TICK_S)


def _report(client: AdminClient, screen: Screen, elapsed_s: float) -> bool:
    """Print how it stands; False while there is nothing to print yet."""
    with suppress(CommandError):  # control is being started again
        said = client.status()
        if scene.has_result(said["services"][0]):
            screen.line(scene.report(said, elapsed_s))
            return True
    return False


def _lines(client: AdminClient, elapsed_s: float, width: int) -> list[Text]:
    try:
        return list(scene.moving(client.status(), elapsed_s, width))
    except CommandError as wrong:  # control is being started again
        return [Text(str(wrong), "yellow")]


def _settled(client: AdminClient, result: LoadResult) -> Any:
    """The status once all that was sent is counted and judged, or after a few seconds what there is by then."""
    give_up = monotonic() + _SETTLE_S
    while True:
        said = client.status()
        if monotonic() > give_up or scene.is_settled(said["services"][0], result):
            return said
        sleep(_TICK_S)
