"""A credential of a backend: where it goes, and where it must never be seen."""

import os
from asyncio import to_thread
from pathlib import Path

from tests.e2e.proxy_host import START_S, ProxyHost
from tests.e2e.traffic import v1, v2
from tests.kit.h11_peer import H11Backend, H11Client

SECRET = "s3cr3t-of-v1"
CONFIG = """\
services:
  default:
    primary: {{version: v1, url: "http://127.0.0.1:{primary}", headers: {{add: {{X-Api-Key: {{file: {key}}}}}}}}}
    candidate: {{version: v2, url: "http://127.0.0.1:{candidate}"}}
"""


async def test_a_credential_reaches_its_backend_alone_and_outlives_its_file(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(SECRET + "\n")
    key.chmod(0o600)
    config = tmp_path / "shadow-proxy.yaml"
    async with H11Backend(v1) as primary, H11Backend(v2) as candidate:
        config.write_text(CONFIG.format(primary=primary.port, candidate=candidate.port, key=key))
        with ProxyHost(tmp_path, "-c", str(config)) as proxy:
            key.unlink()
            await to_thread(proxy.restarted, await to_thread(proxy.kill, "worker"), "worker")
            async with await H11Client.open(proxy.port, deadline_s=START_S) as client:
                assert (await client.exchange("GET", "/items/1")).body == b'{"item":1}'
            await to_thread(proxy.settled, 1)
            assert (b"X-Api-Key", SECRET.encode()) in primary.requests[0].fields
            assert SECRET not in repr(candidate.requests)
            await to_thread(nobody_else_sees_it, proxy)
        assert SECRET not in proxy.process.output
        assert not holding(proxy.state_dir)


def nobody_else_sees_it(proxy: ProxyHost) -> None:
    """Not the admin port, nor who lists processes; a file that holds it is its owner's alone."""
    for path in ("/api/v1/status", "/metrics", "/admin/flags", "/healthz", "/readyz"):
        assert SECRET.encode() not in proxy.get(path).body
    for member in proxy.process.children():
        assert SECRET not in member.command
        assert SECRET.encode() not in Path(f"/proc/{member.pid}/environ").read_bytes()
    for found in holding(proxy.state_dir):
        assert found.stat().st_mode & 0o777 == 0o600
        assert found.stat().st_uid == os.getuid()


def holding(folder: Path) -> list[Path]:
    """The files below that hold the credential."""
    return [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
