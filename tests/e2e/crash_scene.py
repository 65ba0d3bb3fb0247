"""A proxy under load and admin changes, killed in parts: who was answered, what was acknowledged, what was shown."""

import asyncio
import http.client
import signal
from asyncio import to_thread
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Self

import h11

from tests.e2e.proxy_host import MODE_PATH, START_S, ProxyHost, ask
from tests.kit.h11_peer import H11Client
from tests.kit.metrics import Labels, Metrics
from tests.kit.ports import LOOPBACK
from tests.kit.watch import Watch, deadline

CLIENTS = 4
PAUSE_S = 0.03
_COUNTERS = ("_total", "_count", "_bucket")
_AWAY = (OSError, http.client.HTTPException)
"""What asking a port meets whose process was killed."""


@dataclass
class Ledger:
    """What the outside knows for sure, over the whole test."""

    sent: int = 0
    answered: int = 0
    modes: list[str] = field(default_factory=lambda: ["shadow"])
    """The mode acknowledged last, and those asked for since, of which nobody knows."""
    audited: set[str] = field(default_factory=set)
    version: int = 0
    shown: dict[str, dict[Labels, float]] = field(default_factory=dict)

    def acknowledged(self, mode: str, audit_id: str | None, version: int) -> None:
        self.modes = [mode]
        if audit_id is not None:
            self.audited.add(audit_id)
        self.version = max(self.version, version)

    def show(self, metrics: Metrics) -> None:
        """Every counter is at least what it was."""
        for name, table in metrics.samples.items():
            if name.endswith(_COUNTERS):
                before = self.shown.setdefault(name, {})
                for labels, value in table.items():
                    assert value >= before.get(labels, 0), f"{name} {sorted(labels)}: {before[labels]} → {value}"
                    before[labels] = value


class Load:
    """`async with Load(proxy, file, ledger, fails=…):` asks, changes and watches until the block ends.

    `fails` tells whether a client may meet the end of its connection now; it never gets part of an answer.
    """

    def __init__(self, proxy: ProxyHost, ledger: Ledger, config: Path, *, fails: Callable[[], bool]) -> None:
        self.failed = 0
        self._proxy = proxy
        self._ledger = ledger
        self._config = config
        self._fails = fails
        self._over = Event()
        self._watch = Watch()

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._client()) for _ in range(CLIENTS)]
        self._tasks += [asyncio.create_task(to_thread(work)) for work in (self._change, self._look)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for met in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(met, BaseException) and kind is None:
                raise met

    async def goes_on(self, answers: int = 40) -> None:
        """Wait for so many more answers."""
        wanted = self._ledger.answered + answers
        async with deadline(START_S, lambda: f"{wanted} answers; there are {self._ledger.answered}"):
            await self._watch.until(lambda: self._ledger.answered >= wanted or any(task.done() for task in self._tasks))
        for task in self._tasks:
            if task.done():
                task.result()

    # --- clients

    async def _client(self) -> None:
        try:
            while not self._over.is_set():
                try:
                    client = await H11Client.open(self._proxy.port, deadline_s=START_S)
                except ConnectionError:
                    assert self._fails()
                    return
                async with client:
                    await self._ask_on(client)
        finally:
            self._watch.changed()

    async def _ask_on(self, client: H11Client) -> None:
        ledger, is_open = self._ledger, True
        while is_open and not self._over.is_set():
            ledger.sent += 1
            item, before = ledger.sent, client.received
            try:
                answer = await client.exchange("GET", f"/items/{item}")
            except (h11.RemoteProtocolError, ConnectionError):
                assert self._fails(), "a client lost its connection"
                assert client.received == before, "part of an answer"
                self.failed += 1
                return
            assert (answer.status, answer.body) == (200, b'{"item":%d}' % item)
            ledger.answered += 1
            self._watch.changed()
            is_open = client.reusable

    # --- the operator

    def _change(self) -> None:
        """Switch to and fro, and have the configuration read again now and then."""
        turn = 0
        while not self._over.wait(PAUSE_S):
            turn += 1
            if turn % 5 == 0:
                write_config(self._config, turn)
                if self._proxy.process.exit_code is None:
                    self._proxy.process.send_signal(signal.SIGHUP)
                continue
            self._switch("primary" if self._ledger.modes[-1] == "shadow" else "shadow")

    def _switch(self, mode: str) -> None:
        self._ledger.modes.append(mode)
        try:
            done = self._proxy.change("PUT", MODE_PATH, {"mode": mode})
        except _AWAY:
            return
        assert done.status == 200, done.body
        self._ledger.acknowledged(mode, done.json["audit_id"], done.json["after"]["snapshot"])

    def _look(self) -> None:
        """What is shown never goes back."""
        while not self._over.wait(PAUSE_S):
            try:
                metrics = self._proxy.metrics()
            except _AWAY:
                continue
            self._ledger.show(metrics)


def write_config(file: Path, turn: int, primary: int = 0, candidate: int = 0) -> None:
    """The configuration; every turn has another one. Ports are those of the first call."""
    if primary:
        file.with_suffix(".ports").write_text(f"{primary} {candidate}")
    primary, candidate = map(int, file.with_suffix(".ports").read_text().split())
    written = f"""\
timeouts: {{first_byte: {turn + 10}s}}
services:
  default:
    primary: {{version: v1, url: "http://{LOOPBACK}:{primary}"}}
    candidate: {{version: v2, url: "http://{LOOPBACK}:{candidate}"}}
    rules: [{{id: r{turn}, path: "$.item", use: numeric, abs: {turn}, reason: a test, author: tester}}]
"""
    fresh = file.with_suffix(".new")
    fresh.write_text(written)
    fresh.replace(file)  # whoever reads it meanwhile reads all of one


def audit_ids(proxy: ProxyHost) -> set[str]:
    """Of all audit rows."""
    fields = {"Authorization": f"Bearer {proxy.token_file.read_text().strip()}"}
    found: set[str] = set()
    cursor = ""
    while True:
        page = ask(proxy.admin, "GET", f"/api/v1/audit?limit=500{cursor}", None, fields).json
        found |= {row["audit_id"] for row in page["audit"]}
        if page["cursor"] is None:
            return found
        cursor = f"&cursor={page['cursor']}"
