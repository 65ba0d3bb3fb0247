"""A tunnel between two connections in memory: nothing lies between two ends, so pauses act at once."""

import asyncio

import pytest

from proxy.http.sockets import reset
from proxy.http.tunnel import Handed, Tunnel
from proxy.http.turn import Turn
from tests.kit.clock import FakeClock
from tests.kit.memory_transport import HIGH_WATER, memory_pair
from tests.kit.wire import Ending, Wire

MUCH = b"x" * (HIGH_WATER + 1)


class Carrier(asyncio.Protocol):
    """A connection that gives its transport away; `waiting`, `is_behind` and `has_ended` are what it says of it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.waiting = b""
        self.is_behind = False
        self.has_ended = False
        self.deadline = 0.0
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def hand_over(self) -> Handed:
        return Handed(self.transport, self.waiting, is_behind=self.is_behind, has_ended=self.has_ended)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  however it ended
        self.lost = True

    def finish(self) -> None:
        self.transport.close()

    def reset(self) -> None:
        reset(self.transport)


def heard(wire: Wire) -> bytes:
    return bytes(wire.received)


class Drive:
    """A client and a backend, joined by a tunnel once it is `open`."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.client, self.backend = Wire(), Wire()
        self.near, self.far = Carrier(), Carrier()
        memory_pair(self.client, self.near, self.clock)
        memory_pair(self.backend, self.far, self.clock)
        self.open_ones: set[Tunnel] = set()
        self.clock.run_ready()

    def open(self) -> "Drive":
        turn = Turn(self.clock.call_soon)
        Tunnel(turn, self.near, self.far, idle_s=60.0, open_ones=self.open_ones)
        self.clock.run_ready()
        return self

    def say(self, wire: Wire, data: bytes) -> None:
        wire.transport.write(data)
        self.clock.run_ready()


def test_what_a_connection_had_read_goes_first() -> None:
    drive = Drive()
    drive.near.waiting, drive.far.waiting = b"early ", b"bird "
    drive.open()
    drive.say(drive.client, b"request")
    drive.say(drive.backend, b"answer")
    assert (heard(drive.backend), heard(drive.client)) == (b"early request", b"bird answer")


def test_a_client_that_had_sent_its_last_byte_is_said_to_have_ended() -> None:
    drive = Drive()
    drive.near.waiting, drive.near.has_ended = b"all", True
    drive.open()
    assert (heard(drive.backend), drive.backend.eof) == (b"all", True)
    drive.say(drive.backend, b"heard")
    assert (heard(drive.client), drive.client.eof) == (b"heard", False)
    drive.backend.half_close()
    drive.clock.run_ready()
    assert (drive.client.eof, drive.near.lost, drive.far.lost) == (True, True, True)
    assert not drive.open_ones


@pytest.mark.parametrize("is_client", [True, False])
def test_a_side_that_is_behind_already_pauses_the_other_until_it_catches_up(is_client: bool) -> None:  # noqa: FBT001
    drive = Drive()
    slow, fast = (drive.near, drive.far) if is_client else (drive.far, drive.near)
    slow_wire, fast_wire = (drive.client, drive.backend) if is_client else (drive.backend, drive.client)
    slow_wire.stop_reading()
    slow.transport.write(MUCH)
    slow.is_behind = True
    drive.open()
    assert not fast.transport.is_reading()
    drive.say(fast_wire, b"later")
    slow_wire.resume_reading()
    drive.clock.run_ready()
    assert fast.transport.is_reading()
    assert slow_wire.received == MUCH + b"later"


@pytest.mark.parametrize("is_client", [True, False])
def test_a_side_that_does_not_read_pauses_the_other_and_only_that(is_client: bool) -> None:  # noqa: FBT001
    drive = Drive().open()
    slow, fast = (drive.near, drive.far) if is_client else (drive.far, drive.near)
    slow_wire, fast_wire = (drive.client, drive.backend) if is_client else (drive.backend, drive.client)
    slow_wire.stop_reading()
    drive.say(fast_wire, MUCH)
    assert (fast.transport.is_reading(), slow.transport.is_reading()) == (False, True)
    drive.say(slow_wire, b"still talking")
    assert fast_wire.received == b"still talking"
    slow_wire.resume_reading()
    drive.clock.run_ready()
    assert fast.transport.is_reading()


def test_a_side_that_has_ended_is_not_read_again_when_the_other_catches_up() -> None:
    drive = Drive().open()
    drive.backend.stop_reading()
    drive.client.transport.write(MUCH)
    drive.client.half_close()
    drive.clock.run_ready()
    drive.backend.resume_reading()
    drive.clock.run_ready()
    assert (heard(drive.backend), drive.backend.eof) == (MUCH, True)
    drive.say(drive.backend, b"heard")
    assert drive.client.received == b"heard"


@pytest.mark.parametrize("is_client", [True, False])
def test_every_byte_puts_the_deadline_off(is_client: bool) -> None:  # noqa: FBT001
    drive = Drive().open()
    drive.near.deadline = 0.0
    drive.say(drive.client if is_client else drive.backend, b"?")
    assert drive.near.deadline > 0.0


@pytest.mark.parametrize("is_client", [True, False])
def test_an_end_is_an_end_and_a_reset_a_reset(is_client: bool) -> None:  # noqa: FBT001
    for end, expected in ((Wire.close, Ending.FIN), (Wire.reset, Ending.RESET)):
        drive = Drive().open()
        leaving, staying = (drive.client, drive.backend) if is_client else (drive.backend, drive.client)
        end(leaving)
        drive.clock.run_ready()
        if expected is Ending.FIN:
            assert staying.ending is Ending.FIN
            assert drive.open_ones
            staying.close()
            drive.clock.run_ready()
        assert staying.ending is expected
        assert not drive.open_ones
        assert (drive.near.lost, drive.far.lost) == (True, True)


@pytest.mark.parametrize("is_client", [True, False])
def test_no_byte_puts_off_the_end_of_a_client_that_is_ending(is_client: bool) -> None:  # noqa: FBT001
    drive = Drive().open()
    drive.client.stop_reading()
    drive.say(drive.backend, MUCH)
    drive.near.finish()
    drive.near.deadline = 2.0
    drive.say(drive.client if is_client else drive.backend, b"?")
    drive.client.resume_reading()
    drive.clock.run_ready()
    assert drive.near.deadline == 2.0
