"""TLS contexts that follow their files: a renewed certificate is in force for the next handshake.

Files are read by a thread, never by the event loop. What cannot be used changes nothing: the context made last
stays, or the last good one is used where this process has made none yet, and the log says why.
"""

import asyncio
import ssl
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Final
from weakref import WeakValueDictionary

import structlog

from proxy.config.certificates import CertificateError, backend_context, files_of
from proxy.config.models import BackendTls
from proxy.config.sparse_log import SparseLog

LOOK_S: Final = 60.0
LOG_EVERY_S: Final = 1.0
_State = tuple[tuple[int, int, int], ...]


class LiveContext:
    """One context. `load` makes it from `files`; it raises CertificateError.

    `last_good` is asked where the first one cannot be made; None if it knows of none either.
    """

    def __init__(
        self,
        load: Callable[[], ssl.SSLContext],
        files: tuple[str, ...],
        executor: Executor,
        last_good: Callable[[], ssl.SSLContext | None] = lambda: None,
    ) -> None:
        self._load = load
        self._last_good = last_good
        self._files = files
        self._executor = executor
        self._context: ssl.SSLContext | None = None
        self._state: _State = ()
        self._looking: asyncio.Future[None] | None = None
        self._looked_at = -LOOK_S
        self._failures = SparseLog(LOG_EVERY_S)  # without a context, each handshake looks

    @property
    def current(self) -> ssl.SSLContext:
        """The newest one that could be made; only after `ready`."""
        if self._context is None:
            raise RuntimeError("asked before ready")
        return self._context

    async def ready(self) -> ssl.SSLContext:
        """The newest one that could be made. Raises CertificateError if there is none yet."""
        if self._context is None:
            await asyncio.shield(self.look())
        else:
            self.follow(monotonic())
        return self.current

    def follow(self, now: float) -> None:
        """Look at the files if it is time to."""
        if self._files and now >= self._looked_at + LOOK_S:
            self.look()

    def look(self) -> asyncio.Future[None]:
        """Look at the files now, in a thread."""
        if self._looking is None:
            self._looking = asyncio.get_running_loop().run_in_executor(self._executor, self._renew)
            self._looking.add_done_callback(self._looked)
        return self._looking

    def _looked(self, looking: "asyncio.Future[None]") -> None:
        self._looking = None
        self._looked_at = monotonic()
        if not looking.cancelled():
            looking.exception()  # whoever awaits it hears of it; it is in the log already

    def _renew(self) -> None:
        """Make a new context if the files have changed."""
        state = _state(self._files)
        if self._context is not None and state == self._state:
            return
        try:
            context = self._load()
        except Exception as wrong:  # noqa: BLE001  a bug of ours is no reason to stop serving
            self._go_on(wrong)
            return
        if self._context is not None:
            structlog.get_logger().info("certificate_renewed", files=self._files)
        self._context, self._state = context, state

    def _go_on(self, wrong: Exception) -> None:
        """Stay with what there is, and say so at every look. Raises what is wrong if there is nothing."""
        if self._context is None:
            self._context = self._last_good()
        kept = self._context is not None
        bug = None if isinstance(wrong, CertificateError) else wrong
        self._failures.say("error", "certificate_not_used", why=str(wrong), kept=kept, exc_info=bug)
        if not kept:
            raise wrong


def _state(files: tuple[str, ...]) -> _State:
    """What changes when a file is written or replaced, also by moving a symbolic link on the way to it."""
    found = []
    for file in files:
        try:
            seen = Path(file).stat()
        except OSError:
            continue  # reading it says what is wrong
        found.append((seen.st_ino, seen.st_mtime_ns, seen.st_size))
    return tuple(found)


class BackendContexts:
    """The contexts of all `https` backends of a worker: one for each way of being known, while it is used."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "certificates")
        self._made: WeakValueDictionary[BackendTls, LiveContext] = WeakValueDictionary()

    def of(self, tls: BackendTls) -> LiveContext:
        """The context for a backend; made at first use."""
        live = self._made.get(tls)
        if live is None:
            live = self._made[tls] = LiveContext(lambda: backend_context(tls), files_of(tls), self._executor)
        return live
