"""The mistakes HTTP/1.1 parsers make most, one or more fixed cases each, on the protocols themselves."""

import pytest

from proxy.config.models import Limits
from proxy.core.message import Cause, Failure
from proxy.core.reasons import Refused
from proxy.http.refusal import Refusal
from tests.unit.http.driving import OK, BackendDrive, ClientDrive, every_split, requests_read, response_read, settings

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
SECOND = b"HTTP/1.1 200 Second\r\nContent-Length: 2\r\n\r\nok"


def refusals(data: bytes, **limits: int) -> list[tuple[int, Refused]]:
    """What these bytes are refused for, the same in one piece and in every other; nothing may be heard."""
    configured = settings(limits=limits)
    whole = requests_read(data, configured=configured)
    for offsets in every_split(data):
        assert requests_read(data, *offsets, configured=configured) == whole
    heard, refused, _, _ = whole
    assert heard == []
    assert isinstance(refused, list)
    return [(refusal.status, refusal.reason) for refusal in refused]


def request(line: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join([line, *fields, b"", b""])


def accepted(data: bytes, **limits: int) -> ClientDrive:
    drive = ClientDrive(settings(limits=limits)).say(data)
    assert drive.app.refused == []
    return drive


# --- G1


@pytest.mark.parametrize(
    ("method", "first"),
    [
        pytest.param(b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", id="HEAD"),
        pytest.param(b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", id="HEAD, chunked"),
        pytest.param(b"GET", b"HTTP/1.1 204 No\r\nContent-Length: 10\r\n\r\n", id="204"),
        pytest.param(b"GET", b"HTTP/1.1 304 Not\r\nContent-Length: 10\r\n\r\n", id="304"),
    ],
)
def test_g01_a_response_without_a_body_does_not_eat_the_next_one(method: bytes, first: bytes) -> None:
    drive = BackendDrive()
    one = drive.ask(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
    drive.say(first)
    assert (one.body, one.complete, drive.is_reusable) == (b"", True, True)
    two = drive.ask()
    drive.say(SECOND)
    assert (two.body, two.complete, drive.is_reusable) == (b"ok", True, True)


def test_g01_an_interim_response_does_not_eat_the_final_one() -> None:
    *_, usable = found = response_read(b"HTTP/1.1 103 Early\r\nContent-Length: 10\r\n\r\n" + SECOND)
    assert found[2:5] == (b"ok", [], True)
    assert usable


# --- G2


def test_g02_a_body_until_eof_is_complete_at_eof() -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\nall"
    assert response_read(head)[2:] == (b"all", [], True, None, False)
    assert response_read(head, ends=False)[4] is False


@pytest.mark.parametrize("framing", [b"Content-Length: 10", b"Transfer-Encoding: chunked"])
def test_g02_a_declared_body_is_truncated_at_eof(framing: bytes) -> None:
    found = response_read(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n5\r\nall")
    assert found[4:6] == (False, Failure(Cause.TRUNCATED))


# --- G3


def test_g03_blanks_after_a_value_are_not_part_of_it() -> None:
    drive = accepted(request(b"POST / HTTP/1.1", b"Host: a \t", b"Content-Length: 2 ", b"Connection: close\t") + b"ok")
    (heard,) = drive.app.heard
    assert (heard.head.host, heard.body, heard.head.keep_alive) == (b"a", b"ok", False)
    found = response_read(b"HTTP/1.1 200 OK\r\nContent-Length: 2 \r\nConnection: close\t\r\n\r\nok")
    assert found[2:] == (b"ok", [], True, None, False)


# --- G4


@pytest.mark.parametrize("trailer", [b"Content-Length: 9", b"Host: b", b"Transfer-Encoding: chunked", b"X: 1"])
def test_g04_trailers_never_become_fields(trailer: bytes) -> None:
    data = (
        request(b"POST / HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked") + b"0\r\n" + trailer + b"\r\n\r\n" + NEXT
    )
    drive = accepted(data)
    first, second = drive.app.heard
    assert first.head.fields == b"Host: a\r\nTransfer-Encoding: chunked"
    assert first.trailers == ([trailer] if trailer == b"X: 1" else [])
    assert second.head.target == b"/next"


# --- G5


@pytest.mark.parametrize("value", [b"gzip", b"identity", b"chunked, chunked", b"xchunked", b""])
def test_g05_a_coding_is_exactly_chunked_or_refused(value: bytes) -> None:
    line = b"Transfer-Encoding: " + value
    assert refusals(request(b"POST / HTTP/1.1", b"Host: a", line)) == [(400, Refused.FRAMING)]
    assert response_read(b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\nbody")[5] == Failure(Cause.PROTOCOL)


def test_g05_gzip_then_chunked_is_not_implemented_and_never_read_until_eof() -> None:
    line = b"Transfer-Encoding: gzip, chunked"
    assert refusals(request(b"POST / HTTP/1.1", b"Host: a", line)) == [(501, Refused.CODING)]
    assert response_read(b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\nbody")[5] == Failure(Cause.PROTOCOL)


# --- G6


@pytest.mark.parametrize("more", [[], [b"Content-Length: 5"]], ids=["alone", "with Content-Length"])
def test_g06_http_1_0_with_transfer_encoding_is_refused(more: list[bytes]) -> None:
    lines = [b"Transfer-Encoding: chunked", *more]
    assert refusals(request(b"POST / HTTP/1.0", *lines)) == [(400, Refused.FRAMING)]
    assert response_read(request(b"HTTP/1.0 200 OK", *lines) + b"0\r\n\r\n")[5] == Failure(Cause.PROTOCOL)


# --- G7


def test_g07_upgrade_does_not_switch_framing_off() -> None:
    fields = (b"Host: a", b"Connection: upgrade", b"Upgrade: h2c", b"Content-Length: %d" % len(NEXT))
    drive = accepted(request(b"POST / HTTP/1.1", *fields) + NEXT + NEXT)
    first, second = drive.app.heard
    assert first.body == NEXT
    assert b"pgrade" not in first.head.fields
    assert second.head.target == b"/next"


def test_g07_connect_is_refused_and_what_follows_is_never_a_request() -> None:
    assert refusals(request(b"CONNECT a:443 HTTP/1.1", b"Host: a", b"Content-Length: 5") + NEXT) == [
        (501, Refused.CONNECT)
    ]


def test_g07_trace_with_a_body_never_lets_the_body_become_a_request() -> None:
    assert refusals(request(b"TRACE / HTTP/1.1", b"Host: a", b"Content-Length: %d" % len(NEXT)) + NEXT) == [
        (405, Refused.TRACE)
    ]


# --- G8


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        (b"GET / RTSP/1.0", (400, Refused.REQUEST_LINE)),
        (b"GET / ICE/1.0", (400, Refused.REQUEST_LINE)),
        (b"GET / HTTP/2.0", (505, Refused.VERSION)),
        (b"SOURCE / ICE/1.0", (400, Refused.REQUEST_LINE)),
        (b"GET / hTTP/1.1", (400, Refused.REQUEST_LINE)),
    ],
)
def test_g08_other_versions_and_protocols_are_refused(line: bytes, refusal: tuple[int, Refused]) -> None:
    assert refusals(request(line, b"Host: a")) == [refusal]
    assert response_read(line.split(b" ")[-1] + b" 200 OK\r\n\r\n")[5] == Failure(Cause.PROTOCOL)


# --- G9


@pytest.mark.parametrize("line", [b"GET / HTTP/1.1", b"GET http://a/ HTTP/1.1", b"OPTIONS * HTTP/1.1"])
@pytest.mark.parametrize(
    "hosts",
    [[], [b"a", b"a"], [b""], [b"u@a"], [b"a/b"], [b"a,b"]],
    ids=["none", "two", "empty", "userinfo", "path", "comma"],
)
def test_g09_host_is_exactly_one_good_one_in_every_form(line: bytes, hosts: list[bytes]) -> None:
    assert refusals(request(line, *[b"Host: " + host for host in hosts])) == [(400, Refused.HOST)]


# --- G10


@pytest.mark.parametrize("line", [b"GET *", b"POST *", b"OPTIONS *x"])
def test_g10_an_asterisk_is_for_options_only(line: bytes) -> None:
    assert refusals(request(line + b" HTTP/1.1", b"Host: a")) == [(400, Refused.TARGET)]


def test_g10_options_asterisk_is_accepted() -> None:
    assert accepted(request(b"OPTIONS * HTTP/1.1", b"Host: a")).app.heard[0].head.target == b"*"


# --- G11


@pytest.mark.parametrize(
    "line", [b"GET  / HTTP/1.1", b"GET /  HTTP/1.1", b"GET\t/ HTTP/1.1", b"GET / HTTP/1.1 ", b"GET /#frag HTTP/1.1"]
)
def test_g11_only_two_single_spaces_divide_a_request_line(line: bytes) -> None:
    ((status, _),) = refusals(request(line, b"Host: a"))
    assert status == 400


def test_g11_two_single_spaces_are_accepted() -> None:
    assert accepted(GET).app.heard[0].head.start == b"GET / HTTP/1.1"


# --- G12

CHUNKED = request(b"POST / HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked")


@pytest.mark.parametrize(
    ("limit", "most", "data", "refusal"),
    [
        ("request_line", 14, GET, (414, Refused.REQUEST_LINE)),
        ("header_bytes", len(GET), GET, (431, Refused.HEADER_BYTES)),
        ("header_count", 1, GET, (431, Refused.HEADER_COUNT)),
        (
            "body_bytes",
            3,
            request(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 3") + b"abc",
            (413, Refused.BODY_BYTES),
        ),
        ("body_bytes", 3, CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", (413, Refused.BODY_BYTES)),
        ("trailer_bytes", 6, CHUNKED + b"0\r\nX: 1\r\n\r\n", (431, Refused.TRAILERS)),
        ("trailer_count", 1, CHUNKED + b"0\r\nX: 1\r\n\r\n", (431, Refused.TRAILERS)),
        ("chunk_overhead", 4, CHUNKED + b"0;" + b"x" * 16 + b"\r\n\r\n", (400, Refused.CHUNK_OVERHEAD)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_g12_each_limit_passes_at_the_limit_and_fails_at_one_more(
    limit: str, most: int, data: bytes, refusal: tuple[int, Refused]
) -> None:
    whole = requests_read(data, configured=settings(limits={limit: most}))
    for offsets in every_split(data):
        assert requests_read(data, *offsets, configured=settings(limits={limit: most})) == whole
    heard, refused, _, _ = whole
    assert isinstance(heard, list)
    assert (len(heard), refused) == (1, [])
    # `header_count: 0` and `body_bytes: 0` mean something else, so one more byte or field is sent instead
    longer = {"header_count": request(b"GET / HTTP/1.1", b"Host: a", b"X: 1")}.get(limit, data)
    assert refusals(longer, **{limit: most - (longer is data)}) == [refusal]


@pytest.mark.parametrize("over", [0, 1])
def test_g12_response_limits_hold_for_every_split(over: int) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: 1"
    data = head + b"\r\n\r\nok"
    limits = [Limits(response_header_bytes=len(head) - over), Limits(response_header_count=2 - over)]
    for limit in limits:
        failure = Failure(Cause.RESPONSE_HEAD) if over else None
        for offsets in [(), *every_split(data)]:
            assert response_read(data, *offsets, limits=limit)[5] == failure


@pytest.mark.parametrize("count", [16, 17])
def test_g12_interim_responses_are_limited(count: int) -> None:
    data = b"HTTP/1.1 103 Early\r\n\r\n" * count + SECOND
    for offsets in ((), range(1, len(data))):
        assert response_read(data, *offsets)[5] == (Failure(Cause.INTERIM) if count > 16 else None)


# --- G13


def test_g13_data_after_a_request_with_connection_close_is_no_error_of_it() -> None:
    data = request(b"GET / HTTP/1.1", b"Host: a", b"Connection: close") + b"\x00garbage"
    for offsets in every_split(data):
        heard, refused, received, _ = requests_read(data, *offsets)
        assert isinstance(heard, list)
        assert (len(heard), refused, received) == (1, [], OK)


def test_g13_data_after_a_response_closes_the_connection_and_reaches_nobody() -> None:
    found = response_read(SECOND + b"HTTP/1.1 200 Evil\r\n\r\n")
    assert found[2:] == (b"ok", [], True, None, False)


# --- G14


@pytest.mark.parametrize(
    "reason", [b"", b" ", b" " + b"r" * 1024, b" \xe9\xff", b" OK"], ids=["absent", "empty", "1 KB", "obs-text", "OK"]
)
def test_g14_any_reason_phrase_is_read_wherever_it_is_cut(reason: bytes) -> None:
    data = b"HTTP/1.1 200" + reason + b"\r\nContent-Length: 2\r\n\r\nok"
    for offsets in [(), *list(every_split(data))[:20], tuple(range(1, len(data)))]:
        found = response_read(data, *offsets)
        assert found[1:6] == ((200, b"HTTP/1.1 200" + (reason or b" "), b"Content-Length: 2"), b"ok", [], True, None)


# --- G15


def test_g15_requests_come_out_one_at_a_time_and_the_rest_waits_untouched() -> None:
    post = request(b"POST /b HTTP/1.1", b"Host: a", b"Content-Length: 3")
    data = GET + post + b"abc" + CHUNKED + b"1\r\nx\r\n0\r\n\r\n" + NEXT
    whole = requests_read(data)
    assert whole[2] == OK * 4
    for offsets in every_split(data):
        assert requests_read(data, *offsets) == whole


def test_g15_an_incomplete_request_behind_a_good_one_is_neither_dropped_nor_read_early() -> None:
    drive = ClientDrive().say(GET + NEXT[:20])
    assert [heard.head.target for heard in drive.app.heard] == [b"/"]
    drive.say(NEXT[20:])
    assert [heard.head.target for heard in drive.app.heard] == [b"/", b"/next"]


def test_g15_garbage_behind_a_good_request_does_not_spoil_its_answer() -> None:
    drive = ClientDrive().say(GET + b"\x00\r\n\r\n")
    assert len(drive.app.heard) == 1
    assert bytes(drive.wire.received).startswith(OK + b"HTTP/1.1 400")


# --- G16


@pytest.mark.parametrize(
    "bad",
    [
        b"\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        CHUNKED + b"x\r\n",
    ],
)
def test_g16_after_a_refusal_nothing_is_read_any_more(bad: bytes) -> None:
    drive = ClientDrive().say(bad)
    before = drive.transcript
    drive.say(NEXT, b"\x00", NEXT * 3)
    assert drive.transcript == before
    assert len(drive.app.refused) == 1


def test_g16_after_a_bad_response_nothing_is_read_any_more() -> None:
    drive = BackendDrive()
    receiver = drive.ask()
    drive.say(b"garbage\r\n\r\n")
    before = receiver.transcript
    drive.say(SECOND)
    assert receiver.transcript == before
    assert receiver.failure == Failure(Cause.PROTOCOL)
    assert (drive.owner.ended, drive.is_reusable) == (1, False)


@pytest.mark.parametrize("refused", [Refusal(400, Refused.REQUEST_LINE)])
def test_g16_leading_empty_lines_are_skipped_up_to_four(refused: Refusal) -> None:
    assert len(accepted(b"\r\n" * 4 + GET).app.heard) == 1
    assert refusals(b"\r\n" * 5 + GET) == [(refused.status, refused.reason)]
    assert refusals(b"\n" + GET) == [(refused.status, refused.reason)]
