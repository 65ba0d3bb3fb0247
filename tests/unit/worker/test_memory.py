"""Which limit of memory is nearest, from files of the forms that kernels write."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.worker.memory import Fill, Memory, Unreadable, trim

PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20
V2 = ("memory.max", "memory.current", "anon 1\nfile 9\ninactive_anon 5\ninactive_file {}\nslab 7\n")
V1 = (
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    "cache 1\ninactive_file 77\ntotal_inactive_anon 5\ntotal_inactive_file {}\ntotal_active_file 0\n",
)
V1_UNLIMITED = "9223372036854771712"


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def all_is_readable(what: str, bug: Exception) -> None:
    raise AssertionError(what) from bug


class Machine:
    """A process in `/proc` and the control groups it is in, as files."""

    def __init__(self, folder: Path) -> None:
        self.process = folder / "proc"
        self.groups = folder / "cgroup"
        self.process.mkdir()
        self.is_in("0::/")
        self.uses(size=0, resident=0, data=0)

    def is_in(self, *memberships: str) -> None:
        (self.process / "cgroup").write_text("".join(f"{line}\n" for line in memberships))

    def uses(self, size: int, resident: int, data: int) -> None:
        """Bytes of the process."""
        (self.process / "statm").write_text(f"{size // PAGE} {resident // PAGE} 7 1 0 {data // PAGE} 0\n")

    def group(self, path: str, limit: int | str, used: int, cache: int = 0, form: tuple[str, str, str] = V2) -> None:
        folder = self.groups / path
        folder.mkdir(parents=True, exist_ok=True)
        limit_file, used_file, stat = form
        (folder / limit_file).write_text(f"{limit}\n")
        (folder / used_file).write_text(f"{used}\n")
        (folder / "memory.stat").write_text(stat.format(cache))

    def fills(self, own_limit: int = 0, unreadable: Unreadable = all_is_readable) -> list[Fill]:
        memory = Memory(self.process, self.groups)
        try:
            return memory.fills(own_limit, unreadable)
        finally:
            memory.close()

    def fill(self, own_limit: int = 0) -> Fill | None:
        """Of the only limit, if there is one."""
        fills = self.fills(own_limit)
        assert len(fills) < 2
        return fills[0] if fills else None


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@contextmanager
def limited(what: int, limit: int) -> Iterator[None]:
    before, hard = resource.getrlimit(what)
    resource.setrlimit(what, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (before, hard))


def test_without_any_limit_there_is_nothing_to_fill(machine: Machine) -> None:
    machine.group("", "max", 5)
    machine.uses(size=9 * MIB, resident=9 * MIB, data=9 * MIB)
    assert machine.fill() is None


def test_our_own_limit_is_for_resident_memory(machine: Machine) -> None:
    machine.uses(size=900 * MIB, resident=30 * MIB, data=300 * MIB)
    assert machine.fill(own_limit=40 * MIB) == Fill(30 * MIB, 40 * MIB)


def test_a_group_counts_less_the_cache_it_can_drop(machine: Machine) -> None:
    machine.is_in("0::/pod/worker")
    machine.group("pod/worker", 100, used=90, cache=60)
    fill = machine.fill()
    assert fill == Fill(30, 100)
    assert fill.share == 0.3


def test_groups_of_version_1_count_in_the_same_way(machine: Machine) -> None:
    machine.is_in("9:name=systemd:/x", "4:cpu,memory:/pod", "0::/")
    machine.group("memory/pod", 100, used=90, cache=60, form=V1)
    machine.group("memory", V1_UNLIMITED, used=10**9, form=V1)
    assert machine.fill() == Fill(30, 100)


@pytest.mark.parametrize("cache", ["inactive_file", "active_file", "slab_reclaimable"])
def test_every_cache_that_the_kernel_drops_before_it_kills_is_none_of_ours(machine: Machine, cache: str) -> None:
    machine.group("", 100, used=90, form=(*V2[:2], f"{cache} 60\nunevictable 5\n"))
    assert machine.fill() == Fill(30, 100)


def test_the_group_above_is_full_of_others_too(machine: Machine) -> None:
    machine.is_in("0::/pod/worker")
    machine.group("pod/worker", 100, used=50)
    machine.group("pod", 1000, used=900)
    assert machine.fills() == [Fill(50, 100), Fill(900, 1000, is_relieved=False)]


def test_a_group_named_as_the_host_sees_it_is_found_where_the_container_sees_it(machine: Machine) -> None:
    machine.is_in("0::/system.slice/docker-1234.scope")
    machine.group("", 100, used=50)
    assert machine.fill() == Fill(50, 100)


def test_a_group_outside_of_what_is_seen_is_passed_over(machine: Machine) -> None:
    machine.is_in("0::/../../elsewhere")
    assert machine.fill() is None


def test_every_limit_counts_what_is_its_own(machine: Machine) -> None:
    machine.group("", 100 * MIB, used=50 * MIB)
    machine.uses(size=0, resident=8 * MIB, data=0)
    assert machine.fills(own_limit=10 * MIB) == [Fill(50 * MIB, 100 * MIB), Fill(8 * MIB, 10 * MIB)]


def test_a_limit_that_changes_is_read_anew(machine: Machine) -> None:
    machine.group("", 100, used=50)
    memory = Memory(machine.process, machine.groups)
    assert memory.fills(0, all_is_readable) == [Fill(50, 100)]
    machine.group("", 60, used=50)
    assert memory.fills(0, all_is_readable) == [Fill(50, 60)]
    machine.group("", "max", used=50)
    assert memory.fills(0, all_is_readable) == []
    memory.close()


def test_a_limit_of_nothing_is_full() -> None:
    assert Fill(5, 0).share == 1.0


@pytest.mark.parametrize(
    ("what", "used", "is_relieved"),
    [(resource.RLIMIT_AS, 3 * MIB, False), (resource.RLIMIT_DATA, 2 * MIB, True)],
    ids=["AS", "DATA"],
)
def test_address_space_is_not_given_back_and_data_is(
    machine: Machine,
    what: int,
    used: int,
    is_relieved: bool,  # noqa: FBT001  a column of the table
) -> None:
    machine.uses(size=3 * MIB, resident=MIB, data=2 * MIB)
    with limited(what, 64 << 30):
        assert machine.fill() == Fill(used, 64 << 30, is_relieved)


@pytest.mark.parametrize("spoilt", ["proc/statm", "cgroup/memory.max", "cgroup/memory.current", "cgroup/memory.stat"])
def test_what_cannot_be_read_is_no_limit_and_hides_no_other(machine: Machine, spoilt: str) -> None:
    machine.group("", 100, used=50)
    machine.uses(size=0, resident=8 * PAGE, data=0)
    (machine.process.parent / spoilt).write_text("nonsense\n")
    said: list[str] = []
    fills = machine.fills(MIB, lambda what, _bug: said.append(what))
    assert fills == ([Fill(50, 100)] if spoilt == "proc/statm" else [Fill(8 * PAGE, MIB)])
    assert len(said) == 1


def test_a_group_of_which_a_file_is_missing_leaves_none_open(machine: Machine) -> None:
    machine.group("", 100, used=50)
    (machine.groups / "memory.stat").unlink()
    before = open_files()
    assert machine.fill() is None
    assert open_files() == before


def test_heap_is_given_back_where_there_is_a_way_and_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    trim()
    monkeypatch.setattr("proxy.worker.memory._malloc_trim", None)
    trim()


def test_this_process_is_measured_also_when_no_descriptor_is_left() -> None:
    memory = Memory()
    free = os.dup(0)
    os.close(free)
    with limited(resource.RLIMIT_NOFILE, free):
        with pytest.raises(OSError, match="Too many open files"):
            os.dup(0)
        fills = memory.fills(1 << 40, all_is_readable)
    memory.close()
    assert MIB < fills[-1].used < 1 << 40
