"""A backend with one named fault, in this loop or as a process of its own.

In a test, `async with FaultBackend("mute") as backend:` is a scripted backend that also counts. As a process,

    python -m tests.kit.fault_backend --fault NAME [--port 0] [--delay SECONDS]

says in its first line where it is, as JSON, and answers every line on its standard input by one line with
its counts. It ends by SIGTERM, or with whoever holds the other end of its input, if that is a pipe.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple, TextIO

from tests.kit.faults import FAULTS, nobody
from tests.kit.scripted_backend import ScriptedBackend
from tests.kit.scripted_connection import ScriptedConnection

FORGET_S = 1.0
_ESTABLISHED = 1  # RFC 9293 §3.3.2, as linux/tcp_states.h numbers it; first byte of struct tcp_info


class Counts(NamedTuple):
    """Since the start: connections accepted, requests read whole, bytes received. `open` is as of now."""

    connections: int = 0
    open: int = 0
    requests: int = 0
    received: int = 0


class FaultBackend(ScriptedBackend):
    """Plays the fault of this name to every request; `delay_s` is for those that are slow."""

    def __init__(self, name: str, *, port: int = 0, delay_s: float | None = None) -> None:
        fault = FAULTS[name]
        script = fault.script(fault.delay_s if delay_s is None else delay_s)
        super().__init__(default=script, on_connect=fault.on_connect, port=port)
        self._scheme = fault.scheme
        self._forgotten = Counts()

    @property
    def is_tls(self) -> bool:
        """Whether it is to be asked by TLS."""
        return self._scheme == "https"

    def recover(self) -> None:
        """Be healthy to every connection and request from now on."""
        self._on_connect = ()
        self._default = FAULTS["healthy"].script(0.0)

    def counts(self) -> Counts:
        """What came so far."""
        gone, here = self._forgotten, self.connections
        return Counts(
            gone.connections + len(here),
            sum(not connection.wire.lost for connection in here),
            gone.requests + sum(len(connection.requests) for connection in here),
            gone.received + sum(len(connection.wire.received) for connection in here),
        )

    def forget(self) -> None:
        """Let go of what was received, so that memory stays flat under load; it stays counted.

        Peers that left while nobody was reading are noticed here.
        """
        before = self.counts()
        for connection in self.connections:
            if _is_deserted(connection):
                connection.wire.transport.abort()
            if _is_between_requests(connection):
                _empty(connection)
        self.connections = [connection for connection in self.connections if not connection.wire.lost]
        self._playing = {task for task in self._playing if not task.done()}
        self._forgotten = Counts()
        after = self.counts()
        self._forgotten = Counts(
            before.connections - after.connections,
            0,
            before.requests - after.requests,
            before.received - after.received,
        )


def _is_deserted(connection: ScriptedConnection) -> bool:
    transport = connection.wire.transport
    if connection.wire.lost or transport.is_reading() or transport.is_closing():
        return False
    raw = transport.get_extra_info("socket")
    return bool(raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED)


def _is_between_requests(connection: ScriptedConnection) -> bool:
    return not connection.wire.unread and len(connection.requests) == len(connection.heads)


def _empty(connection: ScriptedConnection) -> None:
    connection.wire.received.clear()
    connection.wire.position = 0
    del connection.heads[:-1], connection.requests[:-1]  # the last one may be yet to be answered


@asynccontextmanager
async def faulty(name: str, *, port: int = 0, delay_s: float | None = None) -> AsyncIterator[FaultBackend | int]:
    """The backend of any fault, or the port where there is none."""
    if FAULTS[name].port is not None:
        with nobody(name) as taken:
            yield taken
        return
    async with FaultBackend(name, port=port, delay_s=delay_s) as backend:
        yield backend


# --- as a process


async def serve(name: str, port: int, delay_s: float | None) -> None:
    """Play the fault until told to end."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    async with faulty(name, port=port, delay_s=delay_s) as found:
        backend = found if isinstance(found, FaultBackend) else None
        where = backend.port if backend else found
        assert isinstance(where, int)
        say({"fault": name, "scheme": FAULTS[name].scheme, "port": where})
        tasks = [loop.create_task(forget_often(backend))] if backend else []
        if stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
            tasks.append(loop.create_task(answer_questions(backend, sys.stdin, over)))
        await over.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if backend:
            forgive(backend)


async def forget_often(backend: FaultBackend) -> None:
    """Keep memory flat."""
    while True:
        await asyncio.sleep(FORGET_S)
        backend.forget()


async def answer_questions(backend: FaultBackend | None, questions: TextIO, over: asyncio.Event) -> None:
    """One line of counts for each line that comes; their end is ours."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), questions)
    while await reader.readline():
        say((backend.counts() if backend else Counts())._asdict())
    over.set()


def forgive(backend: FaultBackend) -> None:
    """What peers did wrong is for tests in the loop to say."""
    for connection in backend.connections:
        connection.violation = None


def say(what: dict[str, object]) -> None:
    print(json.dumps(what), flush=True)  # noqa: T201  this is its interface


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="A backend with one named fault.")
    parser.add_argument("--fault", choices=FAULTS, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, help="seconds, for the slow ones")
    parser.add_argument("--list", action=_List, nargs=0, help="say what there is, and end")
    given = parser.parse_args()
    asyncio.run(serve(given.fault, given.port, given.delay))


class _List(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        for name, fault in FAULTS.items():
            print(f"{name:20} {fault.row:4} {fault.says}")  # noqa: T201  this is its interface
        parser.exit()


if __name__ == "__main__":
    main()
