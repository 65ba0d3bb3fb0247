"""`shadow-proxy`: finds the command, imports only that one, and turns what ends it into an exit code."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from proxy.cli.exits import CommandError, Exit


@dataclass(frozen=True, slots=True)
class Command:
    """A command's place and its line in the overview. Its module has a function of the command's name."""

    module: str
    summary: str


COMMANDS = {
    "demo": Command("proxy.cli.demo", "Try it: two scoring services, traffic, and the proxy"),
    "serve": Command("proxy.cli.serve", "Serve clients from v1 and mirror to v2"),
    "check": Command("proxy.cli.check", "Say all that is wrong with a configuration"),
    "status": Command("proxy.cli.status", "Show who answers, and how far v2 agrees"),
    "mode": Command("proxy.cli.mode", "Switch mirroring on (shadow) or off (primary)"),
    "schema": Command("proxy.cli.schema", "Print the JSON Schema, or an example configuration"),
}

_OVERVIEW = """\
Examples:
  shadow-proxy demo
  shadow-proxy serve --primary http://v1:8000 --candidate http://v2:8000
  shadow-proxy schema --example > shadow-proxy.yaml
  shadow-proxy check -c shadow-proxy.yaml --connect
  shadow-proxy status
  shadow-proxy mode primary ranker --reason "v2 is being fixed"

shadow-proxy answers clients from the version you trust (v1), sends the same
requests to the one on trial (v2), and compares. Clients never wait for v2.

Commands:
{commands}

  shadow-proxy COMMAND --help     examples and options of one
  shadow-proxy --version

Exit codes: 0 ok · 1 the answer is "no" · 2 usage or configuration
            3 admin port unreachable · 4 refused
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = words[0] if words else "--help"
    if name in {"-h", "--help", "help"} and len(words) <= 1:
        sys.stdout.write(overview())
        return Exit.OK if words else Exit.USAGE
    if name == "--version":
        sys.stdout.write(f"shadow-proxy {_version()}\n")
        return Exit.OK
    if name == "help":
        return main([words[1], "--help"])
    if name not in COMMANDS:
        return _unknown(name)
    return _run(name, words[1:])


def overview() -> str:
    """What `--help` prints."""
    width = max(map(len, COMMANDS))
    rows = (f"  {name:<{width}}   {command.summary}" for name, command in COMMANDS.items())
    return _OVERVIEW.format(commands="\n".join(rows))


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  slow, and rarely asked for

    try:
        return version("shadow-proxy")
    except PackageNotFoundError:
        return "(not installed)"


def _unknown(name: str) -> int:
    from proxy.config.spelling import did_you_mean  # noqa: PLC0415  nothing else in an overview needs it

    what = "option" if name.startswith("-") else "command"
    meant = did_you_mean(name, ["--help", "--version"] if what == "option" else COMMANDS)
    sys.stderr.write(f"shadow-proxy: no such {what}: {name}{meant}\nNext: shadow-proxy --help\n")
    return Exit.USAGE


def _run(name: str, words: list[str]) -> int:
    import typer  # noqa: PLC0415  the overview is faster without it

    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    function: Callable[..., Any] = getattr(import_module(COMMANDS[name].module), name)
    app.command(context_settings={"help_option_names": ["-h", "--help"]})(function)
    try:
        app(words, prog_name=f"shadow-proxy {name}")
    except CommandError as ended:
        sys.stderr.write(f"shadow-proxy {name}: {ended}\n")
        if ended.advice:
            sys.stderr.write(f"Next: {ended.advice}\n")
        return ended.code
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else Exit.NO
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    return Exit.OK


if __name__ == "__main__":
    sys.exit(main())
