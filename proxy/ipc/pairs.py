"""The line from a worker to its judge: who the worker is, its settings, and pairs, one frame each.

A pair is a fixed header and then four byte strings: the primary's field lines and body, the candidate's
field lines and body. Services and endpoints travel as their index in the settings of the snapshot whose
version is in the header; these settings have come before, on the same line, so a pair is always judged by
the rules its exchange began under. A side without an answer has status 0 and the index of its failure kind.

The other two frames stand apart by what is in the place of the service's index.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Final

from proxy.core.reasons import FailureKind
from proxy.ipc.frames import LENGTH

SETTINGS_KEPT: Final = 16
"""Settings a judge remembers, the newest told; both ends of a line count alike."""
_MARK: Final = Struct("<IH")
_WORKER, _SETTINGS = 0xFFFE, 0xFFFF
_MARKED: Final = 0xFF  # their upper byte, which few services' index has

_HEADER: Final = Struct("<IHHHHBB?ddIIII")
_HEADER_END: Final = _HEADER.size
_KINDS: Final = tuple(FailureKind)
_KIND_INDEX: Final = {kind: index for index, kind in enumerate(_KINDS)}
_CUT: Final = 0x80


# Of the two that every request makes, `__init__` is written out: compiled, the one of `dataclass` would not be.


@dataclass(slots=True, init=False)
class Side:
    """One side's outcome. `status` 0 means no answer came, for the reason `failure`.

    `fields` are field lines joined by CRLF; `cut`: the capture cap cut the body; `duration` in seconds, from the
    request being sent to the last byte of the answer, 0 where it says nothing about the backend.
    """

    status: int
    duration: float
    fields: bytes
    body: bytes
    cut: bool
    failure: FailureKind | None

    def __init__(  # noqa: PLR0917  as many as a side has
        self,
        status: int,
        duration: float,
        fields: bytes = b"",
        body: bytes = b"",
        cut: bool = False,  # noqa: FBT001, FBT002  as a field of a dataclass
        failure: FailureKind | None = None,
    ) -> None:
        self.status = status
        self.duration = duration
        self.fields = fields
        self.body = body
        self.cut = cut
        self.failure = failure

    @property
    def size(self) -> int:
        """Bytes it holds."""
        return len(self.fields) + len(self.body)


@dataclass(frozen=True, slots=True)
class Greeting:
    """The first frame of a line: the incarnation of the worker whose pairs follow."""

    worker: str


@dataclass(frozen=True, slots=True)
class Told:
    """Settings, as JSON, that pairs of this snapshot are to be judged by."""

    snapshot: int
    settings: bytes


@dataclass(slots=True, init=False)
class Pair:
    """Both outcomes of an exchange; one that `warms_up` is compared, and is no evidence."""

    snapshot: int
    service: int
    endpoint: int
    primary: Side
    candidate: Side
    warms_up: bool

    def __init__(  # noqa: PLR0917  as many as a pair has
        self,
        snapshot: int,
        service: int,
        endpoint: int,
        primary: Side,
        candidate: Side,
        warms_up: bool = False,  # noqa: FBT001, FBT002  as a field of a dataclass
    ) -> None:
        self.snapshot = snapshot
        self.service = service
        self.endpoint = endpoint
        self.primary = primary
        self.candidate = candidate
        self.warms_up = warms_up


def encode_pair(
    snapshot: int, service: int, endpoint: int, primary: Side, candidate: Side, *, warms_up: bool = False
) -> list[bytes]:
    """The pieces of a frame, in order; nothing is copied."""
    p_fields, p_body, c_fields, c_body = primary.fields, primary.body, candidate.fields, candidate.body
    sizes = len(p_fields), len(p_body), len(c_fields), len(c_body)
    header = _HEADER.pack(
        snapshot,
        service,
        endpoint,
        primary.status,
        candidate.status,
        _flags(primary),
        _flags(candidate),
        warms_up,
        primary.duration,
        candidate.duration,
        *sizes,
    )
    return [LENGTH.pack(_HEADER.size + sum(sizes)) + header, p_fields, p_body, c_fields, c_body]


def encode_greeting(worker: str) -> bytes:
    """The frame of a `Greeting`."""
    return _marked(0, _WORKER, worker.encode())


def encode_settings(snapshot: int, settings: bytes) -> bytes:
    """The frame of a `Told`."""
    return _marked(snapshot, _SETTINGS, settings)


def _marked(snapshot: int, mark: int, content: bytes) -> bytes:
    return LENGTH.pack(_MARK.size + len(content)) + _MARK.pack(snapshot, mark) + content


def decode_line(payload: bytes) -> Pair | Told | Greeting:
    """What a frame's payload says. Raises ValueError if it is nothing of ours."""
    if len(payload) >= _MARK.size and payload[5] == _MARKED:
        snapshot, mark = _MARK.unpack_from(payload)
        if mark == _SETTINGS:
            return Told(snapshot, payload[_MARK.size :])
        if mark == _WORKER:
            return Greeting(payload[_MARK.size :].decode())
    return decode_pair(payload)


def _flags(side: Side) -> int:
    if side.failure is not None:
        return _KIND_INDEX[side.failure]
    return _CUT if side.cut else 0


def decode_pair(payload: bytes) -> Pair:
    """The pair of a frame's payload. Raises ValueError if it is none."""
    if len(payload) < _HEADER_END:
        raise ValueError("shorter than a pair's header")
    (
        snapshot,
        service,
        endpoint,
        p_status,
        c_status,
        p_flags,
        c_flags,
        warms_up,
        p_duration,
        c_duration,
        p_fields,
        p_body,
        c_fields,
        c_body,
    ) = _HEADER.unpack_from(payload)
    p_body_at = _HEADER_END + p_fields
    c_fields_at = p_body_at + p_body
    c_body_at = c_fields_at + c_fields
    if c_body_at + c_body != len(payload):
        raise ValueError("sizes do not add up")
    return Pair(
        snapshot,
        service,
        endpoint,
        Side(p_status, p_duration, payload[_HEADER_END:p_body_at], payload[p_body_at:c_fields_at], p_flags == _CUT)
        if p_status
        else _unanswered(p_flags, p_duration),
        Side(c_status, c_duration, payload[c_fields_at:c_body_at], payload[c_body_at:], c_flags == _CUT)
        if c_status
        else _unanswered(c_flags, c_duration),
        warms_up,
    )


def _unanswered(kind: int, duration: float) -> Side:
    if kind >= len(_KINDS):
        raise ValueError(f"there is no failure kind {kind}")
    return Side(0, duration, failure=_KINDS[kind])
