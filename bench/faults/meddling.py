"""Faults that are no candidate's: killed judges, reloads, crowds of bad clients. They act while mirroring is on."""

import re
import socket
import time
from contextlib import suppress
from typing import Self

from bench.faults.scene import Config, Scene

HEAD_LIMIT_S = 1.0
IDLE_CLIENTS = 1000
SLOW_HEADS = 50
ABORTS_AT_ONCE = 10
_ALLOWED_LATE_S = 1.0
CROWD_S = HEAD_LIMIT_S + _ALLOWED_LATE_S + 1.0
"""A turn that sees whether slow heads are closed in time."""
_PERIOD_S = 0.5
_REQUEST = b"GET /users/7/predictions HTTP/1.1\r\nHost: api.example\r\n\r\n"
_UPLOAD = b"POST /uploads/7 HTTP/1.1\r\nHost: api.example\r\nContent-Length: 1000\r\n\r\nhalf of it"


class Meddles:
    """Does nothing: a base for those that do, and enough for most rows.

    `tick` is called some four times a second; `acts` counts what was done, `late` what the proxy did too late.
    """

    def __init__(self, scene: Scene, config: Config) -> None:
        self.acts = self.late = 0
        self._scene = scene
        self._config = config
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def tick(self) -> None:
        """Act, if it is time."""

    def _is_time(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + _PERIOD_S
        return True


class KillsJudges(Meddles):
    """`kill -9` to the judge, as often as there is one to kill."""

    def tick(self) -> None:
        """Kill."""
        if self._is_time() and self._scene.kill("judge"):
            self.acts += 1


class Reloads(Meddles):
    """Reads the configuration again: now a changed one, now one that must be refused."""

    def __exit__(self, *_: object) -> None:
        self._scene.write(self._config)
        self._scene.reload()

    def tick(self) -> None:
        """Write and signal."""
        if not self._is_time():
            return
        self.acts += 1
        if self.acts % 2:
            timeouts = {"first_byte": f"{60 + self.acts}s"}
            self._scene.write(Config(self._config.primary, self._config.candidate, self._config.mirror,
                                     {**self._config.top, "timeouts": timeouts}))  # fmt: skip
        else:
            self._scene.spoil()
        self._scene.reload()


class Crowds(Meddles):
    """Clients that connect and say nothing, and others that send a head byte by byte; `late` are not closed in time."""

    def __enter__(self) -> Self:
        self._idle = [self._connect() for _ in range(IDLE_CLIENTS)]
        self._slow = [self._connect() for _ in range(SLOW_HEADS)]
        self._since = time.monotonic()
        self._position = 0
        return self

    def __exit__(self, *_: object) -> None:
        for client in (*self._idle, *self._slow):
            client.close()

    def tick(self) -> None:
        """Send every slow head one byte more, and count those that were closed for it."""
        byte = _REQUEST[self._position : self._position + 1]
        self._position += 1
        still = [client for client in self._slow if not _is_closed(client, byte)]
        self.acts += len(self._slow) - len(still)
        self._slow = still
        if time.monotonic() - self._since > HEAD_LIMIT_S + _ALLOWED_LATE_S:
            self.late = len(still)

    def _connect(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self._scene.port), timeout=2)
        client.setblocking(False)  # noqa: FBT003  the socket module's own signature
        return client


class Aborts(Meddles):
    """Clients that leave: in the middle of a request, and before its answer."""

    def tick(self) -> None:
        """Connect, send, leave."""
        for number in range(ABORTS_AT_ONCE):
            with socket.create_connection(("127.0.0.1", self._scene.port), timeout=2) as client:
                client.sendall(_UPLOAD if number % 2 else _REQUEST)
            self.acts += 1


def _is_closed(client: socket.socket, byte: bytes) -> bool:
    """Send one byte more, and tell whether the proxy has had enough."""
    with suppress(BlockingIOError):
        try:
            client.send(byte)
            return re.search(rb"^HTTP/1\.1 408|^$", client.recv(4096)) is not None
        except ConnectionError:
            return True
    return False
