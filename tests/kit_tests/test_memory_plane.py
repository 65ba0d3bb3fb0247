import pytest

from proxy.core.families import REQUESTS
from proxy.core.reasons import Drop
from tests.kit.memory_plane import CANDIDATE_PORT, PRIMARY_PORT, MemoryBackend, MemoryPlane, settings
from tests.kit.wire import Wire

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Mute(MemoryBackend):
    def heard(self, wire: Wire) -> None:
        pass


def test_a_request_runs_through_the_whole_data_plane() -> None:
    with MemoryPlane() as plane:
        client = plane.client()
        plane.say(client, GET[:10], GET[10:])
        assert client.received.startswith(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: ")
    (served,), (copy,) = plane.primary.received, plane.candidate.received
    assert served.startswith(GET[:-2])
    assert copy == served[:-2] + b"X-Shadow-Request: 1\r\n\r\n"
    assert [(pair.primary.status, pair.candidate.status) for pair in plane.pairs] == [(200, 200)]
    assert plane.tally.total(REQUESTS) == 1


def test_two_runs_are_the_same() -> None:
    def run() -> tuple[list[bytes], list[bytes], str]:
        with MemoryPlane(primary=Mute()) as plane:
            plane.say(plane.client(), GET * 2)
        return plane.primary.received, plane.candidate.received, repr(plane.pairs)

    assert run() == run()


def test_time_passes_only_when_it_is_waited_for() -> None:
    with MemoryPlane(settings(timeouts={"first_byte": "20s"}), primary=Mute()) as plane:
        client = plane.client()
        plane.say(client, GET)
        plane.wait(19.0)
        assert not client.received
        plane.wait(10.0)
        assert client.received.startswith(b"HTTP/1.1 504 ")


def test_a_port_where_nobody_listens_refuses() -> None:
    with MemoryPlane() as plane:
        plane.loop.refuse(PRIMARY_PORT)
        plane.loop.refuse(CANDIDATE_PORT)
        client = plane.client()
        plane.say(client, GET)
        assert client.received.startswith(b"HTTP/1.1 502 ")


def test_a_client_that_stays_is_waited_for() -> None:
    with MemoryPlane() as plane:
        client = plane.client()
        plane.say(client, GET[:-2])
    assert client.received.startswith(b"HTTP/1.1 408 ")
    assert client.eof


def test_what_is_raised_in_a_callback_comes_out() -> None:
    class Broken(MemoryBackend):
        def heard(self, wire: Wire) -> None:
            raise LookupError(wire)

    with pytest.raises(AssertionError, match="LookupError"), MemoryPlane(primary=Broken()) as plane:
        plane.say(plane.client(), GET)


def test_a_bug_that_the_plane_catches_comes_out() -> None:
    with pytest.raises(AssertionError, match="raised"), MemoryPlane() as plane:
        plane.plane.bugs.caught("here", LookupError())


def test_bytes_that_stay_in_the_budget_come_out() -> None:
    with pytest.raises(AssertionError, match="budget"), MemoryPlane() as plane:
        plane.plane.budget.take(1)


def test_a_drop_that_did_not_happen_comes_out() -> None:
    with pytest.raises(AssertionError, match="mirrored"), MemoryPlane() as plane:
        plane.plane.services[0].stats.drop(Drop.SHED)
