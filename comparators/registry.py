"""Comparators by name, and settings from plain mappings.

Custom comparators are handed in by the caller, who has loaded them; nothing here imports code by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from types import MappingProxyType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from comparators.classification import CLASSIFICATIONS
from comparators.comparator import Comparator
from comparators.datetimes import DATETIMES
from comparators.decimal_string import DECIMAL_STRINGS
from comparators.embedding import EMBEDDINGS
from comparators.keyed import PAIRED
from comparators.leaves import LEAVES
from comparators.ranking import RANKINGS
from comparators.regex import REGEXES
from comparators.superset import CONTRACTS
from comparators.text import TEXTS
from comparators.unordered import MULTISETS
from comparators.urls import URLS

Comparators = Mapping[str, Comparator]

_ALL: Final[tuple[Comparator, ...]] = (
    *LEAVES, *DECIMAL_STRINGS, *DATETIMES, *REGEXES, *URLS, *TEXTS, *PAIRED, *MULTISETS, *CONTRACTS, *RANKINGS,
    *CLASSIFICATIONS, *EMBEDDINGS,
)  # fmt: skip
BUILT_IN: Final[Comparators] = MappingProxyType({comparator.name: comparator for comparator in _ALL})

_name: Final = re.compile(r"[a-z_]+").fullmatch
_ALSO_ACCEPTED: Final[Mapping[type, tuple[type, ...]]] = {float: (int, float)}


def with_custom(custom: Iterable[Comparator], base: Comparators = BUILT_IN) -> Comparators:
    """The known comparators and these; a ValueError if a name is malformed or taken."""
    known = dict(base)
    for comparator in custom:
        if not _name(comparator.name):
            raise ValueError(f"a comparator's name is made of a-z and '_', not {comparator.name!r}")
        if comparator.name in known:
            raise ValueError(f"there already is a comparator {comparator.name!r}")
        known[comparator.name] = comparator
    return MappingProxyType(known)


def build_settings(settings_type: type, given: Mapping[str, Any]) -> Any:
    """An instance of a comparator's settings; a ValueError carries one line per problem."""
    hints = get_type_hints(settings_type)
    allowed = {field.name.rstrip("_"): field.name for field in fields(settings_type)}
    problems = [unknown("setting", name, allowed) for name in given if name not in allowed]
    problems += [
        f"setting {name!r} must be {_spell(hints[allowed[name]])}, not {value!r}"
        for name, value in given.items()
        if name in allowed and not _fits(value, hints[allowed[name]])
    ]
    if problems:
        raise ValueError("\n".join(problems))
    try:
        return settings_type(**{allowed[name]: value for name, value in given.items()})
    except TypeError as error:
        needed = ", ".join(repr(name) for name in allowed if name not in given)
        raise ValueError(f"settings are missing, possibly {needed}" if needed else str(error)) from error


def unknown(noun: str, name: str, known: Iterable[str]) -> str:
    """The message for a name that is not known, with the nearest one or all of them."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1) or [each for each in names if name.startswith(each)]
    advice = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names) or 'none'}"
    return f"there is no {noun} {name!r}; {advice}"


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a plain value has the annotated type; annotations other than scalars are left to the class itself."""
    for option in _options(hint):
        if get_origin(option) is Literal:
            if value in get_args(option):
                return True
        elif not isinstance(option, type) or type(value) in _ALSO_ACCEPTED.get(option, (option,)):
            return True
    return False


def _spell(hint: Any) -> str:
    """An annotation in words."""
    words = []
    for option in _options(hint):
        if get_origin(option) is Literal:
            words.append("one of " + ", ".join(map(str, get_args(option))))
        elif option is not type(None):
            words.append({float: "a number", int: "a whole number", bool: "true or false", str: "a text"}[option])
    return " or ".join(words)
