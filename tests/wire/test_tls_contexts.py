"""Contexts apart from connections: what becomes of them when files, copies or our own code fail."""

import asyncio
import gc
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proxy.config.certificates import CertificateError
from proxy.config.models import BackendTls, ListenerTls
from proxy.http.live_context import BackendContexts, LiveContext
from proxy.worker.kept_certificate import KEPT_FILE, KeptCertificate
from tests.kit.certificates import Authority


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


class Files:
    """A listener's files, and a folder for their copy."""

    def __init__(self, place: Path) -> None:
        self.authority = Authority.make(place)
        certificate, key = self.authority.sign("127.0.0.1")
        self.certificate, self.key, self.client_ca = certificate, key, self.authority.certificate
        self.tls = ListenerTls(certificate=str(certificate), key=str(key), client_ca=str(self.client_ca))
        self.folder = place / "runtime"
        self.folder.mkdir()

    def kept(self) -> KeptCertificate:
        """As a worker that starts has it."""
        return KeptCertificate(self.tls, self.folder)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def shown(context: ssl.SSLContext) -> bytes:
    """The certificate that a client sees; it need not be a good one."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    client = trusting.wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return client.getpeercert(binary_form=True) or b""


# --- the copy


def test_the_copy_is_for_nobody_elses_eyes_and_alone(files: Files) -> None:
    files.kept().load()
    (kept,) = files.folder.iterdir()
    assert kept.name == KEPT_FILE
    assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("gone", ["certificate", "key", "client_ca"])
def test_what_worked_last_is_there_without_the_files(files: Files, gone: str) -> None:
    good = shown(files.kept().load())
    getattr(files, gone).unlink()
    with pytest.raises(CertificateError):
        files.kept().load()
    context = files.kept().last_good()
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED, "clients must be asked for their certificates as before"
    assert shown(context) == good


def test_files_that_do_not_work_leave_the_copy_as_it_was(files: Files) -> None:
    files.kept().load()
    before = (files.folder / KEPT_FILE).read_bytes()
    files.authority.sign("127.0.0.1", days=-1)
    with pytest.raises(CertificateError, match="expired"):
        files.kept().load()
    assert (files.folder / KEPT_FILE).read_bytes() == before


def test_a_copy_that_has_expired_meanwhile_is_better_than_nothing(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.authority.sign("127.0.0.1", days=-1)
    with monkeypatch.context() as when_it_was_valid:
        when_it_was_valid.setattr("proxy.config.certificates._prove", lambda *_: None)
        good = shown(files.kept().load())
    with pytest.raises(CertificateError, match="expired"):
        files.kept().load()
    context = files.kept().last_good()
    assert context is not None
    assert shown(context) == good


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"certificate": "x", "key": "y"}'])
def test_no_copy_that_can_be_used_is_none(files: Files, content: bytes | None) -> None:
    if content is not None:
        (files.folder / KEPT_FILE).write_bytes(content)
    assert files.kept().last_good() is None


def test_a_copy_that_cannot_be_written_is_said_and_stops_nobody(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    files.folder.rmdir()
    assert shown(files.kept().load())
    assert "certificate_not_kept" in capsys.readouterr().out


# --- following files


async def test_a_bug_while_loading_is_logged_and_leaves_the_context(
    executor: ThreadPoolExecutor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    followed = tmp_path / "file"
    contexts = [ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)]
    live = LiveContext(contexts.pop, (str(followed),), executor)
    first = await live.ready()
    await asyncio.to_thread(followed.write_text, "changed")
    await live.look()
    assert live.current is first
    said = capsys.readouterr().out
    assert "certificate_not_used" in said
    assert "pop from empty list" in said
    assert "Traceback" in said


async def test_without_any_context_whoever_waits_hears_what_is_wrong(executor: ThreadPoolExecutor) -> None:
    live = LiveContext([].pop, (), executor)
    with pytest.raises(IndexError):
        await live.ready()


def test_contexts_are_shared_by_those_who_use_them_and_gone_with_the_last() -> None:
    contexts = BackendContexts()
    one = contexts.of(BackendTls(server_name="a.example"))
    assert contexts.of(BackendTls(server_name="a.example")) is one
    assert contexts.of(BackendTls(server_name="b.example")) is not one
    del one
    gc.collect()
    assert not contexts._made


async def test_a_context_that_cannot_be_made_is_said_once_however_many_ask_for_it(
    executor: ThreadPoolExecutor, capsys: pytest.CaptureFixture[str]
) -> None:
    contexts: list[ssl.SSLContext] = []
    live = LiveContext(contexts.pop, (), executor)
    for _ in range(50):
        with pytest.raises(IndexError):
            await live.ready()
    assert capsys.readouterr().out.count("certificate_not_used") == 1
