"""What a backend's bytes are worth: the answer they make, once all that may be repaired is repaired."""

import re
from dataclasses import dataclass

from tests.fuzz.backend import Seen
from tests.fuzz.case import Ending
from tests.fuzz.reading import SWITCHING, recorded, settled
from tests.kit.framing import STATUS_LINE, FramingError, RawResponse, read_head, read_response
from tests.kit.wire import ConnectionEnded

_HEAD = re.compile(rb"\A(.*?)\r?\n\r?\n", re.DOTALL)
_LEGAL_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] [1-9][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?")


@dataclass(slots=True)
class Worth:
    """What a reply means: interim answers, then a final one that is `whole`, cut (no `whole`), or none at all."""

    interim: list[RawResponse]
    final: RawResponse | None
    whole: bool


def worth_of(data: bytes, method: bytes, ending: Ending) -> Worth:
    """What a client of the backend would have understood of these bytes as the answer to such a request."""
    interim: list[RawResponse] = []
    while True:
        strict = repaired(data)
        head = None
        try:
            head = settled(read_head(recorded(strict), STATUS_LINE))
            wire = recorded(strict, reset=ending is Ending.RST)
            response = settled(read_response(wire, method.decode()))
        except (ConnectionEnded, FramingError):
            cut = None if head is None else RawResponse(head.start_line, head.lines, b"", [], b"")
            return Worth(interim, cut, whole=False)
        is_until_close = not wire.unread and _lasts_until_close(response, method)
        if response.status >= 200 or response.status == SWITCHING:
            return Worth(interim, response, whole=not is_until_close or ending is Ending.FIN)
        interim.append(response)
        data = wire.unread


def _lasts_until_close(response: RawResponse, method: bytes) -> bool:
    if method == b"HEAD" or response.status < 200 or response.status in {204, 304}:
        return False
    return not response.values(b"content-length") and not response.values(b"transfer-encoding")


def is_poison(seen: Seen) -> bool:
    """Whether a backend says more, after the end of its answer, than the proxy can know when it sends on.

    Bytes in the piece that ends an answer must close the connection. Later ones may meet the next request.
    """
    whole = 0
    for end in range(1, len(seen.reply.pieces) + 1):
        worth = worth_of(b"".join(seen.reply.pieces[:end]), seen.method, Ending.KEEP)
        if worth.whole:
            whole = end
            break
    return bool(whole) and whole < len(seen.reply.pieces)


def ends_badly(seen: Seen) -> bool:
    """Whether the next request on its connection may be lost on its way."""
    return seen.reply.ending is not Ending.KEEP or is_poison(seen)


def repaired(data: bytes) -> bytes:
    """A backend's bytes with its first head as a strict reader would have it, where the checklist says so.

    Bare LF, folded lines, blanks before a colon, higher minor versions, a missing reason with its space,
    repeated lengths, framing where no body can be. Whatever else is wrong stays wrong.
    """
    found = _HEAD.match(data)
    if found is None:
        return data
    start, *lines = re.split(rb"\r?\n", found[1])
    if lines and lines[0][:1] in {b" ", b"\t"}:
        return data
    text = re.sub(rb"[ \t]*\n[ \t]+", b" ", b"\n".join(lines))
    lines = [re.sub(rb"^([^\s:]+)[ \t]+:", rb"\1:", line) for line in text.split(b"\n")] if lines else []
    if not _LEGAL_STATUS_LINE.fullmatch(start):
        return data
    start = re.sub(rb"^HTTP/1\.[2-9]", b"HTTP/1.1", start)
    if len(start) == 12:
        start += b" "
    lines = _one_length(lines)
    if start[9:10] == b"1" or start[9:12] == b"204":
        lines = _unframed(lines)
    return b"\r\n".join([start, *lines, b"", b""]) + data[found.end() :]


def _one_length(lines: list[bytes]) -> list[bytes]:
    """Identical lengths as one line at the end. RFC 9112 §6.3."""
    mine = [line for line in lines if line.lower().startswith(b"content-length:")]
    values = {m.strip(b" \t") for line in mine for m in line.partition(b":")[2].split(b",")}
    numbers = {int(value) for value in values if re.fullmatch(rb"[0-9]{1,19}", value)}
    if mine and len(numbers) == 1 and all(re.fullmatch(rb"[0-9]{1,19}", value) for value in values):
        rest = [line for line in lines if line not in mine]
        return [*rest, b"Content-Length: %d" % numbers.pop()]
    return lines


def _unframed(lines: list[bytes]) -> list[bytes]:
    """Without framing, whatever it says, for a response that has no body anyway. RFC 9112 §6.1, §6.3."""
    kept = []
    for line in lines:
        name, _, value = line.partition(b":")
        is_length = name.lower() == b"content-length" and re.fullmatch(rb"[ \t]*[0-9]{1,19}[ \t]*", value)
        is_coding = name.lower() == b"transfer-encoding" and re.fullmatch(rb"[\t\x20-\x7e\x80-\xff]*", value)
        if not (is_length or is_coding):
            kept.append(line)
    return kept
