from bench.faults.client import Played
from bench.faults.footprint import Footprint
from bench.faults.matrix import judge
from bench.faults.rows import ROWS, Row
from bench.faults.rule import MIB, Outcome
from bench.faults.sides import evidence, side
from bench.faults.turns import Part, Peaks, Turn, rotated
from tests.kit.metrics import Metrics, parse

WARM = 2
COUNTED = """\
# TYPE shadow_comparisons counter
shadow_comparisons_total{verdict="match"} %d
# TYPE shadow_dropped counter
shadow_dropped_total{reason="draining"} %d
# TYPE shadow_backend_failures counter
shadow_backend_failures_total{role="mirror",kind="timeout"} 0
# TYPE shadow_event_loop_lag_seconds histogram
shadow_event_loop_lag_seconds_bucket{le="0.001",process="worker-0"} %d
shadow_event_loop_lag_seconds_bucket{le="+Inf",process="worker-0"} %d
"""


def counted(count: int) -> Metrics:
    return parse(COUNTED % (count, count, count, count))


def turn(
    part: Part,
    waits_ms: list[float | None],
    *,
    answers: bytes = b"a",
    mib: int = 50,
    files: int = 80,
    unbalanced: float = 0.0,
) -> Turn:
    waits = [99.0] * WARM + [None if wait is None else wait / 1000 for wait in waits_ms]
    digests = [b"?"] * WARM + [None if wait is None else answers for wait in waits_ms]
    peaks = Peaks({"worker": mib * MIB, "judge": mib * MIB}, open_files=files, in_flight=3)
    return Turn(part, Played(1.0, waits, digests, 0.0), WARM, peaks, counted(5), counted(7), unbalanced, 0, 0)


def test_turns_of_a_part_are_pooled_without_their_warm_up() -> None:
    turns = [turn(Part.OFF, [1.0] * 15), turn(Part.ON, [5.0] * 30), turn(Part.OFF, [3.0] * 14 + [None])]
    found = side(turns, Part.OFF)
    assert found
    assert (found.requests, found.errors, found.p50_us) == (30, 1, 1_000)
    assert found.p99_us is None
    assert (found.lag_p99_ms, found.lag_max_ms) == (1.0, 1.0)
    assert side(turns, Part.TWIN) is None


def test_memory_is_the_lowest_without_mirroring_and_the_highest_with_it() -> None:
    turns = [turn(part, [1.0], mib=mib) for part in (Part.OFF, Part.ON) for mib in (60, 50, 70)]
    off, on = side(turns, Part.OFF), side(turns, Part.ON)
    assert off
    assert on
    assert (off.worker_rss_bytes, on.worker_rss_bytes) == (50 * MIB, 70 * MIB)
    assert evidence(turns, {}).judge_growth_bytes == 20 * MIB


def test_an_answer_is_held_against_the_same_request_of_the_same_round() -> None:
    turns = [
        turn(Part.OFF, [1.0, None, 1.0], answers=b"a"),
        turn(Part.ON, [1.0, 1.0, None], answers=b"a"),
        turn(Part.ON, [1.0, 1.0, 1.0], answers=b"c"),
        turn(Part.OFF, [1.0, None, 1.0], answers=b"b"),
    ]
    found = side(turns, Part.ON)
    assert found
    assert found.changed == 2


def test_evidence_is_what_rose_with_mirroring_on() -> None:
    seen = evidence([turn(Part.OFF, [1.0]), turn(Part.ON, [1.0]), turn(Part.ON, [1.0])], {"connections": 4})
    assert (seen.turns, seen.seconds, seen.in_flight) == (2, 2.0, 3)
    assert (seen.verdicts, seen.drops, seen.failures) == ({"match": 4}, {"draining": 4}, {})
    assert seen.candidate == {"connections": 4}


def healthy() -> Row:
    return next(row for row in ROWS if row.id == "none")


def test_a_row_without_a_difference_holds() -> None:
    turns = [turn(part, [1.0] * 30) for part in Part]
    assert judge(healthy(), 100.0, turns, {}).outcome is Outcome.YES


def test_one_client_error_is_a_no() -> None:
    turns = [turn(Part.OFF, [1.0] * 30), turn(Part.ON, [1.0] * 29 + [None]), turn(Part.TWIN, [1.0] * 30)]
    assert judge(healthy(), 100.0, turns, {}).outcome is Outcome.NO


def test_an_identity_that_misses_at_the_end_is_a_no() -> None:
    turns = [turn(Part.OFF, [1.0] * 30), turn(Part.ON, [1.0] * 30, unbalanced=1)]
    assert judge(healthy(), 100.0, turns, {}).checks["identities exact"] is Outcome.NO


def test_peaks_keep_the_most_by_role() -> None:
    peaks = Peaks()
    for bytes_, files in ((5, 9), (7, 4)):
        peaks.see([Footprint(1, "worker", 1, bytes_, files, 1), Footprint(2, "control", 1, 3, 100, 1)])
    assert (peaks.rss_bytes, peaks.open_files) == ({"worker": 7, "control": 3}, 9)


def test_each_round_has_another_order() -> None:
    parts = tuple(Part)
    assert [rotated(parts, number)[0] for number in range(4)] == [*parts, parts[0]]
    assert all(set(rotated(parts, number)) == set(parts) for number in range(4))
