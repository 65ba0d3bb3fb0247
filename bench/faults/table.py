"""The matrix as a table: a line for each row, and under it whatever did not hold."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from bench.faults.matrix import Judged
from bench.faults.rows import ELSEWHERE
from bench.faults.rule import MIB, Finding, Outcome

_STYLES = {Outcome.YES: "green", Outcome.NO: "bold red", Outcome.NOISE: "yellow", Outcome.OPEN: "dim"}
_CAPTION = "off ÷ off: p50 and p99 of two equal sides; noise: they break the same bound; open: not judged"
_COLUMNS = ("errors", "changed", "p50", "p99", "p99.9", "off ÷ off", "RSS", "files", "lag p99/max")


def show(rows: Sequence[Judged], console: Console) -> None:
    """Print everything."""
    console.print(_table(rows))
    for judged in rows:
        for line in shortcomings(judged):
            console.print(f"{judged.row.id:5} {line}", highlight=False, markup=False)
    elsewhere = ", ".join(f"{row} {what}" for row, what in ELSEWHERE.items())
    console.print(f"covered by tests/faults, not by a load: {elsewhere}", highlight=False)


def shortcomings(judged: Judged) -> Iterable[str]:
    """Say in a line each what did not hold."""
    if judged.failure:
        yield f"could not be played: {judged.failure}"
    for finding in judged.findings:
        if finding.outcome in {Outcome.NO, Outcome.NOISE}:
            bound = f"at most {_plain(finding.most)}, as B is {_plain(finding.off)} (twin {_plain(finding.twin)})"
            yield f"{finding.outcome}: {finding.name} {_plain(finding.on)}, {bound}"
    for says, outcome in judged.checks.items():
        if outcome is Outcome.NO:
            yield f"{outcome}: {says}"


def line(judged: Judged) -> str:
    """Return a row in one line, for progress."""
    return f"{judged.row.id:5} {judged.outcome:5} {judged.row.fault}"


def _table(rows: Sequence[Judged]) -> Table:
    table = Table(
        title="mirroring on ÷ mirroring off", caption="noise: two equal sides break the same bound; open: not judged"
    )
    for name in ("row", "fault"):
        table.add_column(name)
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    for name in ("dropped", "holds"):
        table.add_column(name)
    for judged in rows:
        outcome = judged.outcome
        table.add_row(
            judged.row.id, judged.row.fault, *_cells(judged), _drops(judged), f"[{_STYLES[outcome]}]{outcome}"
        )
    return table


def _cells(judged: Judged) -> list[str]:
    if judged.failure:
        return ["-"] * len(_COLUMNS)
    found = {finding.name.partition(",")[0]: finding for finding in judged.findings}
    return [
        _plain(found["errors"].on),
        _plain(found["changed answers"].on),
        *(_ratio(found[name]) for name in ("p50", "p99", "p99.9")),
        "/".join(_times(found[name].noise) for name in ("p50", "p99")),
        _growth(found["worker RSS"]),
        _more(found["open files"]),
        f"{_plain(found['loop lag p99'].on)}/{_plain(found['loop lag max'].on)}",
    ]


def _ratio(finding: Finding) -> str:
    return _times(finding.on / finding.off if finding.on is not None and finding.off else None)


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def _growth(finding: Finding) -> str:
    if finding.on is None or finding.off is None:
        return "-"
    return f"{(finding.on - finding.off) / MIB:+.0f} MiB"


def _more(finding: Finding) -> str:
    return "-" if finding.on is None or finding.off is None else f"{finding.on - finding.off:+.0f}"


def _drops(judged: Judged) -> str:
    drops = judged.evidence.drops if judged.evidence else {}
    return ", ".join(f"{reason} {count:,}" for reason, count in drops.items())


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"
