"""`shadow-proxy mode`: mirroring on or off, in force at once."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from proxy.cli.admin import AdminClient, same_place
from proxy.cli.credentials import connect
from proxy.cli.exits import CommandError, Exit
from proxy.cli.options import DEFAULT_ADMIN, Admin, Ascii, DryRun, Json, Reason, TokenFile
from proxy.cli.screen import Screen
from proxy.config.spelling import did_you_mean
from proxy.ipc.kill_switch import KILL_SWITCH_FILE

_MEANING = {
    "primary": "the primary answers every client; nothing is mirrored",
    "shadow": "the primary answers every client; requests are mirrored to the candidate",
}


def mode(
    wanted: Annotated[str, typer.Argument(metavar="primary|shadow", help="The mode to switch to.")],
    service: Annotated[str | None, typer.Argument(help="Which service; needed if there are several.")] = None,
    *,
    reason: Reason = "",
    dry_run: DryRun = False,
    admin: Admin = DEFAULT_ADMIN,
    token_file: TokenFile = None,
    as_json: Json = False,
    ascii_only: Ascii = False,
) -> None:
    """\b
    Examples:
      shadow-proxy mode primary --reason "v2 is being fixed"
      shadow-proxy mode shadow ranker
      shadow-proxy mode shadow ranker --dry-run

    Switches mirroring on (shadow) or off (primary). Clients get v1's answers in both.
    Exit 4 when the proxy refuses, 3 when it cannot be reached.
    """  # noqa: D205, D301, D415  \b keeps the lines of the examples apart
    _refuse_other_modes(wanted)
    client = connect(admin, token_file)
    try:
        name = service or _only_service(client)
        said = client.switch(name, wanted, reason, dry_run=dry_run)
    except CommandError as wrong:
        raise _with_another_way(wrong, wanted) from wrong
    if as_json:
        typer.echo(json.dumps(said, indent=2, ensure_ascii=False))
    else:
        Screen(ascii_only=ascii_only).lines(changed_lines(name, said, same_place(admin, token_file), dry_run=dry_run))


def _with_another_way(wrong: CommandError, wanted: str) -> CommandError:
    """Who wants mirroring to stop, and cannot reach the admin port, hears of the kill switch."""
    if wrong.code is not Exit.UNREACHABLE or wanted != "primary":
        return wrong
    stop = f"to stop mirroring without it: touch {KILL_SWITCH_FILE} in the state directory, or SIGUSR1 to `serve`"
    return CommandError(wrong.code, str(wrong), f"{wrong.advice}; {stop}")


def _refuse_other_modes(wanted: str) -> None:
    if wanted in {"canary", "candidate", "retired"}:
        raise CommandError(Exit.USAGE, f"{wanted} is reached by a rollout", "switch to primary or shadow")
    if wanted not in _MEANING:
        meant = did_you_mean(wanted, _MEANING)
        raise CommandError(Exit.USAGE, f"no mode {wanted}{meant}", "the modes are primary and shadow")


def _only_service(client: AdminClient) -> str:
    names = [one["service"] for one in client.status()["services"]]
    if len(names) != 1:
        raise CommandError(Exit.USAGE, "which service?", f"name one of {', '.join(names)}")
    return str(names[0])


def changed_lines(service: str, said: Mapping[str, Any], place: str = "", *, dry_run: bool) -> list[str]:
    """Before → after, what that means, how to undo it; `place` holds the options that lead to this proxy."""
    before, after = said["before"]["mode"], said["after"]["mode"]
    if before == after:
        return [f"{service}   is {after} already: nothing {'would change' if dry_run else 'changed'}"]
    meaning = f" {_MEANING.get(after, '')}"
    if dry_run:
        return [f"{service}   {before} → {after} (dry run: nothing changed)", meaning]
    audit = f"   audit {said['audit_id']}" if said.get("audit_id") else ""
    undo = f"shadow-proxy mode {before} {service}{place}" if before in _MEANING else said.get("undo", "")
    pulled = said.get("kill_switch")
    first = [f"      but first {pulled['release']}: {pulled['why']}"] if pulled else []
    return [f"{service}   {before} → {after}{audit}", meaning, f"Undo: {undo}", *first]
