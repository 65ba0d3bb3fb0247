"""Writes docs/configuration.md from the models: `python docs/configuration.py`. A test compares."""

from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from proxy.config.header import parse_field_value
from proxy.config.models import Settings
from proxy.config.network import parse_network
from proxy.config.units import parse_address, parse_duration, parse_origin, parse_size

PAGE = Path(__file__).with_suffix(".md")

HEAD = """\
# Configuration

<!-- Written by docs/configuration.py from proxy/config/models.py: change it there. -->

One YAML file, given by `shadow-proxy serve -c FILE`. Flags win over the environment, the environment over the file, the
file over the defaults. In the environment a key is written `SHADOW_PROXY_` and its path, joined by `__`:
`SHADOW_PROXY_SERVICES__RANKER__CANDIDATE__URL`. Unknown keys are errors. `shadow-proxy check -c FILE` names every error
with its line and column, all at once.

A duration is written like `250ms`, `90s`, `10m`, `2h`; a size like `512B`, `64KiB`, `1MiB`.
"""

WRITTEN_AS = {
    parse_duration: "duration",
    parse_size: "size",
    parse_address: "HOST:PORT",
    parse_origin: "URL",
    parse_network: "address or network",
    parse_field_value: "text, `{file: PATH}` or `{env: NAME}`",
}
UNITS = (("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1))
UNBOUNDED = 1 << 24
PLAIN = {bool: "true, false", int: "number", float: "number", str: "text"}


def page() -> str:
    """The whole reference page."""
    return "\n".join([HEAD, *sections(("",), Settings)])


def sections(paths: tuple[str, ...], table: type[BaseModel]) -> Iterator[str]:
    """A table's own keys under the paths that lead to it, then those of the tables in it."""
    yield f"## {', '.join(f'`{path}`' for path in paths if path) or 'Top level'}\n"
    if any(paths):
        yield f"{prose(table.__doc__)}\n"
    yield "| key | value | default | |\n|---|---|---|---|"
    for name, key in table.model_fields.items():
        yield f"| `{name}` | {value(key)} | {default(key)} | {prose(key.description)} |"
    if table.model_config.get("extra") == "allow":
        yield "| … | | | The comparator's own settings. |"
    yield ""
    places: dict[type[BaseModel], list[str]] = {}
    for name, key in table.model_fields.items():
        for suffix, below in tables(key.annotation):
            places.setdefault(below, []).extend(f"{path}.{name}{suffix}".removeprefix(".") for path in paths)
    for below, found in places.items():
        yield from sections(tuple(found), below)


def prose(text: str | None) -> str:
    """A doc line on one line."""
    return " ".join((text or "").split()).replace("|", "\\|")


def tables(annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """The table that a key holds, if it holds one, and how its path goes on."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield "", annotation
    elif get_origin(annotation) is tuple:
        yield from (("[]", below) for _, below in tables(get_args(annotation)[0]))
    elif get_origin(annotation) is dict:
        yield from ((".NAME", below) for _, below in tables(get_args(annotation)[1]))


def value(key: FieldInfo) -> str:
    """How a key's value is written."""
    return written(key.annotation, tuple(key.metadata))


def written(annotation: Any, metadata: tuple[Any, ...] = ()) -> str:
    """How a value of this type is written; `metadata` are its constraints."""
    for mark in metadata:
        if isinstance(mark, BeforeValidator) and mark.func in WRITTEN_AS:
            return WRITTEN_AS[mark.func]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return written(arguments[0], arguments[1:])
    if origin in {Union, UnionType}:
        return ", ".join(written(argument) for argument in arguments if argument is not NoneType)
    if origin is Literal:
        return ", ".join(f"`{argument}`" for argument in arguments)
    if list(tables(annotation)):
        return {tuple: "list of tables", dict: "table by name"}.get(origin, "table")
    if origin is tuple:
        return f"list of {written(arguments[0])}"
    if origin is dict:
        return f"{written(arguments[1])}, by name"
    limits = [words for mark in metadata if (words := limit(mark))]
    return " ".join([PLAIN[annotation], *limits])


def limit(mark: Any) -> str:
    """A numeric constraint in words; what only guards against overflow is not worth one."""
    bounds = {"ge": "from", "le": "to"}
    found = [(word, getattr(mark, name)) for name, word in bounds.items() if hasattr(mark, name)]
    return " ".join(f"{word} {bound:g}" for word, bound in found if bound < UNBOUNDED)


def default(key: FieldInfo) -> str:
    """A key's default as it would be written."""
    if key.is_required():
        return "required"
    if list(tables(key.annotation)):
        return ""
    text = spelled(key.default, value(key))
    return f"`{text}`" if text else ""


def spelled(plain: Any, kind: str) -> str:
    """A value with its unit; empty for none."""
    match plain:
        case None | "" | () | {}:
            return ""
        case 0 if kind in {"size", "duration"}:
            return "0"
        case bool():
            return str(plain).lower()
        case tuple():
            return f"[{', '.join(map(str, plain))}]"
        case float() if kind == "duration":
            return f"{plain:g}s"
        case int() if kind == "size":
            return next(f"{plain // unit}{name}" for name, unit in UNITS if plain >= unit and plain % unit == 0)
        case float():
            return f"{plain:g}"
    return str(plain)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
