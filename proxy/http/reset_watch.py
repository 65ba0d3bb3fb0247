"""Resets of connections that nobody reads from at the moment.

A paused transport is in no one's poll set, so its peer could leave without a trace. Here its descriptor is in a
poll set of its own that asks for nothing: a reset is reported all the same, and an end of the peer's side is not,
as it may be a half close. That set is itself a descriptor, which the event loop watches like any other.
"""

import asyncio
import contextlib
import select
from collections.abc import Callable


class ResetWatch:
    """The paused connections of a worker. Needs a running event loop from the first `watch` on."""

    __slots__ = ("_descriptors", "_epoll", "_watched")

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._descriptors: dict[asyncio.Transport, int] = {}
        self._watched: dict[int, tuple[asyncio.Transport, Callable[[], None]]] = {}

    def watch(self, transport: asyncio.Transport, when_reset: Callable[[], None]) -> None:
        """Call back, once, when the peer resets this connection; until `forget`, which must follow."""
        sock = transport.get_extra_info("socket")
        descriptor = -1 if sock is None else sock.fileno()
        if descriptor < 0 or transport in self._descriptors:
            return
        with contextlib.suppress(OSError):  # no room for it: a reset is noticed when reading goes on
            self._poll_set().register(descriptor, 0)
            self._descriptors[transport] = descriptor
            self._watched[descriptor] = transport, when_reset

    def forget(self, transport: asyncio.Transport) -> None:
        """It is read from again, or has ended; its descriptor may be another one's by now."""
        descriptor = self._descriptors.pop(transport, -1)
        watched = self._watched.get(descriptor)
        if watched is None or watched[0] is not transport:
            return
        del self._watched[descriptor]
        assert self._epoll is not None
        with contextlib.suppress(OSError):  # closed, and so out of the set
            self._epoll.unregister(descriptor)

    def _poll_set(self) -> select.epoll:
        if self._epoll is None:
            poll_set = select.epoll()
            asyncio.get_running_loop().add_reader(poll_set.fileno(), self._report)
            self._epoll = poll_set
        return self._epoll

    def _report(self) -> None:
        assert self._epoll is not None
        for descriptor, _ in self._epoll.poll(0):
            watched = self._watched.get(descriptor)
            if watched is not None:
                transport, when_reset = watched
                self.forget(transport)
                when_reset()
