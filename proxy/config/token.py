"""The admin token: from the environment, from a file of the user's, or made once and kept in the state directory.

The token itself is never logged, never a setting and never in a message.
"""

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.config.secret_file import SecretFileError, read_secret
from proxy.config.state_dir import StateDirError, keep

if TYPE_CHECKING:  # a command that only reads a token need not wait for the models
    from proxy.config.models import Settings

TOKEN_VARIABLE = "SHADOW_PROXY_ADMIN_TOKEN"  # noqa: S105  the name of a variable
TOKEN_FILE = "admin-token"  # noqa: S105  the name of a file
_RANDOM_BYTES = 16
_MAX_BYTES = 4096


class TokenError(Exception):
    """The token cannot be had, or must not be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class EnsuredToken:
    """The token in force. `path` is None when it came from the environment; `made` is true only at its creation."""

    path: Path | None
    made: bool
    token: str = field(repr=False)


def is_explicit(settings: "Settings", environ: Mapping[str, str] = os.environ) -> bool:
    """Whether somebody chose the token, rather than letting one be made."""
    return TOKEN_VARIABLE in environ or settings.admin.token_file is not None


def chosen_token(settings: "Settings", environ: Mapping[str, str] = os.environ) -> EnsuredToken | None:
    """The environment's token, else `admin.token_file`'s; None when nobody chose one. Raises TokenError."""
    if TOKEN_VARIABLE in environ:
        return EnsuredToken(None, made=False, token=check_token(environ[TOKEN_VARIABLE], f"${TOKEN_VARIABLE}"))
    if settings.admin.token_file is not None:
        path = Path(settings.admin.token_file)
        return EnsuredToken(path, made=False, token=read_token(path))
    return None


def ensure_token(settings: "Settings", state_dir: Path, environ: Mapping[str, str] = os.environ) -> EnsuredToken:
    """The chosen token, else the state directory's, made if there is none.

    `state_dir` exists. Raises TokenError.
    """
    if chosen := chosen_token(settings, environ):
        return chosen
    path = state_dir / TOKEN_FILE
    try:
        made = keep(path, secrets.token_hex(_RANDOM_BYTES) + "\n")
    except StateDirError as wrong:
        raise TokenError(str(wrong)) from wrong
    return EnsuredToken(path, made=made, token=read_token(path))


def read_token(path: Path) -> str:
    """The token a file holds: one line, for its owner's eyes only. Raises TokenError."""
    try:
        content = read_secret(path, "the admin token")
    except SecretFileError as wrong:
        raise TokenError(str(wrong)) from wrong
    return check_token(content.decode("utf-8", "replace"), str(path))


def check_token(text: str, source: str) -> str:
    """The token in a text that came from `source`, without the white space round it. Raises TokenError."""
    token = text.strip()
    if not token:
        raise TokenError(f"{source}: holds no token: put one line of random text there")
    if len(text) > _MAX_BYTES or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise TokenError(f"{source}: a token is one line of printable ASCII without spaces")
    return token
