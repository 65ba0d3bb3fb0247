"""`python -m bench.compare [--json FILE]`: µs per full comparison, both parses included, and DeepDiff's for the trees.

Automatic garbage collection is off while measuring, as it is in the judge. DeepDiff gets parsed trees and its default
settings, and is left out above 100 KB, where one comparison takes over a second. The row `judge path` is all that a
judge does with a pair of `bench.load`: read its frame, decode, compare, count.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson
from deepdiff import DeepDiff

from bench.compare.judge_path import BATCH, judging
from bench.compare.pairs import SIZES, answer, document, many_leaves_changed, one_leaf_changed, rules
from comparators import compare

ROUNDS: Final = 7
ROUND_S: Final = 0.05
DEEPDIFF_UP_TO: Final = 100_000

Row = dict[str, Any]


def per_call_us(call: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Median over rounds of about `ROUND_S` seconds, after one warm-up call."""
    started = time.perf_counter()
    call()
    calls = max(1, int(ROUND_S / (time.perf_counter() - started)))
    gc.collect()
    gc.disable()
    try:
        return statistics.median(_round_us(call, calls) for _ in range(rounds))
    finally:
        gc.enable()


def _round_us(call: Callable[[], object], calls: int) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - started) / calls * 1e6


def measure(name: str, size: int) -> list[Row]:
    """One row per kind of pair."""
    tree = document(size)
    body = orjson.dumps(tree)
    others = {
        "equal bytes": body,
        "equal after parse": json.dumps(tree).encode(),
        "one leaf": orjson.dumps(one_leaf_changed(tree)),
        "many leaves": orjson.dumps(many_leaves_changed(tree)),
    }
    return [{"size": name, "pair": pair} | _measure_pair(body, other) for pair, other in others.items()]


def _measure_pair(body: bytes, other: bytes) -> Row:
    ruleset, primary, candidate = rules(), answer(body, 12), answer(other, 13)
    ours_us = per_call_us(lambda: compare(primary, candidate, ruleset))
    trees = orjson.loads(body), orjson.loads(other)
    theirs_us = None
    if len(body) <= DEEPDIFF_UP_TO:
        theirs_us = per_call_us(lambda: DeepDiff(*trees), rounds=3)
    return {
        "verdict": str(compare(primary, candidate, ruleset).verdict),
        "compare_us": round(ours_us, 2),
        "parse_us": round(per_call_us(lambda: (orjson.loads(body), orjson.loads(other))), 2),
        "deepdiff_us": None if theirs_us is None else round(theirs_us, 1),
        "ratio": None if theirs_us is None else round(theirs_us / ours_us, 1),
    }


def measure_judge_path() -> Row:
    """The row for the judge's whole way with a pair."""
    judge_batch, verdict = judging()
    each_us = round(per_call_us(judge_batch) / BATCH, 2)
    row: Row = {"size": "0.5 KB", "pair": "judge path", "verdict": str(verdict), "compare_us": each_us}
    return row | dict.fromkeys(("parse_us", "deepdiff_us", "ratio"))


def show(rows: list[Row]) -> None:
    """Print a table."""
    columns = ("size", "pair", "verdict", "compare_us", "parse_us", "deepdiff_us", "ratio")
    print(("{:<8}{:<19}{:<11}" + "{:>13}" * 4).format(*columns))
    for row in rows:
        cells = ("-" if row[column] is None else str(row[column]) for column in columns)
        print(("{:<8}{:<19}{:<11}" + "{:>13}" * 4).format(*cells))


def machine() -> dict[str, str]:
    """Where and on what the numbers were taken."""
    cpu = next((line for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ":unknown")
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "command": "python -m bench.compare",
        "python": platform.python_version(),
        "orjson": orjson.__version__,
        "cpu": cpu.partition(":")[2].strip(),
        "commit": commit.stdout.strip() if commit.returncode == 0 else "none",
    }


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []


def main(arguments: list[str]) -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    chosen = parser.parse_args(arguments)
    rows = [measure_judge_path(), *(row for name, size in SIZES.items() for row in measure(name, size))]
    show(rows)
    if chosen.json:
        chosen.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
