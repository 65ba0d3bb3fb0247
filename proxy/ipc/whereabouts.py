"""What a judge is at, in a file that it maps: whatever ends it, the supervisor can read what it was doing.

Who the judge is, what it compares, the rule being applied there if that one's cost has no bound, and until when its
watchdog waits: four slots at fixed places, each overwritten in one go and zero where there is nothing to say. The
kernel keeps what is written, so writing costs no system call, and nothing is lost by a kill.
"""

import mmap
import os
from dataclasses import astuple, dataclass
from pathlib import Path
from struct import Struct
from typing import Any

import orjson

from proxy.core.quarantine import Suspect

_SLOT = 256
_WHO, _PAIR, _RULE = (slice(at * _SLOT, (at + 1) * _SLOT) for at in range(3))
_UNTIL = Struct("<d")
_UNTIL_AT = 3 * _SLOT
_SIZE = mmap.PAGESIZE
NOTHING = bytes(_SLOT)
"""The mark of no suspect."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What a judge was at when it ended. `until` is when its watchdog would have had enough, monotonic seconds."""

    judge: str
    worker: str
    suspect: Suspect
    until: float


class WhereaboutsFile:
    """The judge's end."""

    def __init__(self, path: Path, judge: str) -> None:
        self._judge = judge
        self._page = _map(path)
        self.serves("")

    def serves(self, worker: str) -> None:
        """The pairs that follow are of this incarnation of a worker."""
        self._page[_WHO] = _mark(self._judge, worker)

    def waits(self, until: float) -> None:
        """The watchdog has enough then."""
        _UNTIL.pack_into(self._page, _UNTIL_AT, until)

    def compares(self, mark: bytes) -> None:
        """A pair of the endpoint with this mark."""
        self._page[_PAIR] = mark

    def applies(self, mark: bytes) -> bytes:
        """The rule with this mark; the mark of the one before, which goes on when this one is done."""
        before = self._page[_RULE]
        self._page[_RULE] = mark
        return before

    def rests(self) -> None:
        """Nothing that it could be killed for."""
        self._page[_PAIR] = self._page[_RULE] = NOTHING


def mark(suspect: Suspect) -> bytes:
    """What stands in a slot for a suspect, to be made beforehand."""
    return _mark(*astuple(suspect))


def read_whereabouts(path: Path) -> Whereabouts | None:
    """What the judge that wrote there was at; None if at nothing, or if the file makes no sense."""
    try:
        page = path.read_bytes()
        judge, worker = _read(page[_WHO])
        at = page[_RULE] if page[_RULE] != NOTHING else page[_PAIR]
        return Whereabouts(judge, worker, Suspect(*_read(at)), *_UNTIL.unpack_from(page, _UNTIL_AT))
    except (OSError, ValueError, TypeError):
        return None


def _map(path: Path) -> mmap.mmap:
    """A page of zeros in a fresh file; in memory only, if there is no room for one."""
    try:
        path.unlink(missing_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.posix_fallocate(fd, 0, _SIZE)  # a page that the disk has no room for would be a SIGBUS later
            return mmap.mmap(fd, _SIZE)
        finally:
            os.close(fd)
    except OSError:
        return mmap.mmap(-1, _SIZE)


def _mark(*words: str) -> bytes:
    return orjson.dumps(words).ljust(_SLOT, b"\0")


def _read(slot: bytes) -> Any:
    words = orjson.loads(slot.rstrip(b"\0"))
    if not all(isinstance(word, str) for word in words):
        raise ValueError("a mark is made of words")
    return words
