import h11
import pytest

from bench.load.workload import WORKLOADS, Workload

every_workload = pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)


@every_workload
@pytest.mark.parametrize("number", [0, 1, 19_999, 2**32 - 1])
def test_every_request_is_one_complete_message(workload: Workload, number: int) -> None:
    server = h11.Connection(h11.SERVER)
    server.receive_data(workload.render(number))
    events = []
    while (event := server.next_event()) is not h11.PAUSED:
        assert event is not h11.NEED_DATA
        events.append(event)
        if isinstance(event, h11.EndOfMessage):
            break
    assert isinstance(events[0], h11.Request)
    assert len(list(events[0].headers)) >= 8
    assert server.trailing_data == (b"", False)


@every_workload
def test_no_two_requests_are_alike(workload: Workload) -> None:
    assert len({workload.render(number) for number in range(1000)}) == 1000


@every_workload
def test_lua_passes_enough_arguments(workload: Workload) -> None:
    assert workload.template.count("%") <= 7


def test_post_carries_about_two_kilobytes() -> None:
    assert 1900 <= len(WORKLOADS["post"].render(1).partition(b"\r\n\r\n")[2]) <= 2200
