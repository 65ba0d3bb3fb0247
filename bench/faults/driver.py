"""The process that plays the clients: the parent looks at the proxy meanwhile, and gets all of Ctrl-C."""

import signal
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context


def driver() -> Executor:
    """Return an executor of one process of its own; what it plays when it is told to end is played to its end."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_leave_interrupts)


def _leave_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
