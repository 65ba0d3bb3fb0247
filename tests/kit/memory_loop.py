"""The part of an event loop that the data plane uses, in memory and on a fake clock.

Whoever connects to a port that `listen` knows gets one end of a memory transport pair; any other port
refuses. Nothing runs by itself: `run_ready` and `advance` run what is due, with this loop as the running
one. What a callback or a task raises is kept in `raised`, as a real loop would log it.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import Context
from functools import partial
from typing import Any, TypeVar, cast

from proxy.http import dialling
from tests.kit.clock import FakeClock, FakeTimer
from tests.kit.memory_transport import memory_pair

T = TypeVar("T")
Factory = Callable[[], asyncio.Protocol]


class MemoryLoop:
    """See the module. `raised` holds exceptions, or what `call_exception_handler` was told without one.

    `loop` is this object for whoever wants a whole event loop, and uses no more of it than there is.
    """

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.loop = cast("asyncio.AbstractEventLoop", self)
        self.raised: list[object] = []
        self._listening: dict[int, Factory] = {}
        self._dialled: dict[socket.socket, int] = {}

    # --- what tests do

    def listen(self, port: int, factory: Factory) -> None:
        """Accept connections to this port from now on; each is served by a protocol of its own."""
        self._listening[port] = factory

    def refuse(self, port: int) -> None:
        """Refuse connections to this port from now on; the open ones go on."""
        self._listening.pop(port, None)

    def run_ready(self) -> None:
        """Run what is ready, and what that makes ready, until nothing is left."""
        with self._running():
            self.clock.run_ready()

    def run_turn(self) -> None:
        """Run what is ready now, and not yet what that makes ready."""
        with self._running():
            self.clock.run_turn()

    def advance(self, seconds: float) -> None:
        """Move time forward, stopping at every timer on the way."""
        with self._running():
            self.clock.advance(seconds)

    def run(self, coroutine: Coroutine[Any, Any, T], seconds: float = 0.0) -> T:
        """What the coroutine returns; it may take this long on the fake clock."""
        task = self.create_task(coroutine)
        self.advance(seconds)
        assert task.done(), f"still waits after {seconds} s: {coroutine}"
        return task.result()

    @contextmanager
    def _running(self) -> Iterator[None]:
        outer, connect = asyncio._get_running_loop(), dialling.connect
        asyncio._set_running_loop(self.loop)
        dialling.connect = self._connect
        try:
            yield
        finally:
            dialling.connect = connect
            asyncio._set_running_loop(outer)

    # --- what the data plane calls

    def time(self) -> float:
        return self.clock.time()

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return asyncio._get_running_loop() is self.loop

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> FakeTimer:
        return self.clock.call_soon(self._call, callback, args, context)

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> FakeTimer:
        return self.clock.call_later(delay, self._call, callback, args, context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> FakeTimer:
        return self.clock.call_at(when, self._call, callback, args, context)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self.loop)

    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        return asyncio.Task(coro, loop=self.loop, name=name, context=context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.raised.append(context.get("exception") or context)

    def add_reader(self, _fd: object, callback: Callable[..., object], *args: Any) -> None:
        """What is watched here is readable once, at once."""
        self.call_soon(callback, *args)

    def remove_reader(self, _fd: object) -> bool:
        return True

    def remove_writer(self, _fd: object) -> bool:
        return True

    async def _connect(self, sock: socket.socket, address: Any, seconds: float) -> None:  # noqa: ARG002  as `connect`
        """What dials here dials into this loop."""
        if address[1] not in self._listening:
            raise ConnectionRefusedError
        self._dialled[sock] = address[1]

    async def connect_accepted_socket(
        self, protocol_factory: Factory, sock: socket.socket
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Instead of the socket, the protocol gets the memory transport to whoever listens where it was dialled."""
        port = self._dialled.pop(sock)
        sock.close()
        protocol = protocol_factory()
        near, _ = memory_pair(protocol, self._listening[port](), self)
        connected = self.create_future()
        self.call_soon(connected.set_result, None)
        await connected
        return near, protocol

    def _call(self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None) -> None:
        run = callback if context is None else partial(context.run, callback)
        try:
            run(*args)
        except Exception as error:  # noqa: BLE001  as a loop does: tell, and go on
            self.raised.append(error)
