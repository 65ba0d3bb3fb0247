"""`shadow-proxy schema`: the configuration's JSON Schema, or an example to start from."""

import json
from importlib.resources import files
from typing import Annotated

import typer

from proxy.config.schema import json_schema


def schema(
    *,
    example: Annotated[bool, typer.Option("--example", help="Print a commented configuration instead.")] = False,
) -> None:
    """\b
    Examples:
      shadow-proxy schema --example > shadow-proxy.yaml
      shadow-proxy schema > shadow-proxy.schema.json

    Prints the JSON Schema of the configuration, for editors, or with --example a commented
    configuration that passes `shadow-proxy check`.
    """  # noqa: D205, D301, D415  \b keeps the lines of the examples apart
    if example:
        typer.echo(files("proxy.config").joinpath("example.yaml").read_text("utf-8"), nl=False)
    else:
        typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
