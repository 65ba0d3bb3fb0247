"""The Makefile's recipes, run in a folder of their own with programs that fail."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HALF = """#!/bin/sh
case "$1$2" in
  -mvenv) mkdir -p "$3/bin" && : > "$3/bin/python"; exit 1;;
esac
"""

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is missing")


@needs_make
@pytest.mark.parametrize(("target", "folder"), [("install", ".venv"), ("bench", ".venv-wheel")])
def test_half_an_environment_does_not_stay(tmp_path: Path, target: str, folder: str) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"
    python.write_text(HALF)
    python.chmod(0o755)
    words = ["make", target, f"PYTHON={python}", f"WHEEL_PYTHON={python}"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert not (tmp_path / folder).exists()


@pytest.mark.parametrize("found", [(), ("docker",)], ids=["nothing", "docker alone"])
def test_compose_names_the_program_that_is_missing(tmp_path: Path, found: tuple[str, ...]) -> None:
    for name in found:
        (tmp_path / name).symlink_to(shutil.which("true") or "/bin/true")
    up = ["/bin/sh", str(ROOT / "deploy/compose/up")]
    done = subprocess.run(up, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"make compose: {'python3' if found else 'docker'} is missing" in done.stderr


def test_compose_names_the_part_of_docker_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "docker").symlink_to(shutil.which("false") or "/bin/false")
    (tmp_path / "python3").symlink_to(shutil.which("true") or "/bin/true")
    up = ["/bin/sh", str(ROOT / "deploy/compose/up")]
    done = subprocess.run(up, env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "this docker has no compose" in done.stderr
