"""The search: case after case from a seed, until time is up or something is found.

`python -m tests.fuzz.hunt --minutes 30` says how far it is every ten seconds. What it finds it makes small
and prints as a named case for `test_found.py`; the exit code is then 1.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import count
from time import monotonic

from tests.fuzz.case import Case
from tests.fuzz.casting import cast
from tests.fuzz.claims import found_in
from tests.fuzz.reading import Finding
from tests.fuzz.reduction import LONGEST_S, reduced

SEED = "shadow-proxy"
"""The seed of `make test`; the long search takes another one each time, and says which."""
SAY_EVERY_S = 10.0
MOST_FINDINGS = 10


def cases(seed: str, first: int = 0) -> Iterator[tuple[str, Case]]:
    """All cases of a seed, each with the seed of its own that makes it alone."""
    for number in count(first):
        yield f"{seed}/{number}", cast(f"{seed}/{number}")


def smallest(case: Case, kind: str, longest_s: float = LONGEST_S) -> Case:
    """The smallest case with a finding of this kind that is found in this time."""

    def fails(smaller: Case) -> bool:
        finding = found_in(smaller)
        return finding is not None and finding.kind == kind

    return reduced(case, fails, longest_s)


def report(seed: str, case: Case, finding: Finding) -> str:
    """A finding as a named case, ready to be pasted into `test_found.py`."""
    small = smallest(case, finding.kind)
    again = found_in(small) or finding
    return f"# {again}\n# seed {seed}\n{finding.kind!r}: {small!r},\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Search; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", default=f"{monotonic():.6f}")
    chosen = parser.parse_args(arguments)
    start = said = monotonic()
    kinds: set[str] = set()
    number = 0
    for number, (seed, case) in enumerate(cases(chosen.seed), 1):
        finding = found_in(case)
        if finding is not None and finding.kind not in kinds:
            kinds.add(finding.kind)
            sys.stdout.write(f"\n{report(seed, case, finding)}\n")
        now = monotonic()
        if now - said > SAY_EVERY_S:
            said = now
            sys.stdout.write(
                f"{number} cases, {len(kinds)} findings, {(now - start) / 60:.1f} min, seed {chosen.seed}\n"
            )
            sys.stdout.flush()
        if now - start > chosen.minutes * 60 or len(kinds) >= MOST_FINDINGS:
            break
    sys.stdout.write(f"{number} cases, {len(kinds)} findings, seed {chosen.seed}\n")
    return 1 if kinds else 0


if __name__ == "__main__":
    sys.exit(main())
