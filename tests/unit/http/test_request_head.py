import re

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.models import Limits
from proxy.http.refusal import Refusal
from proxy.http.request_head import (
    _BARE_LINE_END,
    BAD_FIELD,
    BAD_FRAMING,
    BAD_HOST,
    BAD_METHOD,
    BAD_REQUEST_LINE,
    BAD_TARGET,
    HEAD_END,
    HEAD_TOO_LONG,
    LINE_TOO_LONG,
    NO_TRACE,
    NO_TUNNEL,
    OTHER_VERSION,
    TOO_MANY_FIELDS,
    UNKNOWN_CODING,
    RequestHead,
    _ends_lines_well,
    find_head_end,
    parse_request_head,
)
from tests.unit.http.driving import every_split, requests_read, settings

LIMITS = Limits()
ALL_BYTES = [bytes((value,)) for value in range(256)]
TOKEN_BYTES = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def read(start: bytes, *lines: bytes, host: bool = True) -> RequestHead | Refusal:
    own = [b"Host: a"] if host else []
    return parse_request_head(b"\r\n".join([start, *own, *lines]), LIMITS)


def accepted(start: bytes, *lines: bytes, host: bool = True) -> RequestHead:
    head = read(start, *lines, host=host)
    assert isinstance(head, RequestHead), head
    return head


def refused(start: bytes, *lines: bytes, host: bool = True) -> Refusal:
    refusal = read(start, *lines, host=host)
    assert isinstance(refusal, Refusal), refusal
    return refusal


def forwarded_fields(*lines: bytes, start: bytes = b"GET / HTTP/1.1") -> list[bytes]:
    return accepted(start, *lines).fields.split(b"\r\n")


# --- the request line


@pytest.mark.parametrize("method", [b"GET", b"FOO", b"PROPFIND", b"QUERY", b"SOURCE", b"M-SEARCH", b"!#$%&'*+.^_`|~1"])
def test_any_token_is_a_method(method: bytes) -> None:
    assert accepted(method + b" / HTTP/1.1").method == method


@pytest.mark.parametrize("method", [b"get", b"Post", b"dELETE", b"options", b"Trace", b"connecT"])
def test_a_case_variant_of_a_known_method_is_refused(method: bytes) -> None:
    assert refused(method + b" / HTTP/1.1") == BAD_METHOD


def test_methods_are_made_of_token_bytes_only() -> None:
    taken = [byte for byte in ALL_BYTES if isinstance(read(b"X%bX / HTTP/1.1" % byte), RequestHead)]
    assert b"".join(taken) == bytes(sorted(TOKEN_BYTES))


def test_targets_are_made_of_visible_ascii_but_the_hash() -> None:
    taken = [byte for byte in ALL_BYTES if isinstance(read(b"GET /a%bb HTTP/1.1" % byte), RequestHead)]
    assert b"".join(taken) == bytes(value for value in range(0x21, 0x7F) if value != ord("#"))


def test_the_version_takes_no_other_byte_in_any_place() -> None:
    good = b"GET / HTTP/1.1"
    for at in range(len(b"GET / "), len(good) - 1):
        for byte in ALL_BYTES:
            line = good[:at] + byte + good[at + 1 :]
            assert line == good or isinstance(read(line), Refusal), line
    digits = [byte for byte in ALL_BYTES if isinstance(read(good[:-1] + byte), RequestHead)]
    assert b"".join(digits) == b"0123456789"


