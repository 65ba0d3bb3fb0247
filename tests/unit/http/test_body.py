import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.models import Limits
from proxy.http.body import Body, BodyFault, ChunkedBody, EofBody, LengthBody, chunk, last_chunk
from tests.kit.wire import bytewise, cut
from tests.unit.http.driving import every_split

LIMITS = Limits()
ALL_BYTES = [bytes((value,)) for value in range(256)]


def fed(body: Body, *pieces: bytes) -> tuple[bytes, bool, bytes, BodyFault | None, list[bytes]]:
    """Payload, done, rest, fault, trailers; whoever feeds a body keeps what comes after it."""
    payload = rest = b""
    for piece in pieces:
        if body.done:
            rest += piece
        else:
            payload += body.feed(piece)
            rest += body.rest if body.done else b""
    return payload, body.done, rest, body.fault, body.trailers


def chunked(*pieces: bytes, limits: Limits = LIMITS, padded: bool = False) -> tuple[object, ...]:
    return fed(ChunkedBody(limits, padded=padded), *pieces)


def fault_of(*pieces: bytes, limits: Limits = LIMITS, padded: bool = False) -> BodyFault | None:
    return fed(ChunkedBody(limits, padded=padded), *pieces)[3]


# --- a declared length


@pytest.mark.parametrize(
    ("length", "pieces", "payload", "done", "rest"),
    [
        (0, [], b"", True, b""),
        (3, [b"ab"], b"ab", False, b""),
        (3, [b"abc"], b"abc", True, b""),
        (3, [b"ab", b"cde"], b"abc", True, b"de"),
        (3, [b"abc", b"de"], b"abc", True, b"de"),
    ],
)
def test_a_length_body_is_that_long(length: int, pieces: list[bytes], payload: bytes, done: bool, rest: bytes) -> None:  # noqa: FBT001
    body = LengthBody(length)
    assert fed(body, *pieces) == (payload, done, rest, None, [])
    assert body.end() is done


def test_an_eof_body_is_complete_at_the_end_only() -> None:
    body = EofBody()
    assert fed(body, b"ab", b"c") == (b"abc", False, b"", None, [])
    assert body.end()
    assert body.done


# --- chunks


