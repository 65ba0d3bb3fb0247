"""`python -m bench.soak`: faults, reloads, mode changes and kills under a constant load; does it all come back?"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.faults.rule import Outcome
from bench.load import provenance
from bench.load.child import ChildError
from bench.soak.homecoming import Line, lines
from bench.soak.run import Plan, Results, Soak

_RESULTS = Path(__file__).parents[1] / "results" / "soak.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if everything came back, 1 if not. Ctrl-C ends it early, with what there is."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    source = provenance.describe("bench.soak")
    plan = Plan(options.minutes * 60, options.rate, options.step)
    with tempfile.TemporaryDirectory(prefix="bench-soak-") as directory:
        results = _play(Path(directory), plan)
    found = (
        lines(results.start, results.rotated, results.end, results.totals()) if results.start and results.end else []
    )
    _show(found, results)
    _write(options.json, source, plan, results, found)
    is_whole = bool(found) and not results.failure
    return int(not is_whole or any(line.outcome is Outcome.NO for line in found))


def _judged(results: Results) -> list[Line]:
    """Return nothing where it did not come to an end."""
    if results.start is None or results.end is None:
        return []
    return lines(results.start, results.rotated, results.end, results.totals())


def _play(directory: Path, plan: Plan) -> Results:
    with Soak(directory, plan, lambda line: print(line, flush=True)) as soak:
        try:
            try:
                soak.play()
            except KeyboardInterrupt:
                print("stopped; now everything is to come back", flush=True)
            soak.come_home()
        except KeyboardInterrupt:
            soak.results.failure = "stopped before everything was back"
        except (ChildError, OSError, TimeoutError) as error:
            soak.results.failure = str(error)
        return soak.results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=500.0, help="requests per second")
    parser.add_argument("--step", type=float, default=20.0, help="seconds until the next fault")
    parser.add_argument("--json", type=Path, default=_RESULTS, help="the JSON file (bench/results/soak.json)")
    return parser


def _show(found: Sequence[Line], results: Results) -> None:
    table = Table(title="after the load, all faults off")
    for name in ("what", "value", "at most", "holds"):
        table.add_column(name, justify="left" if name in {"what", "holds"} else "right")
    for line in found:
        style = "green" if line.outcome is Outcome.YES else "bold red"
        table.add_row(line.name, f"{line.value:,g}", f"{line.most:,g}", f"[{style}]{line.outcome}")
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(table)
    for name, counts in (("done", results.deeds), ("verdicts", results.verdicts), ("drops", results.drops)):
        console.print(f"{name}: {', '.join(f'{what} {count:,}' for what, count in counts.items())}", highlight=False)
    if results.rotated is None:
        console.print("shorter than a full rotation: memory and threads are not judged")
    if results.failure:
        console.print(f"could not go on: {results.failure}", markup=False)


def _write(path: Path, source: dict[str, object], plan: Plan, results: Results, found: Sequence[Line]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = [asdict(line) | {"holds": line.outcome} for line in found]
    document = {"source": source, "settings": asdict(plan), "lines": shown, **asdict(results)}
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    sys.exit(main())
