"""The listening socket: accepting pauses at the connection limit and resumes below 95 % of it.

Connections are accepted here and not by the event loop's server: one that finds no file descriptor left
throws waiting clients away, and one that is paused has accepted too many already.
"""

import asyncio
import resource
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from proxy.config.certificates import files_of, listener_context
from proxy.config.models import Settings
from proxy.core.reasons import Refused
from proxy.http.answers import dated, refusal_answer
from proxy.http.connection import ClientConnection
from proxy.http.live_context import LiveContext
from proxy.http.refusal import Refusal
from proxy.http.tls import ServedTls
from proxy.worker.app import DataPlane
from proxy.worker.kept_certificate import KeptCertificate

_RESUME_SHARE: Final = 0.95
_OTHER_FILES: Final = 256
_ACCEPTED_AT_ONCE: Final = 64
_WITHOUT_TLS: Final = Refusal(400, Refused.TLS)


class Listener:
    """Accepts clients for a data plane. While it pauses, whoever connects waits in the backlog of `sock`.

    In `folder` the files of its certificate are kept as they last worked, for the next worker; None keeps nothing.
    """

    def __init__(self, sock: socket.socket, plane: DataPlane, folder: Path | None = None) -> None:
        sock.setblocking(False)  # noqa: FBT003  the socket API
        self._sock = sock
        self._plane = plane
        self._limit = _limit(plane.settings)
        self._tls = _context(plane.settings, folder)
        self._opening: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self.is_accepting = False

    async def open(self) -> None:
        """Accept clients. Raises CertificateError, after it is in the log."""
        if self._tls is not None:
            await self._tls.ready()
        self._resume()

    def reload_certificate(self) -> None:
        """Look at its files now: new handshakes use what is found, connections go on."""
        if self._tls is not None:
            self._tls.look()

    def pause(self) -> None:
        """Accept no more for now."""
        if self.is_accepting:
            self.is_accepting = False
            asyncio.get_running_loop().remove_reader(self._sock)

    async def close(self) -> None:
        """Accept who waits already, then no more; who connects is refused, connections go on."""
        while self.is_accepting and self._accept_some():
            pass
        self.pause()
        self._is_closed = True
        self._sock.close()
        if self._opening:
            await asyncio.wait(self._opening)

    def tick(self, now: float) -> None:
        """Pause or resume by the number of connections; follow the certificate."""
        self._limit = _limit(self._plane.settings)
        held = len(self._plane.connections)
        if held >= self._limit:
            self.pause()
        elif held < self._limit * _RESUME_SHARE:
            self._resume()
        if self._tls is not None:
            self._tls.follow(now)

    def _resume(self) -> None:
        if self.is_accepting or self._is_closed:
            return
        self.is_accepting = True
        asyncio.get_running_loop().add_reader(self._sock, self._accept_some)

    def _accept_some(self) -> bool:
        """Accept who waits; whether there may be more."""
        loop = asyncio.get_running_loop()
        for _ in range(_ACCEPTED_AT_ONCE):
            held = len(self._plane.connections)
            if held >= self._limit:
                self.pause()
            if held + len(self._opening) >= self._limit:
                return False
            try:
                sock, _ = self._sock.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return False
            except OSError as error:  # for want of a descriptor, or of the network: tried again at the next tick
                self.pause()
                self._plane.files.refused(error)
                return False
            self._plane.files.opened(sock.fileno())
            opening = loop.create_task(self._serve(sock))
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)
        return True

    async def _serve(self, sock: socket.socket) -> None:
        try:
            sock.setblocking(False)  # noqa: FBT003  the socket API
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, sock)
        except OSError:  # it has gone already
            sock.close()

    def _protocol(self) -> asyncio.Protocol:
        connection = ClientConnection(self._plane)
        if self._tls is None:
            return connection
        connection.scheme = b"https"
        return ServedTls(connection, self._tls.current, self._refused)

    def _refused(self, spoke_http: bool) -> bytes:  # noqa: FBT001  the callback's only word
        """Count a handshake that failed; the answer, for a client that spoke HTTP without TLS."""
        self._plane.stats.refuse(Refused.TLS)
        if not spoke_http:
            return b""
        answer = refusal_answer(_WITHOUT_TLS, close=True, proxy_status=self._plane.settings.errors.proxy_status)
        return dated(answer, self._plane.date())


def _context(settings: Settings, folder: Path | None) -> LiveContext | None:
    tls = settings.tls
    if not tls.is_on:
        return None
    files, executor = files_of(tls), ThreadPoolExecutor(1, "certificate")
    if folder is None:
        return LiveContext(lambda: listener_context(tls), files, executor)
    kept = KeptCertificate(tls, folder)
    return LiveContext(kept.load, files, executor, kept.last_good)


def _limit(settings: Settings) -> int:
    """The most client connections: each may need a backend's, mirrors need theirs, and files are limited.

    Where there are few files mirrors have to do with what clients leave them: a quarter is for clients in any case.
    """
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    mirrors = sum(service.mirror.max_connections for service in settings.services.values())
    affordable = max((open_files - _OTHER_FILES - mirrors) // 2, open_files // 4, 1)
    return min(settings.limits.connections, affordable)
