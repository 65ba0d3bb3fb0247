"""A new connection to a backend: look its name up, connect, shake hands.

This is the one place where errors of the network and of TLS become a `Failure`.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from ipaddress import ip_address
from time import monotonic
from typing import Any, Final

from proxy.config.certificates import CertificateError
from proxy.config.units import Origin
from proxy.core.message import Cause, Failure
from proxy.http.backend_connection import BackendConnection
from proxy.http.live_context import LiveContext
from proxy.http.open_files import OpenFiles
from proxy.http.receiver import Owner
from proxy.http.tls import DialledTls
from proxy.http.turn import Lane

_TRIES_FOR_A_SOCKET: Final = 3
ROOM_S: Final = 0.01
"""In which connections that were told to end have let go of their descriptors."""
_Target = tuple[socket.AddressFamily, "tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]"]


@dataclass(frozen=True, slots=True)
class DialTimeouts:
    """Seconds for each step of opening a connection, and for which a name need not be looked up again."""

    resolve: float
    connect: float
    tls: float
    dns_ttl: float


@dataclass(eq=False, slots=True)
class Dialler:
    """See the module. `executor` resolves names, so that mirrors and primaries cannot delay each other.

    With `tls`, connections are opened by it; the backend must then be `server_name`.
    """

    origin: Origin
    timeouts: DialTimeouts
    executor: Executor
    lane: Lane
    files: OpenFiles
    tls: LiveContext | None = None
    server_name: str = ""
    _resolved: list[_Target] = field(default_factory=list)
    _resolved_until: float = 0.0

    def __post_init__(self) -> None:
        if (self.tls is not None) is not (self.origin.scheme == "https"):
            raise ValueError(f"{self.origin} and TLS do not go together")
        if _is_address(self.origin.host):
            family = socket.AF_INET6 if ":" in self.origin.host else socket.AF_INET
            self._resolved, self._resolved_until = [(family, (self.origin.host, self.origin.port))], float("inf")

    async def dial(self, owner: Owner) -> BackendConnection | Failure:
        """Open a connection for its owner; every error on the way is a Failure."""
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
                await connect(sock, address, self.timeouts.connect)
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
                return await self._start(sock, BackendConnection(owner))
        return failure

    async def _targets(self) -> list[_Target] | Failure:
        """Where to connect to; names are looked up at most every `dns_ttl`."""
        if self._resolved and self._resolved_until > monotonic():
            return self._resolved
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.timeouts.resolve):
                found = await loop.run_in_executor(self.executor, _look_up, self.origin.host, self.origin.port)
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

    async def _start(self, sock: socket.socket, connection: BackendConnection) -> BackendConnection | Failure:
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


async def connect(sock: socket.socket, address: Any, seconds: float) -> None:
    """Connect a non-blocking socket; OSError if that fails, as TimeoutError if it takes too long.

    Not by `sock_connect`: uvloop's has a thread look up what is an address already.
    """
    failed = sock.connect_ex(address)
    if failed == errno.EINPROGRESS:
        loop = asyncio.get_running_loop()
        answered = loop.create_future()
        limit = loop.call_later(seconds, _give_up, answered)
        loop.add_writer(sock, _go_on, answered)
        try:
            await answered
        finally:
            limit.cancel()
            loop.remove_writer(sock)
        failed = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if failed:
        raise OSError(failed, "connect")


def _go_on(answered: asyncio.Future[None]) -> None:
    if not answered.done():
        answered.set_result(None)


def _give_up(answered: asyncio.Future[None]) -> None:
    if not answered.done():
        answered.set_exception(TimeoutError())


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
