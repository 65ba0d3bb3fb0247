"""The requests in a client's bytes, one at a time: no transport, no clock, no answers.

Theory of operation. Whoever has bytes adds them to `waiting`; `next_head` takes a head out of them, and what is
behind it stays there, untouched. If a body follows, `begin_body` takes what has come of it and `body_data` what
comes later; when `body_done`, `waiting` is what follows the request. After a refusal nothing more can be read.
"""

from typing import Final

from proxy.config.models import Limits
from proxy.core.reasons import Refused
from proxy.http.body import Body, BodyFault, ChunkedBody, LengthBody
from proxy.http.refusal import Refusal
from proxy.http.request_head import (
    BAD_REQUEST_LINE,
    HEAD_END,
    MAX_EMPTY_LINES,
    RequestHead,
    find_head_end,
    parse_request_head,
)

_FAULTS: Final = {
    BodyFault.CHUNK: Refusal(400, Refused.CHUNK),
    BodyFault.CHUNK_OVERHEAD: Refusal(400, Refused.CHUNK_OVERHEAD),
    BodyFault.TRAILERS: Refusal(431, Refused.TRAILERS),
}
BODY_TOO_LONG: Final = Refusal(413, Refused.BODY_BYTES)


class RequestReader:
    """See the module.

    Attributes:
        waiting: bytes not read yet.
        own_forwarded: as `parse_request_head` takes it.
        refusal: what is wrong with the body, if anything is.
        body_done: whether the body is complete.
        trailers: those that came with its end and may be forwarded.
    """

    __slots__ = ("_body", "_body_bytes", "_limits", "body_done", "own_forwarded", "refusal", "trailers", "waiting")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._body: Body = LengthBody(0)
        self._body_bytes = 0
        self.own_forwarded = True
        self.refusal: Refusal | None = None
        self.body_done = False
        self.trailers: list[bytes] = []
        self.waiting = b""

    @property
    def is_empty(self) -> bool:
        """Whether there is no byte of a request; empty lines before one do not count. RFC 9112 §2.2."""
        return not self.waiting.strip(b"\r\n")

    @property
    def is_at_head_request(self) -> bool:
        """Whether what waits, well-formed or not, is a HEAD request: then its answer has no body."""
        return self.waiting.lstrip(b"\r\n").startswith(b"HEAD ")

    def next_head(self) -> RequestHead | Refusal | None:
        """The next head, what is wrong with it, or None if more bytes are needed. Something must be waiting.

        A refusal that ends the connection leaves `waiting` as it was.
        """
        data = self.waiting
        if data[0] in b"\r\n":
            skipped = _skip_empty_lines(data)
            if not isinstance(skipped, bytes):
                return skipped
            data = skipped
        end = find_head_end(data, self._limits)
        if not isinstance(end, int):
            return end
        head = parse_request_head(data[:end], self._limits, own_forwarded=self.own_forwarded)
        if not (isinstance(head, Refusal) and head.close):
            self.waiting = data[end + len(HEAD_END) :]
        return head

    def begin_body(self, head: RequestHead) -> bytes:
        """The body bytes that came with the head."""
        limits = self._limits
        if 0 < limits.body_bytes < head.length:
            self.refusal = BODY_TOO_LONG
            return b""
        self._body = ChunkedBody(limits, head.nominated) if head.chunked else LengthBody(head.length)
        self._body_bytes = 0
        self.body_done = False
        data, self.waiting = self.waiting, b""
        return self.body_data(data) if data else b""

    def body_data(self, data: bytes) -> bytes:
        """What of these bytes is payload."""
        body = self._body
        payload = body.feed(data)
        self._body_bytes += len(payload)
        if body.fault:
            self.refusal = _FAULTS[body.fault]
        elif 0 < self._limits.body_bytes < self._body_bytes:
            self.refusal = BODY_TOO_LONG
        elif body.done:
            self.body_done = True
            self.trailers = body.trailers
            self.waiting, body.rest = body.rest, b""
        return payload


def _skip_empty_lines(data: bytes) -> bytes | Refusal | None:
    """The data behind leading empty lines, None if there is none yet. RFC 9112 §2.2."""
    for _ in range(MAX_EMPTY_LINES):
        if not data.startswith(b"\r\n"):
            break
        data = data[2:]
    if data[:1] == b"\n" or data[:2] == b"\r\n" or (data[:1] == b"\r" and len(data) > 1):
        return BAD_REQUEST_LINE
    return data if data not in {b"", b"\r"} else None