def test_a_target_arrives_byte_for_byte() -> None:
    target = b'/a%2Fb%20c/./../d//e;p=1?x=%2B+&y=[]|^{}`&z=a%c3%28%zz"<>\\'
    head = accepted(b"GET " + target + b" HTTP/1.1")
    assert head.target == target
    assert head.start == b"GET " + target + b" HTTP/1.1"


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        (b"GET  / HTTP/1.1", BAD_REQUEST_LINE),
        (b"GET /  HTTP/1.1", BAD_REQUEST_LINE),
        (b"GET\t/ HTTP/1.1", BAD_REQUEST_LINE),
        (b" GET / HTTP/1.1", BAD_REQUEST_LINE),
        (b"GET / HTTP/1.1 ", BAD_REQUEST_LINE),
        (b"GET HTTP/1.1", BAD_REQUEST_LINE),
        (b"GET /", BAD_REQUEST_LINE),
        (b"GET", BAD_REQUEST_LINE),
        (b"", BAD_REQUEST_LINE),
        (b"GET / HTTP/1", BAD_REQUEST_LINE),
        (b"GET / http/1.1", BAD_REQUEST_LINE),
        (b"GET / hTTP/1.1", BAD_REQUEST_LINE),
        (b"GET / HTTP/01.01", BAD_REQUEST_LINE),
        (b"GET / HTTP/1.10", BAD_REQUEST_LINE),
        (b"GET / HTTP/ 1.1", BAD_REQUEST_LINE),
        (b"GET / ICE/1.0", BAD_REQUEST_LINE),
        (b"GET / RTSP/1.0", BAD_REQUEST_LINE),
        (b"PRI * HTTP/2.0", BAD_REQUEST_LINE),
        (b"GET / HTTP/0.9", OTHER_VERSION),
        (b"GET / HTTP/2.0", OTHER_VERSION),
        (b"GET / HTTP/9.9", OTHER_VERSION),
        (b"GET /#f HTTP/1.1", BAD_TARGET),
        (b"GET /\xc3\xa9 HTTP/1.1", BAD_TARGET),
        (b"GET /\x7f HTTP/1.1", BAD_TARGET),
        (b"GET a/b HTTP/1.1", BAD_TARGET),
        (b"GET a:80 HTTP/1.1", BAD_TARGET),
        (b"GET ?q HTTP/1.1", BAD_TARGET),
        (b"GET * HTTP/1.1", BAD_TARGET),
        (b"POST * HTTP/1.1", BAD_TARGET),
        (b"OPTIONS *x HTTP/1.1", BAD_TARGET),
        (b"CONNECT a:443 HTTP/1.1", NO_TUNNEL),
        (b"CONNECT / HTTP/1.1", NO_TUNNEL),
        (b"TRACE / HTTP/1.1", NO_TRACE),
    ],
    ids=repr,
)
def test_a_request_line_off_the_grammar_is_refused(line: bytes, refusal: Refusal) -> None:
    assert refused(line) == refusal


def test_we_send_our_own_version() -> None:
    for minor in range(10):
        head = accepted(b"GET / HTTP/1.%d" % minor)
        assert head.start == b"GET / HTTP/1.1"
        assert head.minor == int(minor > 0)
        assert head.keep_alive is (minor > 0)


# --- absolute form


@pytest.mark.parametrize(
    ("line", "target", "host"),
    [
        (b"GET http://o:81/p?q HTTP/1.1", b"/p?q", b"o:81"),
        (b"GET HTTP://o HTTP/1.1", b"/", b"o"),
        (b"GET http://o?q HTTP/1.1", b"/?q", b"o"),
        (b"GET http://[::1]:8/ HTTP/1.1", b"/", b"[::1]:8"),
        (b"GET http://o/http://p/ HTTP/1.1", b"/http://p/", b"o"),
        (b"GET http://o/?a?b HTTP/1.1", b"/?a?b", b"o"),
        (b"OPTIONS http://o HTTP/1.1", b"*", b"o"),
        (b"OPTIONS http://o/ HTTP/1.1", b"/", b"o"),
        (b"OPTIONS http://o?q HTTP/1.1", b"/?q", b"o"),
    ],
    ids=repr,
)
def test_absolute_form_becomes_origin_form_and_its_authority_the_host(line: bytes, target: bytes, host: bytes) -> None:
    head = accepted(line, b"X: 1")
    assert (head.target, head.host) == (target, host)
    assert head.start == line.split(b" ")[0] + b" " + target + b" HTTP/1.1"
    assert head.fields == b"X: 1\r\nHost: " + host


@pytest.mark.parametrize(
    "target", [b"https://o/", b"ftp://o/", b"http:///p", b"http://u@o/", b"http://o:x/", b"http:/o", b"http://o,p/"]
)
def test_any_other_absolute_form_is_refused(target: bytes) -> None:
    assert refused(b"GET " + target + b" HTTP/1.1") == BAD_TARGET


def test_absolute_form_needs_a_valid_host_field_all_the_same() -> None:
    assert refused(b"GET http://o/ HTTP/1.1", host=False) == BAD_HOST
    assert refused(b"GET http://o/ HTTP/1.1", b"Host: b") == BAD_HOST
    assert refused(b"GET http://o/ HTTP/1.1", b"Host: u@b", host=False) == BAD_HOST


# --- fields


def test_lines_are_forwarded_as_they_came() -> None:
    lines = (b"X-b: 2", b"X-B: 3", b"X-b:2", b"aCCept:\t a , b \t", b"X-Empty:", b"X-Obs: \xe9\xff", b"X_under: 1")
    assert forwarded_fields(*lines) == [b"Host: a", *lines]


