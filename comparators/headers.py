"""Header fields: names in lower case and in any order, the values of a repeated field in their order.

Which header is compared how is a matter of `comparators.policies`. Only names are remembered between comparisons,
never a value. Some differences are harmless if the bodies turn out to agree (a charset, a content coding); the
ledger keeps them until that is known.

By a contract of `superset` the candidate may send fields that the primary does not; a field of both is compared as
ever, with as many values. What must not be ignored may not be added either (`policies.protected`): one more cookie,
`vary` or `access-control-*` changes what clients store, reuse and let through, also those that never look at it. Nor
is a content coding a mere addition: as always, it is accepted if the bodies agree once it is undone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from comparators.automaton import BoundRule
from comparators.comparator import Accepted, Finding
from comparators.cookies import compare_cookies
from comparators.ledger import Ledger
from comparators.media import ABSENT, parse_codings, parse_media
from comparators.path import Path
from comparators.policies import MASK, Header, Names, Policy, protected, secret
from comparators.verdict import Kind, Note

Values = Sequence[bytes]

_nonce: Final = re.compile(rb"'nonce-[^']*'")


class Judge(Protocol):
    """Asks a comparator; `comparators.tree.Walk` does."""

    def judge(self, rule: BoundRule, path: Path, primary: str, candidate: str) -> Finding | None:
        """What the rule's comparator finds about two values that differ, or None if it failed."""
        ...


class Origins:
    """The backends' own origins (`http://10.0.0.7:8001`), which a link may name without being another link."""

    def __init__(self, primary: str, candidate: str) -> None:
        self._primary, self._candidate = _without(primary), _without(candidate)

    def equal(self, primary: bytes, candidate: bytes) -> bool:
        """Whether two values are equal once each side's own origin is taken out."""
        return self._primary(primary) == self._candidate(candidate)


def _without(origin: str) -> Callable[[bytes], bytes]:
    if not origin:
        return bytes
    own = re.compile(re.escape(origin.rstrip("/").encode()) + rb"(?=[/?#>\s,;\"]|$)", re.IGNORECASE)
    return lambda value: own.sub(b"{origin}", value)


class Headers:
    """The header rules of one endpoint, ready for use; `superset` lets the candidate add fields."""

    def __init__(self, rules: Sequence[BoundRule], origins: Origins, *, superset: bool = False) -> None:
        self._names = Names(rules)
        self._origins = origins
        self._superset = superset

    def agree(self, primary: bytes, candidate: bytes) -> bool:
        """Whether the fields differ in ignored headers only; the fast path, which may miss that they agree."""
        if primary == candidate:
            return True
        ours, theirs = primary.split(b"\r\n"), candidate.split(b"\r\n")
        if len(ours) != len(theirs):
            return False
        ignored = self._names.ignored
        for a, b in zip(ours, theirs):  # noqa: B905  their lengths are equal, and this is the hot path
            if a != b and not (a.partition(b":")[0] in ignored and b.partition(b":")[0] in ignored):
                return False
        return True

    def compare(self, primary: bytes, candidate: bytes, ledger: Ledger, judge: Judge) -> None:
        """Compare all fields."""
        ours, theirs = self._grouped(primary), self._grouped(candidate)
        for header in ours | theirs:
            self._compare(header, ours.get(header, ()), theirs.get(header, ()), ledger, judge)

    def _grouped(self, fields: bytes) -> dict[Header, list[bytes]]:
        groups: dict[Header, list[bytes]] = {}
        for line in fields.split(b"\r\n"):
            raw, _, value = line.partition(b":")
            header = self._names[raw]
            if header.policy and line:
                groups.setdefault(header, []).append(value.strip(b" \t"))
        return groups

    def _compare(self, header: Header, ours: Values, theirs: Values, ledger: Ledger, judge: Judge) -> None:
        rule = header.rule
        if rule:
            ledger.match(rule)
        if ours == theirs:
            return
        if rule and rule.ignores:
            ledger.accept(rule)
        elif self._superset and not ours and _may_be_added(header.name):
            ledger.accept()
        elif rule:
            _compare_by_rule(rule, (ours, theirs), header.name, ledger, judge)
        else:
            self._compare_by_policy(header, ours, theirs, ledger)

    def _compare_by_policy(self, header: Header, ours: Values, theirs: Values, ledger: Ledger) -> None:
        if header.policy is Policy.COOKIE:
            compare_cookies(ours, theirs, ledger)
        elif header.policy is Policy.MEDIA:
            _compare_media(ours, theirs, ledger)
        elif header.policy is Policy.CODING:
            if parse_codings(b",".join(ours)) != parse_codings(b",".join(theirs)):
                ledger.defer(*_shown(header.name, ours, theirs), Note.CONTENT_ENCODING)
        elif len(ours) != len(theirs) or not all(map(self._equality(header.policy), ours, theirs)):
            _differ(header.name, ours, theirs, ledger)

    def _equality(self, policy: Policy) -> Callable[[bytes, bytes], bool]:
        match policy:
            case Policy.PRESENCE:
                return lambda _a, _b: True
            case Policy.LINK:
                return self._origins.equal
            case Policy.NONCE:
                return lambda a, b: _nonce.sub(b"", a) == _nonce.sub(b"", b)
            case _:
                return bytes.__eq__


def _compare_media(ours: Values, theirs: Values, ledger: Ledger) -> None:
    """The media type decides whether bodies are compared at all; only a charset may differ for now."""
    primary, candidate = (parse_media(values[0]) if values else ABSENT for values in (ours, theirs))
    path, one, other = _shown("content-type", ours, theirs)
    if primary.essence != candidate.essence:
        ledger.other_content = True
        ledger.differ(path, Kind.MEDIA, one, other)
    elif primary.parameters != candidate.parameters or ours[1:] != theirs[1:]:
        ledger.differ(path, Kind.HEADER, one, other)
    elif primary.charset != candidate.charset:
        ledger.defer(path, one, other, Note.CHARSET)


def _may_be_added(name: str) -> bool:
    return name != "content-encoding" and not protected(name)


def _compare_by_rule(rule: BoundRule, pair: tuple[Values, Values], name: str, ledger: Ledger, judge: Judge) -> None:
    ours, theirs = pair
    if len(ours) != len(theirs):
        _differ(name, ours, theirs, ledger)
        return
    findings = [
        judge.judge(rule, (f"header:{name}",), a.decode("latin-1"), b.decode("latin-1"))
        for a, b in zip(ours, theirs, strict=True)
        if a != b
    ]
    if any(isinstance(finding, list) and finding for finding in findings):
        _differ(name, ours, theirs, ledger)
    elif any(isinstance(finding, Accepted) for finding in findings):
        ledger.accept(rule)


def _differ(name: str, ours: Values, theirs: Values, ledger: Ledger) -> None:
    """Count a difference. Other ranges are other content, though it be of one media type (RFC 9110 §14.4)."""
    path, primary, candidate = _shown(name, ours, theirs)
    ledger.differ(path, Kind.HEADER, primary, candidate)
    if name == "content-range":
        ledger.other_content = True


def _shown(name: str, ours: Values, theirs: Values) -> tuple[Path, str | None, str | None]:
    """Path and values as they are recorded: secrets masked, None for a header that is absent."""

    def text(values: Values) -> str | None:
        if not values:
            return None
        return MASK if secret(name) else b", ".join(values).decode("latin-1")

    return (f"header:{name}",), text(ours), text(theirs)
