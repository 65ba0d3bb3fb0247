import h11
import pytest

from tests.kit.h11_peer import H11Backend, H11Client, H11Reply, H11Request
from tests.kit.raw_client import RawClient
from tests.kit.script import respond
from tests.kit.scripted_backend import ScriptedBackend

pytestmark = pytest.mark.usefixtures("any_loop")

CHUNKED = ((b"Host", b"h"), (b"Transfer-Encoding", b"chunked"))


def echo(request: H11Request) -> H11Reply:
    return H11Reply(201, [(b"Transfer-Encoding", b"chunked")], request.body)


async def test_exchanges_share_one_connection() -> None:
    async with H11Backend(echo) as backend, await H11Client.open(backend.port) as client:
        first = await client.exchange("POST", "/a?b", CHUNKED, b"body")
        second = await client.exchange("HEAD", "/c", ((b"hOsT", b"h"),))
        assert (first.status, first.body, client.reusable) == (201, b"body", True)
        assert (second.status, second.body) == (201, b"")
        assert [request.target for request in backend.requests] == [b"/a?b", b"/c"]
        assert backend.requests[1].fields == [(b"hOsT", b"h")]


async def test_interim_responses_are_listed() -> None:
    raw = b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    async with ScriptedBackend([respond(raw)]) as backend, await H11Client.open(backend.port) as client:
        assert (await client.exchange("GET", "/")).interim == [103]


async def test_backend_invites_a_client_that_waits_for_100() -> None:
    async with H11Backend() as backend, await RawClient.open(backend.port) as client:
        await client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        assert (await client.read_response()).status == 100
        await client.send(b"x")
        assert (await client.read_response()).status == 200
        assert backend.requests[0].body == b"x"


@pytest.mark.parametrize(
    "raw", [b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b"\x00\r\n\r\n"], ids=["length", "garbage"]
)
async def test_violation_of_a_backend_raises_in_the_client(raw: bytes) -> None:
    async with ScriptedBackend([respond(raw)]) as backend, await H11Client.open(backend.port) as client:
        with pytest.raises(h11.RemoteProtocolError):
            await client.exchange("GET", "/")


async def test_bytes_after_the_answer_fail_the_client() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nsurplus"
    async with ScriptedBackend([respond(raw)]) as backend:
        client = await H11Client.open(backend.port)
        with pytest.raises(AssertionError, match="surplus"):
            async with client:
                await client.exchange("GET", "/")


async def one_connection(raw: bytes) -> None:
    """A whole life of a backend: one connection that sends `raw` and half-closes."""
    async with H11Backend() as backend, await RawClient.open(backend.port) as client:
        await client.send(raw)
        await client.half_close()
        await client.read_until_close()


@pytest.mark.parametrize(
    "raw",
    [b"GET / HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab"],
    ids=["no host", "cut body"],
)
async def test_violation_of_a_client_raises_when_the_backend_ends(raw: bytes) -> None:
    with pytest.raises(h11.RemoteProtocolError):
        await one_connection(raw)
