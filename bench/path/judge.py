"""The judge's way with one pair: its frame read, decoded, compared and counted."""

from bench.compare.judge_path import BATCH, judging


def run(count: int) -> None:
    """Judge about this many pairs."""
    judge_batch, _ = judging()
    for _ in range(max(1, count // BATCH)):
        judge_batch()
