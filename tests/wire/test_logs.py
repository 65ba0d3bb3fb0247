"""What peers send, however often and however wrong, fills no log and is quoted in none."""

import pytest
import structlog
from structlog.testing import capture_logs

from proxy.core.families import REFUSED
from tests.kit.memory_plane import MemoryPlane
from tests.wire.rig import request
from tests.wire.test_breaker import Target

SECRET = b"Authorization: Bearer sesame"


@pytest.mark.parametrize(
    "data",
    [
        request(b"GET /", SECRET, b"no colon"),
        request(b"GET /", SECRET, b"Content-Length: x"),
        request(b"CONNECT a:1", SECRET),
        request(b"GET /", SECRET).replace(b"Host: a", b"Host: a b"),
        b"\x16\x03\x01" + SECRET + b"\r\n\r\n",
    ],
    ids=["field", "framing", "method", "host", "TLS"],
)
def test_malformed_requests_are_counted_and_not_logged(data: bytes) -> None:
    structlog.reset_defaults()
    with capture_logs() as lines, MemoryPlane() as plane:
        for _ in range(200):
            plane.say(plane.client(), data)
        assert plane.tally.total(REFUSED) == 200
    assert lines == []


def test_a_dead_candidate_is_two_lines_without_a_header_value() -> None:
    structlog.reset_defaults()
    candidate = Target()
    with capture_logs() as lines:
        with MemoryPlane(candidate=candidate) as plane:
            client = plane.client()
            for _ in range(300):
                plane.say(client, request(b"GET /", SECRET))
                plane.wait(0.25)
            candidate.works = True
            for _ in range(200):
                plane.say(client, request(b"GET /", SECRET))
                plane.wait(0.25)
        assert [line["event"] for line in lines] == ["breaker_open", "breaker_closed"]
    assert "sesame" not in str(lines)
