import pytest
import structlog
from structlog.testing import capture_logs

from proxy.config.bugs import Bugs
from proxy.core.reasons import Suspension
from proxy.core.shedding import Shedding
from proxy.worker.mirror_guard import MOST, WITHIN_S, MirrorGuard


@pytest.fixture(autouse=True)
def capturing() -> None:
    structlog.reset_defaults()


def guarded(*times: float) -> tuple[MirrorGuard, Bugs, Shedding]:
    """A guard that has caught bugs at these seconds."""
    bugs, shedding = Bugs(), Shedding()
    guard = MirrorGuard(bugs, shedding)
    for now in times:
        guard.caught(ValueError(), now)
    return guard, bugs, shedding


@pytest.mark.parametrize(
    ("times", "is_off"),
    [
        ((), False),
        ((0.0, 0.0), False),
        ((0.0, 30.0, WITHIN_S), True),
        ((0.0, 30.0, WITHIN_S + 0.1), False),
        ((0.0, 50.0, 70.0, 100.0), True),
    ],
)
def test_three_bugs_within_a_minute_suspend_mirroring(times: tuple[float, ...], is_off: bool) -> None:  # noqa: FBT001  a table
    _, bugs, shedding = guarded(*times)
    assert (bugs.count, shedding.is_on) == (len(times), is_off)


def test_it_says_so_once_and_what_to_do() -> None:
    with capture_logs() as lines:
        guarded(*range(10))
    (line,) = [line for line in lines if line["event"] == "mirroring_suspended"]
    assert line["log_level"] == "error"
    assert "reload" in line["next"]


def test_after_that_somebody_has_to_decide_anew() -> None:
    guard, _, shedding = guarded(0.0, 1.0, 2.0)
    with capture_logs() as lines:
        guard.rearm()
        guard.rearm()
    assert not shedding.is_on
    assert [line["event"] for line in lines] == ["mirroring_rearmed"]
    for now in range(MOST - 1):
        guard.caught(ValueError(), now)
    assert not shedding.is_on
    guard.caught(ValueError(), 3.0)
    assert shedding.causes == {Suspension.BUGS}


def test_other_causes_are_left_alone() -> None:
    guard, _, shedding = guarded(0.0, 1.0, 2.0)
    shedding.suspend(Suspension.LAG)
    guard.rearm()
    assert shedding.causes == {Suspension.LAG}
