"""`python -m bench.grid`: measure every cell, print a table for each, write the JSON and draw the plots."""

import argparse
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

from bench.grid import figures, plots, table
from bench.grid.cells import CELLS, NAMES, Cell
from bench.grid.measure import Measured, Pace, measure
from bench.load import backends, provenance, wrk
from bench.load.child import ChildError

_RESULTS = Path(__file__).parents[1] / "results"
_FULL = Pace(rounds=3, saturation_s=2, paced_s=3.0, least_requests=100)
_QUICK = Pace(rounds=1, saturation_s=1, paced_s=0.3, least_requests=5)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if every cell was measured, 1 if one failed, 2 if a tool is missing."""
    options = _parser().parse_args(arguments)
    if options.redraw:
        _draw(json.loads(options.redraw.read_text()), options.redraw.parent)
        return 0
    nginx = backends.executable()
    if nginx is None or wrk.executable() is None:
        print("nginx and wrk are needed; install the Debian packages nginx-light and wrk", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _allow_many_files()
    cells = [cell for cell in CELLS if cell.name in (options.cell or NAMES)]
    pace = _QUICK if options.quick else replace(_FULL, rounds=options.rounds)
    source = provenance.describe("bench.grid")
    started = time.monotonic()
    try:
        shown, failed = _measure_all(cells, pace, nginx)
    except KeyboardInterrupt:
        return 130
    took_s = round(time.monotonic() - started)
    print(f"\n{len(shown)} of {len(cells)} cells in {took_s // 60} min {took_s % 60} s")
    document = {"source": source, "pace": asdict(pace), "took_s": took_s, "failed": failed, "cells": shown}
    whole = not options.quick and not options.cell
    if output := options.output or (_RESULTS / "grid.json" if whole else None):
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(document, indent=1) + "\n")
        print(f"written to {output}")
        _draw(document, output.parent)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.grid", description=__doc__)
    parser.add_argument("--cell", action="append", choices=NAMES, help="only this one; may be given several times")
    parser.add_argument("--rounds", type=int, default=_FULL.rounds)
    parser.add_argument("--quick", action="store_true", help="one tiny round of every cell: does it run at all?")
    parser.add_argument("--output", type=Path, help="the JSON file; plots go beside it (bench/results/grid.json)")
    parser.add_argument("--redraw", type=Path, metavar="JSON", help="measure nothing, draw the plots of this file")
    return parser


def _measure_all(cells: Sequence[Cell], pace: Pace, nginx: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Measure cell by cell; one that fails is named and the others go on."""
    shown, failed = [], {}
    for cell in cells:
        try:
            with tempfile.TemporaryDirectory(prefix="bench-grid-") as directory:
                Path(directory).chmod(0o711)  # nginx's worker runs as another user when its master is root's
                measured = measure(cell, pace, nginx, Path(directory), lambda line: print(line, flush=True))
        except (ChildError, OSError, HTTPException, subprocess.SubprocessError) as error:
            failed[cell.name] = str(error)
            print(f"{cell.name} failed: {error}", file=sys.stderr)
            continue
        rows = figures.rows(measured)
        print(table.render(measured, rows), "\n", flush=True)
        shown.append(_shown(measured, rows))
    return shown, failed


def _shown(measured: Measured, rows: Sequence[figures.Row]) -> dict[str, Any]:
    return {
        "cell": asdict(measured.cell),
        "rates_rps": measured.rates_rps,
        "missing": measured.missing,
        "rows": [asdict(row) for row in rows],
        "pairs": figures.ends(measured),
        "raw": {name: [asdict(turn) for turn in turns] for name, turns in measured.turns.items()},
    }


def _draw(document: dict[str, Any], directory: Path) -> None:
    for name, text in plots.draw(document).items():
        (directory / name).write_text(text)
        print(f"drawn {directory / name}")


def _allow_many_files() -> None:
    """1,000 clients are 3,000 sockets of a proxy; our children inherit the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main())
