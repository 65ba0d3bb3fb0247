"""Answers of a classifier: a label, and how probable each class is.

The probabilities are an object, class to p, or a list, where the position is the class: at least one, each a number in
[0, 1], give or take 1e-6. A class that only one side names has p = 0 on the other; the sum need not be 1. They are the
node itself, or its member `probabilities`. The label is the node's member `label`, a string, number or bool; without
that setting it is the most probable class, of several the first by name. Nothing else in the node is looked at.

With p the primary's and c the candidate's probabilities::

    same label
    |p_top - c_top| <= top_abs                 top: the primary's most probable class
    TV = 1/2 sum over i of |p_i - c_i| <= tv   total variation: the most they can differ about any set of classes
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nlargest
from math import fsum, isfinite
from typing import Any, ClassVar, Final, NamedTuple

from comparators.comparator import EQUAL, Accepted, Context, Finding, Scope, Tree, differs
from comparators.equality import identical
from comparators.leaves import unequal
from comparators.path import Path
from comparators.tolerance import UNIT_SLACK, Number
from comparators.verdict import Difference, Kind

Class = Any
"""A member name if the probabilities are an object, a position if they are a list."""


@dataclass(frozen=True, slots=True)
class ClassificationSettings:
    """Settings of `classification`.

    Attributes:
        label: member with the label, which needs `probabilities`; None for the most probable class.
        probabilities: member with the probabilities; None if the node is them.
        top_abs: largest accepted distance for the primary's most probable class.
        tv: largest accepted total variation.
        near_tie: the label may flip if the primary's two most probable classes are at most this far apart.
    """

    label: str | None = None
    probabilities: str | None = None
    top_abs: float = 0.02
    tv: float = 0.05
    near_tie: float = 0.0

    def __post_init__(self) -> None:
        for name in ("top_abs", "tv", "near_tie"):
            value = getattr(self, name)
            if not (value >= 0 and isfinite(value)):
                raise ValueError(f"{name} must be finite and not negative, not {value}")
        if self.label is not None and self.probabilities is None:
            raise ValueError("label needs probabilities, the member that stands beside it")
        if self.label is not None and self.label == self.probabilities:
            raise ValueError("label and probabilities must be two members, not one")

    def warnings(self) -> tuple[str, ...]:
        """What is allowed but probably not meant."""
        return ("tv above 0.5 accepts almost anything with the same label",) if self.tv > 0.5 else ()  # noqa: PLR2004  the text says it


class Prediction(NamedTuple):
    """What one side answered.

    Attributes:
        label: its label.
        chances: the probability of each class.
        listed: they were a list.
    """

    label: Tree
    chances: dict[Class, Number]
    listed: bool

    def is_near_tie(self, within: float) -> bool:
        """Whether the two most probable classes are at most this far apart."""
        first, *others = nlargest(2, self.chances.values())
        return any(first - other <= within for other in others)


class Classification:
    """Two predictions with the same label and about the same probabilities; see the module for shapes and formulas.

    A flipped label is one `label`, magnitude 1, whatever the probabilities are, unless the primary was near a tie. Then
    and otherwise probabilities too far apart are one `vector`, magnitude TV, as it is of what is accepted. Something
    that is no prediction as the settings describe it is `type`, and so is an object against a list, or labels of
    different JSON types. Linear in the classes.
    """

    name: ClassVar[str] = "classification"
    Settings: ClassVar[type] = ClassificationSettings
    scope: ClassVar[Scope] = Scope.NODE

    def compare(self, primary: Tree, candidate: Tree, settings: ClassificationSettings, at: Context) -> Finding:
        """Accept the same label with close probabilities."""
        if identical(primary, candidate):
            return EQUAL
        ours, theirs = _prediction(primary, settings), _prediction(candidate, settings)
        if ours is None or theirs is None or ours.listed is not theirs.listed:
            return differs(at, Kind.TYPE, primary, candidate)
        at.spend(max(len(ours.chances), len(theirs.chances)))
        place = _place(at, settings.probabilities if settings.label is None else settings.label)
        flip = unequal(ours.label, theirs.label)
        if flip is Kind.TYPE:
            return [Difference(place, Kind.TYPE, ours.label, theirs.label)]
        if flip is Kind.VALUE and not ours.is_near_tie(settings.near_tie):
            return [Difference(place, Kind.LABEL, ours.label, theirs.label, 1.0)]
        distance = total_variation(ours.chances, theirs.chances)
        top = _top(ours.chances)
        off_top = abs(ours.chances[top] - theirs.chances.get(top, 0))
        if distance <= settings.tv and off_top <= settings.top_abs:
            return Accepted(magnitude=distance)
        both = _member(primary, settings.probabilities), _member(candidate, settings.probabilities)
        return [Difference(_place(at, settings.probabilities), Kind.VECTOR, *both, distance)]


def total_variation(ours: dict[Class, Number], theirs: dict[Class, Number]) -> float:
    """Half the sum of all distances; correctly rounded, so the order of the classes does not matter."""
    return fsum(abs(ours.get(each, 0) - theirs.get(each, 0)) for each in ours.keys() | theirs.keys()) / 2


def _prediction(node: Tree, settings: ClassificationSettings) -> Prediction | None:
    """What the node says; None if it does not have the shape for that."""
    given = _member(node, settings.probabilities)
    listed = type(given) is list
    chances = dict(enumerate(given)) if listed else given
    if type(chances) is not dict or not chances or not _are_probabilities(chances.values()):
        return None
    label = _top(chances) if settings.label is None else _member(node, settings.label)
    return Prediction(label, chances, listed) if type(label) in (str, int, float, bool) else None


def _member(node: Tree, name: str | None) -> Tree:
    """The node's member of that name, None if it has none; the node itself if there is no name."""
    if name is None:
        return node
    return node.get(name) if type(node) is dict else None


def _place(at: Context, name: str | None) -> Path:
    return at.path if name is None else (*at.path, name)


def _top(chances: dict[Class, Number]) -> Class:
    highest = max(chances.values())
    return min(each for each, p in chances.items() if p == highest)


def _are_probabilities(values: Iterable[Tree]) -> bool:
    return all(type(p) in (int, float) and -UNIT_SLACK <= p <= 1 + UNIT_SLACK for p in values)


CLASSIFICATIONS: Final = (Classification(),)
