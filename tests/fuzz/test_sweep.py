"""Every byte that readers disagree about, at every place of a request and of an answer: put in, or in place of one."""

from collections.abc import Callable, Iterator

import pytest

from tests.fuzz.case import Case, Reply
from tests.fuzz.claims import found_in

BYTES = b'\0\t\n\x0b\x0c\r "+,-/05:;=_a\x7f\x80\xa0\xff'
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKS = b"3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n"


def _asked(data: bytes) -> Case:
    return Case((data + NEXT,))


def _answered(data: bytes) -> Case:
    return Case((NEXT + NEXT,), (Reply((data,)),))


MESSAGES: dict[str, tuple[bytes, Callable[[bytes], Case]]] = {
    "chunked request": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS, _asked),
    "sized request": (b"PUT / HTTP/1.1\r\nContent-Length: 3\r\nHost: a\r\n\r\nabc", _asked),
    "chunked answer": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n" + CHUNKS, _answered),
    "sized answer": (b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 3\r\n\r\nabc", _answered),
}


def _spoilt(data: bytes, byte: bytes) -> Iterator[bytes]:
    for at in range(len(data) + 1):
        yield data[:at] + byte + data[at:]
        yield data[:at] + byte + data[at + 1 :]


@pytest.mark.slow
@pytest.mark.parametrize("byte", [bytes([each]) for each in BYTES], ids=repr)
@pytest.mark.parametrize("message", MESSAGES)
def test_no_byte_at_any_place_is_read_in_two_ways(message: str, byte: bytes) -> None:
    data, case_of = MESSAGES[message]
    for spoilt in _spoilt(data, byte):
        assert found_in(case_of(spoilt)) is None
