"""Header fields that the configuration adds or removes: their names, and values that may be credentials.

A value is written out, or stands in a file or a variable and is then read once, when the configuration is
loaded. It is in no `repr` and in no dump; `Settings.with_secrets` alone tells it, to our own processes.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, SerializationInfo, ValidationInfo, WithJsonSchema

MASK = "**********"
REVEAL = "reveal"
"""The serialization context in which values are told."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
_VALUE = re.compile(r"[\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?")
_LONGEST = 8 << 10

_HOP = "is for one connection only and written anew for each"
_WHY_OURS = {
    "host": "is set by `host`: preserve, target or a name",
    "via": "names this proxy, so that a loop is seen",
    "x-shadow-request": "marks copies, and only them",
    "expect": "is between the client and the backend",
    "max-forwards": "counts the hops of the client's request",
    **dict.fromkeys(("content-length", "transfer-encoding", "trailer"), "says where the body ends"),
    **dict.fromkeys(("connection", "te", "upgrade"), _HOP),
}
"""What is ours to write, or frames the message: neither added nor removed."""
_WHY_NOT_ADDED = {
    **dict.fromkeys(
        ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"), "is written as `forwarded` says"
    ),
    **dict.fromkeys(
        (
            "keep-alive", "proxy", "proxy-connection", "proxy-authorization", "proxy-authenticate",
            "proxy-authentication-info", "http2-settings",
        ),
        _HOP,
    ),
}  # fmt: skip


def check_removed_name(text: str) -> str:
    """The name of a field that may be left out. Raises ValueError."""
    return _checked_name(text, _WHY_OURS, "removed")


def check_added_name(text: str) -> str:
    """The name of a field that may be added. Raises ValueError."""
    return _checked_name(text, _WHY_OURS | _WHY_NOT_ADDED, "added")


def folded(name: str) -> str:
    """A name as backends tell it from others: some read underscores as dashes, none tells case."""
    return name.lower().replace("_", "-")


def _checked_name(name: str, refused: Mapping[str, str], verb: str) -> str:
    if any(mark in name for mark in " \t:"):  # perhaps a whole field, so the rest of it may be a credential
        raise ValueError("what is written here is not a header name: the name alone, like X-Api-Key")
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is not a header name; write it like X-Api-Key")
    if why := refused.get(folded(name)):
        raise ValueError(f"{name} {why}: it cannot be {verb}")
    return name


@dataclass(frozen=True, slots=True)
class FieldValue:
    """What an added field says.

    `kind` and `where` are how it was written: the text itself, or a file's path or a variable's name. `value` is
    None until it has been read, which only matters where a configuration is looked at without being loaded.
    """

    kind: Literal["text", "file", "env"]
    where: str
    value: str | None = field(default=None, repr=False)


ReadSecret = Callable[[str, str], str]
"""Reads a `file` or an `env`, the first argument, of the name that is the second. Raises ValueError."""


def parse_field_value(value: object, info: ValidationInfo) -> FieldValue:
    """A value from text, or read from `{file: PATH}` or `{env: NAME}` if there is a reader. Raises ValueError."""
    match value:
        case FieldValue():
            return value
        case str() if value == MASK:
            raise ValueError("is masked: write the value itself, {file: PATH} or {env: NAME}")
        case str():
            return FieldValue("text", "", _checked(value, "this value"))
        case {"file": str(where), **more} if where and not more:
            return _read("file", where, info.context)
        case {"env": str(where), **more} if where and not more:
            return _read("env", where, info.context)
    raise ValueError("must be text in quotes, {file: PATH} or {env: NAME}")


def _read(kind: Literal["file", "env"], where: str, read: ReadSecret | None) -> FieldValue:
    if read is None:
        return FieldValue(kind, where)
    return FieldValue(kind, where, _checked(read(kind, where).strip(), f"what {where} holds"))


def _checked(value: str, what: str) -> str:
    if len(value) > _LONGEST:
        raise ValueError(f"{what} is over 8 KiB: a header value is shorter")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"{what} is not a header value: one line of printable ASCII, without spaces round it")
    return value


def _shown(value: FieldValue, info: SerializationInfo) -> Any:
    if info.context == REVEAL:
        return value.value
    return MASK if value.kind == "text" else {value.kind: value.where}


AddedName = Annotated[str, AfterValidator(check_added_name)]
RemovedName = Annotated[str, AfterValidator(check_removed_name)]
HeaderValue = Annotated[
    FieldValue,
    BeforeValidator(parse_field_value),
    PlainSerializer(_shown),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                *(
                    {
                        "type": "object",
                        "properties": {kind: {"type": "string"}},
                        "required": [kind],
                        "additionalProperties": False,
                    }
                    for kind in ("file", "env")
                ),
            ]
        }
    ),
]
