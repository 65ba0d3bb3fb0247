"""What one comparison has found so far: the only thing that changes while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comparators.automaton import BoundRule
from comparators.path import Path
from comparators.verdict import NOTHING, Comparison, Difference, Hint, Kind, Note, Reason, Verdict


class Ledger:
    """Differences, acceptances and notes of one pair; `close` turns them into a `Comparison`.

    Attributes:
        recorded: how many differences are kept.
        count: differences that no rule accepts.
        tolerated: differences that a built-in tolerance accepted.
        hits: see `Comparison.hits`.
        deltas: relative deltas of the numbers that rules decided.
        notes: what a reader should know, each once.
        reason: why the pair could not be compared to the end; the first one stays.
        other_content: media types or ranges differ, so the bodies are not compared.
        deferred: header differences that do no harm if the bodies agree.
        failed: see `Comparison.failed`.
        walked: see `Comparison.walked`.
    """

    __slots__ = (
        "count",
        "deferred",
        "deltas",
        "differences",
        "failed",
        "hits",
        "notes",
        "other_content",
        "reason",
        "recorded",
        "tolerated",
        "walked",
    )

    def __init__(self, recorded: int) -> None:
        self.recorded = recorded
        self.differences: list[Difference] = []
        self.count = 0
        self.tolerated = 0
        self.hits: dict[str, int] = {}
        self.deltas: list[float] = []
        self.notes: tuple[Note, ...] = ()
        self.reason: Reason | None = None
        self.other_content = False
        self.deferred: tuple[tuple[Path, str | None, str | None, Note], ...] = ()
        self.failed: Mapping[str, str] = NOTHING
        self.walked = False

    @property
    def accepted(self) -> int:
        """Differences accepted by rules and built-in tolerances."""
        return self.tolerated + sum(self.hits.values())

    def differ(self, path: Path, kind: Kind, primary: Any, candidate: Any, magnitude: float | None = None) -> None:
        """Count a difference; record it while there is room."""
        self.count += 1
        if len(self.differences) < self.recorded:
            self.differences.append(Difference(path, kind, primary, candidate, magnitude))

    def match(self, rule: BoundRule) -> None:
        """Note that a rule won at some node."""
        self.hits.setdefault(rule.id, 0)

    def accept(self, rule: BoundRule | None = None, note: Note | None = None) -> None:
        """Count a difference that a rule (None: a built-in tolerance) accepts."""
        if rule is not None:
            self.hits[rule.id] = self.hits.get(rule.id, 0) + 1
        else:
            self.tolerated += 1
        if note is not None:
            self.note(note)

    def note(self, note: Note) -> None:
        """Tell the reader something, once."""
        if note not in self.notes:
            self.notes += (note,)

    def defer(self, path: Path, primary: str | None, candidate: str | None, note: Note) -> None:
        """Keep a header difference until the bodies are compared."""
        self.deferred += ((path, primary, candidate, note),)

    def settle(self, *, bodies_agree: bool) -> None:
        """Decide what was deferred."""
        for path, primary, candidate, note in self.deferred:
            if bodies_agree:
                self.accept(note=note)
            else:
                self.differ(path, Kind.HEADER, primary, candidate)

    def stop(self, reason: Reason) -> None:
        """Note that something could not be compared."""
        self.reason = self.reason or reason

    def fail(self, rule: BoundRule, text: str) -> None:
        """Note that a rule's comparator broke; its first complaint stays."""
        self.failed = {rule.id: text, **self.failed}
        self.stop(Reason.COMPARATOR_ERROR)

    def close(self, hints: tuple[Hint, ...] = ()) -> Comparison:
        """The result: a difference found beats an unfinished comparison, which beats agreement."""
        accepted = self.tolerated + sum(self.hits.values())
        reason = self.reason
        if self.count:
            verdict = Verdict.MISMATCH
        elif reason:
            verdict = Verdict.INCOMPARABLE
        else:
            verdict = Verdict.TOLERATED if accepted else Verdict.MATCH
        return Comparison(
            verdict,
            None if self.count else reason,
            None,
            tuple(self.differences),
            self.count,
            accepted,
            tuple(self.deltas),
            self.hits,
            hints,
            self.notes,
            self.walked and not reason,
            self.failed,
        )
