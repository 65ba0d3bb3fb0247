"""SIGUSR1: pull the kill switch."""

import signal
from queue import SimpleQueue
from threading import Thread

import structlog

from proxy.ipc.kill_switch import KillSwitch

LAST_FILE_S = 2.0
"""How long a supervisor that ends waits for the file."""
_SIGNAL = {signal.SIGUSR1}


def defer_pulling() -> None:
    """Keep the signal until `Pulling` hears it: whoever sends it to a proxy that starts means it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNAL)


class Pulling:
    """Pulls at once; a thread makes the file, for which nobody waits."""

    def __init__(self, switch: KillSwitch) -> None:
        self._switch = switch
        self._pulls: SimpleQueue[bool] = SimpleQueue()  # whose `put` may interrupt itself
        self._thread = Thread(target=self._make_files, name="kill-switch", daemon=True)

    def listen(self) -> None:
        """Hear the signal from now on, also an earlier one; at any time, also while the proxy ends."""
        self._thread.start()
        signal.signal(signal.SIGUSR1, lambda _number, _frame: self._pull())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNAL)

    def end(self) -> None:
        """Hear nothing any more; a file that is being made is waited for a little."""
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        self._pulls.put(False)  # noqa: FBT003  the end of the queue
        self._thread.join(LAST_FILE_S)

    def _pull(self) -> None:
        self._switch.pull()
        self._pulls.put(True)  # noqa: FBT003  one more pull

    def _make_files(self) -> None:
        log, file = structlog.get_logger(), str(self._switch.path)
        while self._pulls.get():
            log.warning("kill_switch_pulled", file=file)
            if why := self._switch.make_file():
                log.error("kill_switch_pulled_until_restart", file=file, why=why)
