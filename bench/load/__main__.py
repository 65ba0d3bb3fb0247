"""`python -m bench.load`: run the rounds, print the table, write the JSON."""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.load import backends, provenance, report, table, wrk
from bench.load.child import ChildError
from bench.load.contestants import NAMES
from bench.load.run import Plan, Results, run
from bench.load.workload import WORKLOADS

_RESULTS = Path(__file__).parents[1] / "results"
_MISSING = "{} is not installed and nothing can be measured without it; install the Debian package {}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 after a complete run, 1 if a process failed under it, 2 if a tool is missing."""
    options = _parser().parse_args(arguments)
    nginx = backends.executable()
    if nginx is None or wrk.executable() is None:
        print(_MISSING.format(*(("nginx", "nginx-light") if nginx is None else ("wrk", "wrk"))), file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    plan = _plan(options)
    source = provenance.describe()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-load-") as directory:
            Path(directory).chmod(0o711)  # nginx's worker runs as another user when its master is root's
            results = run(plan, nginx, Path(directory), lambda line: print(line, flush=True))
    except (ChildError, ConnectionError, TimeoutError) as error:
        print(f"stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    rows = report.rows(results)
    print(table.render(rows, results.absent), *report.notes(results), sep="\n")
    if options.output or not options.quick:
        output = options.output or _RESULTS / f"load-{options.workload}.json"
        _write(output, source, plan, results, rows)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("--workload", choices=sorted(WORKLOADS), default="get")
    parser.add_argument("--only", type=_names, default=NAMES, help=f"comma-separated, of {', '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=20_000, help="paced requests per contestant and round")
    parser.add_argument("--rate", type=float, help="paced requests per second (half of the slowest proxy's most)")
    parser.add_argument("--quick", action="store_true", help="one short round, not written down: does it run at all?")
    parser.add_argument("--output", type=Path, help="the JSON file (bench/results/load-WORKLOAD.json)")
    return parser


def _names(text: str) -> tuple[str, ...]:
    chosen = set(text.split(","))
    if unknown := chosen.difference(NAMES):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    return tuple(name for name in NAMES if name in chosen)


def _plan(options: argparse.Namespace) -> Plan:
    quick = options.quick
    return Plan(
        names=options.only,
        workload=WORKLOADS[options.workload],
        rounds=1 if quick else options.rounds,
        saturation_s=1 if quick else 3,
        requests=min(options.requests, 4_000) if quick else options.requests,
        rate_rps=options.rate,
    )


def _write(path: Path, source: dict[str, object], plan: Plan, results: Results, rows: list[report.Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = {
        "workload": plan.workload.name,
        "rounds": plan.rounds,
        "saturation_s": plan.saturation_s,
        "requests": plan.requests,
        "rate_rps": round(results.rate_rps, 1),
    }
    shown = [asdict(row) | {"outcome": table.outcome(row)} for row in rows]
    document = {"source": source, "settings": settings, "rows": shown, "raw": asdict(results)}
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    sys.exit(main())
