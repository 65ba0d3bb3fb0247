"""A real `shadow-proxy serve` with all its processes: where it listens, what it says of itself, whom to kill."""

import http.client
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.kit.metrics import Metrics, assert_identities, balanced, parse
from tests.kit.polling import wait_until
from tests.kit.ports import LOOPBACK
from tests.kit.processes import Member, Process

ROOT = Path(__file__).parents[2]
SERVE = [sys.executable, "-m", "proxy.cli.main", "serve"]
START_S = 20.0
QUIET_S = 10.0
SERVICE = "default"
MODE_PATH = f"/api/v1/services/{SERVICE}/mode"
PATIENT = {"SHADOW_PROXY_SHED__LOOP_LAG": "60s"}
"""The machine is shared: a worker that waits for a CPU would shed what a test counts."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an HTTP port answered."""

    status: int
    fields: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(port: int, method: str, path: str, body: bytes | None = None, fields: Mapping[str, str] = {}) -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=QUIET_S)
    try:
        connection.request(method, path, body, dict(fields))
        answer = connection.getresponse()
        return Answer(answer.status, answer.msg, answer.read())
    finally:
        connection.close()


class ProxyHost:
    """`with ProxyHost.between(folder, primary_port, candidate_port) as proxy:` serves until the block ends.

    Between the two everything is evidence at once, unless they are given time to warm up.
    """

    env: Mapping[str, str] = PATIENT

    def __init__(self, folder: Path, *words: str) -> None:
        self.state_dir = folder / "state"
        places = ("--listen", f"{LOOPBACK}:0", "--admin-listen", f"{LOOPBACK}:0", "--state-dir", str(self.state_dir))
        self.argv = [*SERVE, *places, *words]

    @classmethod
    def between(cls, folder: Path, primary: int, candidate: int, *words: str, warm_up: str = "0s") -> Self:
        urls = ("--primary", f"http://{LOOPBACK}:{primary}", "--candidate", f"http://{LOOPBACK}:{candidate}")
        host = cls(folder, *urls, *words)
        host.env = {**host.env, f"SHADOW_PROXY_SERVICES__{SERVICE.upper()}__MIRROR__WARM_UP": warm_up}
        return host

    def __enter__(self) -> Self:
        self.process = Process(self.argv, cwd=ROOT, env=self.env)
        try:
            self.process.wait_for_line(r"^Next: ", START_S)
        except BaseException:
            self.process.__exit__(AssertionError)
            raise
        self.port = self._port("clients")
        self.admin = self._port("admin")
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.process.__exit__(kind, *rest)

    def _port(self, label: str) -> int:
        return int(self.process.wait_for_line(rf"^{label} +https?://127\.0\.0\.1:(\d+)$")[1])

    # --- asking

    @property
    def token_file(self) -> Path:
        return self.state_dir / "admin-token"

    def get(self, path: str) -> Answer:
        """A read of the admin port."""
        return ask(self.admin, "GET", path)

    def change(self, method: str, path: str, body: Mapping[str, Any]) -> Answer:
        """A change, with the token."""
        fields = {"Authorization": f"Bearer {self.token_file.read_text().strip()}", "Content-Type": "application/json"}
        return ask(self.admin, method, path, json.dumps(body).encode(), fields)

    def switch(self, mode: str) -> Any:
        done = self.change("PUT", MODE_PATH, {"mode": mode})
        assert done.status == 200, done.body
        return done.json

    def mode(self) -> str:
        return str(self.get("/admin/flags").json["flags"]["mode"])

    def status(self) -> Any:
        """The status of the only service."""
        return self.get("/api/v1/status").json["services"][0]

    def metrics(self) -> Metrics:
        return parse(self.get("/metrics").body.decode())

    def settled(self, requests: int, deadline_s: float = QUIET_S) -> Metrics:
        """Wait until so many requests are counted and both identities hold; the metrics then."""

        def is_quiet() -> bool:
            text = self.get("/metrics").body.decode()
            return parse(text).total("shadow_requests_total") >= requests and balanced(text)

        try:
            wait_until(is_quiet, f"{requests} requests counted and nothing in flight", deadline_s)
        finally:
            text = self.get("/metrics").body.decode()
            assert_identities(text)
        found = parse(text)
        assert found.total("shadow_requests_total") == requests
        return found

    # --- its processes

    def member(self, name: str) -> Member | None:
        """The running process of this name, `worker`, `judge` or `control`."""
        found = [member for member in self.process.children() if f"proxy.{name}.process" in member.command]
        return found[0] if found else None

    def kill(self, name: str) -> Member:
        """`kill -9`; which process it was."""
        found = self.member(name)
        assert found, f"no {name} runs"
        os.kill(found.pid, signal.SIGKILL)
        return found

    def restarted(self, gone: Member, name: str) -> Member:
        """Wait for the successor of a killed process."""

        def successor() -> Member | None:
            found = self.member(name)
            return found if found and found.pid != gone.pid else None

        found = wait_until(successor, f"{name} is started again", START_S)
        assert found
        return found
