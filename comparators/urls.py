"""Links: equal once each backend's own origin is taken out.

A backend that names itself in a link (`http://10.0.0.7:8001/orders/3`) means the same as another one that names
itself; whoever names a third party must name the same one. `comparators.headers.Origins` takes the origins out,
wherever they stand in the value, as it does in the headers `location` and `link` by default.

What is left is compared as it is written, but for the order of query parameters, which carries no meaning unless
`query_order` says so. Parameters of one name keep their order among each other (`a=1&a=2` is a list), those of a
fragment theirs altogether: it need not be made of parameters (RFC 3986 §3.5). Nothing else is normalised.

Cost: 1 µs if the order counts, else 5 µs, and linear in the length; each parameter counts as one unit of work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Final

from comparators.comparator import ACCEPTED, EQUAL, Context, Finding, Scope, Tree, differs
from comparators.headers import Origins
from comparators.leaves import Exact, ExactSettings
from comparators.verdict import Kind

NO_ORIGINS: Final = Origins("", "")

_query_or_fragment: Final = re.compile(r"\?[^#\s<>\"]*|#[^\s<>\"]*")


@dataclass(frozen=True, slots=True)
class UrlSettings:
    """Settings of `url`; with `query_order` the order of query parameters counts."""

    query_order: bool = False


class Url:
    """Links that lead to the same place on either backend, whose `origins` these are; else compared exactly."""

    name: ClassVar[str] = "url"
    Settings: ClassVar[type] = UrlSettings
    scope: ClassVar[Scope] = Scope.LEAF

    def __init__(self, origins: Origins = NO_ORIGINS) -> None:
        self._origins = origins

    def compare(self, primary: Tree, candidate: Tree, settings: UrlSettings, at: Context) -> Finding:
        """Accept what is equal without the origins and, unless it counts, the order of parameters."""
        if type(primary) is not str or type(candidate) is not str:
            return Exact().compare(primary, candidate, ExactSettings(), at)
        if primary == candidate:
            return EQUAL
        ours, theirs = primary, candidate
        if not settings.query_order:
            at.spend(ours.count("&") + theirs.count("&"))
            ours, theirs = (_query_or_fragment.sub(_sorted_query, link) for link in (ours, theirs))
        if self._origins.equal(ours.encode("utf-8", "surrogatepass"), theirs.encode("utf-8", "surrogatepass")):
            return ACCEPTED
        return differs(at, Kind.VALUE, primary, candidate)


def _sorted_query(found: re.Match[str]) -> str:
    """A query with its parameters by name; a fragment as it is."""
    text = found[0]
    if "&" not in text or text[0] == "#":
        return text
    return "?" + "&".join(sorted(text[1:].split("&"), key=lambda parameter: parameter.partition("=")[0]))


URLS: Final = (Url(),)
