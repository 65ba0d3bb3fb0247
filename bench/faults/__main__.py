"""`python -m bench.faults`: play the fault matrix under load, print the table, write the JSON."""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from bench.faults import matrix, rows, table
from bench.faults.matrix import Judged, Plan
from bench.faults.rule import Outcome
from bench.faults.turns import Part
from bench.load import provenance

_RESULTS = Path(__file__).parents[1] / "results" / "faults.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if every row holds or could not be told from noise, 1 if one does not."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    plan, source = _plan(options), provenance.describe("bench.faults")
    judged: list[Judged] = []
    try:
        with tempfile.TemporaryDirectory(prefix="bench-faults-") as directory:
            for row in matrix.play(plan, Path(directory), _say):
                judged.append(row)
                _say(table.line(row))
    except KeyboardInterrupt:
        _say("stopped; this is what there is")
    table.show(judged, Console(width=None if sys.stdout.isatty() else 200))
    if options.json or not options.quick:
        _write(options.json or _RESULTS, source, plan, judged)
    return int(any(row.outcome is Outcome.NO for row in judged))


def _say(line: str) -> None:
    print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="most rows, one short round without latencies")
    parser.add_argument(
        "--only",
        type=_rows,
        default=None,
        help="comma-separated ids, such as F1,F5; the other rows of the JSON file stay",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each turn, at least")
    parser.add_argument("--requests", type=int, default=2_500, help="requests in each turn, at least; fewer uploads")
    parser.add_argument("--json", type=Path, help="the JSON file (bench/results/faults.json, unless the run is quick)")
    return parser


def _rows(text: str) -> tuple[rows.Row, ...]:
    try:
        return rows.chosen(set(text.split(",")))
    except KeyError as unknown:
        there_are = ", ".join(dict.fromkeys(row.id for row in rows.ROWS))
        raise argparse.ArgumentTypeError(f"unknown: {unknown.args[0]}; there are {there_are}") from None


def _plan(options: argparse.Namespace) -> Plan:
    if options.quick:
        few = options.only or tuple(row for row in rows.ROWS if not row.is_kin)
        return Plan(few, rounds=1, seconds=0.5, requests=500, parts=(Part.OFF, Part.ON))
    return Plan(options.only or rows.ROWS, options.rounds, options.seconds, options.requests)


def _write(path: Path, source: dict[str, object], plan: Plan, judged: list[Judged]) -> None:
    """Write the rows over those of the same faults that are there; each says where it is from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = {"rounds": plan.rounds, "seconds": plan.seconds, "requests": plan.requests, "parts": plan.parts}
    kept = json.loads(path.read_text())["rows"] if path.exists() else []
    found = {(row["id"], row["fault"]): row for row in kept}
    found |= {(row.row.id, row.row.fault): _document(row, source, settings) for row in judged}
    shown = [found[row.id, row.fault] for row in rows.ROWS if (row.id, row.fault) in found]
    path.write_text(json.dumps({"rows": shown, "elsewhere": rows.ELSEWHERE}, indent=1) + "\n")
    print(f"{len(judged)} of {len(shown)} rows written to {path}")


def _document(judged: Judged, source: dict[str, object], settings: dict[str, object]) -> dict[str, object]:
    return {
        "id": judged.row.id,
        "fault": judged.row.fault,
        "holds": judged.outcome,
        "failure": judged.failure,
        "primary_s": judged.row.primary_s,
        "rate_rps": round(judged.rate_rps, 1),
        **{part: side and asdict(side) for part, side in zip(Part, (judged.off, judged.on, judged.twin), strict=True)},
        "evidence": judged.evidence and asdict(judged.evidence),
        "findings": [asdict(finding) for finding in judged.findings],
        "checks": judged.checks,
        "settings": settings,
        "source": source,
    }


if __name__ == "__main__":
    sys.exit(main())
