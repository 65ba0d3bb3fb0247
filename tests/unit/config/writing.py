"""Configurations for tests, written to files."""

from pathlib import Path
from textwrap import dedent

MINIMAL = """\
services:
  ranker:
    primary: {version: v1, url: "http://127.0.0.1:8001"}
    candidate: {version: v2, url: "http://127.0.0.1:8002"}
"""


def write(folder: Path, text: str | bytes) -> Path:
    """The path of a file with this text, dedented."""
    path = folder / "shadow-proxy.yaml"
    path.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
    return path