@pytest.mark.parametrize(
    ("data", "payload", "rest", "trailers"),
    [
        (b"0\r\n\r\n", b"", b"", []),
        (b"3\r\nabc\r\n0\r\n\r\nrest", b"abc", b"rest", []),
        (b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde", b"", []),
        (b"A\r\n0123456789\r\n000\r\n\r\n", b"0123456789", b"", []),
        (b"0000000000000003\r\nabc\r\n0\r\n\r\n", b"abc", b"", []),
        (b"3;a=b;c\r\nabc\r\n0;d\r\n\r\n", b"abc", b"", []),
        (b'3 ; a = "b;\\"c"\r\nabc\r\n0\r\n\r\n', b"abc", b"", []),
        (b"0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\n", b"", b"", [b"X-Sum: 1", b"x-sum: 2"]),
        (b"5\r\n\r\n0\r\n\r\n0\r\n\r\n", b"\r\n0\r\n", b"", []),
    ],
    ids=repr,
)
def test_chunks_are_joined_and_extensions_dropped(
    data: bytes, payload: bytes, rest: bytes, trailers: list[bytes]
) -> None:
    for pieces in ([data], bytewise(data)):
        assert chunked(*pieces) == (payload, True, rest, None, trailers)


@pytest.mark.parametrize(
    "data",
    [
        b"0x5\r\n", b"+5\r\n", b"-1\r\n", b"5_0\r\n", b" 5\r\n", b"5 \r\n", b"00000000000000003\r\n", b"\r\n",
        b"5\n", b"5\r5\r\n",
        b"3\r\nabcd", b"3\r\nabc\n", b"3\r\nabc\r\r\n", b"g\r\n", b"3;\r\n", b"3;a b\r\n", b'3;a="b\r\n',
        b"3;a=\x00\r\n", b"3;=b\r\n", b"3;a \r\n", b"3;a=b\t\r\n",
        b"8000000000000000\r\n", b"ffffffffffffffff\r\n", b"0\r\nno colon\r\n", b"0\r\n folded: 1\r\n",
        b"0\r\nX: \x00\r\n", b"0\r\nX: 1\n",
    ],
    ids=repr,
)  # fmt: skip
def test_broken_chunks_are_faults(data: bytes) -> None:
    assert fault_of(data) is BodyFault.CHUNK
    assert fault_of(*bytewise(data)) is BodyFault.CHUNK


def test_a_chunk_of_the_largest_size_is_no_fault() -> None:
    assert fault_of(b"7fffffffffffffff\r\n") is None


@pytest.mark.parametrize("data", [b"3  \r\nabc\r\n0\t\r\n\r\n", b"3;a \r\nabc\r\n0;a=b\t\r\n\r\n"], ids=repr)
def test_responses_may_pad_a_size_and_its_extensions(data: bytes) -> None:
    assert chunked(data, padded=True) == (b"abc", True, b"", None, [])
    assert fault_of(data) is BodyFault.CHUNK


def test_a_size_takes_hex_digits_and_no_other_byte_in_any_place() -> None:
    for template in (b"%b1\r\n", b"1%b1\r\n"):
        taken = b"".join(byte for byte in ALL_BYTES if fault_of(template % byte) is None)
        assert taken.replace(b";", b"") == b"0123456789ABCDEFabcdef"
    after = b"".join(byte for byte in ALL_BYTES if fault_of(b"1%b\r\n" % byte) is None)
    assert after == b"0123456789ABCDEFabcdef"


def test_only_crlf_follows_the_data_of_a_chunk() -> None:
    for at in (3 + 0, 3 + 1):
        good = b"1\r\nX\r\n"
        taken = b"".join(byte for byte in ALL_BYTES if fault_of(good[: at + 1] + byte + good[at + 2 :]) is None)
        assert taken == good[at + 1 : at + 2]


def test_after_a_fault_the_body_is_dead() -> None:
    body = ChunkedBody(LIMITS)
    body.feed(b"x\r\n")
    assert fed(body, b"3\r\nabc\r\n0\r\n\r\n") == (b"", False, b"", BodyFault.CHUNK, [])
    assert not body.end()


def test_payload_before_a_fault_is_given() -> None:
    assert chunked(b"3\r\nabc\r\nx\r\n")[0] == b"abc"


# --- trailers


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Host: b", b"Trailer: x", b"Connection: close",
        b"TE: x", b"Via: x",
        b"Authorization: x", b"Cookie: x", b"Set-Cookie: x", b"Content-Type: x", b"Content-Encoding: x",
        b"Cache-Control: x",
        b"X-Forwarded-For: 1", b"X-Shadow-Request: 1", b"Proxy-Authorization: x", b"Proxy: x", b"If-Match: x",
        b"Expect: x",
        b"Max-Forwards: 1", b"Date: x", b"Location: x", b"Range: x", b"Upgrade: x", b"Keep-Alive: x",
        b"WWW-Authenticate: x",
    ],
    ids=repr,
)  # fmt: skip
def test_trailers_that_would_mean_something_are_dropped(line: bytes) -> None:
    assert chunked(b"0\r\nX: 1\r\n" + line + b"\r\n\r\n") == (b"", True, b"", None, [b"X: 1"])


# --- limits, at the limit and one over, in one piece and in single bytes


