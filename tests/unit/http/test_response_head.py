import re

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.models import Limits
from proxy.http.response_head import Malformed, ResponseHead, parse_response_head, split_response_head
from tests.unit.http.driving import every_split, response_read

LIMITS = Limits()
ALL_BYTES = [bytes((value,)) for value in range(256)]


def read(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> ResponseHead | Malformed:
    return parse_response_head(b"\r\n".join([start, *lines]), LIMITS)


def accepted(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> ResponseHead:
    head = read(*lines, start=start)
    assert isinstance(head, ResponseHead), head
    return head


def forwarded(*lines: bytes) -> list[bytes]:
    return accepted(*lines).fields.split(b"\r\n")


# --- the status line


@pytest.mark.parametrize(
    ("start", "status", "ours"),
    [
        (b"HTTP/1.1 200 OK", 200, b"HTTP/1.1 200 OK"),
        (b"HTTP/1.0 404 Not Found", 404, b"HTTP/1.1 404 Not Found"),
        (b"HTTP/1.9 200 OK", 200, b"HTTP/1.1 200 OK"),
        (b"HTTP/1.1 200 ", 200, b"HTTP/1.1 200 "),
        (b"HTTP/1.1 200", 200, b"HTTP/1.1 200 "),
        (b"HTTP/1.1 999 \xe9\t\xff", 999, b"HTTP/1.1 999 \xe9\t\xff"),
        (b"HTTP/1.1 200 " + b"r" * 1024, 200, b"HTTP/1.1 200 " + b"r" * 1024),
    ],
    ids=["plain", "1.0", "1.9", "empty reason", "no reason", "obs-text", "1 KB reason"],
)
def test_the_status_line_becomes_ours_and_keeps_its_reason(start: bytes, status: int, ours: bytes) -> None:
    head = accepted(b"X: 1", start=start)
    assert (head.status, head.start) == (status, ours)


@pytest.mark.parametrize(
    "start",
    [
        b"", b"garbage", b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.1 20", b"HTTP/1.1 2000", b"HTTP/1.1 099 X",
        b"HTTP/1.1  200",
        b"HTTP/2.0 200 OK", b"HTTP/1.10 200 OK", b"http/1.1 200 OK", b"ICY 200 OK", b"HTTP/1.1\t200 OK",
        b" HTTP/1.1 200",
        b"HTTP/1.1 200OK", b"HTTP/1.1 +20 OK", b"HTTP/1.1 2\xb20 OK", b"HTTP/1.1 200 a\x00", b"HTTP/1.1 200 a\x7f",
    ],
    ids=repr,
)  # fmt: skip
def test_anything_else_is_no_status_line(start: bytes) -> None:
    assert read(b"X: 1", start=start) is Malformed.PROTOCOL


@pytest.mark.parametrize("at", range(len(b"HTTP/1.1 200")))
def test_every_other_byte_in_the_status_line_is_refused_or_read(at: int) -> None:
    good = b"HTTP/1.1 200"
    taken = b"".join(
        byte for byte in ALL_BYTES if isinstance(read(start=good[:at] + byte + good[at + 1 :]), ResponseHead)
    )
    assert taken == {7: b"0123456789", 9: b"123456789", 10: b"0123456789", 11: b"0123456789"}.get(at, good[at : at + 1])


@pytest.mark.parametrize("status", [100, 101, 103, 199])
def test_1xx_is_interim(status: int) -> None:
    assert not accepted(start=b"HTTP/1.1 %d X" % status).is_final


@pytest.mark.parametrize(
    ("status", "to_head", "body"),
    [
        (200, False, True),
        (200, True, False),
        (204, False, False),
        (304, False, False),
        (103, False, False),
        (404, False, True),
    ],
)
def test_which_responses_have_a_body(status: int, to_head: bool, body: bool) -> None:  # noqa: FBT001
    assert accepted(start=b"HTTP/1.1 %d X" % status).has_body(to_head=to_head) is body


# --- fields


def test_lines_are_forwarded_as_they_came() -> None:
    lines = (b"Set-Cookie: a=1", b"set-cookie: b=2", b"Set-Cookie: c=3", b"X-Obs: \xe9", b"X-Empty:", b'ETag:\t W/"x" ')
    assert forwarded(*lines) == list(lines)


@pytest.mark.parametrize(
    "line",
    [
        b"Connection: close", b"Keep-Alive: timeout=5", b"Proxy-Connection: close", b"Upgrade: h2c",
        b"Proxy-Authenticate: x",
        b"Proxy-Authentication-Info: x", b"Proxy: x", b"TE: x", b"HTTP2-Settings: x",
    ],
    ids=repr,
)  # fmt: skip
def test_hop_by_hop_lines_are_taken_out(line: bytes) -> None:
    assert forwarded(b"A: 1", line, b"B: 2") == [b"A: 1", b"B: 2"]


def test_a_head_of_hop_by_hop_lines_only_has_no_fields() -> None:
    assert accepted(b"Connection: close", b"Transfer-Encoding: chunked").fields == b""


def test_nominated_fields_are_removed_and_protected_ones_are_not() -> None:
    assert forwarded(b"X-Hop: 1", b"Set-Cookie: a", b"Connection: x-hop, set-cookie", b"B: 2") == [
        b"Set-Cookie: a",
        b"B: 2",
    ]


def test_a_single_nominated_field_is_removed() -> None:
    assert forwarded(b"Connection: x-hop", b"X-Hop: 1", b"B: 2") == [b"B: 2"]


def test_a_nominated_date_does_not_count_as_one() -> None:
    head = accepted(b"Date: x", b"Connection: close, date")
    assert head.has_date is (b"Date" in head.fields)


@pytest.mark.parametrize("line", [b"Date: Thu", b"Via: 1.1 x", b"Server: s", b"WWW-Authenticate: Basic", b"Vary: *"])
def test_lines_of_the_two_ends_stay(line: bytes) -> None:
    assert forwarded(line) == [line]


@pytest.mark.parametrize(
    ("head", "fields"),
    [
        (b"HTTP/1.1 200 OK\nA: 1\nB: 2", b"A: 1\r\nB: 2"),
        (b"HTTP/1.1 200 OK\r\nA : 1\r\nB\t: 2", b"A: 1\r\nB: 2"),
        (b"HTTP/1.1 200 OK\r\nA: 1\r\n  2\r\n\t3\r\nB: 2", b"A: 1 2 3\r\nB: 2"),
        (b"HTTP/1.1 200 OK\r\nContent-Length : 5", b"Content-Length: 5"),
    ],
    ids=["bare LF", "blank before colon", "fold", "blank before the colon of framing"],
)
def test_what_working_backends_send_is_repaired(head: bytes, fields: bytes) -> None:
    parsed = parse_response_head(head, LIMITS)
    assert isinstance(parsed, ResponseHead), parsed
    assert parsed.fields == fields


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n X: 1",
        b"HTTP/1.1 200 OK\r\nno colon",
        b"HTTP/1.1 200 OK\r\n: 1",
        b"HTTP/1.1 200 OK\r\nBad[Name: 1",
        b"HTTP/1.1 200 OK\r\nX: \x00",
        b"HTTP/1.1 200 OK\r\nX: \x7f",
        b"HTTP/1.1 200 OK\r\nX: a\rb",
        b"HTTP/1.1 200 OK\rX: a",
    ],
    ids=["fold into the status line", "no colon", "no name", "bad name", "NUL", "DEL", "bare CR", "bare CR line end"],
)
def test_what_stays_bad_is_malformed(head: bytes) -> None:
    assert parse_response_head(head, LIMITS) is Malformed.PROTOCOL


