"""A credential of a backend: where it goes, and where it must never be seen."""

import os
import resource
from asyncio import to_thread
from pathlib import Path

import pytest

from proxy.ipc.boot import SETTINGS_FILE
from tests.e2e.proxy_host import START_S, ProxyHost
from tests.e2e.traffic import v1, v2
from tests.kit.h11_peer import H11Backend, H11Client

SECRET = "s3cr3t-of-v1"
CONFIG = """\
services:
  default:
    primary: {{version: v1, url: "http://127.0.0.1:{primary}", headers: {{add: {{X-Api-Key: {{{kind}: {where}}}}}}}}}
    candidate: {{version: v2, url: "http://127.0.0.1:{candidate}"}}
"""
TOKEN = "t0k3n-of-the-admin-port"


async def test_a_credential_reaches_its_backend_alone_and_outlives_its_file(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(SECRET + "\n")
    key.chmod(0o600)
    config = tmp_path / "shadow-proxy.yaml"
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        config.write_text(CONFIG.format(primary=primary.port, candidate=candidate.port, kind="file", where=key))
        with ProxyHost(tmp_path, "-c", str(config)) as proxy:
            key.unlink()
            await to_thread(proxy.restarted, await to_thread(proxy.kill, "worker"), "worker")
            async with await H11Client.open(proxy.port, deadline_s=START_S) as client:
                assert (await client.exchange("GET", "/items/1")).body == b'{"item":1}'
            await to_thread(proxy.settled, 1)
            assert (b"X-Api-Key", SECRET.encode()) in primary.requests[0].fields
            assert SECRET not in repr(candidate.requests)
            runtime_dir = Path((proxy.state_dir / "lock").read_text())
            await to_thread(nobody_else_sees_it, proxy)
        assert SECRET not in proxy.process.output
        assert not holding(proxy.state_dir)
        assert not holding(runtime_dir)


async def test_who_parses_the_candidate_s_bytes_has_no_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_V1", SECRET)
    monkeypatch.setenv("SHADOW_PROXY_ADMIN_TOKEN", TOKEN)
    config = tmp_path / "shadow-proxy.yaml"
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        config.write_text(CONFIG.format(primary=primary.port, candidate=candidate.port, kind="env", where="KEY_OF_V1"))
        with ProxyHost(tmp_path, "-c", str(config)) as proxy:
            async with await H11Client.open(proxy.port, deadline_s=START_S) as client:
                await client.exchange("GET", "/items/1")
            await to_thread(proxy.settled, 1)
            for name in ("worker", "judge"):
                member = proxy.member(name)
                assert member
                environ = await to_thread(Path(f"/proc/{member.pid}/environ").read_bytes)
                assert SECRET.encode() not in environ
                assert b"SHADOW_PROXY_" not in environ
                assert await to_thread(knows, member.pid, SECRET) is (name == "worker")
                assert not await to_thread(knows, member.pid, TOKEN)
            for member in proxy.process.children():
                assert resource.prlimit(member.pid, resource.RLIMIT_CORE) == (0, 0)
            assert resource.prlimit(proxy.process.pid, resource.RLIMIT_CORE) == (0, 0)


def knows(pid: int, text: str) -> bool:
    """Whether it stands anywhere in the memory of a process (proc(5), `/proc/[pid]/mem`)."""
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for area in maps:
            place, rights, *_ = area.split()
            if rights.startswith("rw"):
                start, end = (int(address, 16) for address in place.split("-"))
                memory.seek(start)
                if text.encode() in memory.read(end - start):
                    return True
    return False


def nobody_else_sees_it(proxy: ProxyHost) -> None:
    """Not the admin port, nor who lists processes; a file that holds it is its owner's alone."""
    for path in ("/api/v1/status", "/metrics", "/admin/flags", "/healthz", "/readyz"):
        assert SECRET.encode() not in proxy.get(path).body
    for member in proxy.process.children():
        assert SECRET not in member.command
        assert SECRET.encode() not in Path(f"/proc/{member.pid}/environ").read_bytes()
    assert not holding(proxy.state_dir)
    runtime_dir = Path((proxy.state_dir / "lock").read_text())
    assert [found.name for found in holding(runtime_dir)] == [SETTINGS_FILE]
    for found in (runtime_dir, runtime_dir / SETTINGS_FILE):
        assert found.stat().st_mode & 0o077 == 0
        assert found.stat().st_uid == os.getuid()


def holding(folder: Path) -> list[Path]:
    """The files below that hold the credential."""
    return [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
