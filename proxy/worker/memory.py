"""How much memory this process may use, and how much counts against that.

Theory of operation. Memory is limited by who started the process: for all in its control group together (v2 or v1,
its own group and every one above), for its address space or its data (RLIMIT_AS, RLIMIT_DATA), or by our own
configuration. Each limit counts something else, and the one that is nearest is what matters:

    limit                 what counts against it                                            fewer clients relieve it
    its own group         what the group uses, less the caches the kernel drops at once     yes
    groups above          likewise, and most of it may be somebody else's                   no
    RLIMIT_AS             the address space: heaps and stacks that were freed stay in it    no
    RLIMIT_DATA           its private writable part, as proc_pid_statm(5) has it            yes
    `shed.memory`         resident pages                                                    yes

All files are kept open, since reading must work when no descriptor is left. Limits are read anew each time: those of
containers and processes can be changed while they run. One that cannot be read is none.
"""

import ctypes
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_AT_ONCE: Final = 16 << 10
_NO_LIMIT: Final = 1 << 60
"""Version 1 of control groups writes the largest number of pages it can count where there is no limit."""
_CACHES: Final = frozenset((b"inactive_file", b"active_file", b"slab_reclaimable"))
_V1_CACHES: Final = frozenset((b"total_inactive_file", b"total_active_file"))
_malloc_trim: Final = getattr(ctypes.CDLL(None), "malloc_trim", None)

Unreadable = Callable[[str, Exception], None]
"""Told what could not be read, and why."""


def trim() -> None:
    """Give freed heap back to the kernel; only glibc can."""
    if _malloc_trim is not None:
        _malloc_trim(0)


@dataclass(frozen=True, slots=True)
class Fill:
    """Bytes used of a limit; `is_relieved` if fewer clients leave more of it."""

    used: int
    limit: int
    is_relieved: bool = True

    @property
    def share(self) -> float:
        """What part of it is used; 1 for a limit of nothing."""
        return self.used / self.limit if self.limit else 1.0


class Memory:
    """See the module's theory of operation. The folders are those of a process in `/proc` and of control groups."""

    def __init__(self, process: Path = Path("/proc/self"), groups: Path = Path("/sys/fs/cgroup")) -> None:
        self._statm = _Kept(process / "statm")
        self._groups = tuple(_groups((process / "cgroup").read_text(), groups))

    def fills(self, own_limit: int, unreadable: Unreadable) -> list[Fill]:
        """How full each limit is, `own_limit` (bytes; 0 is none) among them."""
        fills: list[Fill] = []
        for group in self._groups:
            try:
                fills += group.fills()
            except ValueError as bug:
                unreadable("control group", bug)
        try:
            fills += self._own_fills(own_limit)
        except (OSError, ValueError) as bug:
            unreadable("statm", bug)
        return fills

    def close(self) -> None:
        """Let go of all files."""
        self._statm.close()
        for group in self._groups:
            group.close()

    def _own_fills(self, own_limit: int) -> Iterator[Fill]:
        address_space, resident, _shared, _text, _lib, data, _dirty = map(int, self._statm.read().split())
        for used, what, is_relieved in (
            (address_space, resource.RLIMIT_AS, False),
            (data, resource.RLIMIT_DATA, True),
        ):
            limit, _hard = resource.getrlimit(what)
            if limit != resource.RLIM_INFINITY:
                yield Fill(used * _PAGE, limit, is_relieved)
        if own_limit:
            yield Fill(resident * _PAGE, own_limit)


class _Kept:
    """A file of the kernel's, read anew at each `read`."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> bytes:
        return os.pread(self._descriptor, _AT_ONCE, 0)

    def close(self) -> None:
        os.close(self._descriptor)


@dataclass(frozen=True, slots=True)
class _Group:
    """A control group with a memory controller; `caches` names its droppable ones in `stat`."""

    limit: _Kept
    used: _Kept
    stat: _Kept
    caches: frozenset[bytes]
    is_own: bool

    def fills(self) -> list[Fill]:
        """One, or none without a limit. Raises ValueError for what no kernel writes."""
        try:
            limit = self.limit.read().strip()
            if limit == b"max" or int(limit) >= _NO_LIMIT:
                return []
            return [Fill(max(0, int(self.used.read()) - self._droppable()), int(limit), self.is_own)]
        except OSError:  # the group was removed, and we live on in another one
            return []

    def close(self) -> None:
        for file in (self.limit, self.used, self.stat):
            file.close()

    def _droppable(self) -> int:
        lines = map(bytes.split, self.stat.read().splitlines())
        return sum(int(size) for name, size in lines if name in self.caches)


def _groups(memberships: str, root: Path) -> Iterator[_Group]:
    """The memory groups of a process, by its `/proc/PID/cgroup` (cgroups(7)), from its own one upwards.

    In a container the folders seen may begin at its own group while the names still begin at the host's: whatever
    of them is not there is passed over, and the first that is there is its own.
    """
    for line in memberships.splitlines():
        _, controllers, name = line.split(":", 2)
        if not controllers:
            yield from _upwards(root, name, ("memory.max", "memory.current", "memory.stat"), _CACHES)
        elif "memory" in controllers.split(","):
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat")
            yield from _upwards(root / "memory", name, files, _V1_CACHES)


def _upwards(root: Path, name: str, files: tuple[str, str, str], caches: frozenset[bytes]) -> Iterator[_Group]:
    own = root / name.strip("/")
    is_own = True
    for folder in (own, *own.parents[: len(own.parents) - len(root.parents)]):
        with suppress(OSError), ExitStack() as opened:
            limit, used, stat = [opened.enter_context(closing(_Kept(folder / file))) for file in files]
            opened.pop_all()  # all are there: they stay open
            yield _Group(limit, used, stat, caches, is_own)
            is_own = False
