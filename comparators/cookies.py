"""`set-cookie`: keyed by cookie name, attributes exact, the value by presence, expiry within 5 seconds (RFC 6265)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from comparators.ledger import Ledger
from comparators.verdict import Kind

EXPIRY_SLACK_S: Final = 5.0


class Cookie(NamedTuple):
    """What is compared of one `set-cookie`: never its value, only whether there is one."""

    filled: bool
    attributes: tuple[tuple[str, str], ...]
    max_age_s: float | None
    expires_s: float | None

    def stands_for(self, other: Cookie) -> bool:
        """Whether a client would treat both alike."""
        return (
            self.filled is other.filled
            and self.attributes == other.attributes
            and _near(self.max_age_s, other.max_age_s)
            and _near(self.expires_s, other.expires_s)
        )

    def __str__(self) -> str:
        shown = ["•••" if self.filled else "(empty)", *("=".join(pair).rstrip("=") for pair in self.attributes)]
        if self.max_age_s is not None:
            shown.append(f"max-age={self.max_age_s:g}")
        if self.expires_s is not None:
            shown.append(f"expires={datetime.fromtimestamp(self.expires_s, UTC):%Y-%m-%dT%H:%M:%SZ}")
        return "; ".join(shown)


def compare_cookies(primary: Sequence[bytes], candidate: Sequence[bytes], ledger: Ledger) -> None:
    """Count one difference per cookie name, with the attributes on both sides; of one name the last cookie wins."""
    ours, theirs = _by_name(primary), _by_name(candidate)
    for name in ours | theirs:
        one, other = ours.get(name), theirs.get(name)
        if one is None or other is None or not one.stands_for(other):
            ledger.differ(("header:set-cookie", name), Kind.HEADER, _shown(one), _shown(other))


def _shown(cookie: Cookie | None) -> str | None:
    return None if cookie is None else str(cookie)


def _near(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= EXPIRY_SLACK_S


def _by_name(lines: Sequence[bytes]) -> dict[str, Cookie]:
    return dict(map(_parse, lines))


def _parse(line: bytes) -> tuple[str, Cookie]:
    pair, *rest = line.decode("latin-1").split(";")
    name, _, value = pair.partition("=")
    attributes = {key.strip().lower(): text.strip() for key, _, text in (part.partition("=") for part in rest)}
    attributes.pop("", None)
    max_age_s = _take(attributes, "max-age", _seconds)
    expires_s = _take(attributes, "expires", _instant)
    return name.strip(), Cookie(bool(value.strip()), tuple(sorted(attributes.items())), max_age_s, expires_s)


def _take(attributes: dict[str, str], name: str, read: Callable[[str], float]) -> float | None:
    """Take an attribute out and read it; one that cannot be read stays in, to be compared as text."""
    try:
        value = read(attributes[name])
    except (KeyError, ValueError, OverflowError):
        return None
    del attributes[name]
    return value


def _seconds(text: str) -> float:
    return float(int(text[:20]))


def _instant(text: str) -> float:
    return parsedate_to_datetime(text).replace(tzinfo=UTC).timestamp()
