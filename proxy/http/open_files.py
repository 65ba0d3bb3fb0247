"""The file descriptors of this process, of which the last few are for clients and for who serves them.

POSIX gives out the lowest descriptor that is free. So the number of a new one says how many are taken at the least,
and nobody has to count.
"""

import errno
import os
import resource
from collections.abc import Callable
from typing import Final

_NONE_LEFT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_MOST_KEPT: Final = 64
_SHARE_KEPT: Final = 8


class OpenFiles:
    """Tells when descriptors run short: `ran_short(True)` if there is none left, `ran_short(False)` if few are."""

    def __init__(self, ran_short: Callable[[bool], None]) -> None:
        self._ran_short = ran_short

    def opened(self, descriptor: int) -> bool:
        """Somebody has opened this one; whether copies may take more."""
        if descriptor < _for_copies():
            return True
        self._ran_short(False)  # noqa: FBT003  the callback's only word
        return False

    def refused(self, error: OSError) -> bool:
        """Somebody could open none; whether that was for want of one, and nothing else."""
        is_want = error.errno in _NONE_LEFT
        if is_want:
            self.ran_out()
        return is_want

    def ran_out(self) -> None:
        """Somebody could open none."""
        self._ran_short(True)  # noqa: FBT003  the callback's only word

    def has_room(self) -> bool:
        """Whether copies may take more, tried out."""
        try:
            descriptor = os.eventfd(0)
        except OSError:
            return False
        os.close(descriptor)
        return descriptor < _for_copies()


def _for_copies() -> int:
    """How many descriptors copies may share with everybody else; the limit may change at any time."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit - min(_MOST_KEPT, limit // _SHARE_KEPT)
