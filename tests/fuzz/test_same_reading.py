"""Heads and bodies by hypothesis: what our parsers accept, h11 reads from what we forward in the same way."""

from random import Random

import h11
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.models import Limits
from proxy.http.body import ChunkedBody, chunk, last_chunk
from proxy.http.fields import LINES
from proxy.http.refusal import Refusal
from proxy.http.request_head import HEAD_END, RequestHead, parse_request_head
from proxy.http.response_head import ResponseHead, parse_response_head, split_response_head
from tests.fuzz.grammar import Dice, Odd, answer, chunked, request
from tests.fuzz.mutation import mutated
from tests.fuzz.reading import MAX_HEAD, pairs

LIMITS = Limits()
dice = st.randoms(use_true_random=False).map(Dice)
random_dice = st.integers(0, 2**32).map(Random).map(Dice)
"""Faster, and as good where nothing needs to be made small."""
fixed = settings(derandomize=True, max_examples=400)


def _forwarded(head: RequestHead | ResponseHead) -> bytes:
    return b"\r\n".join([part for part in (head.start, head.fields) if part]) + HEAD_END


@given(dice, st.integers(0, 3))
@fixed
def test_h11_reads_a_forwarded_request_head_as_we_did(dice: Dice, times: int) -> None:
    head, _, _ = mutated(dice, request(dice, 0), times).partition(HEAD_END)
    read = parse_request_head(head, LIMITS)
    if not isinstance(read, RequestHead) or not read.host:
        return
    peer = h11.Connection(h11.SERVER, MAX_HEAD)
    peer.receive_data(_forwarded(read))
    event = peer.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, event.target) == (read.method, read.target)
    assert event.headers.raw_items() == [(name, value) for name, value in _as_spelt(read.fields)]
    found = dict(event.headers)
    assert found[b"host"] == read.host
    assert (found.get(b"transfer-encoding") == b"chunked") is read.chunked
    assert int(found.get(b"content-length", b"-1")) == read.length


@given(dice, st.integers(0, 3))
@fixed
def test_h11_reads_a_forwarded_response_head_as_we_did(dice: Dice, times: int) -> None:
    data = mutated(dice, answer(dice, 0), times)
    split = split_response_head(data)
    read = parse_response_head(split[0], LIMITS) if split else None
    if not isinstance(read, ResponseHead) or read.status == 101:
        return
    peer = h11.Connection(h11.CLIENT, MAX_HEAD)
    peer.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    peer.receive_data(_forwarded(read))
    event = peer.next_event()
    assert isinstance(event, h11.Response | h11.InformationalResponse)
    assert (event.status_code, event.reason) == (read.status, read.start[13:])
    assert event.headers.raw_items() == [(name, value) for name, value in _as_spelt(read.fields)]


@given(dice, st.integers(0, 2), st.booleans())
@fixed
def test_h11_reads_an_accepted_body_as_we_did(dice: Dice, times: int, is_response: bool) -> None:  # noqa: FBT001
    data = mutated(dice, chunked(dice, b"<q0>" * dice.below(9), Odd.NOTHING), times)
    body = ChunkedBody(LIMITS, padded=is_response)
    payload = body.feed(data)
    if not body.done:
        return
    peer = h11.Connection(h11.SERVER, MAX_HEAD)
    peer.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    peer.next_event()
    peer.receive_data(chunk(payload) + last_chunk(body.trailers))
    read = b""
    while isinstance(event := peer.next_event(), h11.Data):
        read += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert (read, [(name.lower(), value) for name, value in event.headers.raw_items()]) == (
        payload,
        pairs(body.trailers),
    )


@given(random_dice, st.integers(0, 3))
@fixed
def test_what_was_read_before_does_not_matter(dice: Dice, times: int) -> None:
    head, _, _ = mutated(dice, request(dice, 0), times).partition(HEAD_END)
    warm = _said(parse_request_head(head, LIMITS))
    again = _said(parse_request_head(head, LIMITS))
    LINES.forget()
    assert warm == again == _said(parse_request_head(head, LIMITS))


def _said(read: RequestHead | Refusal) -> object:
    if isinstance(read, Refusal):
        return read
    return read.start, read.fields, read.host, read.length, read.chunked, read.keep_alive, read.nominated, read.vias


def _as_spelt(fields: bytes) -> list[tuple[bytes, bytes]]:
    lines = [line.partition(b":") for line in fields.split(b"\r\n") if line]
    return [(name, value.strip(b" \t")) for name, _, value in lines]
