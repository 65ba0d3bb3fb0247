"""Secrets in files, one in each, and in variables; a file is refused where everybody could have read it too."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # who only reads a token need not wait for the models
    from proxy.config.header import ReadSecret

MAX_SECRET_BYTES = 64 << 10


class SecretFileError(Exception):
    """The secret cannot be had, or must not be used; the message says what to do and holds nothing of it."""


def read_secret(path: Path, what: str) -> bytes:
    """What the file holds; `what` it is, for messages, such as `the admin token`. Raises SecretFileError."""
    try:
        # Without O_NONBLOCK a pipe in the file's place would be waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise SecretFileError(f"{path}: is not a plain file: {what} cannot be read from it")
            content = file.read(MAX_SECRET_BYTES + 1)
    except OSError as wrong:
        raise SecretFileError(f"{path}: {wrong.strerror}: {what} cannot be read") from wrong
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise SecretFileError(f"{path}: everybody can read or write {what}: chmod 600 {path}")
    if len(content) > MAX_SECRET_BYTES:
        raise SecretFileError(f"{path}: is over 64 KiB: {what} is shorter")
    return content


def secrets_of(environ: Mapping[str, str] = os.environ) -> "ReadSecret":
    """The reader that a loaded configuration is validated with."""

    def read(kind: str, where: str) -> str:
        if kind == "env":
            if where not in environ:
                raise ValueError(f"the variable {where} is not set")
            return environ[where]
        try:
            return read_secret(Path(where), "this value").decode("latin-1")
        except SecretFileError as wrong:
            raise ValueError(str(wrong)) from wrong

    return read
