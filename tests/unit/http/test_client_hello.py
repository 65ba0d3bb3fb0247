import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.client_hello import Hello, read_hello


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
        ((), Hello.OTHER),
        (("http/1.1",), Hello.OTHER),
        (("h2", "http/1.1"), Hello.OTHER),
        (("h2",), Hello.WITHOUT_HTTP_1),
        (("h2", "http/1.0", "acme-tls/1"), Hello.WITHOUT_HTTP_1),
    ],
)
def test_what_a_client_offers(
    protocols: tuple[str, ...], found: Hello, name: str | None, version: ssl.TLSVersion
) -> None:
    message = hello(*protocols, name=name, version=version)
    assert read_hello(message) is found
    assert read_hello(message + b"\x14\x03\x03\x00\x01\x01") is found


def test_a_message_is_incomplete_until_its_last_byte() -> None:
    assert {read_hello(H2_ONLY[:end]) for end in range(len(H2_ONLY))} == {Hello.INCOMPLETE}


@given(size=st.integers(1, 600), data=st.data())
def test_the_records_a_message_comes_in_do_not_matter(size: int, data: st.DataObject) -> None:
    message = data.draw(st.sampled_from([H2_ONLY, BOTH]))
    whole = in_records(message, size)
    assert read_hello(whole) is read_hello(message)
    assert read_hello(whole[: data.draw(st.integers(0, len(whole) - 1))]) is Hello.INCOMPLETE


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x00", b"\x15\x03\x01\x00\x02\x02\x00", b"\x16\x03\x01\x00\x01\x02", b"SSH-2.0-x"],
    ids=["http", "zero", "an alert", "another message", "ssh"],
)
def test_what_is_no_first_message_is_left_to_openssl(data: bytes) -> None:
    assert read_hello(data) is Hello.OTHER


def test_a_message_without_an_end_is_left_to_openssl() -> None:
    record = b"\x16\x03\x01\x40\x00" + b"\x01\xff\xff\xff" + b"x" * 16380
    assert read_hello(record * 2) is Hello.INCOMPLETE
    assert read_hello(record * 5) is Hello.OTHER


def test_empty_records_are_left_to_openssl() -> None:
    assert read_hello(b"\x16\x03\x01\x00\x00" * 20_000) is Hello.OTHER


@given(position=st.integers(0, len(H2_ONLY) - 1), byte=st.integers(0, 255), end=st.integers(0, len(H2_ONLY)))
def test_any_bytes_get_a_judgement(position: int, byte: int, end: int) -> None:
    mutated = H2_ONLY[:position] + bytes([byte]) + H2_ONLY[position + 1 :]
    assert read_hello(mutated[:end]) in Hello


@given(st.binary(max_size=200))
def test_noise_behind_a_records_head_gets_a_judgement(noise: bytes) -> None:
    assert read_hello(b"\x16\x03\x01" + len(noise).to_bytes(2) + b"\x01" + noise) in Hello
