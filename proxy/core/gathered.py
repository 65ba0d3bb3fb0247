"""Values on their way to a sketch: on the path a value costs one append."""

from collections.abc import Sequence
from typing import Final

from proxy.core.sketch import Sketch

GATHERED: Final = 1024
"""Values that are kept as they are, at most, before they are counted."""


class Gathered:
    """A sketch fed in bulk."""

    __slots__ = ("_sketch", "_values")

    def __init__(self) -> None:
        self._values: list[float] = []
        self._sketch = Sketch()

    def add(self, value: float) -> None:
        """Count one value, soon."""
        self._values.append(value)
        if len(self._values) >= GATHERED:
            self.sketch()

    def add_all(self, values: Sequence[float]) -> None:
        """Count many values, soon."""
        self._values += values
        if len(self._values) >= GATHERED:
            self.sketch()

    def sketch(self) -> Sketch:
        """The sketch of all values so far."""
        self._sketch.add_all(self._values)
        self._values.clear()
        return self._sketch