@pytest.mark.parametrize("split", [lambda data: [data], bytewise], ids=["one piece", "single bytes"])
class TestLimits:
    def test_trailer_bytes(self, split: type) -> None:
        data = b"0\r\nX: 12345\r\n\r\n"
        assert fault_of(*split(data), limits=Limits(trailer_bytes=10)) is None
        assert fault_of(*split(data), limits=Limits(trailer_bytes=9)) is BodyFault.TRAILERS

    def test_trailer_count(self, split: type) -> None:
        data = b"0\r\nX: 1\r\nY: 2\r\n\r\n"
        assert fault_of(*split(data), limits=Limits(trailer_count=2)) is None
        assert fault_of(*split(data), limits=Limits(trailer_count=1)) is BodyFault.TRAILERS

    def test_an_endless_trailer_line(self, split: type) -> None:
        assert fault_of(*split(b"0\r\nX: " + b"x" * 30), limits=Limits(trailer_bytes=20)) is BodyFault.TRAILERS

    def test_overhead_of_one_line(self, split: type) -> None:
        line = b"0;" + b"x" * 24 + b"\r\n"  # 28 bytes: 12 above the 16 that are free
        assert fault_of(*split(line), limits=Limits(chunk_overhead=12)) is None
        assert fault_of(*split(line), limits=Limits(chunk_overhead=11)) is BodyFault.CHUNK_OVERHEAD

    def test_overhead_of_many_lines_less_twice_the_data(self, split: type) -> None:
        data = (b"1;" + b"x" * 18 + b"\r\nd\r\n") * 10  # 6 above, 2 allowed by the byte of data: 4 a chunk
        assert fault_of(*split(data), limits=Limits(chunk_overhead=42)) is None
        assert fault_of(*split(data), limits=Limits(chunk_overhead=41)) is BodyFault.CHUNK_OVERHEAD

    def test_data_gives_no_credit_to_a_single_line(self, split: type) -> None:
        data = b"c8\r\n" + b"d" * 200 + b"\r\n"
        line = b"1;" + b"x" * 24 + b"\r\n"
        assert fault_of(*split(data + line), limits=Limits(chunk_overhead=12)) is None
        assert fault_of(*split(data + line), limits=Limits(chunk_overhead=11)) is BodyFault.CHUNK_OVERHEAD
        assert fault_of(*split(data + line[:28]), limits=Limits(chunk_overhead=8)) is BodyFault.CHUNK_OVERHEAD

    def test_an_endless_size_line(self, split: type) -> None:
        assert fault_of(*split(b"1;" + b"x" * 100), limits=Limits(chunk_overhead=20)) is BodyFault.CHUNK_OVERHEAD

    def test_small_chunks_without_extensions_are_never_over(self, split: type) -> None:
        assert fault_of(*split(b"1\r\nx\r\n" * 2000), limits=Limits(chunk_overhead=0)) is None


# --- any input, any split

pieces_of_chunks = st.sampled_from(
    [
        b"3\r\nabc\r\n",
        b"0\r\n",
        b"\r\n",
        b"T: 1\r\n",
        b"3;a=b\r\nabc\r\n",
        b"1",
        b"\n",
        b"\r",
        b";",
        b" ",
        b"x",
        b"a" * 30,
        b'"',
        b"\x00",
    ]
)
streams = st.lists(pieces_of_chunks | st.binary(max_size=3), max_size=10).map(b"".join)
SMALL = Limits(trailer_bytes=20, trailer_count=2, chunk_overhead=8)


@given(streams, st.booleans(), st.data())
def test_the_same_comes_of_any_split(data: bytes, padded: bool, draw: st.DataObject) -> None:  # noqa: FBT001
    offsets = draw.draw(st.lists(st.integers(0, len(data)), max_size=6).map(sorted))
    whole = chunked(data, limits=SMALL, padded=padded)
    assert chunked(*cut(data, *offsets), limits=SMALL, padded=padded) == whole
    assert chunked(*bytewise(data), limits=SMALL, padded=padded) == whole


def test_the_same_comes_of_every_cut_of_a_long_one() -> None:
    data = b'3;x="y"\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nX-Sum: 1\r\nHost: b\r\n\r\nGET /'
    for offsets in every_split(data):
        assert chunked(*cut(data, *offsets)) == (b"abc0123456789abcdef", True, b"GET /", None, [b"X-Sum: 1"])


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    st.lists(st.sampled_from([b"X-A: 1", b"x-b:2"]), max_size=LIMITS.trailer_count),
)
def test_what_we_write_is_read_back_and_h11_agrees(payloads: list[bytes], trailers: list[bytes]) -> None:
    data = b"".join(map(chunk, payloads)) + last_chunk(trailers)
    assert chunked(data) == (b"".join(payloads), True, b"", None, trailers)
    peer = h11.Connection(h11.SERVER)
    peer.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
    assert isinstance(peer.next_event(), h11.Request)
    body = b""
    while isinstance(event := peer.next_event(), h11.Data):
        body += bytes(event.data)
    assert body == b"".join(payloads)
    assert isinstance(event, h11.EndOfMessage)
    assert len(event.headers) == len(trailers)


def test_an_empty_payload_is_no_chunk() -> None:
    assert chunk(b"") == b""  # it would end the body


@given(st.binary(max_size=80))
def test_what_we_accept_h11_accepts_with_the_same_payload(data: bytes) -> None:
    body = ChunkedBody(LIMITS)
    framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"
    assert body.feed(framed) == data
    assert body.done
