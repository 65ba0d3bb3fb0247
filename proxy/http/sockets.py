"""What a transport does not offer and the socket under it does."""

import asyncio
import fcntl
import socket
import struct
import termios
from typing import Final

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # struct linger: on, 0 s
_NOTHING: Final = struct.pack("i", 0)


def reset(transport: asyncio.Transport) -> None:
    """End a connection by a reset: to the peer it cannot look complete. What is not sent yet is lost."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


def has_unread(transport: asyncio.Transport) -> bool:
    """Whether bytes of the peer's lie in the kernel that nobody has read yet."""
    descriptor = transport.get_extra_info("socket").fileno()
    return descriptor >= 0 and fcntl.ioctl(descriptor, termios.FIONREAD, _NOTHING) != _NOTHING
