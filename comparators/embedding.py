"""Embeddings: vectors that mean the same if they point the same way.

The node is a list of finite numbers. With d the distance of two vectors and n, m their norms, the law of cosines is::

    cosine = (n/m + m/n - (d/n) (d/m)) / 2

`math.hypot` and `math.dist` neither overflow on the way nor lose what is small, and for vectors that are close, where
a bound lies, members are subtracted before anything is squared: the error is about 1e-15. It grows with m/n, so two
vectors whose norms are more than a factor of two apart are first brought to norm 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import dist, hypot, isfinite
from typing import ClassVar, Final

from comparators.comparator import EQUAL, Accepted, Context, Finding, Scope, Tree, differs
from comparators.equality import identical
from comparators.tolerance import Number
from comparators.verdict import Difference, Kind

_NUMBERS: Final = frozenset((int, float))


@dataclass(frozen=True, slots=True)
class EmbeddingSettings:
    """Settings of `embedding`.

    Attributes:
        min_cosine: least accepted cosine, in [-1, 1].
        norm_rel: largest accepted distance of the two norms, as a share of the larger one; None if norms do not matter.
    """

    min_cosine: float = 0.999
    norm_rel: float | None = None

    def __post_init__(self) -> None:
        if not -1 <= self.min_cosine <= 1:
            raise ValueError(f"min_cosine must be from -1 to 1, not {self.min_cosine}")
        if self.norm_rel is not None and not (self.norm_rel >= 0 and isfinite(self.norm_rel)):
            raise ValueError(f"norm_rel must be finite and not negative, not {self.norm_rel}")

    def warnings(self) -> tuple[str, ...]:
        """What is allowed but probably not meant."""
        return ("min_cosine below 0.5 accepts vectors with little in common",) if self.min_cosine < 0.5 else ()  # noqa: PLR2004  the text says it


class Embedding:
    """Two vectors of one direction, and of one norm if `norm_rel` asks for it; neither side is the reference.

    A refusal is one `vector`. Its magnitude is 1 - cosine, as that of an acceptance is, or the relative distance of the
    norms if only they are refused. Two zero vectors are accepted; one zero vector is refused, magnitude 1, whatever
    the bounds are. Another dimension is `length`, in members. Anything but a list of finite numbers is `type`, and so
    is a vector whose norm is no finite double. Linear in the dimensions.
    """

    name: ClassVar[str] = "embedding"
    Settings: ClassVar[type] = EmbeddingSettings
    scope: ClassVar[Scope] = Scope.NODE

    def compare(self, primary: Tree, candidate: Tree, settings: EmbeddingSettings, at: Context) -> Finding:
        """Accept by cosine, and by norm if asked."""
        if identical(primary, candidate):
            return EQUAL
        if type(primary) is not list or type(candidate) is not list:
            return differs(at, Kind.TYPE, primary, candidate)
        at.spend(max(len(primary), len(candidate)))
        n, m = norm(primary), norm(candidate)
        if n is None or m is None:
            return differs(at, Kind.TYPE, primary, candidate)
        if len(primary) != len(candidate):
            off = abs(len(primary) - len(candidate))
            return [Difference(at.path, Kind.LENGTH, len(primary), len(candidate), float(off))]
        similarity = cosine(primary, candidate, n, m)
        if similarity < settings.min_cosine or (n == 0) is not (m == 0):
            return [Difference(at.path, Kind.VECTOR, primary, candidate, 1 - similarity)]
        if settings.norm_rel is not None and abs(n - m) > settings.norm_rel * max(n, m):
            return [Difference(at.path, Kind.VECTOR, primary, candidate, abs(n - m) / max(n, m))]
        return Accepted(magnitude=1 - similarity)


def norm(vector: list[Tree]) -> float | None:
    """The Euclidean norm; None if a member is not a finite number, or if no finite double can hold the norm."""
    if not set(map(type, vector)) <= _NUMBERS:
        return None
    try:
        length = hypot(*vector)
    except OverflowError:  # an integer beyond all doubles
        return None
    return length if isfinite(length) else None


def cosine(a: Sequence[Number], b: Sequence[Number], n: float, m: float) -> float:
    """The cosine of two vectors of one dimension and their norms; of a zero vector to another 1, to the rest 0."""
    if n == 0 or m == 0:
        return float(n == m)
    if max(n, m) > 2 * min(n, m):
        a, b = [each / n for each in a], [each / m for each in b]
        n = m = 1.0
    d = dist(a, b)
    return min(1.0, max(-1.0, (n / m + m / n - (d / n) * (d / m)) / 2))  # rounding may lead past the ends


EMBEDDINGS: Final = (Embedding(),)
