"""What two readers that are not ours make of recorded bytes: the strict one of the kit, and h11.

Everything the proxy itself writes must be read the same by both; what peers were made to send is read by the
strict one alone, which says what a message meant before the proxy touched it.
"""

import re
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import h11

from tests.kit.framing import (
    REQUEST_LINE,
    STATUS_LINE,
    FramingError,
    Head,
    RawRequest,
    RawResponse,
    field_values,
    read_head,
    read_request_rest,
    read_response,
)
from tests.kit.wire import ConnectionEnded, Wire

T = TypeVar("T")
MAX_HEAD = 1 << 20
_HIGHER_MINOR = re.compile(rb"( HTTP/1\.)[2-9](?=\r\n)")
_MAX_EMPTY_LINES = 4
SWITCHING = 101
"""The status behind which bytes are no HTTP any more."""


class Finding(AssertionError):  # noqa: N818  it is what the search is for
    """The proxy did what it must not. `kind` tells findings apart, `detail` shows this one."""

    def __init__(self, kind: str, detail: object = "") -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind


@dataclass(slots=True)
class Requests:
    """The requests in a byte stream; `head` is that of a last one which is malformed or not complete.

    `ends` are the offsets behind each of the whole ones.
    """

    whole: list[RawRequest] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    head: Head | None = None
    rest: bytes = b""
    malformed: str = ""


@dataclass(slots=True)
class Answer:
    """A final response with the interim ones before it. Not `whole`: its end never came, `final.body` is what did."""

    interim: list[RawResponse]
    final: RawResponse
    whole: bool


@dataclass(slots=True)
class Answers:
    """The responses in a byte stream: of a last one without a head only `interim` and `rest` are known."""

    found: list[Answer] = field(default_factory=list)
    interim: list[RawResponse] = field(default_factory=list)
    rest: bytes = b""


def recorded(data: bytes, *, reset: bool = False) -> Wire:
    """A wire that has received all of this, and its end."""
    wire = Wire()
    wire.received += data
    wire.eof = not reset
    wire.lost = reset
    wire.error = ConnectionResetError() if reset else None
    return wire


