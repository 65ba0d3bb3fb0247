"""Requests out of bytes, without any connection."""

import pytest

from proxy.config.models import Limits
from proxy.core.reasons import Refused
from proxy.http.refusal import Refusal
from proxy.http.request_head import BAD_REQUEST_LINE, RequestHead
from proxy.http.request_reader import BODY_TOO_LONG, RequestReader

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def reader(data: bytes, **limits: int) -> RequestReader:
    found = RequestReader(Limits(**limits))
    found.waiting = data
    return found


def posted(data: bytes, **limits: int) -> tuple[RequestReader, bytes]:
    """A reader that has taken a head with a body, and the payload that came with it."""
    found = reader(data, **limits)
    head = found.next_head()
    assert isinstance(head, RequestHead)
    return found, found.begin_body(head)


def test_heads_come_one_at_a_time_and_what_is_behind_stays_untouched() -> None:
    found = reader(GET + b"\r\n" + GET + b"GET /no")
    for behind in (b"\r\n" + GET + b"GET /no", b"GET /no"):
        assert isinstance(found.next_head(), RequestHead)
        assert found.waiting == behind
    assert found.next_head() is None
    assert found.waiting == b"GET /no"


def test_a_refused_head_stays_where_it_is_and_says_whether_it_was_of_head() -> None:
    found = reader(b"\r\nHEAD  / HTTP/1.1\r\n\r\n")
    assert found.next_head() == BAD_REQUEST_LINE
    assert found.is_at_head_request
    assert not reader(GET).is_at_head_request


def test_a_refusal_that_keeps_the_connection_leaves_what_is_behind() -> None:
    found = reader(b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
    refusal = found.next_head()
    assert isinstance(refusal, Refusal)
    assert not refusal.close
    assert found.waiting == GET


@pytest.mark.parametrize(("data", "empty"), [(b"", True), (b"\r\n", True), (b"\r\n\r", True), (b"\r\nG", False)])
def test_empty_lines_are_nothing_of_a_request(data: bytes, empty: bool) -> None:  # noqa: FBT001  a row
    found = reader(data)
    assert found.is_empty is empty
    if data:
        assert found.next_head() is None


def test_a_body_is_what_its_length_says_and_the_rest_waits() -> None:
    found, payload = posted(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
    assert (payload, found.body_done) == (b"he", False)
    assert found.body_data(b"llo" + GET) == b"llo"
    assert (found.body_done, found.trailers, found.waiting) == (True, [], GET)


def test_trailers_are_told_with_the_end() -> None:
    start = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    found, payload = posted(start + b"5\r\nhello\r\n0\r\nX: 1\r\n\r\n" + GET)
    assert (payload, found.body_done, found.trailers, found.waiting) == (b"hello", True, [b"X: 1"], GET)


def test_the_next_request_knows_nothing_of_the_last_ones_body() -> None:
    start = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    found, _ = posted(start + b"0\r\nX: 1\r\n\r\n" + start)
    head = found.next_head()
    assert isinstance(head, RequestHead)
    assert found.begin_body(head) == b""
    assert (found.body_done, found.refusal) == (False, None)


@pytest.mark.parametrize(
    ("framing", "refusal"),
    [
        (b"Content-Length: 6\r\n\r\n", BODY_TOO_LONG),
        (b"Transfer-Encoding: chunked\r\n\r\n6\r\nhello!\r\n", BODY_TOO_LONG),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello!", Refusal(400, Refused.CHUNK)),
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: 12345678\r\n\r\n", Refusal(431, Refused.TRAILERS)),
        (b"Transfer-Encoding: chunked\r\n\r\n1;%b\r\n" % (b"x" * 99), Refusal(400, Refused.CHUNK_OVERHEAD)),
    ],
)
def test_a_body_that_breaks_the_rules_is_refused(framing: bytes, refusal: Refusal) -> None:
    limits = {"body_bytes": 5, "trailer_bytes": 8, "chunk_overhead": 8}
    found, _ = posted(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing, **limits)
    assert found.refusal == refusal


def test_a_body_as_long_as_allowed_is_not() -> None:
    found, payload = posted(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", body_bytes=5)
    assert (payload, found.refusal, found.body_done) == (b"hello", None, True)
