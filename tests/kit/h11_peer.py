"""A strict client and a strict backend on h11: whatever h11 calls a protocol violation raises."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import h11

from tests.kit.watch import DEADLINE_S, deadline
from tests.kit.wire import Wire

Fields = Sequence[tuple[bytes, bytes]]
MAX_HEAD_BYTES = 256 * 1024  # above every limit of the proxy: the limits under test are not h11's
JSON_FIELDS = ((b"Content-Type", b"application/json"), (b"Content-Length", b"11"))


@dataclass(frozen=True, slots=True)
class H11Request:
    method: bytes
    target: bytes
    fields: list[tuple[bytes, bytes]]  # names as spelt
    body: bytes
    trailers: list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class H11Response:
    status: int
    reason: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes
    trailers: list[tuple[bytes, bytes]]
    interim: list[int]


@dataclass(frozen=True, slots=True)
class H11Reply:
    """What a backend answers; the framing follows from `fields`, as h11 reads them."""

    status: int = 200
    fields: Fields = JSON_FIELDS
    body: bytes = b'{"ok":true}'


def always_ok(_: H11Request) -> H11Reply:
    return H11Reply()


class _Conversation:
    """h11 over a wire."""

    def __init__(self, wire: Wire, role: type[h11.CLIENT] | type[h11.SERVER]) -> None:
        self.wire = wire
        self.h11 = h11.Connection(role, max_incomplete_event_size=MAX_HEAD_BYTES)

    async def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while True:
            event = self.h11.next_event()
            if event is not h11.NEED_DATA:
                return event
            self.h11.receive_data(await self.wire.take_some())

    async def read_body(self) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        body = bytearray()
        while isinstance(event := await self.next_event(), h11.Data):
            body += event.data
        assert isinstance(event, h11.EndOfMessage), f"expected the end of the message, got {event!r}"
        return bytes(body), event.headers.raw_items()

    async def send(self, *events: h11.Event) -> None:
        parts = [self.h11.send(event) for event in events]
        await self.wire.send(b"".join(part for part in parts if part))

    @property
    def reusable(self) -> bool:
        return self.h11.our_state is h11.DONE and self.h11.their_state is h11.DONE


class H11Client:
    """Use as `async with await H11Client.open(port) as client:`; one connection, reused while HTTP allows
    it.
    """

    def __init__(self, wire: Wire, deadline_s: float) -> None:
        self._conversation = _Conversation(wire, h11.CLIENT)
        self._deadline_s = deadline_s

    @classmethod
    async def open(cls, port: int, host: str = "127.0.0.1", *, deadline_s: float = DEADLINE_S) -> Self:
        async with deadline(deadline_s, lambda: f"a connection to {host}:{port}"):
            _, wire = await asyncio.get_running_loop().create_connection(Wire, host, port)
        return cls(wire, deadline_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        wire = self._conversation.wire
        wire.transport.abort()
        await wire.ended()
        if exc_info[0] is None:
            left = self._conversation.h11.trailing_data[0] + wire.unread
            assert not left, f"bytes after the last response: {left!r}"

    @property
    def reusable(self) -> bool:
        """The connection may carry another request."""
        return self._conversation.reusable

    @property
    def received(self) -> int:
        """Bytes received so far."""
        return len(self._conversation.wire.received)

    async def exchange(
        self, method: str, target: str, fields: Fields = ((b"Host", b"test"),), body: bytes = b""
    ) -> H11Response:
        """Send one request and read its answer; for a body name its framing in `fields`.

        Raises:
            h11.RemoteProtocolError: the answer breaks HTTP/1.1, or the connection ended inside it.
            h11.LocalProtocolError: the request would break it.
        """
        async with deadline(
            self._deadline_s, lambda: f"the answer to {method} {target}; {self._conversation.wire.quote()}"
        ):
            return await self._exchange(h11.Request(method=method, target=target, headers=list(fields)), body)

    async def _exchange(self, request: h11.Request, body: bytes) -> H11Response:
        conversation = self._conversation
        if conversation.h11.our_state is not h11.IDLE:
            conversation.h11.start_next_cycle()
        await conversation.send(request, h11.Data(data=body), h11.EndOfMessage())
        interim: list[int] = []
        while isinstance(event := await conversation.next_event(), h11.InformationalResponse):
            interim.append(event.status_code)
        assert isinstance(event, h11.Response), f"expected a response, got {event!r}"
        content, trailers = await conversation.read_body()
        return H11Response(event.status_code, event.reason, event.headers.raw_items(), content, trailers, interim)


class H11Backend:
    """Answers every request by `reply(request)`; leaving the block raises the first violation any peer
    committed.
    """

    def __init__(self, reply: Callable[[H11Request], H11Reply] = always_ok) -> None:
        self.port = 0
        self.requests: list[H11Request] = []
        self._reply = reply
        self._conversations: dict[asyncio.Task[None], Wire] = {}

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Wire(self._accept), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        for task in self._conversations:
            task.cancel()
        failures = await asyncio.gather(*self._conversations, return_exceptions=True)
        for wire in self._conversations.values():
            wire.transport.abort()
            await wire.ended()
        for failure in failures:
            if exc_info[0] is None and isinstance(failure, Exception):
                raise failure

    @property
    def accepted(self) -> int:
        """Connections so far."""
        return len(self._conversations)

    @property
    def open(self) -> int:
        """Connections that have not ended."""
        return sum(not task.done() for task in self._conversations)

    def _accept(self, wire: Wire) -> None:
        conversation = _Conversation(wire, h11.SERVER)
        self._conversations[asyncio.get_running_loop().create_task(self._serve(conversation))] = wire

    async def _serve(self, conversation: _Conversation) -> None:
        try:
            while isinstance(event := await conversation.next_event(), h11.Request):
                await self._answer(conversation, event)
                if not conversation.reusable:
                    break
                conversation.h11.start_next_cycle()
        finally:
            conversation.wire.close()

    async def _answer(self, conversation: _Conversation, head: h11.Request) -> None:
        if conversation.h11.they_are_waiting_for_100_continue:
            await conversation.send(h11.InformationalResponse(status_code=100, headers=[]))
        body, trailers = await conversation.read_body()
        request = H11Request(head.method, head.target, head.headers.raw_items(), body, trailers)
        self.requests.append(request)
        reply = self._reply(request)
        content = [h11.Data(data=reply.body)] if head.method != b"HEAD" else []
        response = h11.Response(status_code=reply.status, headers=list(reply.fields))
        await conversation.send(response, *content, h11.EndOfMessage())