@pytest.mark.parametrize(
    "line",
    [
        b"Connection: close", b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive", b"Upgrade: websocket",
        b"HTTP2-Settings: x", b"Proxy-Authorization: x", b"Proxy-Authenticate: x", b"Proxy-Authentication-Info: x",
        b"Proxy: x", b"TE: gzip", b"X-Forwarded-For: 1", b"x-forwarded-proto: 1", b"X-FORWARDED-HOST: 1",
        b"Forwarded: for=1",
    ],
    ids=repr,
)  # fmt: skip
def test_lines_a_proxy_owns_are_taken_out(line: bytes) -> None:
    assert forwarded_fields(b"X: 1", line, b"Y: 2") == [b"Host: a", b"X: 1", b"Y: 2"]


HOP_BY_HOP = {b"connection", b"te", b"upgrade", b"keep-alive", b"x-forwarded-for"}
mixed_names = st.sampled_from([b"X-A", b"x-b", b"Cookie", *(name.title() for name in HOP_BY_HOP)])
mixed_lines = st.builds(
    lambda name, value: name + b": " + value, mixed_names, st.sampled_from([b"1", b"x-a", b"close"])
)


@given(st.lists(mixed_lines, max_size=10))
def test_what_is_forwarded_is_what_came_less_what_is_ours(lines: list[bytes]) -> None:
    nominated = {line.split(b": ")[1] for line in lines if line.startswith(b"Connection:")}
    kept = [line for line in lines if line.split(b":")[0].lower() not in HOP_BY_HOP | nominated]
    assert forwarded_fields(*lines) == [b"Host: a", *kept]


@pytest.mark.parametrize(
    "line", [b"Authorization: a", b"Cookie: a", b"Referer: a", b"Date: a", b"Expect: x", b"Via: 1"]
)
def test_lines_of_the_two_ends_stay(line: bytes) -> None:
    assert forwarded_fields(line) == [b"Host: a", line]


def test_nominated_fields_are_removed_and_protected_ones_are_not() -> None:
    lines = (b"X-Hop: 1", b"Cookie: c", b"Connection: x-hop, cookie", b"CONNECTION: Y-Hop, host", b"y-hOp: 2", b"Z: 3")
    assert forwarded_fields(*lines) == [b"Host: a", b"Cookie: c", b"Z: 3"]


def test_a_single_nominated_field_is_removed() -> None:
    assert forwarded_fields(b"Connection: x-hop", b"X-Hop: 1", b"Z: 3") == [b"Host: a", b"Z: 3"]


def test_a_quoted_nomination_is_ignored() -> None:
    assert forwarded_fields(b'Connection: "x-a"', b"X-A: 1") == [b"Host: a", b"X-A: 1"]


def test_trailers_are_asked_for_in_our_own_words() -> None:
    assert forwarded_fields(b"TE: gzip, trailers;q=1") == [b"Host: a", b"TE: trailers", b"Connection: TE"]


