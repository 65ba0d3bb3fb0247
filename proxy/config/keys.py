"""Which keys the configuration knows, read off the models."""

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from proxy.config.models import Settings, Table
from proxy.config.problems import Path, dotted


def table_at(path: Path) -> type[Table] | None:
    """The table a path leads to, e.g. `Backend` for `services.ranker.primary`; None for values and lists."""
    found = annotation_at(path)
    return found if isinstance(found, type) and issubclass(found, Table) else None


def annotation_at(path: Path) -> Any:
    """The type of what a path leads to; None when there is nothing."""
    here: Any = Settings
    for part in path:
        here = _below(here, part)
        if here is None:
            return None
    return here


def _below(annotation: Any, part: str | int) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, Table):
        known = annotation.model_fields.get(str(part))
        return _plain(known.annotation) if known else None
    if get_origin(annotation) is dict and isinstance(part, str):
        return _plain(get_args(annotation)[1])
    if get_origin(annotation) is tuple and isinstance(part, int):
        return _plain(get_args(annotation)[0])
    return None


def _plain(annotation: Any) -> Any:
    """The type without `Annotated` and without `| None`."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        return _plain(next(kind for kind in get_args(annotation) if kind is not type(None)))
    return annotation


def elsewhere(key: str) -> str | None:
    """The dotted path of a key somebody put in the wrong table, if exactly one table knows it."""
    found = [path for path in _paths(Settings, ()) if path[-1] == key]
    return dotted(found[0]) if len(found) == 1 else None


def _paths(table: type[Table], at: Path) -> Iterator[Path]:
    for name, known in table.model_fields.items():
        yield (*at, name)
        below = _plain(known.annotation)
        if get_origin(below) is dict:
            below, name = _plain(get_args(below)[1]), f"{name}.<name>"  # noqa: PLW2901  a table below a name of the user's choice
        if isinstance(below, type) and issubclass(below, Table):
            yield from _paths(below, (*at, name))
