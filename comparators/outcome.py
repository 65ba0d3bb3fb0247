"""What one backend did with one request: an answer, or none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class Answer(Protocol):
    """What is compared of an answer. `Response` has it; a program may hand in objects of its own that do.

    Attributes:
        status: the status code, 100-999.
        fields: the header field lines as received, with CRLF between them; one more at the end changes nothing.
        body: the content without transfer coding, content coding still in place; empty for HEAD, 204 and 304.
        cut: the capture cap was reached, so `body` is only a beginning.
    """

    @property
    def status(self) -> int: ...  # noqa: D102  see above

    @property
    def fields(self) -> bytes: ...  # noqa: D102

    @property
    def body(self) -> bytes: ...  # noqa: D102

    @property
    def cut(self) -> bool: ...  # noqa: D102


@dataclass(slots=True)
class Response:
    """An answer as it was received; see `Answer`."""

    status: int
    fields: bytes
    body: bytes
    cut: bool = False

    @classmethod
    def from_pairs(cls, status: int, pairs: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Response:
        """Build an answer from (name, value) pairs, in order; a line break in one of them is a `ValueError`."""
        lines = [f"{name}: {value}" for name, value in pairs]
        for line in lines:
            if "\r" in line or "\n" in line:
                raise ValueError(f"a header field may not hold a line break: {line!r}")
        return cls(status, "".join(f"{line}\r\n" for line in lines).encode("latin-1"), body)


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer came; `kind` says why in one word (`connect`, `timeout`, ...), as the caller names it."""

    kind: str


Outcome = Answer | Failure
