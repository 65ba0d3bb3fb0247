"""The forms one and the same exchange can have on the wire, and what must hold after each.

A form says how bodies are framed, whether both connections are to end after the exchange, and whether the
bytes come at once or one by one. Items run once per form (fixture `form`) or, where framing has no part in
them, once at once and once byte by byte (fixture `transmission`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, product
from typing import Any

from tests.kit.framing import Message
from tests.kit.raw_client import RawClient
from tests.kit.script import read_request, respond, send_bytewise
from tests.kit.scripted_connection import Script
from tests.kit.wire import Ending
from tests.wire.rig import FORWARDED, Rig, problem, sized, without_date

DATE = b"Date: Tue, 04 Mar 2025 05:06:07 GMT"
"""A backend's own, so that a whole response can be asserted."""
MARKER = b"X-Shadow-Request: 1"
_CLOSE = b"Connection: close"
_CHUNKED = b"Transfer-Encoding: chunked"
_NONCES = count(1)


@dataclass(frozen=True, slots=True)
class Form:
    """One way to put an exchange on the wire."""

    chunked: bool
    close: bool
    bytewise: bool

    def __str__(self) -> str:
        return "-".join(
            (
                "chunked" if self.chunked else "length",
                "close" if self.close else "keep",
                "bytewise" if self.bytewise else "whole",
            )
        )

    # --- messages

    def request(self, line: bytes, *fields: bytes, body: bytes = b"", host: bytes = b"a") -> bytes:
        """What a client sends; `line` is `GET /x`. An empty body is not framed at all."""
        lines = [b"Host: " + host, *fields, *(self._framing(body) if body else ())]
        return self._message(line + b" HTTP/1.1", lines, body, close=self.close)

    def forwarded(self, line: bytes, *fields: bytes, body: bytes = b"", host: bytes = b"a") -> bytes:
        """What the backend must get for that request, `joined`."""
        lines = [b"Host: " + host, *fields, *(self._framing(body) if body else ()), *FORWARDED[:3]]
        return self._message(line + b" HTTP/1.1", [*lines, b"X-Forwarded-Host: " + host], body)

    def response(self, *fields: bytes, body: bytes, start: bytes = b"HTTP/1.1 200 OK") -> bytes:
        """What a backend answers."""
        return self._message(start, [*fields, *self._framing(body)], body, close=self.close)

    def relayed(self, *fields: bytes, body: bytes, start: bytes = b"HTTP/1.1 200 OK") -> bytes:
        """What the client must get for that response, `joined`. `fields` must have a Date, or ours is added."""
        return self.response(*fields, body=body, start=start)

    # --- transmission

    async def send(self, client: RawClient, raw: bytes) -> None:
        """Send it at once, or in single bytes."""
        await (client.send_bytewise(raw) if self.bytewise else client.send(raw))

    def reply(self, raw: bytes) -> Script:
        """Let a backend read the request and answer at once, or in single bytes."""
        return (read_request(), send_bytewise(raw)) if self.bytewise else respond(raw)

    async def afterwards(self, rig: Rig, client: RawClient) -> None:
        """The connection has ended if it was to, else it serves the next request right."""
        await (ended(client) if self.close else healthy(rig, client))

    def _framing(self, body: bytes) -> list[bytes]:
        return [_CHUNKED if self.chunked else b"Content-Length: %d" % len(body)]

    def _message(self, start: bytes, lines: Sequence[bytes], body: bytes, *, close: bool = False) -> bytes:
        framed = one_chunk(body) if _CHUNKED in lines else body
        return b"\r\n".join([start, *lines, *([_CLOSE] if close else ()), b"", framed])


FORMS = [Form(*choice) for choice in product((False, True), repeat=3)]
TRANSMISSIONS = [Form(chunked=False, close=False, bytewise=bytewise) for bytewise in (False, True)]


def joined(message: Message) -> bytes:
    """The message as it came, but with its chunks in one: their borders need not survive. RFC 9112 §7.1."""
    body = message.body
    if message.values(b"transfer-encoding"):
        body = one_chunk(body, message.trailers)
    return b"\r\n".join([message.start_line, *message.lines, b"", body])


def copied(served: Message) -> bytes:
    """What the candidate gets of a request that was served, `joined`."""
    head, end, body = joined(served).partition(b"\r\n\r\n")
    return head + b"\r\n" + MARKER + end + body


