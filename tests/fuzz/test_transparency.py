"""Good exchanges, direct and through the proxy: the byte logs of both ends differ in what a proxy owns, and no more."""

import pytest

from tests.fuzz.backend import FuzzBackend
from tests.fuzz.case import Case
from tests.fuzz.casting import valid
from tests.fuzz.claims import check
from tests.fuzz.meaning import FORWARDED, HOP_BY_HOP
from tests.fuzz.reading import requests_meant
from tests.kit.memory_loop import MemoryLoop
from tests.kit.memory_transport import memory_pair
from tests.kit.wire import Wire

OWNED = HOP_BY_HOP | FORWARDED | {b"via", b"date", b"host"}


def _direct(case: Case) -> tuple[bytes, bytes]:
    """What backend and client receive without a proxy between them."""
    loop, client, backend = MemoryLoop(), Wire(), FuzzBackend(case.replies)
    backend.loop = loop
    memory_pair(client, backend.accept(), loop)
    loop.run_ready()
    for step in case.client:
        assert isinstance(step, bytes)
        client.transport.write(step)
        loop.run_ready()
    assert not loop.raised
    return backend.received[0], bytes(client.received)


@pytest.mark.parametrize("batch", range(4))
def test_a_good_exchange_differs_in_what_a_proxy_owns(batch: int) -> None:
    for number in range(batch * 100, batch * 100 + 100):
        case = valid(f"transparent/{number}")
        assert len(requests_meant(case.sent).whole) == 1, case
        played = check(case)
        received, answered = _direct(case)
        _same_but_owned(received, played.primary.received[0].partition(b"GET /probe ")[0])
        _same_but_owned(answered, played.received)


def _same_but_owned(direct: bytes, through: bytes) -> None:
    """Everything else stands in both logs, in the same order; bodies may be cut into other chunks."""
    assert _lines(direct) == _lines(through)
    assert _body(direct) == _body(through)


def _lines(log: bytes) -> list[bytes]:
    head = log.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return [line for line in head if line.partition(b":")[0].lower() not in OWNED]


def _body(log: bytes) -> bytes:
    head, _, body = log.partition(b"\r\n\r\n")
    if not body or b"\r\nTransfer-Encoding: chunked" not in head:
        return body
    payload, rest = b"", body
    while size := int(rest.partition(b"\r\n")[0].partition(b";")[0], 16):
        rest = rest.partition(b"\r\n")[2]
        payload, rest = payload + rest[:size], rest[size + 2 :]
    return payload