def test_forwarded_fields_pass_when_they_are_not_ours_to_say() -> None:
    head = parse_request_head(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: b", LIMITS, own_forwarded=False)
    assert isinstance(head, RequestHead)
    assert head.fields == b"Host: a\r\nX-Forwarded-For: b"


@pytest.mark.parametrize(
    "line",
    [
        b"no colon", b": empty", b"Bad[Name: 1", b"X : 1", b" folded", b"\tfolded: 1", b"X: \x00", b"X: \x01",
        b"X: a\rb", b"X: \x7f", b"Content_Length: 5", b"X_Forwarded_For: 1",
    ],
    ids=repr,
)  # fmt: skip
def test_a_bad_line_is_refused(line: bytes) -> None:
    assert refused(b"GET / HTTP/1.1", line) == BAD_FIELD
    assert refused(b"GET / HTTP/1.1", line, b"Accept: a") == BAD_FIELD


def test_a_line_without_a_colon_stays_bad_after_its_prefix_was_a_name() -> None:
    accepted(b"GET / HTTP/1.1", b"Accept: a")
    assert refused(b"GET / HTTP/1.1", b"AcceptX") == BAD_FIELD


def test_every_byte_in_a_value_is_passed_or_refused() -> None:
    taken = [byte for byte in ALL_BYTES if isinstance(read(b"GET / HTTP/1.1", b"X: a%bb" % byte), RequestHead)]
    assert b"".join(taken) == bytes((9, *range(0x20, 0x7F), *range(0x80, 0x100)))


@pytest.mark.parametrize("values", [[], [b"a", b"a"], [b""], [b"u@a"], [b"a/b"], [b"a,b"], [b"a b"], [b"a:99999"]])
def test_host_is_exactly_one_good_one(values: list[bytes]) -> None:
    lines = [b"Host: " + value for value in values]
    for start in (b"GET / HTTP/1.1", b"GET http://o/ HTTP/1.1", b"OPTIONS * HTTP/1.1"):
        assert refused(start, *lines, host=False) == BAD_HOST


def test_http_1_0_may_lack_a_host() -> None:
    head = accepted(b"GET / HTTP/1.0", host=False)
    assert (head.host, head.fields) == (b"", b"")


def test_http_1_0_takes_neither_expectations_nor_trailers() -> None:
    head = accepted(b"POST / HTTP/1.0", b"Expect: 100-continue", b"TE: trailers", b"Content-Length: 1")
    assert (head.expects, head.takes_trailers) == (False, False)
    assert head.fields == b"Host: a\r\nContent-Length: 1"


@pytest.mark.parametrize(
    ("method", "values", "found"),
    [
        (b"OPTIONS", [b"0"], 0),
        (b"OPTIONS", [b"12"], 12),
        (b"GET", [b"x"], -1),
        (b"OPTIONS", [b"x"], BAD_FIELD),
        (b"OPTIONS", [b""], BAD_FIELD),
        (b"OPTIONS", [b"-1"], BAD_FIELD),
        (b"OPTIONS", [b"1", b"1"], BAD_FIELD),
    ],
)
def test_max_forwards_counts_for_options_only(method: bytes, values: list[bytes], found: int | Refusal) -> None:
    head = read(method + b" / HTTP/1.1", *[b"Max-Forwards: " + value for value in values])
    assert (head.max_forwards if isinstance(head, RequestHead) else head) == found


def test_the_vias_the_expectation_and_our_marker_are_seen() -> None:
    head = accepted(
        b"GET / HTTP/1.1", b"Via: 1.1 x", b"via: 1.0 y, 1.1 z", b"Expect: 100-continue", b"X-Shadow-Request: 1"
    )
    assert head.vias == (b"1.1 x", b"1.0 y, 1.1 z")
    assert head.expects
    assert head.is_copy
    assert head.fields.endswith(b"\r\nX-Shadow-Request: 1"), "whoever is asked next must see it too"


# --- framing


@pytest.mark.parametrize(
    ("lines", "length", "chunked", "forwarded"),
    [
        ([], -1, False, []),
        ([b"Content-Length: 0"], 0, False, [b"Content-Length: 0"]),
        ([b"content-length:5"], 5, False, [b"content-length:5"]),
        ([b"Content-Length: 05"], 5, False, [b"Content-Length: 5"]),
        ([b"Content-Length: 00"], 0, False, [b"Content-Length: 0"]),
        ([b"Transfer-Encoding: chunked"], -1, True, [b"Transfer-Encoding: chunked"]),
        ([b"transfer-encoding:\tCHUNKED "], -1, True, [b"Transfer-Encoding: chunked"]),
    ],
)
def test_framing_is_read_and_written_anew_where_it_was_unusual(
    lines: list[bytes],
    length: int,
    chunked: bool,  # noqa: FBT001
    forwarded: list[bytes],
) -> None:
    head = accepted(b"POST / HTTP/1.1", *lines)
    assert (head.length, head.chunked) == (length, chunked)
    assert head.has_body is (chunked or length > 0)
    assert head.fields.split(b"\r\n") == [b"Host: a", *forwarded]


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Content-Length: 5", b"Content-Length: 6"],
        [b"Content-Length: 5", b"content-length: 5"],
        *[[b"Content-Length: " + value] for value in (b"5, 5", b"5, 6", b"+5", b"-0", b"0x5", b"1_0", b"5 5", b"")],
        [b"Content-Length: 9223372036854775808"],
        [b"Content-Length: 00000000000000000005"],
        *[
            [b"Transfer-Encoding: " + value]
            for value in (
                b"xchunked", b"chunked, chunked", b"gzip", b"identity", b"chunked;x", b"", b"chunked,", b",chunked",
                b"gzip, chunked, chunked", b"chunked, gzip", b"gzip chunked",
            )
        ],
    ],
    ids=repr,
)  # fmt: skip
def test_ambiguous_framing_is_refused(lines: list[bytes]) -> None:
    assert refused(b"POST / HTTP/1.1", *lines) == BAD_FRAMING


