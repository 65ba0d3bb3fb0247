from asyncio import to_thread

from hypothesis import given
from hypothesis import strategies as st

from bench.faults.client import digest, play
from bench.faults.rows import UPLOAD
from bench.load.latency import poisson_schedule
from bench.load.openloop import CONNECTIONS
from bench.load.workload import WORKLOADS
from tests.kit.h11_peer import H11Backend, H11Reply, H11Request
from tests.kit.ports import refusing_port
from tests.unit.bench.test_openloop import ANSWER, REFUSAL, serving

GET = WORKLOADS["get"]


def test_every_request_has_its_wait_and_its_answer() -> None:
    with serving(ANSWER) as server:
        played = play(server.server_address[1], GET, poisson_schedule(20_000, 300))
    assert played.errors == 0
    assert all(wait is not None and wait > 0 for wait in played.waits_s)
    assert set(played.digests) == {digest(ANSWER)}
    assert played.elapsed_s > 0


def test_requests_are_numbered_from_the_first() -> None:
    with serving(ANSWER) as server:
        play(server.server_address[1], GET, [0.0] * 3, first=500)
    assert sorted(server.seen) == [GET.render(number).splitlines(keepends=True)[0] for number in (500, 501, 502)]


def test_refusals_and_closed_connections_are_errors_with_neither() -> None:
    with serving(ANSWER, REFUSAL, b"") as server:
        played = play(server.server_address[1], GET, [0.0] * 4 * CONNECTIONS)
    assert 0 < played.errors < 4 * CONNECTIONS
    assert [wait is None for wait in played.waits_s] == [answer is None for answer in played.digests]


def test_nobody_there_is_an_error_for_each_request() -> None:
    with refusing_port() as port:
        assert play(port, GET, [0.0] * 10).errors == 10


def test_an_answer_that_ends_the_connection_is_no_error() -> None:
    last = ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with serving(last) as server:
        assert play(server.server_address[1], GET, [0.0] * 2 * CONNECTIONS).errors == 0


async def test_large_bodies_arrive_whole() -> None:
    def measure(request: H11Request) -> H11Reply:
        body = b"%d" % len(request.body)
        return H11Reply(fields=((b"Content-Length", b"%d" % len(body)),), body=body)

    async with H11Backend(measure) as backend:
        played = await to_thread(play, backend.port, UPLOAD, [0.0] * 5)
        assert played.errors == 0
        assert [len(request.body) for request in backend.requests] == [512 * 1024] * 5


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_a_digest_tells_bodies_apart(one: bytes, other: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nDate: Tue, 04 Mar 2025 05:06:07 GMT\r\nContent-Length: 20\r\n\r\n"
    assert (digest(head + one) == digest(head + other)) == (one == other)


def test_a_digest_leaves_out_when_an_answer_was_given() -> None:
    answer = b"HTTP/1.1 200 OK\r\nDate: Tue, 04 Mar 2025 05:06:%02d GMT\r\nX: 1\r\n\r\nDate: now"
    assert digest(answer % 7) == digest(answer % 8)
    assert digest(answer % 7) != digest((answer % 7).replace(b"X: 1", b"x: 1"))
