from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.reasons import FailureKind
from proxy.ipc.frames import LENGTH, FrameReader
from proxy.ipc.pairs import (
    Greeting,
    Pair,
    Side,
    Told,
    decode_line,
    decode_pair,
    encode_greeting,
    encode_pair,
    encode_settings,
)

durations = st.floats(0.0, 1e6)
answers = st.builds(
    Side,
    status=st.integers(100, 999),
    duration=durations,
    fields=st.binary(max_size=40),
    body=st.binary(max_size=200),
    cut=st.booleans(),
)
failures = st.builds(lambda duration, kind: Side(0, duration, failure=kind), durations, st.sampled_from(FailureKind))
sides = answers | failures


def payload(*sides: Side) -> bytes:
    return b"".join(encode_pair(1, 2, 3, *sides))[LENGTH.size :]


pairs = st.builds(
    Pair,
    snapshot=st.integers(0, 2**32 - 1),
    service=st.integers(0, 2**16 - 3),
    endpoint=st.integers(0, 2**16 - 1),
    primary=sides,
    candidate=sides,
    warms_up=st.booleans(),
)


@given(pairs)
def test_a_pair_arrives_as_it_was_sent(pair: Pair) -> None:
    frame = b"".join(
        encode_pair(pair.snapshot, pair.service, pair.endpoint, pair.primary, pair.candidate, warms_up=pair.warms_up)
    )
    (received,) = FrameReader().feed(frame)
    assert decode_line(received) == pair


@given(st.integers(0, 2**32 - 1), st.binary(max_size=40), st.text(max_size=20))
def test_greetings_and_settings_arrive_as_they_were_sent(snapshot: int, settings: bytes, worker: str) -> None:
    frames = encode_greeting(worker) + encode_settings(snapshot, settings)
    assert [decode_line(payload) for payload in FrameReader().feed(frames)] == [
        Greeting(worker),
        Told(snapshot, settings),
    ]


@given(answers, failures)
def test_nothing_is_copied_to_make_a_frame(one: Side, other: Side) -> None:
    pieces = encode_pair(1, 2, 3, one, other)
    assert pieces[1] is one.fields
    assert pieces[2] is one.body


def test_a_side_is_as_big_as_what_it_holds() -> None:
    assert Side(200, 0.0, b"A: 1", b"body").size == 8


@pytest.mark.parametrize(
    "change", [lambda data: data[:-1], lambda data: data + b"x", lambda data: data[:20], lambda _: b""]
)
def test_a_payload_of_another_size_is_no_pair(change: "type[bytes]") -> None:
    with pytest.raises(ValueError, match=r"header|add up"):
        decode_pair(change(payload(Side(200, 0.0, b"A: 1", b"body"), Side(0, 0.0, failure=FailureKind.RESET))))


@given(st.binary(max_size=80), st.lists(st.tuples(st.integers(0, 49), st.integers(0, 255)), max_size=4))
def test_no_bytes_raise_anything_but_value_error(data: bytes, edits: list[tuple[int, int]]) -> None:
    spoilt = bytearray(payload(Side(200, 0.0), Side(0, 0.0, failure=FailureKind.RESET)))
    for at, value in edits:
        spoilt[at % len(spoilt)] = value
    for garbage in (data, bytes(spoilt)):
        with suppress(ValueError):
            decode_line(garbage)
