"""The sockets of all processes, opened here so that they outlive any one of them.

A process that is started again inherits the listener of the one before: whoever connects in between waits
in the backlog instead of being refused. A port that is taken is known before any process starts.
"""

import contextlib
import errno
import socket
from pathlib import Path
from time import monotonic, sleep

from proxy.config.units import Address

BACKLOG = 1024
_AGAIN_S = 0.05


class StartError(Exception):
    """The proxy cannot start; the message says why and what to do, for people."""


def listen(address: Address, workers: int, purpose: str, patience_s: float = 0.0) -> list[socket.socket]:
    """One listener per worker on the same port; a taken one is tried again for a while. Raises StartError."""
    end = monotonic() + patience_s
    while True:
        try:
            return _listeners(address, workers)
        except OSError as wrong:
            if wrong.errno != errno.EADDRINUSE or monotonic() >= end:
                raise StartError(f"cannot listen at {address} for {purpose}: {_why(wrong)}") from None
            sleep(_AGAIN_S)


def _listeners(address: Address, workers: int) -> list[socket.socket]:
    infos = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, where = infos[0]
    if workers > 1:
        _bind(family, where, share=False).close()  # sharing would hide that another proxy has the port
    listeners = [_bind(family, where, share=workers > 1)]
    where = listeners[0].getsockname()
    listeners += [_bind(family, where, share=True) for _ in range(workers - 1)]
    for listener in listeners:
        listener.listen(BACKLOG)
    return listeners


def _bind(family: int, where: tuple[object, ...], *, share: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(where)
    except OSError:
        sock.close()
        raise
    return sock


def _why(wrong: OSError) -> str:
    if wrong.errno == errno.EADDRINUSE:
        return "the port is taken; end whoever has it, or choose another one"
    if wrong.errno == errno.EACCES:
        return "this user may not; ports below 1024 need CAP_NET_BIND_SERVICE"
    return f"{wrong.strerror}; choose an address of this machine"


def listen_unix(path: Path) -> socket.socket:
    """A listener for our own processes only; the folder keeps others out."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(str(path))
    sock.listen(64)
    return sock


def address_of(listener: socket.socket) -> Address:
    """Where a listener really is, port 0 resolved."""
    host, port = listener.getsockname()[:2]
    return Address(str(host), int(port))
