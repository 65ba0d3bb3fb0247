import pytest
import structlog
from structlog.testing import capture_logs

from proxy.config.bugs import Bugs


def fail(bugs: Bugs) -> None:
    try:
        raise ValueError("what a peer sent")
    except ValueError as bug:
        bugs.caught("here", bug)


def test_every_bug_is_counted_and_few_are_logged() -> None:
    structlog.reset_defaults()
    with capture_logs() as lines:
        bugs = Bugs()
        for _ in range(50):
            fail(bugs)
    assert bugs.count == 50
    assert len(lines) == 1


def test_a_line_says_where_and_what_but_nothing_a_peer_sent() -> None:
    structlog.reset_defaults()
    with capture_logs() as lines:
        fail(Bugs())
    (line,) = lines
    assert (line["where"], line["kind"]) == ("here", "ValueError")
    assert "fail:" in line["at"]
    assert "what a peer sent" not in str(line)


@pytest.mark.parametrize("context", [{}, {"message": "a task was destroyed"}])
def test_an_event_loop_s_complaint_without_an_exception_is_no_bug(context: dict[str, object]) -> None:
    bugs = Bugs()
    bugs.handle(None, context)  # type: ignore[arg-type]  # the loop is not looked at
    assert bugs.count == 0
