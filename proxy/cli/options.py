"""Options that several commands share, each written once."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path | None, typer.Option("-c", "--config", metavar="FILE", help="The configuration, as YAML.")]
Primary = Annotated[str | None, typer.Option(metavar="URL", help="The trusted backend; works without a file.")]
Candidate = Annotated[str | None, typer.Option(metavar="URL", help="The backend on trial.")]
Listen = Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where clients are served.")]
AdminListen = Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where the admin API and metrics are.")]
InitialMode = Annotated[
    str | None, typer.Option("--mode", metavar="primary|shadow", help="shadow mirrors, primary does not.")
]
Workers = Annotated[int | None, typer.Option(metavar="N", help="Data-plane processes.")]
StateDir = Annotated[
    str | None, typer.Option(metavar="DIR", help="Where modes, evidence, audit log and token are kept.")
]
LogFormat = Annotated[str | None, typer.Option(metavar="text|json", help="How log lines look, on standard error.")]
Admin = Annotated[str, typer.Option(metavar="URL", help="The admin port of a running proxy.")]
TokenFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The admin token; default: SHADOW_PROXY_ADMIN_TOKEN or the state directory's."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Ascii = Annotated[bool, typer.Option("--ascii", help="Print no character beyond ASCII.")]
DryRun = Annotated[bool, typer.Option("-n", "--dry-run", help="Say what would change; change nothing.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the audit log.")]

DEFAULT_ADMIN = "http://127.0.0.1:8081"
