"""`https` backends: verified by default; every way a handshake goes wrong is a value."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.config.models import Limits
from proxy.config.units import Origin
from proxy.core.message import Cause, Failure
from proxy.http.backend_connection import BackendConnection
from proxy.http.pool import BackendPool
from proxy.http.turn import Lane, Turn
from proxy.http.upstream import DialTimeouts, Upstream
from tests.kit.certificates import Authority

pytestmark = pytest.mark.usefixtures("any_loop")

Outcome = BackendConnection | Failure


class Asker:
    """Whoever needs a connection, in a test."""

    wait_until = float("inf")
    is_gone = False

    def __init__(self) -> None:
        self.heard: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def connected(self, connection: BackendConnection) -> None:
        self.heard.set_result(connection)

    def not_connected(self, failure: Failure) -> None:
        self.heard.set_result(failure)


@asynccontextmanager
async def tls_server(certificate: tuple[Path, Path]) -> AsyncIterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def connect(host: str, port: int) -> Outcome:
    with ThreadPoolExecutor(1) as executor:
        upstream = Upstream(
            origin=Origin("https", host, port),
            limits=Limits(),
            response_idle_s=5.0,
            timeouts=DialTimeouts(resolve=5.0, connect=5.0, tls=1.0, pool_wait=1.0, dns_ttl=1.0),
            pool=BackendPool(4, 4, 4, 5.0, 60.0),
            executor=executor,
            turn=Turn(asyncio.get_running_loop().call_soon),
            lane=Lane.SERVING,
        )
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