@pytest.mark.timeout(10)
def test_long_blanks_in_a_bad_head_are_repaired_without_rescanning() -> None:
    blanks = b" " * 120_000
    head = b"HTTP/1.1 200 OK\r\nbad\r\nX: " + blanks + b"x"
    assert parse_response_head(head, LIMITS) is Malformed.PROTOCOL
    assert parse_response_head(b"HTTP/1.1 200 OK\r\nX: " + blanks + b"\r\n y", LIMITS) is not None


# --- framing

BAD_LENGTHS = (b"5, 6", b"", b"+5", b"-1", b"5,", b"x", b"9223372036854775808", b"9" * 30)
BAD_CODINGS = (b"gzip", b"gzip, chunked", b"identity", b"chunked, chunked", b"", b"xchunked")


@pytest.mark.parametrize(
    ("lines", "length", "fields"),
    [
        ([b"Content-Length: 5"], 5, b"Content-Length: 5"),
        ([b"content-length:5"], 5, b"content-length:5"),
        ([b"Content-Length: 05"], 5, b"Content-Length: 5"),
        ([b"Content-Length: 5, 5"], 5, b"Content-Length: 5"),
        ([b"Content-Length: 5", b"Content-Length: 5"], 5, b"Content-Length: 5"),
        ([b"Content-Length: 5", b"content-length:  5"], 5, b"Content-Length: 5"),
        ([b"Content-Length: 5", b"Content-Length: 05"], 5, b"Content-Length: 5"),
        ([b"Content-Length: 5", b"Content-Length: 5, 5"], 5, b"Content-Length: 5"),
        ([b"Content-Length: 0"], 0, b"Content-Length: 0"),
    ],
    ids=repr,
)
def test_equal_lengths_collapse_into_one_line(lines: list[bytes], length: int, fields: bytes) -> None:
    head = accepted(*lines)
    assert (head.length, head.fields) == (length, fields)


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 5", b"Content-Length: 6"],
        *[[b"Content-Length: " + value] for value in BAD_LENGTHS],
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
        *[[b"Transfer-Encoding: " + value] for value in BAD_CODINGS],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
    ],
    ids=repr,
)  # fmt: skip
def test_ambiguous_framing_is_malformed(lines: list[bytes]) -> None:
    assert read(*lines) is Malformed.PROTOCOL


