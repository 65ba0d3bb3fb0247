"""Clients that people use, through the proxy and directly: what they get is the same."""

import asyncio
import gzip
import hashlib
import random
import shutil
from asyncio import to_thread
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from email.parser import Parser
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
import requests
from aiohttp import web

from tests.e2e.proxy_host import ProxyHost
from tests.kit.ports import LOOPBACK

pytestmark = pytest.mark.asyncio(loop_scope="module")
MIB = 1 << 20
LARGE = random.Random(1).randbytes(5 * MIB)
ZIPPED = gzip.compress(b'{"text": "' + b"again and " * 1000 + b'"}', mtime=0)
ONE_HOP = {"connection", "date", "keep-alive", "transfer-encoding", "via"}  # a proxy's own to say


# What is asked


@dataclass(frozen=True, slots=True)
class Case:
    method: str
    path: str
    body: bytes | None = None
    chunked: bool = False

    def pieces(self) -> Iterator[bytes]:
        body = self.body or b""
        yield from (body[start : start + 100_000] for start in range(0, len(body), 100_000))


CASES = {
    "get": Case("GET", "/json?q=a%20b&q=%C3%BC"),
    "head": Case("HEAD", "/json"),
    "post": Case("POST", "/echo", b'{"a": 1}'),
    "put": Case("PUT", "/echo", bytes(range(256))),
    "delete": Case("DELETE", "/echo"),
    "chunked upload": Case("POST", "/echo", LARGE[:MIB], chunked=True),
    "gzip answer": Case("GET", "/gzip"),
    "chunked answer": Case("GET", "/chunked"),
    "large answer": Case("GET", "/large"),
    "large upload": Case("PUT", "/digest", LARGE),
    "large both ways": Case("POST", "/echo", LARGE, chunked=True),
    "no content": Case("GET", "/none"),
    "redirect": Case("GET", "/elsewhere"),
    "error": Case("GET", "/nowhere"),
}


# Who answers


async def answer_json(request: web.Request) -> web.Response:
    fields = {"ETag": '"e1"', "X-Twice": "ü"}
    return web.json_response({"query": request.query_string, "agent": request.headers.get("X-Agent")}, headers=fields)


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read(), headers={"X-Method": request.method})


async def digest(request: web.Request) -> web.Response:
    return web.Response(text=hashlib.sha256(await request.read()).hexdigest())


async def zipped(_: web.Request) -> web.Response:
    return web.Response(body=ZIPPED, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})


async def large(_: web.Request) -> web.Response:
    return web.Response(body=LARGE)


async def chunked(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for part in (b"one", b"two", b"three"):
        await response.write(part)
    await response.write_eof()
    return response


async def none(_: web.Request) -> web.Response:
    return web.Response(status=204)


async def elsewhere(_: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "/json"})


