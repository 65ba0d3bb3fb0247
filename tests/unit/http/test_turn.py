from proxy.http.turn import FLUSH_BYTES, Lane, Turn
from tests.kit.clock import FakeClock
from tests.kit.memory_transport import MemoryTransport, memory_pair
from tests.kit.wire import Wire


class Peers:
    """A turn, and transports with somebody at their far end."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.turn = Turn(self.clock.call_soon)
        self.order: list[bytes] = []

    def transport(self) -> tuple[MemoryTransport, Wire]:
        far = Wire()
        near, _ = memory_pair(Wire(), far, self.clock)
        self.clock.run_ready()
        return near, far


def test_writes_wait_for_the_end_of_the_turn() -> None:
    peers = Peers()
    near, far = peers.transport()
    peers.turn.write(Lane.CLIENT, near, b"a")
    assert near.get_write_buffer_size() == 0
    peers.clock.run_ready()
    assert bytes(far.received) == b"a"


def test_what_clients_wait_for_goes_out_first_and_order_is_kept_in_a_lane() -> None:
    written: list[bytes] = []

    class Noting(MemoryTransport):
        def write(self, data: bytes | bytearray | memoryview) -> None:
            written.append(bytes(data))

    clock = FakeClock()
    turn = Turn(clock.call_soon)
    near = Noting(Wire(), clock, None, {})
    for lane, data in [(Lane.MIRROR, b"m"), (Lane.SERVING, b"s1"), (Lane.CLIENT, b"c"), (Lane.SERVING, b"s2")]:
        turn.write(lane, near, data)
    clock.run_ready()
    assert written == [b"c", b"s1", b"s2", b"m"]


def test_flushing_early_leaves_nothing_for_the_end_of_the_turn() -> None:
    peers = Peers()
    near, far = peers.transport()
    peers.turn.write(Lane.SERVING, near, b"a")
    peers.turn.flush()
    peers.turn.write(Lane.SERVING, near, b"b")
    peers.clock.run_ready()
    assert bytes(far.received) == b"ab"
    assert peers.clock.pending == 0


def test_a_connection_closed_during_the_turn_does_not_stop_the_others() -> None:
    peers = Peers()
    ended, ended_far = peers.transport()
    near, far = peers.transport()
    peers.turn.write(Lane.CLIENT, ended, b"lost")
    peers.turn.write(Lane.CLIENT, near, b"a")
    ended.write_eof()  # what is written after it raises
    peers.clock.run_ready()
    assert bytes(far.received) == b"a"
    assert bytes(ended_far.received) == b""


def test_a_write_caused_by_a_write_goes_out_too() -> None:
    peers = Peers()
    near, far = peers.transport()

    class Echo(Wire):
        def data_received(self, data: bytes) -> None:
            peers.turn.write(Lane.SERVING, near, data[::-1])

    other, _ = memory_pair(Wire(), Echo(), peers.clock)
    peers.clock.run_ready()
    peers.turn.write(Lane.CLIENT, other, b"once")
    peers.clock.run_ready()
    assert bytes(far.received) == b"ecno"


class Request:
    """Somebody who has written a request in this turn."""

    def __init__(self, turn: Turn) -> None:
        self.told = 0
        turn.starting.append(self)

    def leaves_early(self) -> None:
        self.told += 1


def test_a_request_that_leaves_at_the_end_of_its_turn_is_not_told() -> None:
    peers = Peers()
    near, _ = peers.transport()
    request = Request(peers.turn)
    peers.turn.write(Lane.SERVING, near, b"a")
    peers.clock.run_ready()
    peers.turn.flush()  # of a later turn
    assert request.told == 0


def test_a_request_that_leaves_before_the_end_of_its_turn_is_told_once() -> None:
    peers = Peers()
    near, far = peers.transport()
    request = Request(peers.turn)
    peers.turn.write(Lane.SERVING, near, b"a" * FLUSH_BYTES)
    peers.turn.flush()
    assert request.told == 1
    peers.clock.run_ready()
    assert len(far.received) == FLUSH_BYTES


class Copying:
    """Has a copy to write when it may."""

    def __init__(self, turn: Turn, transport: MemoryTransport, *, closes: bool = False) -> None:
        self._turn, self._transport, self._closes = turn, transport, closes

    def proceed(self) -> None:
        self._turn.write(Lane.MIRROR, self._transport, b"m")
        if self._closes:
            self._turn.flush()


def test_what_was_put_off_proceeds_when_clients_have_their_bytes_and_still_writes_in_this_turn() -> None:
    peers = Peers()
    near, far = peers.transport()
    peers.turn.defer(Copying(peers.turn, near))
    peers.turn.write(Lane.SERVING, near, b"s")
    peers.turn.write(Lane.CLIENT, near, b"c")
    peers.clock.run_turn()
    assert peers.turn.flushes == 1
    peers.clock.run_ready()
    assert bytes(far.received) == b"csm"


def test_what_was_put_off_may_end_the_turn_early() -> None:
    peers = Peers()
    near, far = peers.transport()
    for closes in (True, False):
        peers.turn.defer(Copying(peers.turn, near, closes=closes))
    peers.clock.run_ready()
    assert bytes(far.received) == b"mm"


def test_who_starts_in_what_was_put_off_is_told_only_if_that_proceeds_early() -> None:
    peers = Peers()
    near, _ = peers.transport()
    request = Request(peers.turn)
    peers.turn.starting.clear()

    class Starts(Copying):
        def proceed(self) -> None:
            peers.turn.starting.append(request)
            super().proceed()

    peers.turn.defer(Starts(peers.turn, near))
    peers.clock.run_ready()
    peers.turn.flush()
    assert request.told == 0
    peers.turn.defer(Starts(peers.turn, near))
    peers.turn.flush()
    assert request.told == 1
