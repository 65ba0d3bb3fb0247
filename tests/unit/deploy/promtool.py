"""Prometheus' own tool, or a skip that says where it comes from."""

import shutil
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[3] / "deploy"
RULES = DEPLOY / "prometheus/rules.yml"
RULES_TEST = DEPLOY / "prometheus/rules_test.yml"

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing; Debian has it in the package prometheus"
)


def promtool(*arguments: str | Path) -> tuple[bool, str]:
    """Whether promtool was content, and what it said."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=30, check=False)
    return done.returncode == 0, done.stdout + done.stderr
