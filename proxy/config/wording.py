"""What the validator found, as sentences for people: what is wrong and what to write instead."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from proxy.config.keys import elsewhere, table_at
from proxy.config.problems import Path
from proxy.config.spelling import did_you_mean, nearest

_LONGEST_VALUE = 40


def sentence(error: ErrorDetails, path: Path, spelled: str | None) -> str:
    """One validation error as a sentence. `spelled` is how the file spells the value, if it is not text."""
    say = _SENTENCES.get(error["type"])
    if say is not None:
        return say(error, path, spelled)
    return re.sub(r"^(Input|String|Value) should ", "must ", error["msg"])


def shown(value: Any) -> str:
    """A value short enough for one line."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case str() if len(value) > _LONGEST_VALUE:
            return f"{value[:_LONGEST_VALUE]!r}…"
        case _:
            return repr(value)


def meant(path: Path) -> Path | None:
    """The known key that an unknown one was probably meant to be."""
    table = table_at(path[:-1])
    near = nearest(str(path[-1]), table.model_fields) if table else None
    return (*path[:-1], near) if near else None


_Say = Callable[[ErrorDetails, Path, str | None], str]


def _must_be(what: str) -> _Say:
    return lambda error, _path, spelled: f"must be {what}, not {spelled or shown(error['input'])}"


def _text(error: ErrorDetails, _path: Path, spelled: str | None) -> str:
    if spelled:
        return f'must be text: write it in quotes, "{spelled}"'
    return f"must be text, not {shown(error['input'])}"


def _unknown(_error: ErrorDetails, path: Path, _spelled: str | None) -> str:
    if near := meant(path):
        return f'unknown key, did you mean "{near[-1]}"?'
    if place := elsewhere(str(path[-1])):
        return f"unknown key: it belongs at {place}"
    table = table_at(path[:-1])
    return f"unknown key: known here are {', '.join(table.model_fields)}" if table else "unknown key"


_NEEDED: Mapping[Path, str] = {
    ("services",): "no service is configured: give --primary URL and --candidate URL, or -c FILE",
    ("reason",): "is required: say why the difference is accepted",
    ("author",): "is required: say who accepted the difference",
    ("use",): "is required: the comparator, such as numeric or ignore",
    ("path",): "is required: $… in the body, header:<name> or status",
    ("version",): 'is required: what this backend is called, such as "v1"',
    ("url",): "is required: where the backend is, such as http://127.0.0.1:8000",
    ("match",): 'is required: the requests meant, such as "GET /users/{id}"',
    ("primary",): "is required: the trusted backend, as {version: v1, url: …}",
    ("candidate",): "is required: the backend on trial, as {version: v2, url: …}",
}


def _missing(_error: ErrorDetails, path: Path, _spelled: str | None) -> str:
    return _NEEDED.get((path[-1],), "is required")


def _choice(error: ErrorDetails, path: Path, spelled: str | None) -> str:
    choices = re.findall(r"'([^']*)'", error["ctx"]["expected"]) or [error["ctx"]["expected"]]
    given = str(error["input"])
    if path[-1] == "mode" and given in {"canary", "candidate", "retired"}:
        return f"must be {' or '.join(choices)}: {given} is reached by a rollout, not configured"
    said = f"must be {' or '.join(choices)}, not {spelled or shown(error['input'])}"
    return said + (did_you_mean(given, choices) if isinstance(error["input"], str) else "")


def _name(error: ErrorDetails, _path: Path, _spelled: str | None) -> str:
    return f"{shown(error['input'])} is not a name: use up to 63 letters, digits, dots, dashes, underscores"


def _bound(word: str, limit: str) -> _Say:
    return lambda error, _path, spelled: f"{spelled or error['input']} is {word} {error['ctx'][limit]:g}"


def _length(error: ErrorDetails, path: Path, _spelled: str | None) -> str:
    ctx = error["ctx"]
    if path == ("services",):
        return _NEEDED[path]
    if "max_length" in ctx:
        return f"has {ctx.get('actual_length', 'more')} entries, at most {ctx['max_length']} are allowed"
    return "must not be empty"


def _ours(error: ErrorDetails, _path: Path, _spelled: str | None) -> str:
    return str(error["ctx"]["error"])


_WHOLE, _NUMBER, _FLAG = _must_be("a whole number"), _must_be("a number"), _must_be("true or false")
_MAPPING, _LIST = _must_be("a mapping of keys to values"), _must_be("a list, such as [a, b]")

_SENTENCES: Mapping[str, _Say] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "literal_error": _choice,
    "enum": _choice,
    "string_type": _text,
    "string_too_short": _length,
    "too_short": _length,
    "too_long": _length,
    "string_pattern_mismatch": _name,
    "greater_than": _bound("not over", "gt"),
    "greater_than_equal": _bound("under", "ge"),
    "less_than": _bound("not under", "lt"),
    "less_than_equal": _bound("over", "le"),
    "value_error": _ours,
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), _WHOLE),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), _NUMBER),
    **dict.fromkeys(("bool_type", "bool_parsing"), _FLAG),
    **dict.fromkeys(("model_type", "dict_type", "model_attributes_type"), _MAPPING),
    **dict.fromkeys(("tuple_type", "list_type"), _LIST),
}
