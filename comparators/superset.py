"""`superset`: the candidate may have more than the primary, never less."""

from __future__ import annotations

from typing import ClassVar, Final

from comparators.comparator import EQUAL, Context, Finding, NoSettings, Scope, Tree, differs
from comparators.equality import identical
from comparators.verdict import Kind


class Superset:
    """What the primary has is compared by its own rules; members that only the candidate has are accepted.

    No settings. It holds at the selected node and below it, through lists: a selected member may itself be the added
    one, and objects may have added members at any depth. An added member, with all that is in it, is one accepted
    difference and one hit; where several of these rules hold, it is the hit of the one with precedence.

    A member that only the primary has is `missing` as ever, and lists stay strict: an item more is `length`. Rules for
    values apply as they would without it; what `ignore` selects is its own hit. A comparator that judges a whole node
    decides what more means there; on members that it hands back this holds again. As an endpoint's contract it holds at
    `$`, and for header fields (`comparators.headers`), with no rule to count hits for.

    It costs nothing: the automaton carries it along, and the walk looks at what is added anyway.
    """

    name: ClassVar[str] = "superset"
    Settings: ClassVar[type] = NoSettings
    scope: ClassVar[Scope] = Scope.MEMBERS

    def compare(self, primary: Tree, candidate: Tree, _settings: NoSettings, at: Context) -> Finding:
        """Not asked by the walk, which sees for itself what is added; any two other nodes must be identical."""
        return EQUAL if identical(primary, candidate) else differs(at, Kind.VALUE, primary, candidate)


CONTRACTS: Final = (Superset(),)
