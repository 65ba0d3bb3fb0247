import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.web_request import BaseRequest

from proxy.control.api import server

ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Admin:
    """An admin port; a request for `/held` is in service until `release` is set."""

    port: int = 0
    held: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: BaseRequest) -> web.StreamResponse:
        if request.raw_path == "/held":
            self.held.release()
            await self.release.wait()
        return web.Response(text=request.raw_path)

    async def connect(self) -> Connection:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, path: str = "/") -> bytes:
        """The status line that a new connection gets."""
        reader, writer = await self.connect()
        try:
            writer.write(ASK.replace(b"/", path.encode(), 1))
            return await reader.readline()
        finally:
            writer.close()


@asynccontextmanager
async def serving() -> AsyncIterator[Admin]:
    admin = Admin()
    listener = socket.create_server(("127.0.0.1", 0))
    admin.port = listener.getsockname()[1]
    runner = await server.start(admin.answer, listener)
    try:
        yield admin
    finally:
        admin.release.set()
        await runner.cleanup()


async def is_hung_up_on(connection: Connection) -> bool:
    """Waits until it is."""
    try:
        return await connection[0].read() == b""
    except ConnectionError:
        return True


async def test_idle_connections_make_room_for_new_ones_oldest_first() -> None:
    async with serving() as admin:
        idle = [await admin.connect() for _ in range(server.MAX_CONNECTIONS)]
        for _ in range(3):
            assert b"200" in await admin.ask()
        assert await is_hung_up_on(idle[0])
        idle[-1][1].write(ASK)
        assert b"200" in await idle[-1][0].readline()
        for _, writer in idle:
            writer.close()


async def test_a_flood_of_connections_does_not_end_a_request_in_service() -> None:
    async with serving() as admin:
        reader, writer = await admin.connect()
        writer.write(ASK.replace(b"/", b"/held", 1))
        await admin.held.acquire()
        idle = [await admin.connect() for _ in range(server.MAX_CONNECTIONS * 2)]
        assert await is_hung_up_on(idle[0])
        admin.release.set()
        assert b"200" in await reader.readline()
        for _, other in [(reader, writer), *idle]:
            other.close()


async def test_a_body_that_never_comes_is_not_in_service() -> None:
    async with serving() as admin:
        slow = [await admin.connect() for _ in range(server.MAX_CONNECTIONS)]
        for _, writer in slow:
            writer.write(b"POST /held HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
            await admin.held.acquire()
        assert b"200" in await admin.ask()
        assert await is_hung_up_on(slow[0])
        for _, writer in slow:
            writer.close()


async def test_with_every_place_in_service_the_new_one_goes() -> None:
    async with serving() as admin:
        asking = [asyncio.create_task(admin.ask("/held")) for _ in range(server.MAX_CONNECTIONS)]
        for _ in asking:
            await admin.held.acquire()
        refused = await admin.connect()
        assert await is_hung_up_on(refused)
        refused[1].close()
        admin.release.set()
        assert all(b"200" in line for line in await asyncio.gather(*asking))


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\n", ASK + b"GET /"])
async def test_a_connection_without_a_whole_head_is_ended(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_S", 0.05)
    async with serving() as admin:
        reader, writer = await admin.connect()
        writer.write(sent)
        assert (await reader.read()).count(b"HTTP/1.1 200") == sent.count(ASK)
        writer.close()


async def test_bytes_that_trickle_do_not_put_the_end_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_S", 0.05)
    async with serving() as admin:
        reader, writer = await admin.connect()

        async def trickle() -> None:
            for _ in range(4000):  # a request line may be longer than that
                writer.write(b"X")
                await asyncio.sleep(0)

        _, ended = await asyncio.gather(trickle(), is_hung_up_on((reader, writer)))
        assert ended
        writer.close()
