"""Which token a command sends, and where to."""

import os
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from proxy.cli.admin import AdminClient
from proxy.cli.exits import CommandError, Exit
from proxy.config.state_dir import default_state_dir
from proxy.config.token import TOKEN_FILE, TOKEN_VARIABLE, TokenError, check_token, read_token


def connect(url: str, token_file: Path | None) -> AdminClient:
    """A client of the admin port with the token found for it. Raises CommandError."""
    return AdminClient(url, find_token(url, token_file))


def find_token(url: str, token_file: Path | None, environ: Mapping[str, str] = os.environ) -> str | None:
    """The file's, else the environment's, else the default state directory's; None when there is none.

    The last goes to loopback addresses only: nobody asked to send it anywhere. One that is out of reach counts
    as none. Raises CommandError when a token that was given, or is there, cannot be used.
    """
    try:
        if token_file is not None:
            return read_token(token_file)
        if environ.get(TOKEN_VARIABLE):
            return check_token(environ[TOKEN_VARIABLE], f"${TOKEN_VARIABLE}")
        kept = default_state_dir(environ) / TOKEN_FILE
        return read_token(kept) if _is_loopback(url) and _is_there(kept) else None
    except TokenError as wrong:
        raise CommandError(Exit.USAGE, str(wrong)) from wrong


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # the folder is somebody else's
        return False


def _is_loopback(url: str) -> bool:
    host = urlsplit(url if "//" in url else f"http://{url}").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
