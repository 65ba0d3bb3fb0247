"""Ports that do not serve: free, refusing, and swallowing."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

LOOPBACK = "127.0.0.1"
_ESTABLISHED_AT_ONCE_S = 0.2
_MOST_FILLERS = 64


def free_port() -> int:
    """A port nobody listened on a moment ago. Only for commands that cannot take port 0."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port that refuses every connection: bound, so nobody else can take it, and not listening."""
    with socket.socket() as bound:
        bound.bind((LOOPBACK, 0))
        yield bound.getsockname()[1]


@contextmanager
def black_hole_port() -> Iterator[int]:
    """A port that answers no SYN: its queue of connections is full and nobody accepts from it."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        port = int(listener.getsockname()[1])
        for _ in range(_MOST_FILLERS):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(_ESTABLISHED_AT_ONCE_S)
            try:
                filler.connect((LOOPBACK, port))
            except TimeoutError:
                break
        else:
            raise AssertionError(f"the queue of port {port} took {_MOST_FILLERS} connections and is not full")
        yield port
