"""Whoever needs a connection, and an upstream to ask for one, without a data plane round them."""

import asyncio
from concurrent.futures import Executor

from proxy.config.models import BackendTls, Limits
from proxy.config.units import Origin
from proxy.core.message import Failure
from proxy.http.backend_connection import BackendConnection
from proxy.http.dialling import Dialler, DialTimeouts
from proxy.http.live_context import BackendContexts
from proxy.http.open_files import OpenFiles
from proxy.http.pool import BackendPool
from proxy.http.turn import Lane, Turn
from proxy.http.upstream import Upstream

Outcome = BackendConnection | Failure
SHORT = DialTimeouts(resolve=5.0, connect=5.0, tls=1.0, dns_ttl=1.0)


class Asker:
    """Hears once, what comes of asking."""

    wait_until = float("inf")
    is_gone = False

    def __init__(self) -> None:
        self.heard: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def connected(self, connection: BackendConnection) -> None:
        self.heard.set_result(connection)

    def not_connected(self, failure: Failure) -> None:
        self.heard.set_result(failure)


def dialling(origin: Origin, executor: Executor, tls: BackendTls | None = None) -> Upstream:
    """An upstream with short timeouts, on the running loop; `tls` is how an https origin is known."""
    contexts = None if tls is None else BackendContexts().of(tls)
    server_name = "" if tls is None else tls.server_name or origin.host
    files = OpenFiles(lambda _nothing_left: None)
    return Upstream(
        dialler=Dialler(origin, SHORT, executor, Lane.SERVING, files, contexts, server_name),
        limits=Limits(),
        response_idle_s=5.0,
        pool_wait_s=1.0,
        pool=BackendPool(4, 4, 4, 5.0, 60.0),
        turn=Turn(asyncio.get_running_loop().call_soon),
        lane=Lane.SERVING,
    )
