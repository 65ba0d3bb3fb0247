"""The proxy's own name, which Via carries so that a request cannot pass the same proxy twice."""

import re
import secrets
from pathlib import Path

from proxy.config.state_dir import StateDirError, keep

INSTANCE_FILE = "instance"
_NAME = re.compile(r"shadow-proxy-[0-9a-f]{6}")


def ensure_instance(state_dir: Path) -> str:
    """`shadow-proxy-` and 6 hex digits, the same at every start with this directory. Raises StateDirError."""
    path = state_dir / INSTANCE_FILE
    keep(path, f"shadow-proxy-{secrets.token_hex(3)}\n")
    try:
        name = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as wrong:
        raise StateDirError(f"{path}: cannot be read: remove it, and one is made at the next start") from wrong
    if not _NAME.fullmatch(name):
        raise StateDirError(f"{path}: holds no instance name: remove it, and one is made at the next start")
    return name
