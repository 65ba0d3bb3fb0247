"""Paths of differences: as tuples, as text, and normalised to the form that groups them.

A path is a tuple. Its first item names the part of the answer: `$` (the body's tree), `status`, `header:<name>`,
`outcome`, or the selector of a rule whose response bound failed. The others are member names and list indices.

>>> render(("$", "items", 3, "user-id"))
"$.items[3]['user-id']"
>>> normalised_path(("$", "items", 3, "user-id"))
"$.items[*]['user-id']"
>>> normalised_path(("$", "by_user", "81723", "name"))
'$.by_user.{*}.name'
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

Step = str | int
Path = tuple[Step, ...]

WIDE: Final = 50
"""Members an object may have before its keys are taken for data rather than for names."""
OTHER: Final = "<other>"
LONGEST_PATH: Final = 200
LONGEST_NAME: Final = 100

_shorthand: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*").fullmatch
_plain: Final = re.compile(r"[A-Za-z_-][A-Za-z0-9_-]*").fullmatch
_escapes: Final = str.maketrans(
    {code: f"\\u{code:04x}" for code in range(32)}
    | {"\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\\": r"\\", "'": r"\'"}
)


class WideKey(str):
    """A member name that remembers its object had more than `WIDE` members; otherwise an ordinary str."""

    __slots__ = ()


def render(path: Path) -> str:
    """The path as text: an RFC 9535 selector behind the part's name."""
    return str(path[0]) + "".join(map(_segment, path[1:]))


def normalised_path(path: Path) -> str:
    """The path with indices and data-like keys made general, so that its variety is bounded.

    An index becomes `[*]`. A key becomes `{*}` if its object is wide, or if it is long, starts with a digit, or holds
    a character outside `[A-Za-z0-9_-]`. More than 200 characters in all give `<other>`.
    """
    text = str(path[0]) + "".join(map(_general, path[1:]))
    return text if len(text) <= LONGEST_PATH else OTHER


def signature(endpoint: str, path: Path, kind: str) -> str:
    """The group a difference belongs to: 16 hex digits over endpoint, normalised path and kind."""
    text = "\0".join((endpoint, normalised_path(path), kind))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _segment(step: Step) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _shorthand(step) else f"['{step.translate(_escapes)}']"


def _general(step: Step) -> str:
    if isinstance(step, int):
        return "[*]"
    if isinstance(step, WideKey) or len(step) > LONGEST_NAME or not _plain(step):
        return ".{*}"
    return _segment(step)
