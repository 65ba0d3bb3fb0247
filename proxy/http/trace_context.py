"""Trace context: which trace a request belongs to. W3C Trace Context, https://www.w3.org/TR/trace-context/.

A request that takes part in a trace carries `traceparent: 00-<trace-id>-<parent-id>-<flags>`. A served request
passes it untouched: this proxy is no span of the trace. A copy is a second call within it, so it gets a
parent-id of its own, lest the work of both backends look like that of one call; trace-id, flags and
`tracestate` stay. What is not valid or of another version is not ours to read and passes as it came.

The name is looked for as clients write it, `traceparent` or `Traceparent`: every copy pays for this search.
"""

import re
from typing import Final

PARENT_ID_BITS: Final = 64
PARENT_ID_DIGITS: Final = 16

_NAME: Final = b"raceparent:"
_TRACEPARENT: Final = re.compile(
    rb"\r\n[tT]raceparent:[ \t]*00-(?!0{32})[0-9a-f]{32}-((?!0{16})[0-9a-f]{16})-[0-9a-f]{2}[ \t]*\r\n"
)
_BEFORE: Final = len(b"\r\nT")


def parent_id_at(head: bytes) -> int:
    """Where the digits of the parent-id begin in a request head, -1 if it takes no part in a trace. §3.2.2."""
    at = head.find(_NAME)
    while at >= 0:
        if found := _TRACEPARENT.match(head, at - _BEFORE):
            return found.start(1)
        at = head.find(_NAME, at + 1)  # that was no line of its own, or not valid
    return -1
