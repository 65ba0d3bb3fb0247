from ipaddress import ip_network

import pytest

from proxy.config.models import Forwarded
from proxy.config.network import is_in, parse_network


@pytest.mark.parametrize("text", ["10.0.0.0/8", "192.0.2.7", "::1", "2001:db8::/32", "0.0.0.0/0"])
def test_an_address_or_network_is_read(text: str) -> None:
    assert parse_network(text) == ip_network(text)
    assert parse_network(parse_network(text)) == ip_network(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.0.0.1/8", "has bits below its mask: 10.0.0.0/8 is the network"),
        ("2001:db8::1/32", "has bits below its mask: 2001:db8::/32 is the network"),
        ("10.0.0.0/33", "is not an address or network"),
        ("300.1.1.1", "is not an address or network"),
        ("a.example", "is not an address or network"),
        ("", "is not an address or network"),
        (10, "a network is written like"),
        (None, "a network is written like"),
    ],
)
def test_anything_else_is_refused(text: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_network(text)


@pytest.mark.parametrize(
    ("peer", "is_trusted"),
    [
        ("10.1.2.3", True), ("11.1.2.3", False), ("192.0.2.7", True), ("192.0.2.8", False),
        ("::ffff:10.1.2.3", True), ("::ffff:11.1.2.3", False), ("fe80::1%eth0", True), ("2001:db8::1", False),
        ("unknown", False), ("", False),
    ],
)  # fmt: skip
def test_a_peer_is_trusted_if_it_is_in_a_network(peer: str, is_trusted: bool) -> None:  # noqa: FBT001  a table
    settings = {"trusted_peers": ["10.0.0.0/8", "192.0.2.7", "fe80::/10"]}
    assert Forwarded.model_validate(settings).trusts(peer) is is_trusted
    assert not Forwarded.model_validate({**settings, "mode": "off"}).trusts(peer)


def test_nobody_is_trusted_unless_named() -> None:
    assert not Forwarded().trusts("127.0.0.1")
    assert not is_in("127.0.0.1", ())
