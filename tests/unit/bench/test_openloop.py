import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.load.latency import poisson_schedule
from bench.load.openloop import CONNECTIONS, answer_length, play
from bench.load.workload import WORKLOADS
from bench.load.wrk import parse

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
GET = WORKLOADS["get"]


@given(st.integers(0, len(ANSWER)))
def test_length_is_known_as_soon_as_the_head_is_complete(cut: int) -> None:
    complete = cut >= ANSWER.index(b"hello")
    assert answer_length(ANSWER[:cut]) == (len(ANSWER) if complete else None)


def test_an_answer_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="without Content-Length"):
        answer_length(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


class Scripted(socketserver.ThreadingTCPServer):
    """Answers every connection's requests by turns; an empty answer closes the connection."""

    daemon_threads = True
    request_queue_size = 2 * CONNECTIONS

    def __init__(self, answers: list[bytes]) -> None:
        self.answers = answers
        self.seen: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Answers)


class _Answers(socketserver.StreamRequestHandler):
    server: Scripted

    def handle(self) -> None:
        for turn, line in enumerate(self._request_lines()):
            self.server.seen.append(line)
            answer = self.server.answers[turn % len(self.server.answers)]
            if not answer:
                return
            self.wfile.write(answer)

    def _request_lines(self) -> Iterator[bytes]:
        while line := self.rfile.readline():
            while self.rfile.readline().strip():
                pass
            yield line


@contextmanager
def serving(*answers: bytes) -> Iterator[Scripted]:
    with Scripted(list(answers)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_every_scheduled_request_is_sent_once_and_answered() -> None:
    with serving(ANSWER) as server:
        seen = play(server.server_address[1], GET, poisson_schedule(20_000, 300))
    assert (seen.requests, seen.errors) == (300, 0)
    assert sorted(server.seen) == sorted(GET.render(number).splitlines(keepends=True)[0] for number in range(300))


def test_a_schedule_of_zeros_is_a_closed_loop() -> None:
    with serving(ANSWER) as server:
        seen = play(server.server_address[1], GET, [0.0] * 5 * CONNECTIONS)
    assert (len(server.seen), seen.errors) == (5 * CONNECTIONS, 0)


def test_refusals_are_errors() -> None:
    with serving(ANSWER, REFUSAL) as server:
        seen = play(server.server_address[1], GET, [0.0] * 2 * CONNECTIONS)
    assert seen.requests == 2 * CONNECTIONS
    assert 0 < seen.errors <= CONNECTIONS


def test_a_closed_connection_is_an_error_and_is_opened_again() -> None:
    with serving(ANSWER, b"") as server:
        seen = play(server.server_address[1], GET, [0.0] * 4 * CONNECTIONS)
    assert 0 < seen.errors < 4 * CONNECTIONS
    assert len(server.seen) == 4 * CONNECTIONS


def test_impatient_clients_end_although_nobody_answers() -> None:
    with serving(b"HTTP/1.1 ") as server:
        seen = play(server.server_address[1], GET, [0.0, 0.0, 0.01, 0.02], connections=2, patience_s=0.1)
    assert (seen.requests, seen.errors, seen.unanswered) == (4, 0, 4)
    assert seen.latency.p50_us == 100_000


def test_unanswered_requests_count_with_the_patience_they_were_given() -> None:
    with serving(ANSWER, b"HTTP/1.1 ") as server:
        seen = play(server.server_address[1], GET, [0.0] * 3, connections=1, patience_s=1.0)
    assert (seen.errors, seen.unanswered) == (0, 2)
    assert seen.latency.max_us == 1_000_000
    assert seen.latency.p50_us == 1_000_000


def test_long_answers_are_read_to_their_end() -> None:
    body = b"x" * 1_000_000
    with serving(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as server:
        seen = play(server.server_address[1], GET, [0.0] * 6, connections=2)
    assert (seen.errors, len(server.seen)) == (0, 6)


def test_script_line_is_found_below_the_report_of_wrk() -> None:
    seen = parse('Running 1s test\n  10 requests in 1.00s\n{"requests":3000,"duration_us":1500000,"errors":2}\n')
    assert (seen.requests, seen.errors, seen.throughput_rps) == (3000, 2, 2000)


def test_nothing_but_refusals_is_no_measurement() -> None:
    with serving(REFUSAL) as server, pytest.raises(ConnectionError, match="not one request"):
        play(server.server_address[1], GET, [0.0] * CONNECTIONS)
