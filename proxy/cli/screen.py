"""What commands print: coloured when somebody looks, plain in a pipe, ASCII when asked or when nothing else fits."""

import sys
from collections.abc import Iterable
from itertools import pairwise

from rich.console import Console
from rich.text import Text

_ASCII = str.maketrans(
    {"·": "-", "→": "->", "÷": "/", "×": "x", "…": "...", "≤": "<=", "≥": ">=", "✅": "ok", "❌": "FAIL", "–": "-"}
)

Line = str | Text
_INDENT = "    "
_NARROWEST = 20


class Screen:
    """Standard output and standard error. Lines are never wrapped: pipes and terminals get the same text."""

    def __init__(self, *, ascii_only: bool = False) -> None:
        self._out = Console(highlight=False, markup=False, soft_wrap=True, emoji=False)
        self._err = Console(highlight=False, markup=False, soft_wrap=True, emoji=False, stderr=True)
        self._ascii = ascii_only or not (sys.stdout.encoding or "").lower().startswith("utf")

    @property
    def console(self) -> Console:
        """Standard output as rich knows it, for screens that move."""
        return self._out

    @property
    def width(self) -> int:
        """Columns there are; 80 when nobody looks."""
        return self._out.width if self._out.is_terminal else 80

    def line(self, *parts: Line) -> None:
        """One line to standard output."""
        self._out.print(self.text(*parts))

    def lines(self, lines: Iterable[Line]) -> None:
        """Several."""
        for line in lines:
            self.line(line)

    def prose(self, *parts: Line, error: bool = False) -> None:
        """One long line to standard output or error: on a terminal it is broken between words and indented."""
        console = self._err if error else self._out
        text = self.text(*parts)
        if not console.is_terminal:
            console.print(text)
            return
        first, *rest = text.wrap(console, max(console.width - len(_INDENT), _NARROWEST)) or [Text()]
        console.print(first)
        for line in rest:
            console.print(Text(_INDENT).append_text(line))

    def text(self, *parts: Line) -> Text:
        """The parts as one text, in the characters this screen can show."""
        joined = Text().join(Text(part) if isinstance(part, str) else part for part in parts)
        if not self._ascii:
            return joined
        return Text.assemble(*((segment.translate(_ASCII), style) for segment, style in _segments(joined)))


def _segments(text: Text) -> Iterable[tuple[str, str]]:
    """The pieces of a text that have one style each: their lengths change when characters are replaced."""
    edges = sorted({0, len(text), *(edge for span in text.spans for edge in (span.start, span.end))})
    for start, end in pairwise(edges):
        style = next((str(span.style) for span in text.spans if span.start <= start < span.end), "")
        yield text.plain[start:end], style