def one_chunk(body: bytes, trailers: Sequence[bytes] = ()) -> bytes:
    """A chunked body of one chunk, or of none if it is empty, with its trailers."""
    data = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return data + b"\r\n".join([b"0", *trailers, b"", b""])


# --- what must hold


async def healthy(rig: Rig, client: RawClient, *, added: Sequence[bytes] = FORWARDED) -> None:
    """One more request on this client connection is served right; `added`: the lines the proxy adds to it."""
    nonce = b"nonce-%d" % next(_NONCES)
    answer = sized(nonce, DATE)
    rig.primary.play_next(respond(answer))
    await client.send(b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % nonce)
    assert (await client.read_response()).raw == answer
    got = [request.raw for request in rig.primary.requests if nonce in request.raw]
    assert got == [b"\r\n".join([b"GET /%b HTTP/1.1" % nonce, b"Host: a", *added, b"", b""])]


async def ended(client: RawClient) -> None:
    """The proxy has ended this connection, and nothing came that was not read."""
    assert await client.closed() is Ending.FIN


async def relays(
    rig: Rig,
    form: Form,
    *,
    sent: bytes | None = None,
    forwarded: bytes | None = None,
    answered: bytes | None = None,
    relayed: bytes | None = None,
    method: str = "GET",
    **settings: Any,
) -> None:
    """One exchange, asserted at both ends and at the candidate; then the next one.

    A message that is not given is a plain one of this form. `settings` are the rig's.
    """
    await rig.start(form.reply(answered or form.response(DATE, body=b"ok")), **settings)
    client = await rig.client()
    await form.send(client, sent or form.request(b"GET /"))
    assert joined(await client.read_response(method)) == (relayed or form.relayed(DATE, body=b"ok"))
    assert [joined(request) for request in rig.primary.requests] == [forwarded or form.forwarded(b"GET /")]
    await form.afterwards(rig, client)
    await rig.quiet()
    served = [copied(request) for request in rig.primary.requests]
    assert all(joined(copy) in served for copy in rig.candidate.requests)


async def keeps(rig: Rig, form: Form, *lines: bytes) -> None:
    """These lines pass in a request and in a response, both with a body."""
    await strips(rig, form, lines, lines)


async def strips(rig: Rig, form: Form, lines: Sequence[bytes], kept: Sequence[bytes]) -> None:
    """Of these lines only those pass, in a request and in a response, both with a body."""
    await relays(
        rig,
        form,
        sent=form.request(b"PUT /", *lines, body=b"hello"),
        forwarded=form.forwarded(b"PUT /", *kept, body=b"hello"),
        answered=form.response(DATE, *lines, body=b"ok"),
        relayed=form.relayed(DATE, *kept, body=b"ok"),
    )


async def refuses(
    rig: Rig,
    form: Form,
    sent: bytes,
    status: int,
    reason: str,
    *,
    error: str = "http_request_error",
    method: str = "GET",
) -> None:
    """A started rig answers `sent` itself, counts it under `reason`, contacts no backend and ends the connection,
    whatever is sent behind it.
    """
    client = await rig.client()
    await form.send(client, sent + b"GET /behind HTTP/1.1\r\nHost: a\r\n\r\n")
    expected = problem(status, reason, error, close=True)
    if method == "HEAD":
        expected = expected.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert without_date((await client.read_response(method)).raw) == expected
    await ended(client)
    assert rig.refusals() == {reason: 1}
    assert not rig.primary.connections
    assert not rig.candidate.connections


async def spoils(
    rig: Rig, form: Form, answered: bytes, reason: str = "protocol", error: str = "http_protocol_error", **settings: Any
) -> None:
    """An answer that cannot be relayed is a 502 to the client, and the end of its backend's connection only."""
    await rig.start(form.reply(answered), **settings)
    client = await rig.client()
    await form.send(client, form.request(b"GET /spoilt"))
    assert without_date((await client.read_response()).raw) == problem(502, reason, error, close=form.close)
    assert [got.raw for got in rig.primary.requests] == [form.forwarded(b"GET /spoilt")]
    await rig.primary.connections[0].gone()
    await form.afterwards(rig, client)
    assert len(rig.primary.connections) == (1 if form.close else 2)