@pytest.mark.parametrize("value", [b"gzip, chunked", b"gzip,deflate , CHUNKED"])
def test_other_codings_before_chunked_are_not_implemented(value: bytes) -> None:
    assert refused(b"POST / HTTP/1.1", b"Transfer-Encoding: " + value) == UNKNOWN_CODING


def test_a_control_before_chunked_is_a_bad_line() -> None:
    assert refused(b"POST / HTTP/1.1", b"Transfer-Encoding: \x0bchunked") == BAD_FIELD


@pytest.mark.parametrize(
    "lines", [[b"Transfer-Encoding: chunked"], [b"Transfer-Encoding: chunked", b"Content-Length: 5"]]
)
def test_http_1_0_with_transfer_encoding_is_refused(lines: list[bytes]) -> None:
    assert refused(b"POST / HTTP/1.0", *lines) == BAD_FRAMING


@pytest.mark.parametrize("line", [b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: close"])
def test_a_trace_that_is_not_the_whole_story_ends_the_connection(line: bytes) -> None:
    assert refused(b"TRACE / HTTP/1.1", line).close
    assert refused(b"TRACE / HTTP/1.0").close
    assert not refused(b"TRACE / HTTP/1.1").close


# --- limits


def test_a_request_line_at_its_limit_passes_and_one_byte_more_does_not() -> None:
    limits = Limits(request_line=20)
    head = b"GET /%b HTTP/1.1\r\nHost: a"
    assert isinstance(parse_request_head(head % (b"x" * 6), limits), RequestHead)
    assert parse_request_head(head % (b"x" * 7), limits) == LINE_TOO_LONG


def test_the_head_at_its_limits_passes_and_one_more_does_not() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX: 1"
    assert find_head_end(head + HEAD_END, Limits(header_bytes=len(head) + 4)) == len(head)
    assert find_head_end(head + HEAD_END, Limits(header_bytes=len(head) + 3)) == HEAD_TOO_LONG
    assert isinstance(parse_request_head(head, Limits(header_count=2)), RequestHead)
    assert parse_request_head(head, Limits(header_count=1)) == TOO_MANY_FIELDS


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", None),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", None),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r", None),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest", 23),
        (b"GET / HTTP/1.1\n", BAD_REQUEST_LINE),
        (b"GET / HTTP/1.1\r", None),
        (b"GET / HTTP/1.1\rX", BAD_REQUEST_LINE),
        (b"GET / HTTP/1.1\r\nHost: a\n", BAD_FIELD),
        (b"GET / HTTP/1.1\nHost: a\r\n", BAD_REQUEST_LINE),
        (b"x" * 16_386, LINE_TOO_LONG),
        (b"x" * 16_385, None),
    ],
)
def test_an_unfinished_head_is_refused_as_soon_as_it_cannot_become_a_good_one(
    data: bytes, found: int | Refusal | None
) -> None:
    assert find_head_end(data, LIMITS) == found


# --- any input, any split

pieces_of_heads = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n", b"POST /a?b HTTP/1.0\r\n", b"TRACE * HTTP/1.1\r\n", b"OPTIONS http://o HTTP/1.1\r\n",
        b"Host: a\r\n", b"Host: u@a\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"X: 1\r\n",
        b"Connection: close\r\n", b"Max-Forwards: 0\r\n", b"Expect: 100-continue\r\n", b"\r\n", b"\r\n\r\n", b"\n",
        b"\r", b" ", b"\t", b"\x00", b"\xff", b"abc", b"3\r\nabc\r\n", b"0\r\n", b"X" * 40, b"_", b":", b"Accept",
    ]
)  # fmt: skip
streams = st.lists(pieces_of_heads | st.binary(max_size=4), max_size=12).map(b"".join)
likely_streams = st.lists(pieces_of_heads, max_size=8).map(
    lambda rest: b"GET /x HTTP/1.1\r\nHost: a\r\n" + b"".join(rest) + b"\r\n\r\nGET /y HTTP/1.1\r\nHost: b\r\n\r\n"
)
SMALL = settings(limits={"request_line": 40, "header_bytes": 120, "header_count": 4, "trailer_bytes": 20})


@given(st.binary() | streams)
def test_no_bytes_make_the_parser_raise(data: bytes) -> None:
    end = find_head_end(data, LIMITS)
    assert end is None or isinstance(end, int | Refusal)
    assert isinstance(parse_request_head(data.split(HEAD_END)[0], LIMITS), RequestHead | Refusal)


