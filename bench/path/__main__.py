"""`python -m bench.path worker|judge [--top 40]`: instructions per request or pair, by function, callees included.

Counted by callgrind (Debian package valgrind) in two runs of different length, so that start and end cancel out. They
do not depend on what else the machine does: compare them before and after a change. Functions of Python's own have
names only if the interpreter was not stripped; those of compiled modules always do (`CPyDef_…`).
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.path import judge, worker

FEW, MANY = 600, 3000
_RUNS = {"worker": worker.run, "judge": judge.run}
_ROW = re.compile(r"\s*([\d,]+) \([^)]*\)\s+\S*?:(\S+)")


def counts(path: str, requests: int) -> dict[str, int]:
    """Instructions by function for so many of them. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as directory:
        found = Path(directory) / "callgrind"
        subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={found}", "--quiet",
             sys.executable, "-m", "bench.path", path, "--drive", str(requests)],
            check=True,
        )  # fmt: skip
        listing = subprocess.run(
            ["callgrind_annotate", "--inclusive=yes", "--threshold=100", str(found)],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    table: dict[str, int] = {}
    for row in map(_ROW.match, listing.splitlines()):
        if row is not None:
            table[row[2]] = max(table.get(row[2], 0), int(row[1].replace(",", "")))
    return table


def main() -> None:
    """Read the arguments; drive the path, or count it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", choices=_RUNS)
    parser.add_argument("--top", type=int, default=40, help="how many functions to show")
    parser.add_argument("--drive", type=int, help="only run this many, for whoever counts")
    options = parser.parse_args()
    if options.drive is not None:
        _RUNS[options.path](options.drive)
        return
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is missing: install the Debian package valgrind")
    few, many = (counts(options.path, requests) for requests in (FEW, MANY))
    each = {name: (total - few.get(name, 0)) / (MANY - FEW) for name, total in many.items()}
    for name in sorted(each, key=each.__getitem__, reverse=True)[: options.top]:
        print(f"{each[name]:12,.0f}  {name}")


if __name__ == "__main__":
    main()
