from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.models import Forwarded, Limits, Service, Settings
from proxy.config.units import parse_origin
from proxy.http.application import Application
from proxy.http.connection import ClientConnection
from proxy.http.forwarded import ForwardedLines
from proxy.http.request_head import RequestHead, parse_request_head
from proxy.http.turn import Turn
from proxy.worker.backend_head import copy_heads, lines_called, own_host, served_heads

OURS = b"Via: 1.1 us\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a\r\n\r\n"
TRACE = b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-%b-01"


def client(*, is_trusted: bool = False) -> ClientConnection:
    """A connection of which heads are to be written."""
    connection = ClientConnection(cast("Application", SimpleNamespace(settings=settings(), turn=Turn(lambda _: None))))
    connection.peer, connection.scheme, connection.is_trusted = b"192.0.2.7", b"https", is_trusted
    return connection


def settings(primary: dict[str, Any] | None = None, candidate: dict[str, Any] | None = None) -> Settings:
    backends = {
        "primary": {"version": "v1", "url": "http://p:8001", **(primary or {})},
        "candidate": {"version": "v2", "url": "http://c", **(candidate or {})},
    }
    return Settings.model_validate({"services": {"s": backends}})


def service(primary: dict[str, Any] | None = None) -> Service:
    return settings(primary).services["s"]


def parsed(*lines: bytes, minor: int = 1) -> RequestHead:
    head = parse_request_head(b"\r\n".join([b"GET /x HTTP/1.%d" % minor, *lines]), Limits())
    assert isinstance(head, RequestHead)
    return head


def both(
    configured: Service, *lines: bytes, connection: ClientConnection | None = None, draw: int = 255
) -> tuple[bytes, bytes]:
    """The heads of a request and of its copy."""
    head = parsed(*lines)
    lines_of_ours = ForwardedLines(Forwarded(), b"us")
    served = served_heads(configured, lines_of_ours).head(connection or client(), head)
    return served, copy_heads(configured, lambda _bits: draw).head(served, head)


def test_the_lines_about_the_client_are_written_once_for_a_host() -> None:
    connection = client()
    first, _ = both(service(), b"Host: a", connection=connection)
    assert first == b"GET /x HTTP/1.1\r\nHost: a\r\n" + OURS
    assert (connection.forwarded_for, connection.forwarded) == (b"a", b"\r\n" + OURS)
    connection.peer = b"not read again"
    assert both(service(), b"Host: a", connection=connection)[0] == first


def test_a_version_is_not_said_for_another_request() -> None:
    connection, writer = client(), served_heads(service(), ForwardedLines(Forwarded(), b"us"))
    heads = [writer.head(connection, parsed(b"Host: a", minor=minor)) for minor in (0, 1, 0)]
    assert [b"\r\nVia: 1.%d us\r\n" % minor in head for minor, head in zip((0, 1, 0), heads, strict=True)] == [True] * 3


def test_a_trusted_client_has_them_written_each_time() -> None:
    connection = client(is_trusted=True)
    both(service(), b"Host: a", connection=connection)
    assert connection.forwarded_for == b""


@pytest.mark.parametrize(("draw", "parent"), [(0xFF, b"00000000000000ff"), (1 << 63, b"8000000000000000")])
def test_a_copys_parent_is_the_number_drawn(draw: int, parent: bytes) -> None:
    served, copy = both(service(), b"Host: a", TRACE % b"b7ad6b7169203331", draw=draw)
    assert copy == served.replace(b"b7ad6b7169203331", parent)[:-2] + b"X-Shadow-Request: 1\r\n\r\n"


def test_no_parent_is_all_zeroes_even_if_that_was_drawn() -> None:
    _, copy = both(service(), b"Host: a", TRACE % b"b7ad6b7169203331", draw=0)
    assert TRACE % b"0000000000000001" in copy


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://v1", b"v1"), ("http://v1:80", b"v1"), ("https://v1", b"v1"), ("https://v1:443", b"v1"),
        ("http://v1:443", b"v1:443"), ("https://v1:80", b"v1:80"), ("http://v1:8080", b"v1:8080"),
        ("http://[::80]", b"[::80]"), ("http://[::1]:81", b"[::1]:81"),
    ],
)  # fmt: skip
def test_the_usual_port_goes_without_saying(url: str, host: bytes) -> None:
    assert own_host(parse_origin(url)) == host
    served, copy = both(service({"url": url, "host": "target"}), b"Host: a")
    assert b"\r\nHost: %b\r\n" % host in served
    assert b"\r\nHost: a\r\n" in copy


def test_a_value_that_was_never_read_is_never_sent() -> None:
    with pytest.raises(ValueError, match="never read"):
        both(service({"headers": {"add": {"X-Key": {"env": "KEY"}}}}), b"Host: a")


NAMES = st.sampled_from([b"Host", b"Cookie", b"cookie", b"X-Api-Key", b"x_api-KEY", b"X-Api-Key-2", b"X-Api", b"X"])
VALUES = st.text("ab :,-_", max_size=6).map(str.encode) | st.sampled_from([b"Cookie: a", b"\xe9"])


@given(st.lists(st.builds(lambda name, value: name + b":" + value, NAMES, VALUES)))
def test_all_lines_of_a_name_are_taken_out_and_no_other(lines: list[bytes]) -> None:
    text = b"".join(b"\r\n" + line for line in lines)
    kept = [
        line for line in lines if line.partition(b":")[0].lower().replace(b"_", b"-") not in {b"cookie", b"x-api-key"}
    ]
    assert lines_called(["Cookie", "X_api-key"]).sub(b"", text) == b"".join(b"\r\n" + line for line in kept)