def settled(reading: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that has nothing to wait for."""
    try:
        reading.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError("it waits for more of a wire that has ended")


def requests_meant(data: bytes) -> Requests:
    """What a client asked for, as the strict reader sees it.

    What comes after a request that closes the connection is nothing. Two leniencies are the proxy's own by
    design: empty lines before a request line (RFC 9112 §2.2) and higher minor versions (RFC 9110 §2.5).
    """
    found = Requests()
    size = len(data)
    while data and not (found.whole and closes(found.whole[-1])):
        for _ in range(_MAX_EMPTY_LINES):
            data = data.removeprefix(b"\r\n")
        if not _read_one_request(found, _HIGHER_MINOR.sub(rb"\g<1>1", data, 1) if _is_higher(data) else data):
            break
        data = found.rest
        found.ends.append(size - len(data))
    return found


def _is_higher(data: bytes) -> bool:
    return _HIGHER_MINOR.search(data, 0, data.find(b"\r\n") + 2) is not None


def requests_received(data: bytes) -> Requests:
    """What a backend received from the proxy; both readers must agree, and a last one may only be cut."""
    found = Requests(rest=data)
    while found.rest and _read_one_request(found, found.rest):
        pass
    if found.malformed:
        raise Finding("malformed request forwarded", found.malformed)
    others = _h11_requests(data)
    if len(others) != len(found.whole):
        raise Finding("forwarded bytes read two ways", f"{len(found.whole)} and {len(others)} requests in {data!r}")
    for one, other in zip(found.whole, others, strict=True):
        _same(one, other, (one.method, one.target), data)
    return found


def _read_one_request(found: Requests, data: bytes) -> bool:
    wire = recorded(data)
    found.rest = data
    found.head = None
    try:
        found.head = settled(read_head(wire, REQUEST_LINE))
        found.whole.append(settled(read_request_rest(wire, found.head)))
    except ConnectionEnded:
        return False
    except FramingError as error:
        found.malformed = str(error)
        return False
    found.head = None
    found.rest = wire.unread
    return True


def closes(request: RawRequest) -> bool:
    """Whether the client may send nothing after it."""
    tokens = b",".join(request.values(b"connection")).lower().split(b",")
    return b"close" in [token.strip(b" \t") for token in tokens] or request.start_line.endswith(b"HTTP/1.0")


def answers_received(data: bytes, methods: Sequence[bytes], *, reset: bool) -> Answers:
    """What a client received from the proxy to requests of these methods; both readers must agree."""
    found = Answers(rest=data)
    for method in methods:
        answer = _read_answer(found, method.decode(), reset=reset)
        if answer is None:
            return found
        found.found.append(answer)
        if not answer.whole:
            return found
        if answer.final.status == SWITCHING:
            return found
        _same_as_h11(answer, method)
    return found


def _read_answer(found: Answers, method: str, *, reset: bool) -> Answer | None:
    interim: list[RawResponse] = []
    found.interim = interim
    while found.rest:
        wire = recorded(found.rest, reset=reset)
        try:
            response = settled(read_response(wire, method))
        except ConnectionEnded:
            return _cut_answer(found, interim, recorded(found.rest))
        except FramingError as error:
            if reset and not _has_framing(found.rest):
                return _cut_answer(found, interim, recorded(found.rest))
            raise Finding("malformed answer", error) from None
        found.rest = wire.unread
        if response.status >= 200 or response.status == SWITCHING:
            return Answer(interim, response, whole=True)
        interim.append(response)
    return None


def _has_framing(data: bytes) -> bool:
    head = settled(read_head(recorded(data), STATUS_LINE))
    return bool(field_values(head.lines, b"content-length") or field_values(head.lines, b"transfer-encoding"))


def _cut_answer(found: Answers, interim: list[RawResponse], wire: Wire) -> Answer | None:
    """What is there of an answer whose end never came; None if not even its head is whole."""
    try:
        head = settled(read_head(wire, STATUS_LINE))
    except ConnectionEnded:
        return None
    found.rest = b""
    return Answer(interim, RawResponse(head.start_line, head.lines, wire.unread, [], b""), whole=False)


# --- h11


@dataclass(slots=True)
class _H11Message:
    head: h11.Request | h11.Response
    body: bytes
    trailers: list[tuple[bytes, bytes]]


def _h11_requests(data: bytes) -> list[_H11Message]:
    found = []
    while data:
        reader = h11.Connection(h11.SERVER, MAX_HEAD)
        message = _h11_message(reader, data)
        if message is None:
            break
        found.append(message)
        data = reader.trailing_data[0]
    return found


def _h11_message(reader: h11.Connection, data: bytes) -> _H11Message | None:
    """The next message in these bytes, None if it is cut. Interim responses are skipped."""
    reader.receive_data(data)
    try:
        head = reader.next_event()
        while isinstance(head, h11.InformationalResponse):
            head = reader.next_event()
        if not isinstance(head, h11.Request | h11.Response):
            return None
        body = b""
        while isinstance(event := reader.next_event(), h11.Data):
            body += event.data
        if event is h11.NEED_DATA and isinstance(head, h11.Response):
            reader.receive_data(b"")
            while isinstance(event := reader.next_event(), h11.Data):
                body += event.data
    except h11.RemoteProtocolError as error:
        raise Finding("h11 refuses what the proxy wrote", f"{error}: {data!r}") from None
    return _H11Message(head, body, event.headers.raw_items()) if isinstance(event, h11.EndOfMessage) else None


def _same_as_h11(answer: Answer, method: bytes) -> None:
    raw = b"".join(response.raw for response in [*answer.interim, answer.final])
    reader = h11.Connection(h11.CLIENT, MAX_HEAD)
    reader.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    reader.send(h11.EndOfMessage())
    message = _h11_message(reader, raw)
    if message is None:
        raise Finding("answer read two ways", f"not complete to h11: {raw!r}")
    assert isinstance(message.head, h11.Response)
    _same(answer.final, message, (answer.final.status, answer.final.reason), raw)


def _same(one: RawRequest | RawResponse, other: _H11Message, start: tuple[object, object], data: bytes) -> None:
    head = other.head
    if isinstance(head, h11.Request):
        other_start: tuple[object, object] = head.method, head.target
    else:
        other_start = head.status_code, head.reason
    ours = (start, pairs(one.lines), one.body, pairs(one.trailers))
    theirs = (other_start, _lower(head.headers.raw_items()), other.body, _lower(other.trailers))
    if ours != theirs:
        raise Finding("bytes read two ways", f"{ours} and {theirs} in {data!r}")


def _lower(fields: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in fields]


def pairs(lines: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """Lower-case names with trimmed values."""
    return [(name.lower(), value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines)]
