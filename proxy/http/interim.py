"""Interim answers (1xx) as a client gets them, the one that switches protocols among them. RFC 9110 §7.8, §15.2."""

from proxy.http.fields import name_of
from proxy.http.response_head import ResponseHead


def interim_head(head: ResponseHead) -> bytes:
    """The whole of an interim answer."""
    return b"\r\n".join([head.start, *lines_without_length(head), b"", b""])


def switching_head(head: ResponseHead) -> bytes:
    """The whole of a 101; the lines that are ours to write stand at its end."""
    upgrade = b"Upgrade: " + b", ".join(head.upgrades)
    return b"\r\n".join([head.start, *lines_without_length(head), upgrade, b"Connection: Upgrade", b"", b""])


def is_asked_for(head: ResponseHead, upgrades: tuple[bytes, ...]) -> bool:
    """Whether a 101 names protocols, and none but those a request has asked to go on with."""
    asked = {protocol.lower() for protocol in upgrades}
    return bool(head.upgrades) and asked.issuperset(protocol.lower() for protocol in head.upgrades)


def lines_without_length(head: ResponseHead) -> list[bytes]:
    """The field lines of an answer that may not say a length. RFC 9110 §8.6."""
    return [line for line in head.fields.split(b"\r\n") if line and name_of(line) != b"content-length"]