def test_transfer_encoding_in_http_1_0_is_malformed() -> None:
    assert read(b"Transfer-Encoding: chunked", start=b"HTTP/1.0 200 OK") is Malformed.PROTOCOL


@pytest.mark.parametrize("start", [b"HTTP/1.1 103 Early", b"HTTP/1.1 204 No"])
def test_a_coding_of_a_bodyless_status_is_stripped(start: bytes) -> None:
    assert accepted(b"Transfer-Encoding: chunked", b"A: 1", start=start).fields == b"A: 1"


@pytest.mark.parametrize("start", [b"HTTP/1.1 103 Early", b"HTTP/1.1 204 No", b"HTTP/1.0 204 No"])
@pytest.mark.parametrize("said", [b"gzip", b"gzip, chunked", b"chunked, chunked", b""])
def test_so_is_a_coding_that_elsewhere_would_be_malformed(start: bytes, said: bytes) -> None:
    head = accepted(b"Transfer-Encoding: " + said, b"Transfer-Encoding: chunked", b"A: 1", start=start)
    assert head.fields == b"A: 1"
    assert not head.chunked


@pytest.mark.parametrize(
    ("start", "lines", "keep_alive", "idle_s"),
    [
        (b"HTTP/1.1 200 OK", [], True, -1),
        (b"HTTP/1.1 200 OK", [b"Connection: Close"], False, -1),
        (b"HTTP/1.1 200 OK", [b"Connection: close\t"], False, -1),
        (b"HTTP/1.0 200 OK", [b"Connection: keep-alive"], False, -1),
        (b"HTTP/1.1 200 OK", [b"Connection: keep-alive", b"Keep-Alive: timeout=9, max=3"], True, 9),
    ],
)
def test_whether_the_connection_stays(start: bytes, lines: list[bytes], keep_alive: bool, idle_s: int) -> None:  # noqa: FBT001
    head = accepted(*lines, start=start)
    assert (head.keep_alive, head.idle_s) == (keep_alive, idle_s)


# --- limits and ends


def test_a_head_at_its_limits_passes_and_one_more_does_not() -> None:
    head = b"HTTP/1.1 200 OK\r\nA: 1\r\nB: 2"
    assert isinstance(parse_response_head(head, Limits(response_header_bytes=len(head))), ResponseHead)
    assert parse_response_head(head, Limits(response_header_bytes=len(head) - 1)) is Malformed.RESPONSE_HEAD
    assert isinstance(parse_response_head(head, Limits(response_header_count=2)), ResponseHead)
    assert parse_response_head(head, Limits(response_header_count=1)) is Malformed.RESPONSE_HEAD


@pytest.mark.parametrize(
    ("data", "split"),
    [
        (b"", None),
        (b"HTTP/1.1 200 OK\r\nA: 1\r\n", None),
        (b"HTTP/1.1 200 OK\r\nA: 1\r\n\r\nbody", (b"HTTP/1.1 200 OK\r\nA: 1", b"body")),
        (b"HTTP/1.1 200 OK\nA: 1\n\nbody", (b"HTTP/1.1 200 OK\nA: 1", b"body")),
        (b"HTTP/1.1 200 OK\r\nA: 1\n\r\nbody", (b"HTTP/1.1 200 OK\r\nA: 1", b"body")),
        (b"HTTP/1.1 200 OK\nA: 1\n\nbody\r\n\r\n", (b"HTTP/1.1 200 OK\nA: 1", b"body\r\n\r\n")),
        (b"HTTP/1.1 200 OK\nA: 1\n\r\n\r\n", (b"HTTP/1.1 200 OK\nA: 1", b"\r\n")),
    ],
    ids=["nothing", "unfinished", "CRLF", "LF", "LF CRLF", "LF, and CRLF CRLF in the body", "LF CRLF CRLF"],
)
def test_where_a_head_ends(data: bytes, split: tuple[bytes, bytes] | None) -> None:
    assert split_response_head(data) == split


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"A"]), max_size=12).map(b"".join), st.integers(0, 3)
)
def test_the_first_empty_line_ends_the_head(data: bytes, seen: int) -> None:
    end = re.search(rb"\r?\n\r?\n", data)
    split = None if end is None else (data[: end.start()], data[end.end() :])
    assert split_response_head(data) == split
    if end is None or end.start() >= seen:
        assert split_response_head(data, max(0, seen - 1)) == split