@given(streams | likely_streams, st.data())
def test_the_same_comes_of_any_split(data: bytes, draw: st.DataObject) -> None:
    offsets = draw.draw(st.lists(st.integers(0, len(data)), max_size=6).map(sorted))
    assert requests_read(data, *offsets, configured=SMALL) == requests_read(data, configured=SMALL)


@pytest.mark.parametrize(
    "data",
    [
        (
            b"\r\n\r\n\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\nX: \xff\r\n\r\n"
            b"POST /b HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\n\r\nxyz"
        ),
        b"\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n"
            b"GET / HTTP/1.1\r\nHost: b\r\n\r\n"
        ),
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\nb\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nX: a\rb\r\n\r\n",
        b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n",
        b"TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nGET /evil HTTP/1.1\r\nHost: b\r\n\r\n",
    ],
    ids=lambda data: repr(data[:40]),
)
def test_the_same_comes_of_every_single_cut_and_of_single_bytes(data: bytes) -> None:
    whole = requests_read(data)
    for offsets in every_split(data):
        assert requests_read(data, *offsets) == whole


# --- h11 reads what we forward as we read it

methods = st.sampled_from([b"GET", b"POST", b"DELETE", b"FOO", b"M-SEARCH"])
targets = st.from_regex(rb"/[\x21\x22\x24-\x7e]{0,12}", fullmatch=True) | st.sampled_from(
    [b"http://o/x", b"*", b"http://o"]
)
names = st.sampled_from(
    [b"X-A", b"x-a", b"Accept", b"Cookie", b"Connection", b"TE", b"Via", b"Upgrade", b"X-Hop", b"Range"]
)
values = st.from_regex(rb"[\t\x20-\x7e\x80-\xff]{0,10}", fullmatch=True) | st.sampled_from(
    [b"close, x-hop", b"trailers"]
)
framings = st.sampled_from([b"", b"Content-Length: 0", b"Content-Length: 03", b"transfer-encoding: Chunked"])
field_lines = st.lists(st.builds(lambda name, value: name + b": " + value, names, values), max_size=6)


@given(methods, targets, field_lines, framings, st.sampled_from([b"HTTP/1.0", b"HTTP/1.1"]))
def test_h11_reads_the_forwarded_head_as_we_did(
    method: bytes, target: bytes, lines: list[bytes], framing: bytes, version: bytes
) -> None:
    every = [b"Host: a", *lines, *([framing] if framing else [])]
    head = parse_request_head(b"\r\n".join([b" ".join((method, target, version)), *every]), LIMITS)
    if isinstance(head, Refusal):
        return
    peer = h11.Connection(h11.SERVER)
    peer.receive_data(head.start + b"\r\n" + head.fields + HEAD_END)
    event = peer.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, event.target) == (head.method, head.target)
    read = [(name, value) for name, value in event.headers.raw_items() if name.lower() != b"transfer-encoding"]
    assert read == _as_we_read(head)
    assert (b"transfer-encoding", b"chunked") in event.headers if head.chunked else True
    assert [value for name, value in event.headers if name == b"host"] == [head.host]


def _as_we_read(head: RequestHead) -> list[tuple[bytes, bytes]]:
    pairs = [re.fullmatch(rb"([^:]+):[ \t]*(.*?)[ \t]*", line, re.DOTALL) for line in head.fields.split(b"\r\n")]
    return [(p[1], p[2]) for p in pairs if p is not None and p[1].lower() != b"transfer-encoding"]


@pytest.mark.parametrize("name", [b"Content_Length", b"transfer_encoding", b"X_Forwarded_For", b"X_Shadow_Request"])
def test_a_lookalike_of_our_fields_is_refused(name: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\n" + name + b": 1"
    assert parse_request_head(head, Limits()) == BAD_FIELD


# --- heads that drip


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a"]), max_size=12).map(b"".join) | st.binary(max_size=12))
def test_counting_line_ends_finds_what_the_expression_finds(data: bytes) -> None:
    assert _ends_lines_well(data) is (_BARE_LINE_END.search(data) is None)


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a"]), max_size=12).map(b"".join), st.integers(0, 24))
def test_data_whose_lines_end_well_has_no_bare_end_before_any_limit(data: bytes, most: int) -> None:
    assert not _ends_lines_well(data) or _BARE_LINE_END.search(data, 0, most) is None
