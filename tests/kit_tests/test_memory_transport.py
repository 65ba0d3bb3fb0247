import asyncio

import pytest

from tests.kit.clock import FakeClock
from tests.kit.memory_transport import MemoryTransport, memory_pair
from tests.kit.wire import Ending, Wire


class Recorder(asyncio.Protocol):
    """Keeps every call in `calls`; answers `eof_received` with `keep_open`."""

    def __init__(self, *, keep_open: bool = False) -> None:
        self.calls: list[object] = []
        self._keep_open = keep_open

    def connection_made(self, _: asyncio.BaseTransport) -> None:
        self.calls.append("made")

    def data_received(self, data: bytes) -> None:
        self.calls.append(data)

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return self._keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append(exc if exc is None else type(exc))

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")


class Pair:
    """Two recorders joined over a fake clock, connected and with empty call lists."""

    def __init__(self, *, piece: int | None = None, keep_open: bool = False) -> None:
        self.clock = FakeClock()
        self.client, self.server = Recorder(), Recorder(keep_open=keep_open)
        self.near, self.far = memory_pair(self.client, self.server, self.clock, piece=piece)
        self.run()
        assert self.client.calls == self.server.calls == ["made"]
        self.client.calls.clear()
        self.server.calls.clear()

    def run(self) -> None:
        self.clock.run_ready()


def test_nothing_arrives_inside_the_call_that_sent_it() -> None:
    pair = Pair()
    pair.near.write(b"ab")
    assert pair.server.calls == []
    pair.run()
    assert pair.server.calls == [b"ab"]


def test_each_write_arrives_as_one_piece() -> None:
    pair = Pair()
    pair.near.write(b"a")
    pair.near.write(bytearray(b"bc"))
    pair.near.writelines([b"d", b"e"])
    pair.run()
    assert pair.server.calls == [b"a", b"bc", b"de"]


def test_pieces_can_be_limited() -> None:
    pair = Pair(piece=2)
    pair.near.write(b"abcde")
    pair.run()
    assert pair.server.calls == [b"ab", b"cd", b"e"]


def test_both_directions_are_independent() -> None:
    pair = Pair()
    pair.near.pause_reading()
    pair.near.write(b"up")
    pair.far.write(b"down")
    pair.run()
    assert (pair.server.calls, pair.client.calls) == ([b"up"], [])
    assert not pair.near.is_reading()
    pair.near.resume_reading()
    pair.run()
    assert pair.client.calls == [b"down"]


def test_reader_that_pauses_inside_data_received_gets_no_more() -> None:
    pair = Pair(piece=1)
    pair.far.set_protocol(server := Pausing(pair.far))
    pair.near.write(b"abc")
    pair.run()
    assert server.calls == [b"a"]
    pair.far.resume_reading()
    pair.run()
    assert server.calls == [b"a", b"b"]


class Pausing(Recorder):
    """Pauses reading with every piece."""

    def __init__(self, transport: MemoryTransport) -> None:
        super().__init__()
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._transport.pause_reading()


def test_paused_reader_pauses_the_writer_at_the_high_mark_and_resumes_it_at_the_low_one() -> None:
    pair = Pair(piece=1)
    pair.near.set_write_buffer_limits(high=4, low=2)
    pair.far.pause_reading()
    pair.near.write(b"1234")
    assert pair.client.calls == []
    pair.near.write(b"5")
    assert pair.client.calls == ["pause"]
    pair.near.write(b"6")
    pair.run()
    assert pair.near.get_write_buffer_size() == 6
    pair.far.set_protocol(Pausing(pair.far))
    sizes_when_resumed = []
    while pair.near.get_write_buffer_size():
        pair.far.resume_reading()
        pair.run()
        if "resume" in pair.client.calls:
            sizes_when_resumed.append(pair.near.get_write_buffer_size())
    assert pair.client.calls == ["pause", "resume"]
    assert sizes_when_resumed == [2, 1, 0]