# --- any input, any split

pieces = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 Early\r\n", b"HTTP/1.0 200\r\n", b"HTTP/1.1 204 N\n",
        b"Content-Length: 3\r\n",
        b"content-length: 3\n", b"Transfer-Encoding: chunked\r\n", b"X : 1\r\n", b" fold\r\n",
        b"Connection: close\r\n", b"\r\n",
        b"\n", b"\r\n\r\n", b"abc", b"3\r\nabc\r\n", b"0\r\n", b"T: 1\r\n", b"\x00", b"\xff", b"\r", b" ", b"H",
    ]
)  # fmt: skip
streams = st.lists(pieces | st.binary(max_size=3), max_size=10).map(b"".join)
likely_streams = st.lists(pieces, max_size=8).map(lambda rest: b"HTTP/1.1 200 OK\r\nA: 1\r\n" + b"".join(rest))
SMALL = Limits(response_header_bytes=80, response_header_count=4, interim=2, trailer_bytes=8)


@given(st.binary() | streams)
def test_no_bytes_make_the_parser_raise(data: bytes) -> None:
    split = split_response_head(data)
    assert isinstance(parse_response_head(data if split is None else split[0], LIMITS), ResponseHead | Malformed)


@given(streams | likely_streams, st.sampled_from([b"GET", b"HEAD"]), st.data())
def test_the_same_comes_of_any_split(data: bytes, method: bytes, draw: st.DataObject) -> None:
    offsets = draw.draw(st.lists(st.integers(0, len(data)), max_size=6).map(sorted))
    *whole, _ = response_read(data, limits=SMALL, method=method)
    *cut, _ = response_read(data, *offsets, limits=SMALL, method=method)
    assert cut == whole


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 103 Early\r\nA: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\nT: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\nA: 1\n\nuntil the end",
        b"HTTP/1.1 204\r\nA: 1\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 03\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabX",
    ],
    ids=repr,
)
def test_the_same_comes_of_every_single_cut_and_of_single_bytes(data: bytes) -> None:
    whole = response_read(data)
    for offsets in every_split(data):
        assert response_read(data, *offsets) == whole


@pytest.mark.parametrize("more", [0, 1])
def test_the_limit_holds_for_every_split(more: int) -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    limits = Limits(response_header_bytes=len(data) - 4 - more)
    whole = response_read(data, limits=limits)
    assert (whole[1] is None) is bool(more)
    for offsets in every_split(data):
        assert response_read(data, *offsets, limits=limits) == whole


# --- h11 reads what we forward as we read it

names = st.sampled_from([b"X-A", b"x-a", b"Set-Cookie", b"Connection", b"Upgrade", b"X-Hop", b"Server"])
values = st.from_regex(rb"[\t\x20-\x7e\x80-\xff]{0,10}", fullmatch=True) | st.sampled_from([b"close, x-hop"])
field_lines = st.lists(st.builds(lambda name, value: name + b": " + value, names, values), max_size=6)
framings = st.sampled_from([b"Content-Length: 0", b"Content-Length: 03", b"content-length: 7, 7", b"X: 1"])


@given(st.integers(200, 599), field_lines, framings)
def test_h11_reads_the_forwarded_head_as_we_did(status: int, lines: list[bytes], framing: bytes) -> None:
    head = read(*lines, framing, start=b"HTTP/1.1 %d Reason" % status)
    assert isinstance(head, ResponseHead)
    peer = h11.Connection(h11.CLIENT)
    peer.send(h11.Request(method=b"GET", target=b"/", headers=[(b"Host", b"a")]))
    peer.receive_data(head.start + b"\r\n" + head.fields + b"\r\n\r\n")
    event = peer.next_event()
    assert isinstance(event, h11.Response)
    assert (event.status_code, event.reason) == (status, b"Reason")
    ours = [line.split(b":", 1) for line in head.fields.split(b"\r\n")]
    assert event.headers.raw_items() == [(name, value.strip(b" \t")) for name, value in ours]
    assert [value for name, value in event.headers if name == b"content-length"] == [b"%d" % head.length] * (
        head.length >= 0
    )


def test_a_lookalike_of_our_fields_passes_as_any_other_field() -> None:
    assert forwarded(b"Content_Length: 7", b"Keep_Alive: 1") == [b"Content_Length: 7", b"Keep_Alive: 1"]
    assert accepted(b"Content_Length: 7").length == -1


def test_the_longest_length_may_be_repeated_too() -> None:
    most = b"%d" % (2**63 - 1)
    head = parse_response_head(b"HTTP/1.1 200 OK\r\nContent-Length: %b, %b" % (most, most), Limits())
    assert isinstance(head, ResponseHead)
    assert (head.length, head.fields) == (2**63 - 1, b"Content-Length: " + most)
