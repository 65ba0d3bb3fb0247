"""The connections to one backend, opened, lent and taken back as its pool decides.

This is the one place where errors of the network and of TLS become a `Failure`.
"""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from ipaddress import ip_address
from time import monotonic
from typing import Final, Protocol

from proxy.config.certificates import CertificateError
from proxy.config.models import Limits
from proxy.config.units import Origin
from proxy.core.message import Cause, Failure
from proxy.http.backend_connection import BackendConnection
from proxy.http.live_context import LiveContext
from proxy.http.open_files import OpenFiles
from proxy.http.pool import Advice, BackendPool
from proxy.http.tls import DialledTls
from proxy.http.turn import Lane, Turn

_TRIES_FOR_A_SOCKET: Final = 3
ROOM_S: Final = 0.01
"""In which connections that were told to end have let go of their descriptors."""
_Target = tuple[socket.AddressFamily, "tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]"]


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


@dataclass(frozen=True, slots=True)
class DialTimeouts:
    """Seconds for each step of opening a connection."""

    resolve: float
    connect: float
    tls: float
    pool_wait: float
    dns_ttl: float


@dataclass(eq=False, slots=True)
class Upstream:
    """See the module. `executor` resolves names, so that mirrors and primaries cannot delay each other.

    With `tls`, connections are opened by it; the backend must then be `server_name`.
    """

    origin: Origin
    limits: Limits
    response_idle_s: float
    timeouts: DialTimeouts
    pool: BackendPool[BackendConnection, Waiter]
    executor: Executor
    turn: Turn
    lane: Lane
    files: OpenFiles
    tls: LiveContext | None = None
    server_name: str = ""
    connections: set[BackendConnection] = field(default_factory=set)
    _tasks: dict[asyncio.Task[None], Waiter] = field(default_factory=dict)
    _resolved: list[_Target] = field(default_factory=list)
    _resolved_until: float = 0.0
    _closing: bool = False

    def __post_init__(self) -> None:
        if (self.tls is not None) is not (self.origin.scheme == "https"):
            raise ValueError(f"{self.origin} and TLS do not go together")

    def acquire(self, waiter: Waiter) -> BackendConnection | None:
        """An unused connection now, or None: the waiter hears later, or at once that there is none."""
        found = self.pool.take(monotonic())
        if isinstance(found, BackendConnection):
            return found
        if found is Advice.OPEN:
            self._open_for(waiter)
        elif found is Advice.WAIT:
            waiter.wait_until = monotonic() + self.timeouts.pool_wait
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
            dialled = await self._dial()
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

    async def _dial(self) -> BackendConnection | Failure:
        """Resolve, connect, shake hands; every error on the way is a Failure."""
        targets = await self._targets()
        if isinstance(targets, Failure):
            return targets
        failure = Failure(Cause.CONNECT_REFUSED)
        for family, address in targets:
            try:
                sock = await self._socket(family)
            except OSError:  # a family that is not spoken here
                continue
            if sock is None:
                return Failure(Cause.OVERLOADED)
            try:
                sock.setblocking(False)  # noqa: FBT003  the socket API
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                async with asyncio.timeout(self.timeouts.connect):
                    await asyncio.get_running_loop().sock_connect(sock, address)
            except TimeoutError:
                sock.close()
                failure = Failure(Cause.CONNECT_TIMEOUT)
            except OSError:
                sock.close()
                failure = Failure(Cause.CONNECT_REFUSED)
            except asyncio.CancelledError:
                sock.close()
                raise
            else:
                return await self._start(sock)
        return failure

    async def _socket(self, family: socket.AddressFamily) -> socket.socket | None:
        """None without a descriptor; whoever serves waits a moment for those that mirrors give up.

        The first try costs them what they hardly need, the second copies under way.
        """
        sock = self._new_socket(family)
        if self.lane is not Lane.MIRROR:
            for _ in range(_TRIES_FOR_A_SOCKET - 1):
                if sock is not None:
                    break
                await asyncio.sleep(ROOM_S)
                sock = self._new_socket(family)
        return sock

    def _new_socket(self, family: socket.AddressFamily) -> socket.socket | None:
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            if not self.files.refused(error):
                raise
            return None
        if not self.files.opened(sock.fileno()) and self.lane is Lane.MIRROR:
            sock.close()
            return None
        return sock

    async def _start(self, sock: socket.socket) -> BackendConnection | Failure:
        connection = BackendConnection(self)
        if self.tls is not None:
            return await self._shake_hands(sock, connection, self.tls)
        try:
            await _hand_over(sock, connection)
        except OSError:
            sock.close()
            return Failure(Cause.CONNECT_REFUSED)
        return connection

    async def _shake_hands(
        self, sock: socket.socket, connection: BackendConnection, live: LiveContext
    ) -> BackendConnection | Failure:
        end: Callable[[], None] = sock.close
        try:
            async with asyncio.timeout(self.timeouts.tls):
                tls = DialledTls(connection, await live.ready(), self.server_name)
                await _hand_over(sock, tls)
                end = tls.abort
                await tls.ready
        except TimeoutError:
            failure = Failure(Cause.TLS_TIMEOUT)
        except OSError:
            failure = Failure(Cause.TLS)
        except CertificateError:  # our own files: no evidence against the backend
            failure = Failure(Cause.INTERNAL)
        except asyncio.CancelledError:
            end()
            raise
        else:
            return connection
        end()
        return failure

    async def _targets(self) -> list[_Target] | Failure:
        """Where to connect to; names are looked up at most every `dns_ttl`."""
        host, port = self.origin.host, self.origin.port
        if _is_address(host):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            return [(family, (host, port))]
        if self._resolved and self._resolved_until > monotonic():
            return self._resolved
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.timeouts.resolve):
                found = await loop.run_in_executor(self.executor, _look_up, host, port)
        except TimeoutError:
            return self._resolved or Failure(Cause.RESOLVE_TIMEOUT)
        except UnicodeError:
            return Failure(Cause.RESOLVE)
        except OSError:  # also without a descriptor to ask with, and then it does not say so
            if self.files.has_room():
                return Failure(Cause.RESOLVE)
            self.files.ran_out()
            return self._resolved or Failure(Cause.OVERLOADED)
        self._resolved, self._resolved_until = found, monotonic() + self.timeouts.dns_ttl
        return found


async def _hand_over(sock: socket.socket, protocol: asyncio.Protocol) -> None:
    """Make a transport of a connected socket.

    Not by `create_connection`: with uvloop, a peer that ends at once has the descriptor closed before the transport
    owns the socket object, which then closes it once more, and by then it may be another connection's.
    """
    await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, sock)


def _look_up(host: str, port: int) -> list[_Target]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
