from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from comparators import ACCEPTED, Context, Finding, NoSettings, Reason, Scope, Tree, Verdict, compile_rules, with_custom
from proxy.config.models import Settings
from proxy.core.families import COMPARISONS, ENDPOINT_QUARANTINED, PAIRS_KILLED, RULE_QUARANTINED
from proxy.core.quarantine import Kill, Suspect
from proxy.ipc.pairs import Pair
from proxy.ipc.whereabouts import WhereaboutsFile, read_whereabouts
from proxy.judge.quarantine import endpoint_suspect, rule_suspect
from proxy.judge.verdict_loop import VerdictLoop
from proxy.judge.watchdog import Watchdog
from tests.unit.judge.test_verdict_loop import ODD, SCORE, answer, configured

SLOW = {"id": "slow", "endpoint": "score", "path": "$.text", "use": "slow", "reason": "r", "author": "a"}


class Slow:
    """A custom comparator; what the whereabouts say while it is asked is left in `seen`."""

    name: ClassVar[str] = "slow"
    Settings: ClassVar[type] = NoSettings
    scope: ClassVar[Scope] = Scope.LEAF

    def __init__(self, path: Path) -> None:
        self.seen: list[Suspect] = []
        self._path = path

    def compare(self, _primary: Tree, _candidate: Tree, _settings: NoSettings, _at: Context) -> Finding:
        found = read_whereabouts(self._path)
        assert found
        self.seen.append(found.suspect)
        return ACCEPTED


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slow:
    slow = Slow(tmp_path / "at")
    assert compile_rules.__kwdefaults__
    monkeypatch.setitem(compile_rules.__kwdefaults__, "comparators", with_custom([slow]))
    return slow


@pytest.fixture
def watchdog(tmp_path: Path) -> Iterator[Watchdog]:
    watchdog = Watchdog(WhereaboutsFile(tmp_path / "at", "judge-0:9"))
    yield watchdog
    watchdog.rests()


def killed(suspect: Suspect, times: int = 3) -> list[Kill]:
    return [Kill(f"judge-0:{number}", "worker-0:1", suspect, float(number)) for number in range(times)]


def judged(loop: VerdictLoop, endpoint: int = SCORE, **candidate: Any) -> tuple[Verdict, Reason | None]:
    found = loop.judge(Pair(1, 0, endpoint, answer({"text": "a", "n": 1}), answer({"text": "a", "n": 1, **candidate})))
    return found.verdict, found.reason


def the_rule(settings: Settings) -> Suspect:
    return rule_suspect("ranker", settings.services["ranker"].rules[0], settings.judge.stall)


def the_endpoint(settings: Settings) -> Suspect:
    service = settings.services["ranker"]
    return endpoint_suspect("ranker", service, service.endpoints[0], settings.judge.stall)


def test_the_watchdog_hears_of_a_rule_whose_comparator_is_not_ours(slow: Slow, watchdog: Watchdog) -> None:
    settings = configured(rules=[SLOW])
    loop = VerdictLoop(watchdog)
    loop.adopt(1, settings)
    assert judged(loop, text="b") == (Verdict.TOLERATED, None)
    assert slow.seen == [the_rule(settings)]


def test_pairs_that_need_a_rule_in_quarantine_are_incomparable_and_no_others(slow: Slow, watchdog: Watchdog) -> None:
    settings = configured(rules=[SLOW])
    loop = VerdictLoop(watchdog, killed(the_rule(settings)))
    loop.adopt(1, settings)
    assert judged(loop, text="b") == (Verdict.INCOMPARABLE, Reason.QUARANTINED)
    assert judged(loop, n=2) == (Verdict.MISMATCH, None)
    assert judged(loop) == (Verdict.MATCH, None)
    assert slow.seen == []
    assert loop.tally().gauges == {RULE_QUARANTINED.name: {("ranker", "slow"): 1.0}}


def test_all_pairs_of_an_endpoint_in_quarantine_are_incomparable(watchdog: Watchdog) -> None:
    settings = configured()
    loop = VerdictLoop(watchdog, killed(the_endpoint(settings)))
    loop.adopt(1, settings)
    assert judged(loop) == judged(loop, n=2) == (Verdict.INCOMPARABLE, Reason.QUARANTINED)
    assert judged(loop, ODD, n=2) == (Verdict.MISMATCH, None)
    tally = loop.tally()
    assert tally.gauges == {ENDPOINT_QUARANTINED.name: {("ranker", "score"): 1.0}}
    assert tally.counts[COMPARISONS.name] == {("ranker", "score", "incomparable"): 2, ("ranker", "odd", "mismatch"): 1}


@pytest.mark.parametrize(
    "change",
    [
        {"rules": [{**SLOW, "reason": "other"}]},
        {"endpoints": [{"name": "score", "match": "GET /other"}], "rules": [{**SLOW, "author": "b"}]},
    ],
)
def test_a_suspect_that_is_configured_otherwise_is_another_one(
    slow: Slow, watchdog: Watchdog, change: dict[str, Any]
) -> None:
    before, after = configured(rules=[SLOW]), configured(**change)
    loop = VerdictLoop(watchdog, [*killed(the_rule(before)), *killed(the_endpoint(before))])
    loop.adopt(1, before)
    assert loop.tally().gauges.keys() == {RULE_QUARANTINED.name, ENDPOINT_QUARANTINED.name}
    loop.adopt(1, after)
    assert judged(loop, text="b") == (Verdict.TOLERATED, None)
    assert len(slow.seen) == 1
    assert loop.tally().gauges == {}


def test_settings_of_an_older_snapshot_that_are_told_late_are_not_the_newest(watchdog: Watchdog) -> None:
    before, after = configured(), configured(rules=[])
    longer = after.model_copy(update={"judge": after.judge.model_copy(update={"stall": 1.0})})
    loop = VerdictLoop(watchdog, killed(the_endpoint(before)))
    assert loop.tally().gauges == {}
    for worker in ("worker-0:1", "worker-0:2"):
        loop.greet("worker-0", worker)
        loop.adopt(2, longer)
        loop.adopt(1, before)
        assert loop.tally().gauges == {}
        assert watchdog.stall == 1.0
    loop.greet("worker-0", "worker-0:3")
    loop.adopt(1, before)
    assert loop.tally().gauges == {ENDPOINT_QUARANTINED.name: {("ranker", "score"): 1.0}}
    assert watchdog.stall == before.judge.stall


def test_more_time_for_each_pair_is_another_configuration_too() -> None:
    settings = configured()
    more = settings.model_copy(update={"judge": settings.judge.model_copy(update={"stall": 1.0})})
    assert the_rule(settings) != the_rule(more)
    assert the_endpoint(settings) != the_endpoint(more)


def test_every_judge_tells_what_those_before_it_died_of(watchdog: Watchdog) -> None:
    kills = killed(the_endpoint(configured()), times=2)
    told = VerdictLoop(watchdog, kills).tally().counts[PAIRS_KILLED.name]
    assert told == {("ranker", "worker-0:1", "judge-0:0"): 1, ("ranker", "worker-0:1", "judge-0:1"): 1}
