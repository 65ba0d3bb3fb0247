"""Where a number comes from: machine, versions, commit, command."""

import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.load.contestants import RECIPES
from proxy.http import connection

_ROOT = Path(__file__).parents[2]


def describe(program: str = "bench.load") -> dict[str, object]:
    """Return what must stand beside every figure of this run of `python -m program`."""
    return {
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join([f"python -m {program}", *sys.argv[1:]]),
        "commit": _output(["git", "-C", str(_ROOT), "rev-parse", "--verify", "HEAD"]) or None,
        "dirty": bool(_output(["git", "-C", str(_ROOT), "status", "--porcelain"])),
        "machine": {
            "cpu": _cpu_model(),
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "load_average": os.getloadavg(),
        },
        "versions": {
            "python": platform.python_version(),
            "python_build": " ".join([*platform.python_build(), platform.python_compiler()]),
            "uvloop": _package("uvloop"),
            "aiohttp": _package("aiohttp"),
            "shadow-proxy": _package("shadow-proxy"),
            "compiled": not connection.__file__.endswith(".py"),
            "nginx": _tool("nginx", ["-v"]),
            "envoy": _tool("envoy", ["--version"]),
            "wrk": _version_in(_output(["wrk", "-v"])),
        },
    }


def _tool(name: str, arguments: list[str]) -> str | None:
    binary = RECIPES[name].executable()
    return _version_in(_output([binary, *arguments])) if binary else None


def _version_in(text: str) -> str | None:
    found = re.search(r"\d+\.\d+\.\d+", text)
    return found[0] if found else None


def _cpu_model() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _package(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _output(command: list[str]) -> str:
    """Return what a command prints on either stream, or nothing if it is not there or git refuses."""
    try:
        finished = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return ""
    if command[0] == "git" and finished.returncode != 0:
        return ""
    return (finished.stdout + finished.stderr).strip()
