"""What each phase of a connection waits for, and until when."""

from time import monotonic

import pytest

from proxy.http.connection import ClientConnection
from proxy.http.deadline import NEVER
from tests.unit.http.driving import BackendDrive, ClientDrive, RecordingServed, settings
from tests.wire.rig import GET, request, response

LIMITS = {"client_idle": "1000s", "request_head": "2000s", "request_body_idle": "3000s", "client_stall": "4000s"}
HALF_A_POST = request(b"POST /", b"Content-Length: 10", body=b"hello")


def _driven(*pieces: bytes) -> tuple[ClientDrive, ClientConnection]:
    drive = ClientDrive(settings(timeouts=LIMITS)).say(*pieces)
    (connection,) = drive.app.connections
    return drive, connection


def _limit(connection: ClientConnection) -> float:
    """The limit in force, to the nearest 100 s; NEVER if there is none."""
    return NEVER if connection.deadline == NEVER else round((connection.deadline - monotonic()) / 100) * 100


@pytest.fixture
def _unanswered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests stay in service."""
    for name in ("answer", "client_paused", "client_resumed"):
        monkeypatch.setattr(RecordingServed, name, lambda _: None)


PHASES = [
    pytest.param((GET,), NEVER, id="answering"),
    pytest.param((HALF_A_POST,), 3000, id="body"),
    pytest.param((HALF_A_POST, b"world"), NEVER, id="answering a body"),
]


@pytest.mark.usefixtures("_unanswered")
@pytest.mark.parametrize(("pieces", "limit"), PHASES)
def test_a_client_that_reads_again_has_the_time_of_its_phase(pieces: tuple[bytes, ...], limit: float) -> None:
    _, connection = _driven(*pieces)
    assert _limit(connection) == limit
    connection.pause_writing()
    assert _limit(connection) == 4000
    connection.resume_writing()
    assert _limit(connection) == limit


@pytest.mark.parametrize(("rest", "limit"), [(b"", 1000), (b"\r\n", 1000), (b"GET /", 2000)])
def test_an_idle_client_that_reads_again_has_the_time_of_its_next_head(rest: bytes, limit: float) -> None:
    _, connection = _driven(GET + rest)
    assert _limit(connection) == limit
    connection.pause_writing()
    assert _limit(connection) == 4000
    connection.resume_writing()
    assert _limit(connection) == limit


@pytest.mark.usefixtures("_unanswered")
def test_a_client_that_does_not_read_is_not_excused_by_the_end_of_its_upload() -> None:
    drive, connection = _driven(HALF_A_POST)
    connection.pause_writing()
    drive.say(b"world")
    assert _limit(connection) == 4000


@pytest.mark.parametrize("before", [b"", GET], ids=["first", "second"])
def test_a_head_that_drips_gains_no_time(before: bytes) -> None:
    drive, connection = _driven(before, b"G")
    assert _limit(connection) == 2000
    first = connection.deadline
    drive.say(b"E", b"T", b" / HTTP/1.1\r\n", b"Host: ")
    assert connection.deadline == first
    drive.say(b"a\r\n\r\n")
    assert _limit(connection) == 1000


@pytest.mark.parametrize("pieces", [1, 2, 3])
@pytest.mark.parametrize(("timeout", "kept"), [(b"", True), (b"timeout=5", True), (b"timeout=1", False)])
def test_a_backend_that_keeps_no_connection_is_believed_however_its_body_comes(
    pieces: int,
    timeout: bytes,
    kept: bool,  # noqa: FBT001
) -> None:
    drive = BackendDrive()
    receiver = drive.ask()
    raw = response(b"Content-Length: 9", b"Keep-Alive: " + timeout, body=b"012345678")
    drive.say(*{1: [raw], 2: [raw[:-6], raw[-6:]], 3: [raw[:-6], raw[-6:-3], raw[-3:]]}[pieces])
    assert receiver.complete
    assert drive.is_reusable is kept
