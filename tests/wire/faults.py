"""What must hold when one side breaks the rules of framing."""

from collections.abc import Sequence
from typing import Any

from tests.kit.raw_client import RawClient
from tests.wire.forms import Form, ended, healthy, joined
from tests.wire.rig import GET, Rig, problem, without_date


async def useless(
    rig: Rig, form: Form, answered: bytes, *, line: bytes = b"POST /x", reason: str = "protocol", **settings: Any
) -> None:
    """The client gets a 502 for this answer, and nothing of it; its backend connection ends, the client's does not.

    `line` begins the request; `settings` are the rig's.
    """
    method = line.split(b" ")[0]
    body = b"" if method == b"HEAD" else b"hello"
    await rig.start(form.reply(answered), **settings)
    client = await rig.client()
    await form.send(client, form.request(line, body=body))
    expected = problem(502, reason, "http_protocol_error", close=form.close)
    if method == b"HEAD":
        expected = expected.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert without_date((await client.read_response(method.decode())).raw) == expected
    assert [joined(request) for request in rig.primary.requests] == [form.forwarded(line, body=body)]
    await rig.primary.connections[0].gone()
    await (ended(client) if form.close else healthy(rig, client))
    assert len(rig.primary.connections) == (1 if form.close else 2)


async def each_is_useless(rig: Rig, form: Form, answers: Sequence[bytes]) -> None:
    """None of these answers reaches the client, whose one connection survives them all; each ends a backend's."""
    await rig.start(*(form.reply(answer) for answer in answers))
    client = await rig.client()
    expected = problem(502, "protocol", "http_protocol_error", close=False)
    for number, answer in enumerate(answers, 1):
        await form.send(client, form.request(b"POST /x", body=b"hello"))
        assert without_date((await client.read_response()).raw) == expected, answer
        assert joined(rig.primary.connections[-1].requests[-1]) == form.forwarded(b"POST /x", body=b"hello")
        await rig.primary.connections[-1].gone()
        assert len(rig.primary.connections) == number, answer
    await healthy(rig, client)


async def each_is_refused(rig: Rig, form: Form, sent: Sequence[bytes], status: int, reason: str) -> None:
    """Each of these requests is answered by us and ends its connection, whatever is sent behind it; nobody else
    hears of it.
    """
    await rig.start()
    for raw in sent:
        client = await rig.client()
        await form.send(client, raw + GET)
        expected = problem(status, reason, "http_request_error", close=True)
        assert without_date((await client.read_response()).raw) == expected, raw
        await ended(client)
    assert rig.refusals() == {reason: len(sent)}
    assert not rig.primary.connections
    assert not rig.candidate.connections


async def is_refused(rig: Rig, client: RawClient, status: int, reason: str, count: int = 1) -> None:
    """The client is told, and whatever it sent behind is no request; a backend that heard of it was cut off.

    `count`: how many were refused so far.
    """
    expected = problem(status, reason, "http_request_error", close=True)
    assert without_date((await client.read_response()).raw) == expected
    await ended(client)
    assert rig.refusals() == {reason: count}
    for connection in rig.primary.connections:
        if connection.received:  # else it was opened for nothing, and another may use it
            await connection.gone()
    assert rig.primary.requests == []
    await rig.quiet()
    assert rig.candidate.connections == []


async def is_aborted(rig: Rig, client: RawClient, count: int = 1) -> bytes:
    """The client has part of one answer, which cannot look complete, and the backend's connection ended: its bytes.

    `count`: how many were aborted so far.
    """
    received = await client.read_until_close()
    assert received.count(b"HTTP/1.1") == 1
    await rig.primary.connections[-1].gone()
    await rig.quiet()
    assert rig.requests() == {"aborted": count}
    return received
