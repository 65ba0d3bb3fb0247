"""The listening socket: accepting pauses at the connection limit and resumes below 95 % of it."""

import asyncio
import contextlib
import resource
import socket

from proxy.http.connection import ClientConnection
from proxy.worker.app import DataPlane

_RESUME_SHARE = 0.95
_OTHER_FILES = 256


class Listener:
    """Accepts clients for a data plane. `sock` stays open while accepting pauses, so its backlog waits."""

    def __init__(self, sock: socket.socket, plane: DataPlane) -> None:
        self._sock = sock
        self._plane = plane
        self._server: asyncio.Server | None = None
        self._limit = min(plane.settings.limits.connections, _affordable(plane))

    async def open(self) -> None:
        """Accept clients."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: ClientConnection(self._plane), sock=self._sock.dup(), backlog=1024
        )

    def pause(self) -> None:
        """Accept no more for now; who connects waits in the backlog."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def close(self) -> None:
        """Accept no more; who connects is refused, connections go on."""
        self.pause()
        self._sock.close()

    async def tick(self) -> None:
        """Pause or resume by the number of connections."""
        held = len(self._plane.connections)
        if self._server is not None and held >= self._limit:
            self.pause()
        elif self._server is None and held < self._limit * _RESUME_SHARE and not self._plane.is_draining:
            with contextlib.suppress(OSError):  # no descriptor left: tried again at the next tick
                await self.open()


def _affordable(plane: DataPlane) -> int:
    """The client connections that open files allow: each may need a backend's, and mirrors need theirs."""
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    mirrors = sum(service.mirror.max_connections for service in plane.settings.services.values())
    return max(1, (open_files - _OTHER_FILES - mirrors) // 2)
