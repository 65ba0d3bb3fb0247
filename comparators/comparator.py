"""The shape of a comparator, built in or custom, and what it may answer.

A comparator is asked about one pair of nodes that some rule's selector found, never about equal ones: equality is
decided before, so that no rule can turn an answer against itself. It is deterministic, has no I/O, clock or dice,
and does not change the trees it is given. Whatever it raises makes the pair `incomparable(comparator_error)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Final, Protocol

from comparators.path import Path, Step
from comparators.verdict import Difference, Kind, Note, Reason

Tree = Any
"""What a body decodes to: dict, list, str, int, float, bool or None, nested."""


class Scope(IntEnum):
    """What a comparator is asked about."""

    LEAF = 0
    """Leaves only: a container that its rule selects is walked as if there were no rule."""
    NODE = 1
    """The whole node; rules below it are never reached."""
    MEMBERS = 2
    """The whole node; it pairs up the members and hands each pair back by `Context.descend`."""


@dataclass(frozen=True, slots=True)
class Equal:
    """The two nodes are the same."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The two nodes differ in a way the rule accepts."""

    note: Note | None = None
    magnitude: float | None = None


Finding = Equal | Accepted | list[Difference]
EQUAL: Final = Equal()
ACCEPTED: Final = Accepted()


class Context(Protocol):
    """Where a comparator stands and what it may use there."""

    @property
    def path(self) -> Path:
        """The path of the pair it was asked about."""
        ...

    @property
    def endpoint(self) -> str:
        """The endpoint whose rules these are."""
        ...

    @property
    def media_type(self) -> str:
        """Media type of the body, lower case, without parameters; empty for headers and status."""
        ...

    def spend(self, units: int = 1) -> None:
        """Count work, one unit per member looked at; raises `OverBudget` when the pair's budget is gone."""
        ...

    def descend(self, step: Step, primary: Tree, candidate: Tree) -> None:
        """Have a pair of members judged by the rules for `step` below here; what differs is counted there."""
        ...


class Comparator(Protocol):
    """One way of comparing. `Settings` is a frozen dataclass; a ValueError while building it is a config error.

    `Settings` may have a method `warnings() -> tuple[str, ...]`. A field name that is a keyword ends in `_`.
    """

    name: ClassVar[str]
    Settings: ClassVar[type]
    scope: ClassVar[Scope]

    def compare(self, primary: Tree, candidate: Tree, settings: Any, at: Context) -> Finding:
        """Compare two nodes; paths of differences begin with `at.path`."""
        ...


Ask = Callable[[Tree, Tree, Any, Context], Finding]
"""`Comparator.compare`, or what stands in its place."""


class OverBudget(Exception):  # noqa: N818  it is no error: the pair is incomparable
    """A limit was reached; the rest of the pair is not looked at."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class NoSettings:
    """For a comparator without settings."""


def differs(at: Context, kind: Kind, primary: Tree, candidate: Tree) -> list[Difference]:
    """The finding "not accepted" about the whole pair."""
    return [Difference(at.path, kind, primary, candidate)]
