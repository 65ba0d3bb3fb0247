import os
import subprocess
import sys

import pytest

from bench.load import procfs


def test_run_time_is_the_first_field_of_schedstat() -> None:
    assert procfs.run_time_ns("508866419 138254 6\n") == 508_866_419


def test_stat_is_read_past_a_name_with_spaces_and_parentheses() -> None:
    stat = "42 (a) b (c) S 7 42 42 0 -1 4194304 100 0 0 0 31 12 5 6 20 0 1 0 100 1 1"
    assert procfs.parent_and_ticks(stat) == (7, 43)


def test_kib_field_is_given_in_bytes() -> None:
    assert procfs.kib_field("VmPeak:\t 99 kB\nVmRSS:\t    12 kB\n", "VmRSS") == 12_288
    assert procfs.kib_field("VmPeak:\t 99 kB\n", "VmRSS") is None


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["python", "-m", "proxy.worker.process", "0"], "worker"),
        (["shadow-proxy: judge 0"], "judge"),
        (["nginx: worker process"], "worker"),
        (["envoy", "-c", "envoy.yaml"], "comm"),
        ([""], "comm"),
    ],
)
def test_role_comes_from_the_command_line(command: list[str], name: str) -> None:
    assert procfs.role(command, "comm") == name


def test_family_holds_children_and_grandchildren() -> None:
    nested = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", nested], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert len(procfs.family(child.pid)) == 2
        assert procfs.family(os.getpid())[0] == os.getpid()
        assert set(procfs.family(child.pid)) < set(procfs.family(os.getpid()))
        child.communicate(b"\n")


def test_own_process_has_cpu_and_memory() -> None:
    (seen, *_) = procfs.observe(os.getpid())
    assert seen.cpu_ns > 0
    assert seen.rss_bytes > 1_000_000
