"""A failing case made as small as it gets while it fails in the same way."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from time import monotonic

from tests.fuzz.case import Case, Ending, Move, Reply, When

Fails = Callable[[Case], bool]
LONGEST_S = 20.0


def reduced(case: Case, fails: Fails, longest_s: float = LONGEST_S) -> Case:
    """The smallest case found in this time that still fails."""
    end = monotonic() + longest_s
    shrinks = True
    while shrinks:
        shrinks = False
        for smaller in _smaller(case):
            if monotonic() > end:
                return case
            if _size(smaller) < _size(case) and fails(smaller):
                case = smaller
                shrinks = True
                break
    return case


def _size(case: Case) -> tuple[int, ...]:
    replies = (*case.replies, *case.copies)
    odd = sum((reply.when is not When.COMPLETE) + (reply.ending is not Ending.KEEP) for reply in replies)
    pieces = len(case.client) + sum(len(reply.pieces) for reply in replies)
    bytes_ = len(case.sent) + sum(len(reply.data) for reply in replies)
    return len(replies), len(case.moves), odd, pieces + bytes_, case.setting != "usual"


def _smaller(case: Case) -> Iterator[Case]:
    """Cases with a little less in them, the big steps first."""
    if case.setting != "usual":
        yield replace(case, setting="usual")
    if case.copies:
        yield replace(case, copies=())
    if case.replies:
        yield replace(case, replies=())
    yield from (replace(case, replies=replies) for replies in _fewer(case.replies))
    yield from (replace(case, copies=copies) for copies in _fewer(case.copies))
    yield replace(case, client=_joined(case.client))
    for start, end in _ranges(len(case.client)):
        yield replace(case, client=case.client[:start] + case.client[end:])
        if end - start > 1:
            yield replace(case, client=case.client[:start] + _joined(case.client[start:end]) + case.client[end:])
    for at, step in enumerate(case.client):
        if isinstance(step, bytes):
            yield from (
                replace(case, client=(*case.client[:at], b, *case.client[at + 1 :])) for b in _smaller_bytes(step)
            )


def _fewer(replies: tuple[Reply, ...]) -> Iterator[tuple[Reply, ...]]:
    for at, reply in enumerate(replies):
        yield replies[:at] + replies[at + 1 :]
        yield from ((*replies[:at], smaller, *replies[at + 1 :]) for smaller in _smaller_replies(reply))


def _joined(steps: tuple[bytes | Move, ...]) -> tuple[bytes | Move, ...]:
    """With the bytes between moves in one piece."""
    joined: list[bytes | Move] = []
    for step in steps:
        last = joined[-1] if joined else None
        if isinstance(step, bytes) and isinstance(last, bytes):
            joined[-1] = last + step
        else:
            joined.append(step)
    return tuple(joined)


def _smaller_replies(reply: Reply) -> Iterator[Reply]:
    if reply.when is not When.COMPLETE:
        yield replace(reply, when=When.COMPLETE)
    if reply.ending is not Ending.KEEP:
        yield replace(reply, ending=Ending.KEEP)
    if len(reply.pieces) > 1:
        yield replace(reply, pieces=(reply.data,))
        for start, end in _ranges(len(reply.pieces)):
            yield replace(reply, pieces=(*reply.pieces[:start], b"".join(reply.pieces[start:end]), *reply.pieces[end:]))
    for at, piece in enumerate(reply.pieces):
        for smaller in _smaller_bytes(piece):
            yield replace(reply, pieces=(*reply.pieces[:at], smaller, *reply.pieces[at + 1 :]))


def _smaller_bytes(data: bytes) -> Iterator[bytes]:
    """Without some of its lines, then without some of its bytes."""
    lines = re.findall(rb"[^\n]*\n|[^\n]+", data)
    yield from (b"".join(lines[:start] + lines[end:]) for start, end in _ranges(len(lines)))
    yield from (data[:start] + data[end:] for start, end in _ranges(len(data)))


def _ranges(size: int) -> Iterator[tuple[int, int]]:
    """Halves, quarters and so on, down to pairs and single ones."""
    step = size // 2
    while step > 1:
        yield from ((at, min(at + step, size)) for at in range(0, size, step))
        step //= 2
    yield from ((at, at + 2) for at in range(size - 1))
    yield from ((at, at + 1) for at in range(size))
