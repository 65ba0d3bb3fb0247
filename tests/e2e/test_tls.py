"""A proxy that serves by TLS and asks by TLS, seen by curl and by people's own library."""

import shutil
import signal
import ssl
import subprocess
from asyncio import to_thread
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
import requests

from proxy.worker.kept_certificate import KEPT_FILE
from tests.e2e.proxy_host import ROOT, SERVE, ProxyHost
from tests.e2e.traffic import v1
from tests.kit.certificates import Authority
from tests.kit.h11_peer import H11Backend
from tests.kit.polling import wait_until_async
from tests.kit.ports import LOOPBACK
from tests.kit.processes import Process
from tests.kit.raw_client import RawClient
from tests.kit.scripted_backend import ScriptedBackend

CONFIG = """\
tls: {{certificate: "{certificate}", key: "{key}"}}
services:
  ranker:
    mirror: {{methods: [GET, POST]}}
    primary: {{version: v1, url: "http://127.0.0.1:{primary}"}}
    candidate: {{version: v2, url: "https://127.0.0.1:{candidate}", tls: {{ca: "{ca}"}}}}
"""
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs the Debian package curl")


class Stage:
    """A primary without TLS, a candidate with it, and a proxy with it."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.folder = folder
        self.authority = authority
        self.config = folder / "shadow-proxy.yaml"

    async def start(self, stack: AsyncExitStack) -> None:
        context = self.authority.server("127.0.0.1")
        primary = await stack.enter_async_context(H11Backend(v1))
        self.candidate = await stack.enter_async_context(ScriptedBackend(tls=context))
        certificate, key = self.authority.sign("127.0.0.1")
        text = CONFIG.format(
            certificate=certificate,
            key=key,
            primary=primary.port,
            candidate=self.candidate.port,
            ca=self.authority.certificate,
        )
        self.config.write_text(text)
        self.proxy = await to_thread(stack.enter_context, ProxyHost(self.folder, "-c", str(self.config)))

    def url(self, path: str) -> str:
        return f"https://{LOOPBACK}:{self.proxy.port}{path}"

    async def curl(self, *words: str) -> str:
        """What curl prints, answer head first."""
        line = ["curl", "-sS", "-i", "--cacert", str(self.authority.certificate), *words]
        done = await to_thread(subprocess.run, line, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def shown(self) -> bytes:
        """The certificate a new client gets."""
        async with await RawClient.open(self.proxy.port, tls=self.authority.client()) as client:
            return client.tls.certificate


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path, Authority.make(tmp_path))
    async with AsyncExitStack() as stack:
        await stage.start(stack)
        yield stage


@needs_curl
async def test_curl_is_served_whatever_it_offers(stage: Stage) -> None:
    for words in ((), ("--http1.1",), ("--http2",), ("--tlsv1.2", "--tls-max", "1.2")):
        assert (await stage.curl(*words, stage.url("/items/1"))).startswith("HTTP/1.1 200")
    posted = await stage.curl("--data-binary", f"@{Path(__file__)}", stage.url("/items/1"))
    assert posted.startswith("HTTP/1.1 200")
    told = await stage.curl(f"http://{LOOPBACK}:{stage.proxy.port}/")
    assert told.startswith("HTTP/1.1 400")
    await to_thread(stage.proxy.settled, 5)
    assert len(stage.candidate.requests) == 5
    assert all(b"X-Forwarded-Proto: https" in request.lines for request in stage.candidate.requests)


async def test_a_session_of_requests_keeps_its_connection_over_a_renewal(stage: Stage) -> None:
    session = requests.Session()
    session.trust_env = False  # it would prefer the environment's authorities
    session.verify = str(stage.authority.certificate)

    def get() -> tuple[int, object]:
        with session.get(stage.url("/items/1"), stream=True, timeout=20) as answer:
            connection = answer.raw.connection
            sock = connection.sock if connection else None
            status = answer.status_code
            answer.content  # noqa: B018  to its end, so that the connection is kept
        return status, sock

    status, sock = await to_thread(get)
    assert status == 200
    assert isinstance(sock, ssl.SSLSocket)
    before = await stage.shown()
    await to_thread(stage.authority.sign, "127.0.0.1")
    stage.proxy.process.send_signal(signal.SIGHUP)

    async def renewed() -> bool:
        return await stage.shown() != before

    await wait_until_async(renewed, "the renewed certificate to be shown")
    assert await to_thread(get) == (200, sock)
    session.close()


async def test_a_bad_new_certificate_is_said_and_the_old_one_is_kept(stage: Stage) -> None:
    before = await stage.shown()
    (stage.folder / "127.0.0.1.key").write_text("no key")
    stage.proxy.process.send_signal(signal.SIGHUP)
    await to_thread(stage.proxy.process.wait_for_line, r"holds no private key in PEM form")
    assert await stage.shown() == before


@pytest.mark.parametrize("wrong", ["half renewed", "expired"])
async def test_a_worker_that_starts_over_bad_files_shows_the_last_good_certificate(stage: Stage, wrong: str) -> None:
    before = await stage.shown()
    if wrong == "expired":
        await to_thread(stage.authority.sign, "127.0.0.1", -1)
    else:
        (stage.folder / "127.0.0.1.key").unlink()
    await restart_worker(stage)
    assert await stage.shown() == before
    said = (await to_thread(stage.proxy.process.wait_for_line, r".*certificate_not_used.*"))[0]
    assert "kept=True" in said
    assert str(stage.folder / "127.0.0.1.") in said
    await to_thread(stage.authority.sign, "127.0.0.1")
    stage.proxy.process.send_signal(signal.SIGHUP)

    async def renewed() -> bool:
        return await stage.shown() != before

    await wait_until_async(renewed, "the renewed certificate to be shown")


async def test_a_worker_without_any_certificate_says_so_in_one_line_at_each_start(stage: Stage) -> None:
    kept = Path((stage.proxy.state_dir / "lock").read_text()) / KEPT_FILE
    assert kept.stat().st_mode & 0o777 == 0o600
    kept.unlink()
    key = stage.folder / "127.0.0.1.key"
    aside = key.rename(stage.folder / "aside")
    await to_thread(stage.proxy.kill, "worker")
    said = (await to_thread(stage.proxy.process.wait_for_line, r".*certificate_not_used.*", 20.0))[0]
    assert "kept=False" in said
    aside.rename(key)

    async def serves() -> bool:
        with suppress(OSError):
            return bool(await stage.shown())
        return False

    await wait_until_async(serves, "a worker that serves again")
    assert "Traceback" not in stage.proxy.process.output


async def restart_worker(stage: Stage) -> None:
    gone = await to_thread(stage.proxy.kill, "worker")
    await to_thread(stage.proxy.restarted, gone, "worker")


def test_a_key_that_cannot_be_used_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    certificate, key = Authority.make(tmp_path).sign("127.0.0.1")
    key.chmod(0o644)
    config = tmp_path / "shadow-proxy.yaml"
    config.write_text(CONFIG.format(certificate=certificate, key=key, primary=1, candidate=2, ca=certificate))
    with Process([*SERVE, "-c", str(config), "--state-dir", str(tmp_path / "state")], cwd=ROOT) as process:
        assert process.wait() == 2
        assert f"tls.key: {key}: everybody can read or write this key: chmod 600 {key}" in process.output
        assert "nothing was started" in process.output
    assert not (tmp_path / "state").exists()
