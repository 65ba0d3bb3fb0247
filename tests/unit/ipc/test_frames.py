from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.ipc.frames import LENGTH, MAX_FRAME, FrameError, FrameReader, frame

payloads = st.lists(st.binary(max_size=40), max_size=8)


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


@given(payloads, st.lists(st.integers(0, 10_000), max_size=12))
def test_any_split_of_the_bytes_gives_the_same_payloads(sent: list[bytes], cuts: list[int]) -> None:
    reader = FrameReader()
    stream = b"".join(map(frame, sent))
    assert [payload for part in split(stream, cuts) for payload in reader.feed(part)] == sent


@given(payloads)
def test_bytes_one_by_one_give_the_same_payloads(sent: list[bytes]) -> None:
    reader = FrameReader()
    stream = b"".join(map(frame, sent))
    assert [payload for at in range(len(stream)) for payload in reader.feed(stream[at : at + 1])] == sent


@given(payloads, st.binary(min_size=1, max_size=40))
def test_a_frame_that_is_not_whole_is_kept_back(sent: list[bytes], last: bytes) -> None:
    reader = FrameReader()
    assert reader.feed(b"".join(map(frame, sent)) + frame(last)[:-1]) == sent
    assert reader.feed(last[-1:]) == [last]


def test_a_length_over_the_limit_is_an_error_before_its_bytes_come() -> None:
    with pytest.raises(FrameError, match="over the limit"):
        FrameReader().feed(LENGTH.pack(MAX_FRAME + 1))


def test_a_frame_may_be_as_long_as_the_limit() -> None:
    reader = FrameReader()
    assert reader.feed(LENGTH.pack(MAX_FRAME)) == []
    part = bytes(1 << 20)
    heard = [payload for _ in range(MAX_FRAME // len(part)) for payload in reader.feed(part)]
    assert [len(payload) for payload in heard] == [MAX_FRAME]
