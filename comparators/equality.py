"""Equality of whole trees, as the walk would find it; Python's own `==` takes True for 1."""

from __future__ import annotations

from orjson import OPT_SORT_KEYS, dumps

from comparators.comparator import Tree
from comparators.leaves import unequal


def same(primary: Tree, candidate: Tree) -> bool:
    """Whether two trees are the same for sure; False may also mean "walk and see".

    Both halves are needed. `==` stops at the first difference and keeps NaN from being written as null; but True,
    1 and 1.0 are equal to it, and the JSON texts tell them apart. -0.0 against 0.0 is left to the walk, as is what
    cannot be written: too deep, integers over 64 bits, lone surrogates.
    """
    try:
        return bool(primary == candidate) and (
            dumps(primary) == dumps(candidate)
            or dumps(primary, option=OPT_SORT_KEYS) == dumps(candidate, option=OPT_SORT_KEYS)
        )
    except (RecursionError, TypeError):
        return False


def identical(primary: Tree, candidate: Tree) -> bool:
    """Whether the walk would find nothing at all between two trees, notes included; no depth limit."""
    pending = [(primary, candidate)]
    while pending:
        a, b = pending.pop()
        if type(a) is not type(b):
            return False
        if isinstance(a, dict):
            if a.keys() != b.keys():
                return False
            pending += [(value, b[key]) for key, value in a.items()]
        elif isinstance(a, list):
            if len(a) != len(b):
                return False
            pending += zip(a, b, strict=True)
        elif unequal(a, b):
            return False
    return True
