"""The connections to one backend, opened, lent and taken back as its pool decides."""

import asyncio
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

from proxy.config.models import Limits
from proxy.core.message import Cause, Failure
from proxy.http.backend_connection import BackendConnection
from proxy.http.dialling import Dialler
from proxy.http.pool import Advice, BackendPool
from proxy.http.turn import Lane, Turn


class Waiter(Protocol):
    """Who needs a connection."""

    wait_until: float
    """Monotonic seconds; set by the upstream when it has to wait for one to come free."""

    @property
    def is_gone(self) -> bool:
        """Whether it needs one no more."""

    def connected(self, connection: BackendConnection) -> None:
        """Here it is."""

    def not_connected(self, failure: Failure) -> None:
        """There is none."""


@dataclass(eq=False, slots=True)
class Upstream:
    """See the module. Whoever has to wait for a connection to come free does so for `pool_wait_s` at most."""

    dialler: Dialler
    limits: Limits
    response_idle_s: float
    pool_wait_s: float
    pool: BackendPool[BackendConnection, Waiter]
    turn: Turn
    lane: Lane
    connections: set[BackendConnection] = field(default_factory=set)
    _tasks: dict[asyncio.Task[None], Waiter] = field(default_factory=dict)
    _closing: bool = False

    def acquire(self, waiter: Waiter) -> BackendConnection | None:
        """An unused connection now, or None: the waiter hears later, or at once that there is none."""
        found = self.pool.take(monotonic())
        if isinstance(found, BackendConnection):
            return found
        if found is Advice.OPEN:
            self._open_for(waiter)
        elif found is Advice.WAIT:
            waiter.wait_until = monotonic() + self.pool_wait_s
            self.pool.waiting.append(waiter)
        else:
            waiter.not_connected(Failure(Cause.POOL_FULL))
        return None

    def open_fresh(self, waiter: Waiter) -> None:
        """Open a new connection for a request whose reused one had died."""
        self.pool.open += 1
        self._open_for(waiter)

    def released(self, connection: BackendConnection, idle_s: float) -> None:
        """Take a connection back: to the first who waits, or to the unused ones."""
        waiter = self._next_waiting() if self.pool.waiting else None
        if waiter is not None:
            waiter.connected(connection)
        elif self._closing or not self.pool.give(connection, monotonic(), idle_s):
            connection.close()

    def lost(self, connection: BackendConnection) -> None:
        """A connection has ended; whoever waits gets a new one."""
        if connection not in self.connections:
            return  # its dialling failed, and was counted as that; or it was told before
        self.connections.remove(connection)
        self.pool.gone(connection)
        self._open_for_next()

    def tick(self, now: float) -> None:
        """Enforce deadlines: of unused connections, of those who wait, of exchanges under way."""
        for unused in self.pool.expired(now):
            unused.close()
        while self.pool.waiting and (self.pool.waiting[0].is_gone or self.pool.waiting[0].wait_until <= now):
            waiter = self.pool.waiting.popleft()
            if not waiter.is_gone:
                waiter.not_connected(Failure(Cause.POOL_WAIT))
        for connection in tuple(self.connections):
            connection.tick(now)

    def retire(self) -> None:
        """Lend no connection a second time: unused ones end now, the others when they are given back."""
        self._closing = True
        self.close_unused()

    def close_unused(self) -> int:
        """Close the connections nobody uses; how many there were."""
        unused_ones, self.pool.idle = self.pool.idle, []
        for unused in unused_ones:
            unused.close()
        return len(unused_ones)

    def stop_dialling(self) -> int:
        """Give up every connection that is being opened, for want of room; how many there were.

        Not one that itself has found that there is none: it ends with that.
        """
        own = asyncio.current_task()
        others = [(task, waiter) for task, waiter in self._tasks.items() if task is not own]
        for task, waiter in others:
            task.cancel()
            if not waiter.is_gone:
                waiter.not_connected(Failure(Cause.OVERLOADED))
        return len(others)

    def abort(self) -> None:
        """End everything, attempts to connect included."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        for connection in tuple(self.connections):
            connection.abort()

    def _next_waiting(self) -> Waiter | None:
        while self.pool.waiting:
            waiter = self.pool.waiting.popleft()
            if not waiter.is_gone:
                return waiter
        return None

    def _open_for_next(self) -> None:
        if self.pool.waiting and self.pool.open < self.pool.max_connections:
            waiter = self._next_waiting()
            if waiter is not None:
                self.pool.open += 1
                self._open_for(waiter)

    def _open_for(self, waiter: Waiter) -> None:
        task = asyncio.get_running_loop().create_task(self._open(waiter))
        self._tasks[task] = waiter
        task.add_done_callback(self._dialled)

    def _dialled(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if task.cancelled():  # maybe before its first step, so nothing in it could count this
            self.pool.gone(None)

    async def _open(self, waiter: Waiter) -> None:
        dialled: BackendConnection | Failure = Failure(Cause.INTERNAL)
        try:
            dialled = await self.dialler.dial(self)
        except Exception as bug:  # noqa: BLE001  a waiter that heard nothing would wait for ever
            asyncio.get_running_loop().call_exception_handler({"message": "dialling", "exception": bug})
        if isinstance(dialled, Failure):
            self.pool.gone(None)
            if not waiter.is_gone:
                waiter.not_connected(dialled)
            self._open_for_next()
            return
        self.connections.add(dialled)
        if waiter.is_gone:
            self.released(dialled, self.pool.idle_s)
        else:
            waiter.connected(dialled)
