"""Two versions that agree nine times in ten, and clients that ask one after the other until told to stop.

Both versions answer `/items/{n}` with the same number, v2 with different bytes: whose answer a client got is
seen, and is none of the comparison's business.
"""

import asyncio
from types import TracebackType
from typing import Self

from tests.kit.h11_peer import H11Client, H11Reply, H11Request
from tests.kit.watch import Watch, deadline

WRONG_EVERY = 10
GO_ON_S = 20.0


def v1(request: H11Request) -> H11Reply:
    return reply(b'{"item":%d}' % number(request.target))


def v2(request: H11Request) -> H11Reply:
    found = number(request.target)
    return reply(b'{ "item": %d }' % (found if found % WRONG_EVERY else -1))


def number(target: bytes) -> int:
    return int(target.rpartition(b"/")[2])


def reply(body: bytes) -> H11Reply:
    fields = ((b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(body)))
    return H11Reply(fields=fields, body=body)


class Traffic:
    """`async with Traffic(port) as traffic:`; leaving the block ends it and raises what any client met.

    Each client keeps its connection, and opens another one only where HTTP says so. Every answer must be v1's.
    """

    def __init__(self, port: int, clients: int = 4) -> None:
        self.answered = 0
        self._port = port
        self._clients = clients
        self._asked = 0
        self._over = False
        self._watch = Watch()

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._client()) for _ in range(self._clients)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        met = await asyncio.gather(*self._tasks, return_exceptions=True)
        for failure in met:
            if isinstance(failure, BaseException) and kind is None:
                raise failure

    async def goes_on(self, answers: int = 50) -> None:
        """Wait for so many more answers."""
        wanted = self.answered + answers
        async with deadline(GO_ON_S, lambda: f"{wanted} answers; there are {self.answered}"):
            await self._watch.until(lambda: self.answered >= wanted or any(task.done() for task in self._tasks))
        for task in self._tasks:
            if task.done():
                task.result()

    async def _client(self) -> None:
        try:
            while not self._over:
                async with await H11Client.open(self._port) as client:
                    await self._ask_while_open(client)
        finally:
            self._watch.changed()

    async def _ask_while_open(self, client: H11Client) -> None:
        is_open = True
        while is_open and not self._over:
            self._asked += 1
            item = self._asked
            answer = await client.exchange("GET", f"/items/{item}")
            assert (answer.status, answer.body) == (200, b'{"item":%d}' % item)
            self.answered += 1
            self._watch.changed()
            is_open = client.reusable
