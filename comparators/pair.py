"""Two outcomes in, one `Comparison` out: the ladder that spares most pairs most of the work.

1. An outcome that is an error decides: `both_error`, `candidate_error`, `primary_error`.
2. Status and header fields. Equal ones and identical bodies end here; nothing is parsed.
3. Bodies, unless both answers are 204 or 304, and if media types and ranges agree and nothing was cut: identical once
   content codings are undone; else as trees (JSON), as text, or as opaque bytes.
4. A difference that no rule accepts is a `mismatch`, also where the comparison could not be finished, which
   otherwise makes the pair `incomparable`. All differences accepted: `tolerated`. None: `match`.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import count
from typing import Final

from comparators.comparator import OverBudget, Tree
from comparators.decode import CODINGS, Undecoded, parse_json_pair, read_text, undo_codings
from comparators.ledger import Ledger
from comparators.media import Media, content_of
from comparators.outcome import Answer, Failure, Outcome
from comparators.rules import RuleSet
from comparators.tree import Walk
from comparators.verdict import MATCH, Comparison, Hint, Kind, Note, Reason, Verdict

_REFUSED: Final = (401, 403)
_TOO_MANY: Final = 429
_BODILESS: Final = (204, 304)


def compare(primary: Outcome, candidate: Outcome, rules: RuleSet) -> Comparison:
    """Compare the candidate's outcome with the primary's. Never raises, whatever the bytes; changes neither side."""
    errors = rules.settings.error_statuses
    if (
        isinstance(primary, Failure)
        or isinstance(candidate, Failure)
        or primary.status in errors
        or candidate.status in errors
    ):
        return _judge_errors(_error_of(primary, errors), _error_of(candidate, errors))
    if (
        primary.body == candidate.body
        and primary.status == candidate.status
        and not (primary.cut or candidate.cut)
        and rules.headers.agree(primary.fields, candidate.fields)
    ):
        return MATCH
    return _compare_responses(primary, candidate, rules)


def _error_of(outcome: Outcome, errors: frozenset[int]) -> str | None:
    if isinstance(outcome, Failure):
        return outcome.kind
    return f"status_{outcome.status}" if outcome.status in errors else None


def _judge_errors(primary: str | None, candidate: str | None) -> Comparison:
    if primary is not None and candidate is not None:
        return Comparison(Verdict.BOTH_ERROR, error=candidate)
    if candidate is not None:
        return Comparison(Verdict.CANDIDATE_ERROR, error=candidate)
    return Comparison(Verdict.PRIMARY_ERROR, error=primary)


def _compare_responses(primary: Answer, candidate: Answer, rules: RuleSet) -> Comparison:
    ledger = Ledger(rules.settings.limits.recorded)
    walk = Walk(rules, ledger)
    hints: tuple[Hint, ...] = ()
    try:
        if primary.status != candidate.status:
            hints = _hints(primary.status, candidate.status)
            _compare_status(primary.status, candidate.status, rules, ledger)
        agree = rules.headers.agree(primary.fields, candidate.fields)
        if not agree:
            rules.headers.compare(primary.fields, candidate.fields, ledger, walk)
        if not ledger.other_content:
            ours = content_of(primary.fields)
            theirs = ours if agree else content_of(candidate.fields)
            found = ledger.count
            _compare_bodies((primary, ours), (candidate, theirs), walk)
            if ledger.deferred:
                ledger.settle(bodies_agree=ledger.count == found)
    except OverBudget as over:
        ledger.stop(over.reason)
    return ledger.close(hints)


def _hints(primary: int, candidate: int) -> tuple[Hint, ...]:
    if candidate in _REFUSED and primary not in _REFUSED:
        return (Hint.CREDENTIALS,)
    return (Hint.RATE_LIMIT,) if candidate == _TOO_MANY else ()


def _compare_status(primary: int, candidate: int, rules: RuleSet, ledger: Ledger) -> None:
    rule = rules.status
    if rule is not None:
        ledger.match(rule)
    if any(primary in group and candidate in group for group in rules.settings.status_equal):
        ledger.accept()
    elif rule is not None and rule.ignores:
        ledger.accept(rule)
    else:
        ledger.differ(("status",), Kind.STATUS, primary, candidate)


Side = tuple[Answer, tuple[Media, tuple[str, ...]]]
"""An answer and what its header fields say about the body."""


def _compare_bodies(primary: Side, candidate: Side, walk: Walk) -> None:
    (ours, (media, codings)), (theirs, (other_media, other_codings)) = primary, candidate
    if ours.status in _BODILESS and theirs.status in _BODILESS:
        return
    elif ours.cut or theirs.cut:
        walk.ledger.stop(Reason.CAPTURE_CAP)
    elif ours.body == theirs.body and codings == other_codings:
        return
    elif not (codings or other_codings):
        _compare_plain(ours.body, theirs.body, (media, other_media), walk)
    elif CODINGS.issuperset(codings + other_codings):
        plain = undo_codings(ours.body, codings, walk.rules.settings.limits)
        other = undo_codings(theirs.body, other_codings, walk.rules.settings.limits)
        if isinstance(plain, Undecoded) or isinstance(other, Undecoded):
            _judge_undecoded(plain, other, walk.ledger)
        elif plain != other:
            _compare_plain(plain, other, (media, other_media), walk)
    else:
        _compare_bytes(ours.body, theirs.body, walk.ledger)


def _compare_plain(primary: bytes, candidate: bytes, media: tuple[Media, Media], walk: Walk) -> None:
    """Two bodies without content codings, not identical, read as the media type or the endpoint says."""
    body = walk.rules.settings.body
    walk.media_type = media[0].essence
    if body == "json" or (body == "auto" and media[0].is_json):
        ours, theirs, nonstandard = parse_json_pair(primary, candidate)
        if nonstandard:
            walk.ledger.note(Note.NONSTANDARD)
    elif body == "text" or (body == "auto" and media[0].is_text):
        ours, theirs = read_text(primary, media[0].charset), read_text(candidate, media[1].charset)
    else:
        _compare_bytes(primary, candidate, walk.ledger)
        return
    if isinstance(ours, Undecoded) or isinstance(theirs, Undecoded):
        _judge_undecoded(ours, theirs, walk.ledger)
    else:
        walk.run(ours, theirs)


def _judge_undecoded(primary: Tree | Undecoded, candidate: Tree | Undecoded, ledger: Ledger) -> None:
    """At least one side could not be read, and the bytes are not identical.

    A budget makes the pair incomparable, whatever the other side is. Else one unreadable side is a difference, and
    two are never silently equal.
    """
    sides = [side for side in (primary, candidate) if isinstance(side, Undecoded)]
    reasons = [side.reason for side in sides if side.reason not in (None, Reason.CHARSET)]
    if reasons and reasons[0]:
        ledger.stop(reasons[0])
    elif len(sides) == 1:
        words = "unreadable", "readable"
        shown = words if isinstance(primary, Undecoded) else words[::-1]
        ledger.differ(("$",), Kind.PARSE, *shown)
    else:
        ledger.stop(sides[0].reason or sides[1].reason or Reason.UNPARSED_BOTH)


def _compare_bytes(primary: bytes, candidate: bytes, ledger: Ledger) -> None:
    """Opaque bytes: length, digest and the first offset where they differ are all there is to say."""
    if primary == candidate:
        return
    pairs = zip(count(), primary, candidate)
    offset = next((at for at, a, b in pairs if a != b), min(len(primary), len(candidate)))
    ledger.differ(("$",), Kind.DIGEST, _digest(primary), _digest(candidate), float(offset))


def _digest(body: bytes) -> str:
    return f"{len(body)} bytes, sha256 {sha256(body).hexdigest()}"
