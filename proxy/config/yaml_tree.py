"""YAML text to a tree that remembers where everything was written.

The tree is built from the parser's events, not by its loader, because a configuration wants less than
YAML offers and better error messages:

    scalars     as in YAML 1.2: only true and false are booleans, `on`, `yes` and `1:30` are text, 1e-6 is
                a number, 017 is seventeen
    keys        text, whatever they look like; a second one of the same name is an error
    refused     anchors, aliases and tags (so nothing can multiply itself or name a Python class), more
                than one document, nesting deeper than 32, more than 1 MiB

Never raises for bad input: what is wrong comes back as problems beside whatever could be read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
)

from proxy.config.problems import Path, Place, Problem, problem

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_PROBLEMS = 100

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_OTHER_BASE = re.compile(r"0x[0-9A-Fa-f]{1,15}|0o[0-7]{1,20}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?)\.(inf|nan)", re.IGNORECASE)
_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")

_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(slots=True)
class Document:
    """What a YAML text says, and where."""

    tree: Any = None
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    spelled: dict[Path, str] = field(default_factory=dict)
    """The text of scalars that are not text, such as `1.10`."""
    problems: list[Problem] = field(default_factory=list)


def scalar(text: str) -> Any:
    """What an unquoted YAML 1.2 scalar means: None, bool, int, float or the text itself."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if special := _SPECIAL.fullmatch(text):
        return float(special[1] + special[2])
    return text


def parse(content: bytes | str, file: str) -> Document:
    """The document in `content`; `file` is what its places are called."""
    document = Document()
    text = _decoded(content, file, document) if isinstance(content, bytes) else content
    if text is None or _has_unreadable(text, file, document):
        return document
    builder = _Builder(text, file, document)
    try:
        builder.run()
    except yaml.MarkedYAMLError as wrong:
        document.problems.append(_syntax(wrong, text, file))
    except _TooMuchError as wrong:
        document.problems.append(problem(wrong.place, (), str(wrong)))
    return document


def _decoded(content: bytes, file: str, document: Document) -> str | None:
    if len(content) > MAX_BYTES:
        document.problems.append(problem(Place(file), (), "is over 1 MiB: a configuration is smaller"))
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        before = content[: wrong.start].decode("utf-8", "replace")
        message = f"byte {content[wrong.start]:#04x} is not UTF-8: save the file as UTF-8"
        document.problems.append(problem(_place_after(before, file), (), message))
        return None


def _has_unreadable(text: str, file: str, document: Document) -> bool:
    found = _UNREADABLE.search(text)
    if found:
        message = f"the control character {ord(found[0]):#06x} cannot stand in YAML: remove it"
        document.problems.append(problem(_place_after(text[: found.start()], file), (), message))
    return found is not None


def _place_after(before: str, file: str) -> Place:
    return Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))


class _TooMuchError(Exception):
    """Reading on is pointless."""

    def __init__(self, place: Place, message: str) -> None:
        self.place = place
        super().__init__(message)


class _Builder:
    """Turns the events of one text into a tree, noting places and problems on the way."""

    def __init__(self, text: str, file: str, document: Document) -> None:
        self._events: Iterator[Event] = iter(yaml.parse(text, Loader=_Loader))
        self._file = file
        self._document = document

    def run(self) -> None:
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                if self._document.values:
                    raise _TooMuchError(self._place(event), "a second document: a configuration is one document")
                self._document.tree = self._node(next(self._events), ())

    def _place(self, event: Event) -> Place:
        mark = event.start_mark
        return Place(self._file, mark.line + 1, mark.column + 1) if mark else Place(self._file)

    def _complain(self, place: Place, path: Path, message: str) -> None:
        self._document.problems.append(problem(place, path, message))
        if len(self._document.problems) >= MAX_PROBLEMS:
            raise _TooMuchError(place, f"stopped reading after {MAX_PROBLEMS} errors")

    def _node(self, event: Event, path: Path) -> Any:
        place = self._place(event)
        self._document.values[path] = place
        self._refuse_references(event, place, path)
        if isinstance(event, CollectionStartEvent):
            if len(path) >= MAX_DEPTH:
                raise _TooMuchError(place, f"nested deeper than {MAX_DEPTH} levels")
            return self._mapping(path) if isinstance(event, MappingStartEvent) else self._sequence(path)
        if isinstance(event, ScalarEvent):
            return self._scalar(event, path)
        return None

    def _refuse_references(self, event: Event, place: Place, path: Path) -> None:
        if isinstance(event, AliasEvent):
            self._complain(place, path, f"*{event.anchor}: aliases are not read; write the value out")
        elif isinstance(event, NodeEvent) and event.anchor:
            self._complain(place, path, f"&{event.anchor}: anchors are not read; write the value where it is used")
        if tag := getattr(event, "tag", None):
            self._complain(place, path, f"the tag {tag} is not read; remove it")

    def _scalar(self, event: ScalarEvent, path: Path) -> Any:
        if event.style not in {None, ""}:
            return event.value
        value = scalar(event.value)
        if not isinstance(value, str):
            self._document.spelled[path] = event.value
        return value

    def _sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
        return items

    def _mapping(self, path: Path) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            place = self._place(event)
            key = self._key(event, place, path)
            at = (*path, key)
            if key in members:
                first = self._document.keys[at]
                self._complain(place, at, f"written twice, first in line {first.line}: keep one")
            self._document.keys[at] = place
            members[key] = self._node(next(self._events), at)
        return members

    def _key(self, event: Event, place: Place, path: Path) -> str:
        self._refuse_references(event, place, path)
        if isinstance(event, ScalarEvent):
            return event.value
        if isinstance(event, CollectionStartEvent):
            raise _TooMuchError(place, "a list or mapping cannot be a key; text in braces needs quotes")
        return ""


_SYNTAX = (
    ("cannot start any token", "text that begins with {character!r} needs quotes"),
    ("mapping values are not allowed", "a second `key:` in one value, or lines indented unevenly: align or quote it"),
    ("could not find expected ':'", "a key needs a colon and a space after it"),
    ("did not find expected key", "this does not fit what stands above it: check indentation, quotes and commas"),
    ("expected <block end>", "this does not fit what stands above it: check indentation, quotes and commas"),
    ("did not find expected '-'", "this does not fit the list above it: check the indentation"),
    ("did not find expected ',' or '}'", "a `{{` above is not closed, or a comma is missing"),
    ("did not find expected ',' or ']'", "a `[` above is not closed, or a comma is missing"),
    ("expected ',' or '}'", "a `{{` above is not closed, or a comma is missing"),
    ("expected ',' or ']'", "a `[` above is not closed, or a comma is missing"),
    ("unexpected end of stream", "a quote above is not closed"),
    ("unknown escape character", "a backslash means something in double quotes: use single quotes"),
)


def _syntax(wrong: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    mark = wrong.problem_mark or wrong.context_mark
    if mark is None:
        return problem(Place(file), (), f"not YAML: {wrong.problem}")
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    character = line[mark.column : mark.column + 1]
    said = str(wrong.problem)
    message = f"not YAML: {said}"
    if character == "\t" or line[: mark.column].strip(" ") == "\t":
        message = "a tab cannot indent YAML: use spaces"
    else:
        for part, ours in _SYNTAX:
            if part in said:
                message = ours.format(character=character)
                break
    return problem(Place(file, mark.line + 1, mark.column + 1), (), message)
