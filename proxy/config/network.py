"""Networks as people write them, and which of them an address is in."""

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

IPNetwork = IPv4Network | IPv6Network


def parse_network(text: object) -> IPNetwork:
    """The network of `10.0.0.0/8`, `2001:db8::/32` or of one address. Raises ValueError."""
    if isinstance(text, IPNetwork):
        return text
    if not isinstance(text, str):
        raise ValueError("a network is written like 10.0.0.0/8, ::1 or 192.0.2.7")
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not an address or network; write it like 10.0.0.0/8, ::1 or 192.0.2.7") from None
    if "/" in text and str(network.network_address) != str(ip_address(text.partition("/")[0])):
        raise ValueError(f"{text!r} has bits below its mask: {network} is the network")
    return network


def is_in(peer: str, networks: tuple[IPNetwork, ...]) -> bool:
    """Whether an address as sockets name it is in one of these; what is no address is in none."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped  # an IPv4 client, as a socket for both families sees it
    return any(address in network for network in networks)


Network = Annotated[
    IPNetwork,
    BeforeValidator(parse_network),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9A-Fa-f.:]+(/\d{1,3})?$", "examples": ["10.0.0.0/8"]}),
    PlainSerializer(str, return_type=str),
]
