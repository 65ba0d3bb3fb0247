"""The admin API as commands see it: one request, JSON in and out, no proxies, no redirects."""

import json
import shlex
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from proxy.cli.exits import CommandError, Exit
from proxy.cli.options import DEFAULT_ADMIN

STATUS = "/api/v1/status"
TIMEOUT_S = 10.0
MAX_ANSWER = 16 << 20
_CONNECTIONS = {"http": HTTPConnection, "https": HTTPSConnection}
_OK = range(200, 300)
_ADVICE = {
    401: "give the token with --token-file FILE or SHADOW_PROXY_ADMIN_TOKEN",
    421: "add the host name to admin.hosts, or use the address it listens at",
    429: "too many failed tries: wait a minute, or give the right token",
}


class AdminClient:
    """A running proxy's admin port. Raises CommandError: exit 3 when it cannot be reached, 4 when it refuses."""

    def __init__(self, url: str, token: str | None, timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        try:
            known = parts.scheme in _CONNECTIONS and parts.hostname and parts.path in {"", "/"}
            port = parts.port
        except ValueError:
            known = False
        if not known:
            raise CommandError(Exit.USAGE, f"{url} is no admin address", "write it like http://127.0.0.1:8081")
        self._url = f"{parts.scheme}://{parts.netloc}"
        self._token = token
        self._timeout_s = timeout_s
        self._make = _CONNECTIONS[parts.scheme]
        self._host, self._port = str(parts.hostname), port

    def status(self) -> dict[str, Any]:
        """The answer of `/api/v1/status`."""
        said = self._ask("GET", STATUS, None)
        services = said.get("services") if isinstance(said, dict) else None
        if not isinstance(services, list) or not all(_has(one, "service", "mode") for one in services):
            raise self.stranger("a status without services")
        return dict(said)

    def switch(self, service: str, mode: str, reason: str, *, dry_run: bool) -> dict[str, Any]:
        """Ask for a mode; the answer, with the mode before and after."""
        path = f"/api/v1/services/{quote(service, safe='')}/mode" + ("?dry_run=true" if dry_run else "")
        said = self._ask("PUT", path, json.dumps({"mode": mode, "reason": reason}).encode())
        if not (_has(said, "before", "after") and _has(said["before"], "mode") and _has(said["after"], "mode")):
            raise self.stranger("a change without a mode")
        return dict(said)

    def _ask(self, method: str, path: str, body: bytes | None) -> Any:
        fields = {"Accept": "application/json"}
        if body is not None:
            fields["Content-Type"] = "application/json"
        if self._token is not None:
            fields["Authorization"] = f"Bearer {self._token}"
        connection = self._make(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.request(method, path, body, fields)
            answer = connection.getresponse()
            status, content = answer.status, answer.read(MAX_ANSWER)
        except (OSError, HTTPException, UnicodeError) as wrong:
            raise self._unreachable(wrong) from wrong
        finally:
            connection.close()
        return self._answered(status, content)

    def _answered(self, status: int, content: bytes) -> Any:
        try:
            said = json.loads(content)
        except ValueError:
            said = None
        if status in _OK and said is not None:
            return said
        if isinstance(said, dict) and "status" in said:
            raise refusal(status, said)
        raise self.stranger(str(status))

    def stranger(self, what: str) -> CommandError:
        """The end of a command that somebody else answered, with `what`."""
        advice = "check --admin: this may be the proxy port, or another program"
        return CommandError(Exit.UNREACHABLE, f"{self._url} answers {what}, not as a shadow-proxy", advice)

    def _unreachable(self, wrong: Exception) -> CommandError:
        why = str(getattr(wrong, "strerror", None) or wrong) or type(wrong).__name__
        advice = "is it running? Start it with `shadow-proxy serve`, or give its place with --admin URL"
        return CommandError(Exit.UNREACHABLE, f"no answer from the admin port at {self._url}: {why}", advice)


def _has(said: Any, *keys: str) -> bool:
    return isinstance(said, dict) and said.keys() >= set(keys)


def refusal(status: int, said: Mapping[str, Any]) -> CommandError:
    """What a problem+json answer says, as the end of a command."""
    title, detail = str(said.get("title") or f"Refused ({status})"), str(said.get("detail") or "")
    message = f"{title}: {detail}" if detail and detail != title else title
    for error in said.get("errors") or ():
        message += "\n  " + (_spelled(error) if isinstance(error, dict) else str(error))
    advice = _ADVICE.get(status) or str(said.get("hint") or "")
    if following := said.get("next"):
        advice = f"{advice}; {following}" if advice else str(following)
    return CommandError(Exit.REFUSED, f"{message} ({status})", advice)


def _spelled(error: Mapping[str, Any]) -> str:
    return "  ".join(f"{name} {value}" for name, value in error.items())


def same_place(admin: str, token_file: Path | None) -> str:
    """The options that make another command talk to the same proxy, with a space before each."""
    words = [] if admin == DEFAULT_ADMIN else ["--admin", admin]
    words += ["--token-file", str(token_file)] if token_file else []
    return "".join(f" {shlex.quote(word)}" for word in words)
