import ssl
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.client_hello import ClientHello, read_hello


def hello(*protocols: str, name: str | None = "a.example", version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """The first message of OpenSSL's client, in one record."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.maximum_version = version
    if protocols:
        context.set_alpn_protocols(list(protocols))
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def in_records(message: bytes, size: int) -> bytes:
    """The same message, in records of this size."""
    head, payload = message[:3], message[5:]
    pieces = [payload[start : start + size] for start in range(0, len(payload), size)]
    return b"".join(head + len(piece).to_bytes(2) + piece for piece in pieces)


H2_ONLY = hello("h2")
BOTH = hello("h2", "http/1.1")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", [None, "a.example"])
@pytest.mark.parametrize(
    ("protocols", "found"),
    [
        ((), ClientHello.OTHER),
        (("http/1.1",), ClientHello.OTHER),
        (("h2", "http/1.1"), ClientHello.OTHER),
        (("h2",), ClientHello.WITHOUT_HTTP_1),
        (("h2", "http/1.0", "acme-tls/1"), ClientHello.WITHOUT_HTTP_1),
    ],
)
def test_what_a_client_offers(
    protocols: tuple[str, ...], found: ClientHello, name: str | None, version: ssl.TLSVersion
) -> None:
    message = hello(*protocols, name=name, version=version)
    assert read_hello(message) is found
    assert read_hello(message + b"\x14\x03\x03\x00\x01\x01") is found


def test_a_message_is_incomplete_until_its_last_byte() -> None:
    assert {read_hello(H2_ONLY[:end]) for end in range(len(H2_ONLY))} == {ClientHello.INCOMPLETE}


@given(st.data())
def test_a_message_in_several_records_is_left_to_openssl(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(H2_ONLY) - 6))
    assert read_hello(in_records(H2_ONLY, size)) is ClientHello.OTHER


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x00", b"\x15\x03\x01\x00\x02\x02\x00", b"\x16\x03\x01\x00\x04\x02", b"SSH-2.0-x"],
    ids=["http", "zero", "an alert", "another message", "ssh"],
)
def test_what_is_no_first_message_is_left_to_openssl(data: bytes) -> None:
    assert read_hello(data) is ClientHello.OTHER


class Counted(bytes):
    """Bytes that count how many of them are taken out."""

    looked_at = 0

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        self.looked_at += 1 if isinstance(found, int) else len(found)
        return found


def test_a_message_that_comes_byte_by_byte_is_read_once() -> None:
    looked_at = []
    for end in range(len(H2_ONLY) + 1):
        data = Counted(H2_ONLY[:end])
        read_hello(data)
        looked_at.append(data.looked_at)
    assert max(looked_at[:-1]) < 10
    assert looked_at[-1] < 10 + len(H2_ONLY)


def test_many_records_cost_no_more_than_the_first_one() -> None:
    data = Counted(in_records(b"\x16\x03\x01" + bytes(2) + b"\x01\xff\xff\xff" + bytes(60_000), 1))
    assert read_hello(data) is ClientHello.OTHER
    assert data.looked_at < 10


@pytest.mark.parametrize("length", [0, 1, 3, (16 << 10) + 1, 0xFFFF])
def test_a_record_that_cannot_hold_the_message_is_left_to_openssl_by_its_head(length: int) -> None:
    assert read_hello(b"\x16\x03\x01" + length.to_bytes(2)) is ClientHello.OTHER


def test_a_message_that_goes_on_behind_its_record_is_left_to_openssl_by_its_head() -> None:
    assert read_hello(b"\x16\x03\x01\x40\x00" + b"\x01\x00\x3f\xfc") is ClientHello.INCOMPLETE
    assert read_hello(b"\x16\x03\x01\x40\x00" + b"\x01\x00\x3f\xfd") is ClientHello.OTHER


@given(position=st.integers(0, len(H2_ONLY) - 1), byte=st.integers(0, 255), end=st.integers(0, len(H2_ONLY)))
def test_any_bytes_get_a_judgement(position: int, byte: int, end: int) -> None:
    mutated = H2_ONLY[:position] + bytes([byte]) + H2_ONLY[position + 1 :]
    assert read_hello(mutated[:end]) in ClientHello


@given(st.binary(max_size=200))
def test_noise_behind_the_heads_gets_a_judgement(noise: bytes) -> None:
    message = b"\x01" + len(noise).to_bytes(3) + noise
    assert read_hello(b"\x16\x03\x01" + len(message).to_bytes(2) + message) in ClientHello
