"""A wrong tree made readable, so that what else is wrong with it can be said at the same time.

What the validator refused is left to its default; where that is required, or would itself clash with
something, a stand-in takes its place. Stand-ins have names of their own: a sentence that mentions one is only
a consequence of the error it stands for, see `is_consequence`. Nothing else moves: every place keeps its path.
"""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any, get_origin

from proxy.config.keys import annotation_at, table_at
from proxy.config.models import Settings
from proxy.config.problems import Path

_MARK = "stand_in_"
_ALWAYS = {"listen", "hosts", "endpoints"}  # their defaults are places and names that others may clash with


def mended(tree: dict[str, Any], wrong: Iterable[Path]) -> Settings:
    """The settings of a tree that was refused at these places, as the validator names them."""
    tree = deepcopy(tree)
    # The deepest first, and keys last: each path leads there only as long as nothing above it has changed.
    for number, path in enumerate(sorted(wrong, key=lambda path: (path[-1] == "[key]", -len(path)))):
        _mend(tree, path, f"{_MARK}{number}")
    return Settings.model_validate(tree)


def is_consequence(path: Path, message: str) -> bool:
    """Whether a problem of mended settings exists only because something was mended."""
    return _MARK in message or any(_MARK in str(part) for part in path)


def _mend(tree: dict[str, Any], path: Path, name: str) -> None:
    if path[-1] == "[key]":
        named = _at(tree, path[:-2])
        if path[-2] in named:
            named[name] = named.pop(path[-2])
        return
    if get_origin(annotation_at(path[:-1])) is dict and not table_at(path):
        _at(tree, path[:-1]).pop(path[-1], None)
        return
    while not (table_at(path[:-1]) or table_at(path)):
        path = path[:-1]  # an item of a list of values: the whole list is mended
    holder, key = _at(tree, path[:-1]), path[-1]
    table = table_at(path[:-1])
    known = table.model_fields.get(str(key)) if table else None
    if table is None or (known and (known.is_required() or key in _ALWAYS)):
        holder[key] = _stand_in(path, name)
    else:
        holder.pop(key, None)


def _at(tree: Any, path: Path) -> Any:
    for part in path:
        tree = tree[part]
    return tree


def _stand_in(path: Path, name: str) -> Any:
    table = table_at(path)
    if table is not None:
        fields = table.model_fields.items()
        return {key: _stand_in((*path, key), name) for key, field in fields if field.is_required()}
    match path[-1]:
        case "services":
            return {name: _stand_in(("services", name), name)}
        case "endpoints":
            return [_stand_in((*path, 0), name)]
        case "hosts":
            return [name]
        case "listen":
            return "127.0.0.1:0"
        case "url":
            return f"http://{path[-2]}.{name}"
        case "match":
            return f"GET /{name}"
        case "path":
            return f"$.{name}"
    return f"{path[-2]}_{name}" if path[-1] == "version" else name