@pytest.mark.parametrize(
    ("given", "limits"),
    [({}, (16_384, 65_536)), ({"high": 0}, (0, 0)), ({"high": 8}, (2, 8)), ({"low": 3}, (3, 12))],
    ids=str,
)
def test_water_marks_follow_asyncio(given: dict[str, int], limits: tuple[int, int]) -> None:
    near = Pair().near
    near.set_write_buffer_limits(**given)
    assert near.get_write_buffer_limits() == limits


def test_half_close_lets_the_other_direction_go_on() -> None:
    pair = Pair(keep_open=True)
    pair.near.write(b"request")
    pair.near.write_eof()
    pair.run()
    pair.far.write(b"answer")
    pair.run()
    assert pair.server.calls == [b"request", "eof"]
    assert pair.client.calls == [b"answer"]
    assert not pair.near.is_closing()


def test_eof_closes_a_protocol_that_does_not_keep_it_open() -> None:
    pair = Pair()
    pair.near.write_eof()
    pair.run()
    assert pair.server.calls == ["eof", None]
    assert pair.client.calls == ["eof", None]


def test_close_delivers_what_was_written_first() -> None:
    pair = Pair(piece=1)
    pair.near.write(b"ab")
    pair.near.close()
    pair.near.write(b"ignored")
    assert pair.near.is_closing()
    pair.run()
    assert pair.server.calls == [b"a", b"b", "eof", None]
    assert pair.client.calls == [None]


def test_fin_waits_behind_bytes_a_paused_reader_has_not_taken() -> None:
    pair = Pair()
    pair.far.pause_reading()
    pair.near.write(b"rest")
    pair.near.close()
    pair.run()
    assert (pair.client.calls, pair.server.calls) == ([], [])
    pair.far.resume_reading()
    pair.run()
    assert pair.server.calls[:2] == [b"rest", "eof"]
    assert pair.client.calls == [None]


def test_close_ends_at_once_when_a_paused_peer_owes_no_bytes() -> None:
    pair = Pair()
    pair.far.pause_reading()
    pair.near.close()
    pair.run()
    assert (pair.client.calls, pair.server.calls) == ([None], [])
    pair.far.resume_reading()
    pair.run()
    assert pair.server.calls == ["eof", None]


def test_write_after_write_eof_is_an_error_of_the_caller() -> None:
    near = Pair().near
    near.write_eof()
    with pytest.raises(RuntimeError, match="after write_eof"):
        near.write(b"a")


def test_abort_drops_what_was_written_and_resets_the_peer() -> None:
    pair = Pair()
    pair.far.pause_reading()
    pair.near.write(b"lost")
    pair.far.write(b"lost too")
    pair.near.abort()
    pair.run()
    assert (pair.client.calls, pair.server.calls) == ([None], [])
    pair.far.resume_reading()
    pair.run()
    assert pair.server.calls == [ConnectionResetError]


def test_write_to_a_closed_peer_is_answered_by_a_reset() -> None:
    pair = Pair(keep_open=True)
    pair.near.close()
    pair.run()
    pair.far.write(b"too late")
    pair.run()
    assert pair.client.calls == [None]
    assert pair.server.calls == ["eof", ConnectionResetError]


def test_nothing_is_pending_once_both_sides_have_ended() -> None:
    pair = Pair()
    pair.near.write(b"a")
    pair.near.close()
    pair.run()
    assert pair.clock.pending == 0
    assert pair.near.get_write_buffer_size() == pair.far.get_write_buffer_size() == 0


async def test_pair_drives_protocols_on_a_real_loop(any_loop: asyncio.AbstractEventLoop) -> None:
    client, server = Wire(), Wire()
    memory_pair(client, server, any_loop)
    await asyncio.sleep(0)
    await client.send(b"ping\r\n")
    assert await server.take_line() == b"ping"
    server.reset()
    await client.ended()
    assert client.ending is Ending.RESET


def test_addresses_are_told_like_a_socket_would() -> None:
    pair = Pair()
    assert pair.near.get_extra_info("peername") == pair.far.get_extra_info("sockname") == ("127.0.0.1", 8_080)
    assert pair.near.can_write_eof()
    assert pair.near.get_protocol() is pair.client
