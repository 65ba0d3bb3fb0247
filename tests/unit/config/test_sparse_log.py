import pytest
import structlog
from structlog.testing import capture_logs

from proxy.config.sparse_log import SparseLog
from tests.kit.clock import FakeClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    structlog.reset_defaults()
    clock = FakeClock(100.0)
    monkeypatch.setattr("proxy.config.sparse_log.monotonic", clock)
    return clock


def test_of_many_lines_one_in_each_period_is_said_with_how_many_were_not(clock: FakeClock) -> None:
    with capture_logs() as lines:
        log = SparseLog(10.0)
        for _ in range(250):
            log.say("warning", "down", backend="v2")
            clock.advance(0.125)
    assert [line["unsaid"] for line in lines] == [0, 79, 79, 79]
    assert lines[0] == {"event": "down", "backend": "v2", "unsaid": 0, "log_level": "warning"}


def test_whoever_would_have_to_work_for_a_line_can_ask_first(clock: FakeClock) -> None:
    with capture_logs() as lines:
        log = SparseLog(1.0)
        quiet = [log.is_quiet]
        log.say("error", "bug")
        quiet.append(log.is_quiet)
        log.skip()
        clock.advance(1.0)
        quiet.append(log.is_quiet)
        log.say("error", "bug")
    assert quiet == [False, True, False]
    assert [line["unsaid"] for line in lines] == [0, 1]
