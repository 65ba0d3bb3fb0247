"""Calls of the C library that behave otherwise in one process: what cannot be had of a machine others use too."""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def preloaded(name: str, folder: Path, **variables: str) -> dict[str, str]:
    """The environment of a process that calls `name`.c instead, made in `folder`; skips the test without gcc."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    library = folder / f"{name}.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", str(library), str(HERE / f"{name}.c")], check=True)
    return {"LD_PRELOAD": str(library), **variables}