async def backend() -> web.AppRunner:
    app = web.Application(client_max_size=2 * len(LARGE))
    app.add_routes([web.get("/json", answer_json), web.route("*", "/echo", echo), web.put("/digest", digest)])
    app.add_routes([web.get("/gzip", zipped), web.get("/large", large), web.get("/chunked", chunked)])
    app.add_routes([web.get("/none", none), web.get("/elsewhere", elsewhere)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    return runner


@dataclass(slots=True)
class Place:
    direct: str
    proxied: str
    proxy: ProxyHost
    asked: int = 0  # requests sent through the proxy


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    primary, candidate = await backend(), await backend()
    ports = int(primary.addresses[0][1]), int(candidate.addresses[0][1])
    with ProxyHost.between(tmp_path_factory.mktemp("clients"), *ports) as proxy:
        yield Place(f"http://{LOOPBACK}:{ports[0]}", f"http://{LOOPBACK}:{proxy.port}", proxy)
    for runner in (primary, candidate):
        await runner.cleanup()


# Who asks


@dataclass(frozen=True, slots=True)
class Got:
    status: int
    reason: str
    fields: tuple[tuple[str, str], ...]
    body: bytes


def got(status: int, reason: str | None, fields: Iterable[tuple[str, str]], body: bytes) -> Got:
    kept = sorted((name.lower(), value) for name, value in fields if name.lower() not in ONE_HOP)
    return Got(status, reason or "", tuple(kept), body)


async def by_curl(url: str, case: Case, folder: Path, *options: str) -> Got:
    head, body = folder / "head", folder / "body"
    words = ["curl", "-sS", "--max-time", "20", "-D", str(head), "-o", str(body), *options]
    if case.method == "HEAD":
        words.append("--head")
    else:
        words += ["-X", case.method]
    if case.body is not None:
        sent = folder / "sent"
        sent.write_bytes(case.body)
        words += ["--data-binary", f"@{sent}"]
    if case.chunked:
        words += ["-H", "Transfer-Encoding: chunked"]
    body.unlink(missing_ok=True)
    curl = await asyncio.create_subprocess_exec(*words, url + case.path, stderr=asyncio.subprocess.PIPE)
    _, said = await curl.communicate()
    assert curl.returncode == 0, said
    *_, last = head.read_bytes().decode().strip().split("\r\n\r\n")  # after `100 Continue`
    line, _, fields = last.partition("\r\n")
    _, status, reason = line.split(" ", 2)
    return got(
        int(status),
        reason,
        Parser().parsestr(fields).items(),
        b"" if case.method == "HEAD" or not body.exists() else body.read_bytes(),
    )


async def by_curl_1_0(url: str, case: Case, folder: Path) -> Got:
    return await by_curl(url, case, folder, "--http1.0")


def asked_by_requests(url: str, case: Case) -> Got:
    data = case.pieces() if case.chunked else case.body
    with requests.Session() as session:
        session.trust_env = False
        with session.request(
            case.method, url + case.path, data=data, stream=True, allow_redirects=False, timeout=20
        ) as answer:
            body = b"".join(answer.raw.stream(decode_content=False))
            return got(answer.status_code, answer.reason, answer.headers.items(), body)


async def by_requests(url: str, case: Case, _: Path) -> Got:
    return await to_thread(asked_by_requests, url, case)


async def by_aiohttp(url: str, case: Case, _: Path) -> Got:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in case.pieces():
            yield piece

    data = pieces() if case.chunked else case.body and BytesIO(case.body)
    timeout = aiohttp.ClientTimeout(total=20)
    async with (
        aiohttp.ClientSession(auto_decompress=False, timeout=timeout) as session,
        session.request(case.method, url + case.path, data=data, allow_redirects=False) as answer,
    ):
        return got(answer.status, answer.reason, answer.headers.items(), await answer.read())


Client = Callable[[str, Case, Path], Awaitable[Got]]
CLIENTS: dict[str, Client] = {
    "curl": by_curl,
    "curl --http1.0": by_curl_1_0,
    "requests": by_requests,
    "aiohttp": by_aiohttp,
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("client", CLIENTS)
async def test_through_the_proxy_it_is_as_if_asked_directly(
    place: Place, client: str, case: str, tmp_path: Path
) -> None:
    if client.startswith("curl") and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    if client == "curl --http1.0" and CASES[case].chunked:
        pytest.skip("HTTP/1.0 has no chunked uploads")
    ask = CLIENTS[client]
    place.asked += 1
    direct, proxied = [await ask(url, CASES[case], tmp_path) for url in (place.direct, place.proxied)]
    assert proxied == direct


async def test_curl_keeps_its_connection(place: Place) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    urls = [place.proxied + path for path in ("/json", "/gzip", "/chunked", "/none", "/json")]
    place.asked += len(urls)
    words = ["curl", "-sS", "--max-time", "20", "-w", "%{stderr}%{http_code} %{num_connects}\n"]
    curl = await asyncio.create_subprocess_exec(
        *words, *urls, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, said = await curl.communicate()
    assert said.decode().split("\n") == ["200 1", "200 0", "200 0", "204 0", "200 0", ""]


async def test_everything_is_accounted_for_in_the_end(place: Place) -> None:
    found = await to_thread(place.proxy.settled, place.asked)
    assert found.total("shadow_comparisons_total", verdict="mismatch") == 0
    assert found.total("shadow_comparisons_total") > 0
