import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.control.api.auth import GUESSES, WINDOW_S, Throttle, Token, check_host, check_origin
from proxy.control.api.problems import Problem


@pytest.mark.parametrize("authorization", ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret "])
def test_the_token_is_accepted_as_bearer(authorization: str) -> None:
    assert Token("s3cret").accepts([authorization])


@pytest.mark.parametrize(
    "authorization",
    [
        [],
        [""],
        ["s3cret"],
        ["Bearer"],
        ["Bearer "],
        ["Bearer S3cret"],
        ["Bearer s3cret2"],
        ["Basic s3cret"],
        ["Bearer s3cret", "Bearer s3cret"],
        ["Bearer s3\udcffcret"],
        ["Bearer s3crét"],
    ],
)
def test_anything_else_is_not(authorization: list[str]) -> None:
    assert not Token("s3cret").accepts(authorization)


@given(st.text(max_size=40))
def test_without_a_token_nothing_is_accepted(guess: str) -> None:
    assert not Token(None).accepts([f"Bearer {guess}"])


def test_the_token_itself_is_not_kept() -> None:
    assert not hasattr(Token("s3cret"), "__dict__")
    assert b"s3cret" not in (Token("s3cret")._digest or b"")


def test_a_peer_has_ten_guesses_a_minute() -> None:
    throttle = Throttle(GUESSES)
    assert [throttle.over("10.0.0.1", second) for second in range(12)] == [False] * 10 + [True] * 2
    assert not throttle.over("10.0.0.2", 12)
    assert not throttle.over("10.0.0.1", WINDOW_S)


def test_peers_remembered_are_bounded() -> None:
    throttle = Throttle(1)
    for number in range(5000):
        throttle.over(f"10.0.{number >> 8}.{number & 255}", 0.0)
    assert len(throttle._windows) == 1024


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8081",
        "localhost",
        "LocalHost:1",
        "[::1]",
        "[::1]:8081",
        "10.1.2.3:8081",
        "Proxy.Example:80",
    ],
)
def test_our_hosts_are_answered(host: str) -> None:
    check_host([host], "10.1.2.3", ["proxy.example"])


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        ["evil.example"],
        ["evil.example:8081"],
        ["localhost.evil.example"],
        ["127.0.0.1.nip.io"],
        ["10.9.9.9"],
        [""],
        ["localhost", "localhost"],
        ["localhost."],
        ["127.0.0.1@evil.example"],
        ["::1"],
    ],
    ids=str,
)
def test_other_hosts_are_misdirected(hosts: list[str]) -> None:
    with pytest.raises(Problem) as refused:
        check_host(hosts, "10.1.2.3", ["proxy.example"])
    assert refused.value.status == 421


@pytest.mark.parametrize(
    ("origins", "sites"),
    [([], []), ([], ["none"]), ([], ["same-origin"]), (["http://localhost:8081"], ["same-origin"])],
)
def test_our_own_pages_and_tools_may_ask(origins: list[str], sites: list[str]) -> None:
    check_origin(origins, sites, "localhost:8081")


@pytest.mark.parametrize(
    ("origins", "sites"),
    [
        (["http://evil.example"], []),
        (["null"], []),
        (["http://localhost:3000"], []),
        ([], ["cross-site"]),
        ([], ["same-site"]),
        (["http://localhost:8081", "http://evil.example"], []),
        (["http://localhost:8081"], ["cross-site"]),
    ],
    ids=str,
)
def test_pages_of_others_may_not(origins: list[str], sites: list[str]) -> None:
    with pytest.raises(Problem) as refused:
        check_origin(origins, sites, "localhost:8081")
    assert refused.value.status == 403
