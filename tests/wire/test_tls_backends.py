"""`https` backends: verified by default; every way a handshake goes wrong is a value."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.config.units import Origin
from proxy.core.message import Cause, Failure
from proxy.http.backend_connection import BackendConnection
from tests.kit.certificates import Authority
from tests.wire.asker import Asker, Outcome, dialling

pytestmark = pytest.mark.usefixtures("any_loop")


@asynccontextmanager
async def tls_server(certificate: tuple[Path, Path]) -> AsyncIterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def connect(host: str, port: int) -> Outcome:
    with ThreadPoolExecutor(1) as executor:
        upstream = dialling(Origin("https", host, port), executor)
        asker = Asker()
        assert upstream.acquire(asker) is None
        outcome = await asyncio.wait_for(asker.heard, 10)
        upstream.abort()
        return outcome


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.make(tmp_path)


async def test_a_certificate_of_a_trusted_authority_is_accepted(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    async with tls_server(authority.sign("127.0.0.1")) as port:
        assert isinstance(await connect("127.0.0.1", port), BackendConnection)


async def test_an_unknown_authority_is_refused(authority: Authority) -> None:
    async with tls_server(authority.sign("127.0.0.1")) as port:
        assert await connect("127.0.0.1", port) == Failure(Cause.TLS)


async def test_a_certificate_for_another_name_is_refused(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    async with tls_server(authority.sign("other.example")) as port:
        assert await connect("127.0.0.1", port) == Failure(Cause.TLS)


async def test_a_handshake_that_hangs_ends_at_its_timeout() -> None:
    connected = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        assert await connect("127.0.0.1", server.sockets[0].getsockname()[1]) == Failure(Cause.TLS_TIMEOUT)
        assert connected.is_set()


async def test_a_backend_without_tls_is_refused() -> None:
    async def answer_in_clear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer_in_clear, "127.0.0.1", 0) as server:
        assert await connect("127.0.0.1", server.sockets[0].getsockname()[1]) == Failure(Cause.TLS)
