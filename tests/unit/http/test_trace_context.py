import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.trace_context import PARENT_ID_DIGITS, parent_id_at

HEX = "0123456789abcdef"
TRACE, PARENT = b"0af7651916cd43dd8448eb211c80319c", b"b7ad6b7169203331"


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([b"GET /traceparent:00 HTTP/1.1", b"Host: a", *lines, b"", b""])


def ids(digits: int) -> st.SearchStrategy[bytes]:
    return st.text(HEX, min_size=digits, max_size=digits).filter(lambda text: text.strip("0")).map(str.encode)


@given(
    st.sampled_from([b"traceparent:", b"Traceparent: ", b"traceparent: \t "]),
    ids(32),
    ids(16),
    ids(2) | st.just(b"00"),
    st.sampled_from([b"", b" ", b"\t "]),
)
def test_the_parent_id_of_a_valid_traceparent_is_found(
    name: bytes, trace: bytes, parent: bytes, flags: bytes, end: bytes
) -> None:
    data = head(b"X: 1", b"%b00-%b-%b-%b%b" % (name, trace, parent, flags, end), b"Y: 2")
    at = parent_id_at(data)
    assert data[at : at + PARENT_ID_DIGITS] == parent
    assert data[at - 33 : at] == trace + b"-"


@pytest.mark.parametrize(
    "line",
    [
        b"X: 1", b"tracestate: a=1", b"X-Traceparent: 00-%b-%b-01" % (TRACE, PARENT), b"X: traceparent: 00-a",
        b"traceparent:", b"traceparent: 00-%b-%b-01-" % (TRACE, PARENT), b"traceparent: 01-%b-%b-01" % (TRACE, PARENT),
        b"traceparent: 00-%b-%b-01" % (b"0" * 32, PARENT), b"traceparent: 00-%b-%b-01" % (TRACE, b"0" * 16),
        b"traceparent: 00-%b-%b-0G" % (TRACE, PARENT), b"traceparent: 00-%b-%b-01" % (TRACE.upper(), PARENT),
        b"traceparent:\xa000-%b-%b-01" % (TRACE, PARENT),
    ],
)  # fmt: skip
def test_nothing_is_found_where_there_is_no_valid_one(line: bytes) -> None:
    assert parent_id_at(head(line)) == -1
    assert parent_id_at(head(line, b"Y: 2")) == -1


@given(st.binary())
def test_no_bytes_raise_or_lead_outside(data: bytes) -> None:
    at = parent_id_at(data)
    assert at == -1 or data[at : at + PARENT_ID_DIGITS].isalnum()
