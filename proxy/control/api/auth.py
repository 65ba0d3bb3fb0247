"""Who may ask: the token, the Host and Origin of a request, and what wrong guesses cost."""

import hashlib
import hmac
from collections.abc import Sequence

from proxy.control.api.problems import Problem

ADMIN = "admin"
"""Who the single token stands for in the audit log."""

GUESSES = 10
WINDOW_S = 60.0
_PEERS = 1024
_SCHEME = "bearer "
_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
_FROM_ELSEWHERE = frozenset({"cross-site", "same-site"})


class Token:
    """The admin token, known by its digest only; without one nothing is accepted."""

    __slots__ = ("_digest",)

    def __init__(self, token: str | None) -> None:
        self._digest = None if token is None else _digest(token)

    def accepts(self, authorization: Sequence[str]) -> bool:
        """Whether the request's Authorization fields are one Bearer with this token; equal time for any guess."""
        given = authorization[0] if len(authorization) == 1 else ""
        is_bearer = given[: len(_SCHEME)].lower() == _SCHEME
        same = hmac.compare_digest(_digest(given[len(_SCHEME) :].strip()), self._digest or bytes(32))
        return same and is_bearer and self._digest is not None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class Throttle:
    """Counts events per peer in windows of a minute; forgets the oldest of 1,024 peers."""

    __slots__ = ("_limit", "_windows")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._windows: dict[str, tuple[float, int]] = {}

    def over(self, peer: str, now: float) -> bool:
        """Count one event; whether the peer had used up its window before. `now` is monotonic seconds."""
        began, count = self._windows.pop(peer, (now, 0))
        if now - began >= WINDOW_S:
            began, count = now, 0
        self._windows[peer] = began, count + 1
        if len(self._windows) > _PEERS:
            del self._windows[next(iter(self._windows))]
        return count >= self._limit


def unauthorized() -> Problem:
    """The answer to a missing or wrong token, the same for both."""
    return Problem(
        401,
        "unauthorized",
        "This call needs the admin token.",
        hint="send Authorization: Bearer with the token",
        fields={"WWW-Authenticate": "Bearer"},
    )


def throttled() -> Problem:
    """The answer to too many of those."""
    return Problem(
        429,
        "too-many-failures",
        "Too many wrong tokens from here; a valid one is still accepted.",
        fields={"Retry-After": f"{WINDOW_S:g}"},
    )


def check_host(hosts: Sequence[str], own: str, configured: Sequence[str]) -> None:
    """Refuse a name that is not ours: DNS rebinding. `own` is the address the connection came in at.

    Raises Problem 421.
    """
    given = hosts[0].lower() if len(hosts) == 1 else ""
    name = given if given.endswith("]") else given.rpartition(":")[0] or given
    ours = {*_LOOPBACK_HOSTS, *(host.lower() for host in configured), f"[{own}]" if ":" in own else own}
    if name not in ours:
        raise Problem(
            421,
            "not-our-host",
            "The Host of this request is not one this proxy answers to.",
            hint="use 127.0.0.1 or localhost, or add the name to admin.hosts",
        )


def check_origin(origins: Sequence[str], sites: Sequence[str], host: str) -> None:
    """Refuse what a browser sends for a page of somebody else. Raises Problem 403."""
    own = {f"http://{host}".lower(), f"https://{host}".lower()}
    if any(origin.lower() not in own for origin in origins) or _FROM_ELSEWHERE.intersection(sites):
        raise Problem(403, "from-elsewhere", "A page of another origin asked for this.")
