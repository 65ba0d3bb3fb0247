import signal
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from proxy.core.quarantine import KILLS, Kill, Suspect, quarantined
from proxy.ipc.boot import Boot
from proxy.ipc.whereabouts import WhereaboutsFile, mark
from proxy.supervisor.post_mortem import LATE_S, examined

ENDPOINT = Suspect("endpoint", "ranker", "score", "v")
RULE = Suspect("rule", "ranker", "slow", "v")
UNTIL = 100.0


@pytest.fixture
def boot(tmp_path: Path) -> Boot:
    return Boot("judge-0", "judge-0:1", "run", "name", str(tmp_path), str(tmp_path), {})


def dies(boot: Boot, number: int, *at: Suspect, now: float = UNTIL) -> Boot:
    """What the successor of a judge is told that died at this rule, or in a pair of this endpoint, or at nothing."""
    file = WhereaboutsFile(boot.whereabouts, boot.incarnation)
    file.serves("worker-0:1")
    file.waits(UNTIL)
    for suspect in at:
        (file.applies if suspect.kind == "rule" else file.compares)(mark(suspect))
    return examined(boot, -number, now)


@pytest.mark.parametrize("number", [signal.SIGPROF, signal.SIGSEGV, signal.SIGABRT])
def test_a_judge_that_died_of_what_it_did_leaves_what_that_was(boot: Boot, number: int) -> None:
    assert dies(boot, number, ENDPOINT).kills == (Kill("judge-0:1", "worker-0:1", ENDPOINT, UNTIL),)
    assert [kill.suspect for kill in dies(boot, number, ENDPOINT, RULE).kills] == [RULE]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, 0, -1])
def test_nothing_is_blamed_for_what_others_do_or_for_leaving(boot: Boot, number: int) -> None:
    assert dies(boot, number, ENDPOINT, RULE) is boot


def test_a_judge_that_died_between_pairs_died_of_none(boot: Boot) -> None:
    assert dies(boot, signal.SIGPROF) is boot


def test_what_an_earlier_judge_left_is_not_held_against_a_later_one(boot: Boot) -> None:
    dies(boot, signal.SIGKILL, ENDPOINT)
    later = replace(boot, incarnation="judge-0:2")
    assert examined(later, -signal.SIGPROF, UNTIL) is later


def test_a_judge_that_its_clock_ended_says_so_also_where_nothing_is_blamed(boot: Boot) -> None:
    with capture_logs() as logs:
        dies(boot, signal.SIGALRM, ENDPOINT)
        examined(replace(boot, incarnation="judge-0:2"), -signal.SIGALRM, UNTIL)
        dies(boot, signal.SIGKILL, ENDPOINT)
    assert [(line["event"], line["judge"]) for line in logs] == [
        ("the watchdog's clock ended this judge; nothing is blamed", judge) for judge in ("judge-0:1", "judge-0:2")
    ]


def test_by_the_clock_only_a_rule_is_blamed_and_only_in_time(boot: Boot) -> None:
    assert dies(boot, signal.SIGALRM, ENDPOINT, RULE, now=UNTIL + LATE_S).kills != ()
    assert dies(boot, signal.SIGALRM, ENDPOINT, RULE, now=UNTIL + LATE_S + 0.1) is boot
    assert dies(boot, signal.SIGALRM, ENDPOINT) is boot


@pytest.mark.parametrize(
    ("number", "remedy"), [(signal.SIGPROF, "judge.stall raised"), (signal.SIGSEGV, "a crash is a bug")]
)
def test_the_third_kill_says_once_what_to_do(boot: Boot, number: signal.Signals, remedy: str) -> None:
    with capture_logs() as logs:
        for kills in range(KILLS):
            boot = replace(dies(boot, number, ENDPOINT), incarnation=f"judge-0:{kills + 2}")
    assert quarantined(boot.kills) == {ENDPOINT}
    assert Boot.decode(boot.encode()) == boot
    assert [line["event"] for line in logs] == ["judge_killed_by_a_pair"] * KILLS + ["quarantined"]
    assert (logs[-1]["service"], logs[-1]["endpoint"], logs[-1]["log_level"]) == ("ranker", "score", "error")
    assert {line["signal"] for line in logs} == {number.name}
    assert remedy in logs[-1]["next"]
