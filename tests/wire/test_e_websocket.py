"""A real websocket client and a real websocket server, with the proxy between them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import WSCloseCode, WSMsgType, web

from tests.wire.rig import Rig


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Says everything back, until the client says goodbye or "bye"."""
    socket = web.WebSocketResponse(protocols=("chat",))
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            if message.data == "bye":
                await socket.close(code=WSCloseCode.GOING_AWAY, message=b"bye")
                break
            await socket.send_str(message.data)
        else:
            await socket.send_bytes(message.data)
    return socket


@asynccontextmanager
async def server() -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_get("/chat", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("compress", [0, 15], ids=["plain", "deflate"])
async def test_e3_a_websocket_conversation_passes(rig: Rig, compress: int) -> None:
    async with server() as port:
        await rig.start(primary=port)
        url = f"http://127.0.0.1:{rig.port}/chat"
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, protocols=("chat",), compress=compress, autoping=False) as socket,
        ):
            assert socket.protocol == "chat"
            for text in ("hello", "", "x" * 200_000, "häßlich"):
                await socket.send_str(text)
                assert await socket.receive_str() == text
            await socket.send_bytes(bytes(range(256)) * 1000)
            assert await socket.receive_bytes() == bytes(range(256)) * 1000
            await socket.ping(b"there?")
            assert (await socket.receive()).type is WSMsgType.PONG
            await socket.send_str("bye")
            said = await socket.receive()
            assert (said.type, said.data, said.extra) == (WSMsgType.CLOSE, WSCloseCode.GOING_AWAY, "bye")
        await rig.until(lambda: not rig.plane.tunnels, "the tunnel to be over")
    assert rig.requests() == {"1xx": 1}
    assert rig.mirrors() == {"upgrade": 1}
    assert not rig.candidate.connections


async def test_e3_many_conversations_do_not_mix(rig: Rig) -> None:
    async with server() as port:
        await rig.start(primary=port)
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{rig.port}/chat"
            sockets = [await session.ws_connect(url) for _ in range(20)]
            assert len(rig.plane.tunnels) == 20
            for round_ in range(5):
                for number, socket in enumerate(sockets):
                    await socket.send_str(f"{number}: {round_}")
                assert [await socket.receive_str() for socket in sockets] == [f"{n}: {round_}" for n in range(20)]
            for socket in sockets:
                assert await socket.close()
        await rig.until(lambda: not rig.plane.tunnels, "the tunnels to be over")


async def test_e3_a_server_that_declines_is_heard(rig: Rig) -> None:
    async with server() as port:
        await rig.start(primary=port)
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"http://127.0.0.1:{rig.port}/elsewhere")
    assert refused.value.status == 404
    assert rig.requests() == {"4xx": 1}
