"""Header policies: the built-in rules for header fields, by name.

A header that no list mentions is compared by presence and value; a rule of the user's wins over every list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from comparators.automaton import BoundRule

NAMES_KEPT: Final = 2_000
LONGEST_NAME_KEPT: Final = 64


class Policy(IntEnum):
    """How a header is compared."""

    IGNORED = 0
    EXACT = 1
    PRESENCE = 2
    COOKIE = 3
    LINK = 4
    MEDIA = 5
    CODING = 6
    NONCE = 7
    RULE = 8


IGNORED: Final = frozenset(
    {
        *("date", "age", "expires", "server-timing", "x-runtime", "x-response-time"),  # clock
        *("x-request-id", "x-correlation-id", "traceparent", "tracestate"),  # identity of one call
        *("b3", "cf-ray", "x-cloud-trace-context"),
        *("connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "upgrade"),  # one hop
        *("via", "alt-svc"),
        "content-length",  # follows from the body
        *("server", "x-powered-by", "x-served-by", "x-cache", "x-cache-hits", "x-timer"),  # deployment
        *("nel", "report-to"),
        *("x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit"),  # counts other traffic
    }
)
IGNORED_PREFIXES: Final = ("x-b3-", "x-amzn-")

PROTECTED: Final = frozenset(
    {
        *("content-type", "content-disposition", "content-range", "content-language", "location"),
        *("set-cookie", "cache-control", "vary", "allow", "www-authenticate", "authorization"),
        *("strict-transport-security", "content-security-policy", "x-content-type-options", "x-frame-options"),
        *("idempotency-key", "deprecation", "sunset"),
    }
)
PROTECTED_PREFIXES: Final = ("access-control-",)
PROTECTED_WORDS: Final = ("csrf", "token")

SECRET: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"})
SECRET_WORDS: Final = ("csrf", "token", "secret", "password", "api-key", "api_key")
MASK: Final = "•••"

_BUILT_IN: Final[Mapping[str, Policy]] = {
    **dict.fromkeys(IGNORED, Policy.IGNORED),
    **dict.fromkeys(("etag", "last-modified", "retry-after"), Policy.PRESENCE),
    **dict.fromkeys(("location", "content-location", "link"), Policy.LINK),
    "set-cookie": Policy.COOKIE,
    "content-type": Policy.MEDIA,
    "content-encoding": Policy.CODING,
    "content-security-policy": Policy.NONCE,
}


def protected(name: str, *, prefix: bool = False) -> bool:
    """Whether the header (or one by that prefix) is a contract, a safeguard or a credential, so not to be ignored."""
    if prefix and any(each.startswith(name) for each in (*PROTECTED, *PROTECTED_PREFIXES)):
        return True
    return name in PROTECTED or name.startswith(PROTECTED_PREFIXES) or any(word in name for word in PROTECTED_WORDS)


def secret(name: str) -> bool:
    """Whether values of the header are never shown."""
    return name in SECRET or any(word in name for word in SECRET_WORDS)


class Header(NamedTuple):
    """What is known about a header by its name."""

    name: str
    policy: Policy
    rule: BoundRule | None = None


class Names(dict[bytes, Header]):
    """Headers by the bytes of their name, remembered up to a bound: spelling it out again costs ten times as much.

    Attributes:
        ignored: those of the remembered names that stand for ignored headers.
    """

    def __init__(self, rules: Sequence[BoundRule]) -> None:
        super().__init__()
        self.ignored: set[bytes] = set()
        ranked = sorted(rules, key=lambda rule: rule.rank)
        self._exact = {rule.selector.header: rule for rule in ranked if not rule.selector.prefix}
        self._prefixes = [rule for rule in reversed(ranked) if rule.selector.prefix]

    def __missing__(self, raw: bytes) -> Header:
        name = raw.strip().decode("latin-1").lower()
        rule = self._rule(name)
        header = Header(name, Policy.RULE, rule) if rule else Header(name, _policy(name))
        if len(self) < NAMES_KEPT and len(raw) <= LONGEST_NAME_KEPT:
            self[raw] = header
            if header.policy is Policy.IGNORED:
                self.ignored.add(raw)
        return header

    def _rule(self, name: str) -> BoundRule | None:
        """The rule for a name; a wildcard that may not be broad does not ignore a protected header."""
        if name in self._exact:
            return self._exact[name]
        return next((rule for rule in self._prefixes if self._covers(rule, name)), None)

    def _covers(self, rule: BoundRule, name: str) -> bool:
        if not name.startswith(rule.selector.header):
            return False
        return rule.broad or not (rule.ignores and protected(name))


def _policy(name: str) -> Policy:
    return Policy.IGNORED if name.startswith(IGNORED_PREFIXES) else _BUILT_IN.get(name, Policy.EXACT)
