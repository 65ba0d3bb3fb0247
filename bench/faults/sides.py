"""From the turns of a row to what each side showed: pure, over everything that was kept."""

from collections import Counter
from collections.abc import Iterable, Sequence

from bench.faults.evidence import Buckets, Evidence, lag_buckets, lag_ms, rise
from bench.faults.rule import Side, typical_us
from bench.faults.turns import Part, Turn


def side(turns: Sequence[Turn], part: Part) -> Side | None:
    """What the turns of a part showed together; None when it was never played."""
    mine = [turn for turn in turns if turn.part is part]
    if not mine:
        return None
    waits_s = [sorted(wait for wait in turn.waits_s if wait is not None) for turn in mine]
    lag_p99_ms, lag_max_ms = lag_ms(lag_rise(turn) for turn in mine)
    of_turns = max if part is Part.ON else min
    return Side(
        requests=sum(len(turn.waits_s) for turn in mine),
        errors=sum(turn.waits_s.count(None) for turn in mine),
        changed=changed(turns, part),
        p50_us=typical_us(waits_s, 0.5),
        p99_us=typical_us(waits_s, 0.99),
        p999_us=typical_us(waits_s, 0.999),
        worker_rss_bytes=of_turns(turn.peaks.rss_bytes.get("worker", 0) for turn in mine),
        judge_rss_bytes=of_turns(turn.peaks.rss_bytes.get("judge", 0) for turn in mine),
        open_files=max(turn.peaks.open_files for turn in mine),
        lag_p99_ms=lag_p99_ms,
        lag_max_ms=lag_max_ms,
        client_lag_us=max(turn.played.lag_p99_us for turn in mine),
    )


def changed(turns: Sequence[Turn], part: Part) -> int:
    """Count the answers of a part that differ from those of `off` to the same request of the same round."""
    ours, base = ([turn for turn in turns if turn.part is which] for which in (part, Part.OFF))
    return sum(
        answer is not None and expected is not None and answer != expected
        for turn, other in zip(ours, base, strict=False)
        for answer, expected in zip(turn.digests, other.digests, strict=True)
    )


def lag_rise(turn: Turn) -> Buckets:
    """Return the timer wake-ups of a turn by bucket, cumulated."""
    return lag_buckets(turn.after) - lag_buckets(turn.before)


def evidence(turns: Sequence[Turn], candidate: dict[str, int]) -> Evidence:
    """Sum up what the proxy counted while mirroring was on."""
    on = [turn for turn in turns if turn.part is Part.ON]
    grown = [side(turns, part) for part in (Part.OFF, Part.ON)]
    judges = [one.judge_rss_bytes for one in grown if one and one.judge_rss_bytes]
    return Evidence(
        turns=len(on),
        seconds=sum(turn.played.elapsed_s for turn in on),
        verdicts=_total(rise(turn.before, turn.after, "shadow_comparisons_total", "verdict") for turn in on),
        drops=_total(rise(turn.before, turn.after, "shadow_dropped_total", "reason") for turn in on),
        failures=_total(
            rise(turn.before, turn.after, "shadow_backend_failures_total", "kind", role="mirror") for turn in on
        ),
        in_flight=max(turn.peaks.in_flight for turn in on),
        breaker_opened=any(turn.peaks.breaker_opened for turn in on),
        unbalanced=turns[-1].unbalanced,
        judge_growth_bytes=judges[1] - judges[0] if len(judges) == 2 else None,
        meddled=sum(turn.acts for turn in on),
        late_closings=sum(turn.late for turn in on),
        candidate=candidate,
    )


def _total(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for count in counts:
        found.update(count)
    return dict(found.most_common())
