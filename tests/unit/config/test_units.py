from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.units import (
    Address,
    Origin,
    check_host_name,
    check_host_policy,
    check_method,
    check_template,
    parse_address,
    parse_duration,
    parse_origin,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("90s", 90), ("10m", 600), ("1.5h", 5400), ("7d", 604800), ("3", 3), (2.5, 2.5), (0, 0)],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "1:30", "10 years", "-1s", -1, True, None, float("inf"), float("nan"), 10**400, []]
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "size"), [("64KiB", 65536), ("1 MiB", 1 << 20), ("12B", 12), ("12", 12), (7, 7)])
def test_sizes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["1MB", "1.5MiB", "-1", -1, True, 1.5, "9" * 5000, 10**400])
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("[::1]:0", "::1", 0),
        ("localhost:65535", "localhost", 65535),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    address = parse_address(text)
    assert address == Address(host, port)
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["8080", ":8080", "::1:8080", "[::1:8080", "a b:1", "h:65536", "h:-1", "h:٣", "h:" + "9" * 5000, 8080, None]
)
def test_what_is_no_address_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        parse_address(text)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("Localhost", True),
        ("127.evil.example", False),
        ("0.0.0.0", False),
    ],
)
def test_only_true_loopback_addresses_count_as_such(host: str, *, loopback: bool) -> None:
    assert Address(host, 1).is_loopback is loopback


@pytest.mark.parametrize(
    ("listen", "host", "answers"),
    [
        ("127.0.0.1:80", "localhost", True),
        ("0.0.0.0:80", "127.0.0.1", True),
        ("[::]:80", "localhost", True),
        ("10.0.0.1:80", "10.0.0.1", True),
        ("10.0.0.1:80", "127.0.0.1", False),
        ("127.0.0.1:81", "127.0.0.1", False),
    ],
)
def test_an_address_knows_which_connections_end_at_it(listen: str, host: str, *, answers: bool) -> None:
    assert parse_address(listen).answers(host, 80) is answers


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("http://a.example", Origin("http", "a.example", 80)),
        ("https://a.example/", Origin("https", "a.example", 443)),
        ("http://[::1]:8000", Origin("http", "::1", 8000)),
    ],
)
def test_origins(text: str, origin: Origin) -> None:
    assert parse_origin(text) == origin
    assert parse_origin(str(origin)) == origin


@pytest.mark.parametrize(
    "text",
    [
        "a:8000",
        "ftp://a",
        "http://",
        "http://a:0",
        "http://a:x",
        "http://a/b",
        "http://a?b",
        "http://a/?",
        "http://a#",
        "http://u:sesame@a",
        "http://@a",
        "http://a b",
        "http://a\nb",
        "http://[::1",
        "http://é.example",
        "http://-",
        8000,
    ],
)
def test_what_is_no_origin_is_refused_without_repeating_it(text: object) -> None:
    with pytest.raises(ValueError, match="url") as refused:
        parse_origin(text)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize("text", ["GET /", "* /v1/{rest}", "POST /a/{id}/b/{other_id}", "M-SEARCH /x%20y"])
def test_templates(text: str) -> None:
    assert check_template(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "GET",
        "get /",
        "GET x",
        "GET /a b",
        "GET /a?b",
        "GET /x{id}",
        "GET /{id}x",
        "GET /{Id}",
        "GET /{rest}/a",
        "GET /{a}/{a}",
        "GET /a}",
    ],
)
def test_what_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        check_template(text)


def test_host_names_become_lower_case_and_carry_no_port() -> None:
    assert check_host_name("Ranker.Example") == "ranker.example"
    with pytest.raises(ValueError, match="without a port"):
        check_host_name("ranker.example:80")


@pytest.mark.parametrize("text", ["preserve", "target", "a.example", "a.example:8000", "[::1]:80"])
def test_host_policies(text: str) -> None:
    assert check_host_policy(text) == text


@pytest.mark.parametrize("text", ["", "a b", "a:99999", "a\r\nx: y", "[x]", "a/b"])
def test_what_is_no_host_policy_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not preserve, target or a host name"):
        check_host_policy(text)


def test_methods_are_in_capitals() -> None:
    with pytest.raises(ValueError, match="capitals"):
        check_method("get")


@given(st.integers(0, 1 << 50))
def test_a_plain_number_of_bytes_is_itself(size: int) -> None:
    assert parse_size(size) == parse_size(str(size)) == parse_size(f"{size}B") == size


@pytest.mark.parametrize("parse", [parse_duration, parse_size, parse_address, parse_origin, check_template])
@given(text=st.text(max_size=30))
def test_any_text_is_parsed_or_refused_with_a_sentence(parse: Callable[[str], object], text: str) -> None:
    refused = ""
    try:
        parse(text)
    except ValueError as wrong:
        refused = str(wrong)
    assert refused == "" or " " in refused
