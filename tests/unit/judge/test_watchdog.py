import signal
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.core.quarantine import Suspect
from proxy.ipc.whereabouts import read_whereabouts

STALL_S = 0.2
FAR_S = 20
ENDPOINT = Suspect("endpoint", "ranker", "score", "v")
WATCHED = f"""
import re, signal, sys, time
from pathlib import Path
from proxy.core.quarantine import Suspect
from proxy.ipc.whereabouts import WhereaboutsFile, mark
from proxy.judge.watchdog import Watchdog

for number in (signal.SIGPROF, signal.SIGALRM):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGPROF, signal.SIGALRM))
dog = Watchdog(WhereaboutsFile(Path(sys.argv[1]), "judge-0:1"))
dog.allows({STALL_S})
pair = mark({ENDPOINT!r})

def compute(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
"""


def watched(folder: Path, does: str) -> int:
    """The exit code of a process with a watchdog that does this."""
    argv = [sys.executable, "-c", WATCHED + does, str(folder / "at")]
    return subprocess.run(argv, check=False, timeout=30).returncode


@pytest.mark.parametrize(
    ("does", "number"),
    [
        ("while True: pass", signal.SIGPROF),
        ('re.match("(a|aa)+$", "a" * 200 + "b")', signal.SIGPROF),
        ("time.sleep(60)", signal.SIGALRM),
    ],
    ids=["in Python", "in C", "asleep"],
)
def test_a_pair_that_does_not_end_is_the_end_of_its_judge(tmp_path: Path, does: str, number: signal.Signals) -> None:
    lines = ["dog.compares(time.monotonic(), pair)", does]
    if number == signal.SIGPROF:
        lines.insert(1, f"signal.setitimer(signal.ITIMER_REAL, {FAR_S})")  # on a busy machine the clock would be faster
    assert watched(tmp_path, "\n".join(lines)) == -number
    found = read_whereabouts(tmp_path / "at")
    assert found
    assert found.suspect == ENDPOINT


def test_many_pairs_may_take_long_together(tmp_path: Path) -> None:
    each = f"for _ in range(10):\n    dog.compares(time.monotonic(), pair)\n    compute({STALL_S / 4})"
    assert watched(tmp_path, each) == 0


def test_nothing_is_held_against_a_judge_that_rests(tmp_path: Path) -> None:
    assert watched(tmp_path, f"dog.compares(time.monotonic(), pair)\ndog.rests()\ncompute({STALL_S * 2})") == 0
    assert read_whereabouts(tmp_path / "at") is None
