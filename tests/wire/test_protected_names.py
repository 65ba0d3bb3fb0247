"""Names that may not be taken away by naming them in Connection: the attempt changes nothing and is counted."""

import pytest

from proxy.core.families import PROTECTED_NOMINATIONS
from tests.kit.script import respond
from tests.wire.forms import DATE, Form, healthy
from tests.wire.rig import GET, Rig, response, sized

PROTECTED = [
    b"Authorization: a",
    b"Cookie: a=1",
    b"Origin: http://a",
    b"Content-Type: text/plain",
    b"Range: bytes=0-1",
    b"If-None-Match: x",
    b"Via: 1.1 x",
]


def attempts(rig: Rig) -> int:
    return rig.plane.tally().total(PROTECTED_NOMINATIONS, service="ranker")


@pytest.mark.parametrize("line", PROTECTED, ids=lambda line: line.partition(b":")[0].decode())
async def test_b13_a_client_that_names_a_protected_field_is_counted_and_the_field_passes(
    rig: Rig, transmission: Form, line: bytes
) -> None:
    await rig.start(transmission.reply(sized(b"ok", DATE)))
    client = await rig.client()
    name = line.partition(b":")[0]
    await transmission.send(
        client, transmission.request(b"GET /", line, b"X-Hop: 1", b"Connection: keep-alive, X-Hop, " + name)
    )
    assert (await client.read_response()).raw == sized(b"ok", DATE)
    assert [got.raw for got in rig.primary.requests] == [transmission.forwarded(b"GET /", line)]
    assert attempts(rig) == 1
    await healthy(rig, client)
    assert attempts(rig) == 1


async def test_b13_host_cannot_be_named_away(rig: Rig, transmission: Form) -> None:
    await rig.start(transmission.reply(sized(b"ok", DATE)))
    client = await rig.client()
    await transmission.send(client, transmission.request(b"GET /", b"Connection: Host, close, hOsT", b"A: 1"))
    assert (await client.read_response()).raw == response(DATE, b"Content-Length: 2", b"Connection: close", body=b"ok")
    assert [got.raw for got in rig.primary.requests] == [transmission.forwarded(b"GET /", b"A: 1")]
    assert attempts(rig) == 2


async def test_b13_a_backend_that_names_a_protected_field_is_counted_too(rig: Rig, transmission: Form) -> None:
    fields = (DATE, b"Set-Cookie: a=1", b"X-Hop: 1", b"Connection: Set-Cookie, X-Hop, Content-Length")
    await rig.start(transmission.reply(sized(b"ok", *fields)))
    client = await rig.client()
    await transmission.send(client, GET)
    assert (await client.read_response()).raw == sized(b"ok", DATE, b"Set-Cookie: a=1")
    assert attempts(rig) == 2
    await healthy(rig, client)


async def test_b13_other_names_are_no_attempt(rig: Rig) -> None:
    await rig.start(respond(sized(b"ok", DATE, b"Connection: X-Hop, keep-alive")))
    client = await rig.client()
    await client.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: TE, X-Hop, Upgrade\r\nTE: trailers\r\n\r\n"))
    assert (await client.read_response()).raw == sized(b"ok", DATE)
    assert attempts(rig) == 0
    await healthy(rig, client)
