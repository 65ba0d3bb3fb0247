"""A real control process without a supervisor: its sockets, its state directory, its peers, and HTTP to it."""

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from proxy.config.models import Settings
from proxy.config.sources import Sources
from proxy.core.evidence import Report
from proxy.core.tally import Tally
from proxy.ipc.boot import CONTROL_SOCKET, PROCESSES_FILE, SOURCES_FILE, Boot, prepare_settings
from proxy.ipc.frames import FrameReader, frame
from proxy.ipc.kill_switch import KillSwitch
from proxy.ipc.messages import Hello, Snapshot, decode, encode
from tests.kit.polling import wait_until

TOKEN = "s3cret-token"
TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Peer:
    """A worker or judge, as far as control can tell."""

    def __init__(self, path: Path, process: str, incarnation: str) -> None:
        self.hello = Hello(process, incarnation, os.getpid())
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_S)
        self._socket.connect(str(path))
        self._frames = FrameReader()
        self._heard: list[Snapshot] = []
        self._socket.sendall(frame(encode(self.hello)))

    def report(self, tally: Tally) -> None:
        self._socket.sendall(frame(encode(Report(self.hello.process, self.hello.incarnation, tally))))

    def snapshot(self) -> Snapshot:
        """The next snapshot."""
        while not self._heard:
            data = self._socket.recv(1 << 16)
            assert data, "control hung up"
            for payload in self._frames.feed(data):
                message = decode(payload)
                assert isinstance(message, Snapshot)
                self._heard.append(message)
        return self._heard.pop(0)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def is_hung_up_on(self) -> bool:
        try:
            while self._socket.recv(1 << 16):
                pass
        except ConnectionResetError:
            pass
        return True

    def close(self) -> None:
        self._socket.close()


@dataclass
class ControlHost:
    """Holds the listeners, as the supervisor does, so that control can be killed and started again."""

    directory: Path
    settings: Settings
    run: str = "run-1"
    environment: dict[str, str] = field(default_factory=lambda: {"SHADOW_PROXY_ADMIN_TOKEN": TOKEN})
    bind: str = "127.0.0.1"
    sources: Sources = field(default_factory=Sources)

    def __enter__(self) -> Self:
        self.runtime = self.directory / "run"
        self.runtime.mkdir(mode=0o700)
        prepare_settings(self.runtime, self.settings)()
        (self.runtime / SOURCES_FILE).write_text(self.sources.encode())
        self._admin = socket.create_server((self.bind, 0))
        self._unix = socket.socket(socket.AF_UNIX)
        self._unix.bind(str(self.runtime / CONTROL_SOCKET))
        self._unix.listen()
        self._alive, self._supervisor = os.pipe()
        self._ready, self._ready_in = os.pipe()
        self._killed = KillSwitch.shared()
        self._logs = (self.directory / "log").open("ab")
        self._peers: list[Peer] = []
        self._starts = 0
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(TIMEOUT_S)
        for peer in self._peers:
            peer.close()
        self._admin.close()
        self._unix.close()
        self._logs.close()
        for descriptor in (self._alive, self._supervisor, self._ready, self._ready_in, self._killed):
            if descriptor >= 0:
                os.close(descriptor)

    @property
    def state_dir(self) -> Path:
        return self.directory / "state"

    @property
    def port(self) -> int:
        return int(self._admin.getsockname()[1])

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def start(self) -> None:
        """Start control and wait until it says that it is at work."""
        self._starts += 1
        descriptors = {
            "alive": self._alive,
            "ready": self._ready_in,
            "killed": self._killed,
            "admin": self._admin.fileno(),
            "control": self._unix.fileno(),
        }
        boot = Boot(
            "control", f"c{self._starts}", self.run, "test", str(self.runtime), str(self.state_dir), descriptors,
            self.settings.log_format,
        )  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "proxy.control.process", boot.encode()],
            pass_fds=[*descriptors.values()],
            stderr=self._logs,
            env={**os.environ, **self.environment},
        )
        os.set_blocking(self._ready, False)
        wait_until(self._is_at_work, "control at work", TIMEOUT_S)

    def _is_at_work(self) -> bool:
        assert self.process.poll() is None, self.log
        try:
            return os.read(self._ready, 100) == b"control\n"
        except BlockingIOError:
            return False

    def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()
        self.process.wait(TIMEOUT_S)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.process.wait(TIMEOUT_S)

    def supervisor_dies(self) -> None:
        """The pipe ends."""
        os.close(self._supervisor)
        self._supervisor = -1

    def connect(self, process: str = "worker-0", incarnation: str = "w1") -> Peer:
        peer = Peer(self.runtime / CONTROL_SOCKET, process, incarnation)
        self._peers.append(peer)
        return peer

    def supervise(self, **up: bool) -> None:
        """Write `processes.json`; names with `_` for `-`."""
        rows = [
            {"process": name.replace("_", "-"), "pid": 1, "incarnation": f"{name}#1", "up": is_up, "restarts": 0}
            for name, is_up in up.items()
        ]
        content = {"supervisor": {"pid": 1, "started_at": 1000.0}, "processes": rows}
        (self.runtime / "new").write_text(json.dumps(content))
        (self.runtime / "new").replace(self.runtime / PROCESSES_FILE)

    def ask(self, method: str, path: str, body: object = None, *, token: str | None = None, **fields: str) -> Answer:
        """One request; a body that is not bytes goes as JSON. `_` in a field's name stands for `-`."""
        given = {name.replace("_", "-"): value for name, value in fields.items()}
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, content, given)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def change(self, method: str, path: str, body: object = None, **fields: str) -> Answer:
        """`ask` with the token."""
        return self.ask(method, path, body, token=TOKEN, **fields)

    def send(self, request: bytes) -> Answer:
        """Raw bytes to the admin port, and what is answered."""
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S) as connection:
            connection.sendall(request)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())

    def mode(self) -> str:
        return str(self.ask("GET", "/admin/flags").json["flags"]["mode"])

    def metrics(self) -> str:
        return self.ask("GET", "/metrics").body.decode()


@contextmanager
def backend() -> Iterator[int]:
    """A port that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
