"""One case: what a client sends and does, what both backends answer. Its `repr` is the case as source."""

from dataclasses import dataclass, field, fields
from enum import Enum
from itertools import takewhile
from typing import Any

from proxy.config.models import Settings
from tests.kit.memory_plane import settings


class Move(Enum):
    """What a client does besides sending."""

    STALL = "read no more"
    READ = "read again"
    FIN = "half-close"
    RST = "reset"
    LATE = "let late replies come"
    TURN = "do what comes next a turn later, not when all is quiet"
    PROBE = "another client comes, asks and gets its answer"
    WAIT = "wait a second"
    WAIT_LONG = "wait a minute"


class When(Enum):
    """When a backend sends its reply."""

    HEAD = "as soon as the request's head is there"
    COMPLETE = "once the request is complete"
    LATE = "when the client has sent what comes before `Move.LATE`, or all of it"


class Ending(Enum):
    """What a backend does after its reply."""

    KEEP = "waits for another request"
    FIN = "closes"
    RST = "resets"


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """What a backend sends to one request, each piece in a turn of its own."""

    pieces: tuple[bytes, ...]
    when: When = When.COMPLETE
    ending: Ending = Ending.KEEP

    def __repr__(self) -> str:
        return _source(self)

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)


@dataclass(frozen=True, slots=True, repr=False)
class Case:
    """`client` is sent step by step, each when all that came of the one before has happened (but see `Move.TURN`).

    The n-th request that the primary sees gets the n-th of `replies`, the candidate's the n-th of `copies`;
    what is beyond them gets a plain answer. `setting` names one of `SETTINGS`.
    """

    client: tuple[bytes | Move, ...]
    replies: tuple[Reply, ...] = field(default=())
    copies: tuple[Reply, ...] = field(default=())
    setting: str = "usual"

    def __repr__(self) -> str:
        return _source(self)

    @property
    def sent(self) -> bytes:
        """What the client sends: nothing more once it has ended its side."""
        sent = takewhile(lambda step: step not in {Move.FIN, Move.RST}, self.client)
        return b"".join(step for step in sent if isinstance(step, bytes))

    @property
    def moves(self) -> set[Move]:
        return {step for step in self.client if isinstance(step, Move)}


def _source(value: object) -> str:
    """The call that makes this value; what has its default is left out."""
    assert isinstance(value, Case | Reply)
    given = [
        (each.name, getattr(value, each.name)) for each in fields(value) if getattr(value, each.name) != each.default
    ]
    first, *rest = [_literal(shown) for _, shown in given]
    named = [f"{name}={shown}" for (name, _), shown in zip(given[1:], rest, strict=True)]
    return f"{type(value).__name__}({', '.join([first, *named])})"


def _literal(value: object) -> str:
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, tuple):
        return f"({', '.join(_literal(each) for each in value)}{',' * (len(value) == 1)})"
    return repr(value)


SMALL = {"request_line": 40, "header_bytes": 300, "header_count": 8, "trailer_bytes": 40, "trailer_count": 2}
SMALL_ANSWERS = {"response_header_bytes": 200, "response_header_count": 6, "interim": 2}
NARROW = {"write_buffer": 16, "pipeline_bytes": 32}
REWRITTEN = {
    "host": "target",
    "headers": {"remove": ["X-B", "Accept"]},
    "path": {"strip": "/q0", "add": "/base"},
}
ANY_READ_ONLY = {"endpoints": [{"name": "any", "match": "* /{rest}", "read_only": True}]}

SETTINGS: dict[str, dict[str, Any]] = {
    "usual": {},
    "small": {"limits": {**SMALL, **SMALL_ANSWERS, "chunk_overhead": 8, "body_bytes": 20}},
    "narrow": {"limits": NARROW, "mirror_budget": 400},
    "few": {"limits": {"requests_per_connection": 2, "tunnels": 1}, "pool": {"max_connections": 1, "max_idle": 0}},
    "forwarded off": {"forwarded": {"mode": "off"}},
    "rewritten": {"backends": REWRITTEN},
    "read only": {"service": ANY_READ_ONLY},
}
"""What differs from a plain configuration, as arguments of `tests.kit.memory_plane.settings`."""
_made: dict[str, Settings] = {}


def setting(name: str) -> Settings:
    """The settings of this name, made once."""
    if name not in _made:
        _made[name] = settings(timeouts={"tunnel_idle": "100s"}, **SETTINGS[name])
    return _made[name]
