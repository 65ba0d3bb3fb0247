"""Tunnels: what one side does happens at the other, byte for byte and end for end; what they may cost is bounded."""

import asyncio
from hashlib import sha256

import pytest

from tests.kit.memory_plane import MemoryBackend, MemoryPlane, settings
from tests.kit.raw_client import RawClient
from tests.kit.script import (
    close,
    half_close,
    hang,
    read_request,
    receive,
    reset,
    resume_reading,
    send,
    send_bytewise,
    stop_reading,
    wait_for,
)
from tests.kit.scripted_connection import ScriptedConnection
from tests.kit.wire import Ending, Wire
from tests.wire.forms import ended, healthy
from tests.wire.rig import Rig, problem, without_date
from tests.wire.upgrades import SWITCHED, forwarded, over, receive_to_end, switch, tunnel, upgrade

MIB = 1 << 20
SIZE = 16 * MIB
EVERY_BYTE = bytes(range(256)) * 4
FULL = problem(503, "tunnels", "connection_limit_reached", close=False, more=["Retry-After: 1"])


class Agreeing(MemoryBackend):
    """Agrees to every upgrade."""

    def heard(self, wire: Wire) -> None:
        if wire.received.endswith(b"\r\n\r\n"):
            wire.transport.write(SWITCHED)


def block(number: int) -> bytes:
    return bytes((number * 7 + at) % 251 for at in range(256)) * 256


# --- bytes


async def test_e3_any_bytes_pass_both_ways_unlooked_at(rig: Rig) -> None:
    async with tunnel(rig, receive(EVERY_BYTE), send(EVERY_BYTE), hang()) as client:
        await client.send(EVERY_BYTE)
        assert await client.read_exactly(len(EVERY_BYTE)) == EVERY_BYTE
        assert rig.primary.connections[0].received == forwarded() + EVERY_BYTE
        await client.half_close()
        await ended(client)


async def test_e3_single_bytes_pass_both_ways(rig: Rig) -> None:
    async with tunnel(rig, receive(EVERY_BYTE), send_bytewise(EVERY_BYTE), hang()) as client:
        await client.send_bytewise(EVERY_BYTE)
        assert await client.read_exactly(len(EVERY_BYTE)) == EVERY_BYTE
        await client.half_close()
        await ended(client)


async def test_e3_a_byte_arrives_before_the_next_is_sent(rig: Rig) -> None:
    """A conversation: each side waits for the other's word."""
    talk = [step for _ in range(50) for step in (receive(b"?"), send(b"!"))]
    async with tunnel(rig, *talk, hang()) as client:
        for _ in range(50):
            await client.send(b"?")
            assert await client.read_exactly(1) == b"!"
        await client.half_close()
        await ended(client)


@pytest.mark.parametrize("size", [1, 4_000, 300_000])
async def test_e3_bytes_in_the_packet_of_the_101_arrive(rig: Rig, size: int) -> None:
    behind = block(0)[:1] * size
    await rig.start(switch(half_close(), hang(), behind=behind))
    client = await rig.client()
    await client.send(upgrade())
    assert (await client.read_response()).raw == SWITCHED
    assert await client.read_until_close() == behind
    await client.half_close()
    await over(rig)


@pytest.mark.parametrize("size", [1, 4_000, 300_000], ids=["one", "some", "more than may wait"])
async def test_e3_bytes_right_behind_the_request_arrive_after_the_101(rig: Rig, size: int) -> None:
    behind = b"x" * size
    agree, got = asyncio.Event(), bytearray()
    await rig.start((read_request(), wait_for(agree), send(SWITCHED), receive_to_end(got), close()))
    client = await rig.client()
    sending = asyncio.create_task(client.send(upgrade() + behind))
    await rig.primary.received_requests(1)
    assert rig.primary.connections[0].received == forwarded()
    agree.set()
    await sending
    assert (await client.read_response()).raw == SWITCHED
    await client.half_close()
    await ended(client)
    assert got == behind
    await over(rig)


async def test_e3_bytes_behind_a_request_that_says_close_arrive_too(rig: Rig) -> None:
    got = bytearray()
    await rig.start(switch(receive_to_end(got), close()))
    client = await rig.client()
    await client.send(upgrade(b"Connection: close") + b"now")
    assert (await client.read_response()).raw == SWITCHED
    await client.send(b" and later")
    await client.half_close()
    await ended(client)
    assert got == b"now and later"
    await over(rig)


# --- ends


async def test_e3_a_half_close_of_the_client_is_passed_on_and_the_rest_still_comes(rig: Rig) -> None:
    got = bytearray()
    async with tunnel(rig, receive_to_end(got), send(b"all "), send(b"of it"), close()) as client:
        await client.send(b"that is all")
        await client.half_close()
        assert await client.read_until_close() == b"all of it"
    assert got == b"that is all"


async def test_e3_a_half_close_of_the_backend_is_passed_on_and_the_rest_still_goes(rig: Rig) -> None:
    got = bytearray()
    async with tunnel(rig, send(b"that is all"), half_close(), receive_to_end(got), close()) as client:
        assert await client.read_until_close() == b"that is all"
        await client.send(b"all ")
        await client.send(b"of it")
        await client.half_close()
    await rig.until(lambda: got == b"all of it", "the rest at the backend")


async def test_e3_a_half_close_before_the_101_is_passed_on_after_it(rig: Rig) -> None:
    agree, got = asyncio.Event(), bytearray()
    await rig.start((read_request(), wait_for(agree), send(SWITCHED), receive_to_end(got), send(b"bye"), close()))
    client = await rig.client()
    await client.send(upgrade() + b"that is all")
    await client.half_close()
    await rig.primary.received_requests(1)
    (connection,) = rig.plane.connections
    await rig.until(lambda: connection._half_closed, "the half close to be seen")
    agree.set()
    assert (await client.read_response()).raw == SWITCHED
    assert await client.read_until_close() == b"bye"
    assert got == b"that is all"
    await over(rig)


async def test_e3_an_end_of_the_client_ends_the_backend_after_the_last_byte(rig: Rig) -> None:
    got = bytearray()
    async with tunnel(rig, receive_to_end(got), close()) as client:
        await client.send(b"last words")
        await client.abandon()
    await rig.until(lambda: got == b"last words", "the last words at the backend")


async def test_e3_an_end_of_the_backend_ends_the_client_after_the_last_byte(rig: Rig) -> None:
    async with tunnel(rig, send(b"last words"), close()) as client:
        assert await client.read_until_close() == b"last words"
        await client.half_close()


async def test_e3_a_reset_of_the_client_resets_the_backend(rig: Rig) -> None:
    async with tunnel(rig, receive(b"half a "), hang()) as client:
        await client.send(b"half a ")
        (connection,) = rig.primary.connections
        await rig.until(lambda: connection.received.endswith(b"half a "), "the bytes")
        await client.reset()
        assert await connection.gone() is Ending.RESET


async def test_e3_a_reset_of_the_backend_resets_the_client(rig: Rig) -> None:
    cue = asyncio.Event()
    async with tunnel(rig, send(b"half a "), wait_for(cue), reset()) as client:
        assert await client.read_exactly(7) == b"half a "
        cue.set()
        assert await client.closed() is Ending.RESET


async def test_e3_a_reset_after_a_half_close_is_seen_with_the_next_byte(rig: Rig) -> None:
    """Nobody reads a side that has ended, and only reading or writing tells of a reset."""
    cue = asyncio.Event()
    async with tunnel(rig, half_close(), wait_for(cue), reset()) as client:
        assert await client.read_until_close() == b""
        cue.set()
        (backend,) = rig.primary.connections
        await rig.until(lambda: backend.wire.lost, "the reset")
        await client.send(b"?")
        await rig.until(lambda: not rig.plane.connections, "the end of the client's connection")


async def test_e3_both_may_end_at_once(rig: Rig) -> None:
    async with tunnel(rig, half_close(), hang()) as client:
        await client.half_close()
        await ended(client)


# --- backpressure


async def test_e3_a_slow_client_pauses_the_backend_and_memory_stays_flat(rig: Rig) -> None:
    sent, digest = 0, sha256()

    async def flood(connection: ScriptedConnection) -> None:
        nonlocal sent
        for number in range(SIZE // 65536):
            digest.update(piece := block(number))
            await connection.wire.send(piece)
            sent += len(piece)

    await rig.start(switch(flood, close()))
    client = await rig.client(deadline_s=15)
    await client.send(upgrade())
    assert (await client.read_response()).raw == SWITCHED
    client.stop_reading()
    await rig.settled(lambda: sent)
    assert sent < SIZE
    assert held(rig) < MIB
    client.resume_reading()
    received = sha256(await client.read_exactly(SIZE))
    assert received.digest() == digest.digest()
    await client.half_close()
    await over(rig)


async def test_e3_a_slow_backend_pauses_the_client_and_memory_stays_flat(rig: Rig) -> None:
    release, got = asyncio.Event(), bytearray()
    await rig.start(switch(stop_reading(), wait_for(release), resume_reading(), receive_to_end(got), close()))
    client = await rig.client(deadline_s=15)
    await client.send(upgrade())
    assert (await client.read_response()).raw == SWITCHED
    sent, digest = 0, sha256()

    async def upload() -> None:
        nonlocal sent
        for number in range(SIZE // 65536):
            digest.update(piece := block(number))
            await client.send(piece)
            sent += len(piece)

    uploading = asyncio.create_task(upload())
    await rig.settled(lambda: sent)
    assert sent < SIZE
    assert held(rig) < MIB
    release.set()
    await uploading
    await client.half_close()
    await ended(client)
    assert sha256(got).digest() == digest.digest()
    await over(rig)


async def test_e3_one_direction_goes_on_while_the_other_is_paused(rig: Rig) -> None:
    async with tunnel(rig, stop_reading(), *(send(b"tick") for _ in range(100)), hang()) as client:
        stuck = asyncio.create_task(client.send(b"x" * SIZE))
        assert await client.read_exactly(400) == b"tick" * 100
        stuck.cancel()
        await client.reset()


def held(rig: Rig) -> int:
    """Bytes gathered for either side of the one tunnel."""
    (client,) = rig.plane.connections
    (backend,) = rig.plane.services[0].serving.connections
    transports = client._transport, backend._transport
    return sum(transport.get_write_buffer_size() for transport in transports if transport is not None)


# --- limits


async def test_e3_at_the_limit_a_further_upgrade_is_a_503_and_no_backend_hears_of_it(rig: Rig) -> None:
    await rig.start(*[switch(hang())] * 3, limits={"tunnels": 2})
    first, second, third = [await rig.client() for _ in range(3)]
    for client in (first, second):
        await client.send(upgrade())
        assert (await client.read_response()).raw == SWITCHED
    await third.send(upgrade())
    assert without_date((await third.read_response()).raw) == FULL
    assert len(rig.primary.connections) == 2
    await leaves(rig, first)
    await third.send(upgrade())
    assert (await third.read_response()).raw == SWITCHED
    for client in (second, third):
        await leaves(rig, client)
    assert rig.requests() == {"1xx": 3, "5xx": 1}
    await over(rig)


async def test_e3_ordinary_requests_are_served_at_the_limit(rig: Rig) -> None:
    await rig.start(limits={"tunnels": 0})
    client = await rig.client()
    await client.send(upgrade())
    assert without_date((await client.read_response()).raw) == FULL
    assert not rig.primary.connections
    await healthy(rig, client)


async def test_e3_of_two_upgrades_under_way_at_once_only_one_gets_the_last_place(rig: Rig) -> None:
    agree = asyncio.Event()
    await rig.start(*[(read_request(), wait_for(agree), send(SWITCHED), hang())] * 2, limits={"tunnels": 1})
    clients = [await rig.client() for _ in range(2)]
    for client in clients:
        await client.send(upgrade())
    await rig.primary.received_requests(2)
    agree.set()
    answers = [(await client.read_response()).raw for client in clients]
    taken = answers.index(SWITCHED)
    assert without_date(answers[1 - taken]) == FULL
    assert len(rig.plane.tunnels) == 1
    await healthy(rig, clients[1 - taken])
    await leaves(rig, clients[taken])


async def leaves(rig: Rig, client: RawClient) -> None:
    """This tunnel ends."""
    before = len(rig.plane.tunnels)
    await client.half_close()
    await ended(client)
    await rig.until(lambda: len(rig.plane.tunnels) == before - 1, "the tunnel to be over")


# --- time


async def test_e3_a_silent_tunnel_is_closed_at_both_ends(rig: Rig) -> None:
    async with tunnel(rig, hang(), timeouts={"tunnel_idle": "50ms"}) as client:
        await ended(client)
        assert await rig.primary.connections[0].gone() is Ending.FIN


async def test_e3_a_half_closed_tunnel_is_not_kept_for_ever_either(rig: Rig) -> None:
    release = asyncio.Event()
    async with tunnel(rig, wait_for(release), timeouts={"tunnel_idle": "50ms"}) as client:
        await client.half_close()
        await ended(client)
        release.set()


async def test_e3_a_silent_tunnel_whose_client_does_not_read_is_cut(rig: Rig) -> None:
    timeouts = {"tunnel_idle": "50ms", "client_stall": "50ms", "linger": "50ms"}
    await rig.start(switch(send(b"x" * SIZE), hang()), timeouts=timeouts)
    client = await rig.client()
    client.stop_reading()
    await client.send(upgrade())
    (connection,) = await rig.primary.accepted(1)
    await connection.gone()
    await over(rig)


async def test_e3_a_silent_tunnel_whose_backend_does_not_read_is_cut(rig: Rig) -> None:
    release = asyncio.Event()
    timeouts = {"tunnel_idle": "50ms", "response_idle": "50ms"}
    await rig.start(switch(stop_reading(), wait_for(release)), timeouts=timeouts)
    client = await rig.client()
    await client.send(upgrade())
    assert (await client.read_response()).raw == SWITCHED
    stuck = asyncio.create_task(client.send(b"x" * SIZE))
    await over(rig)
    release.set()
    stuck.cancel()


async def test_e3_the_limit_of_a_whole_exchange_is_not_one_of_tunnels(rig: Rig) -> None:
    timeouts = {"total": "50ms", "tunnel_idle": "150ms"}
    async with tunnel(rig, receive(b"late"), send(b"still here"), hang(), timeouts=timeouts) as client:
        (connection,) = rig.plane.connections
        begun = connection.arrived
        await rig.until(lambda: asyncio.get_running_loop().time() > begun + 0.1, "the total to be over")
        await client.send(b"late")
        assert await client.read_exactly(10) == b"still here"
        await client.half_close()
        await ended(client)


async def test_e3_draining_ends_tunnels_after_the_last_byte(rig: Rig) -> None:
    async with tunnel(rig, send(b"last words"), hang()) as client:
        assert await client.read_exactly(10) == b"last words"
        draining = asyncio.create_task(rig.plane.drain(5.0))
        await ended(client)
        assert await rig.primary.connections[0].gone() is Ending.FIN
        await client.abandon()
        await draining


def test_e3_a_backend_that_talks_on_does_not_put_off_the_end_of_a_client_that_does_not_read() -> None:
    with MemoryPlane(settings(timeouts={"client_stall": "60s"}), primary=Agreeing()) as plane:
        client = plane.client()
        plane.say(client, upgrade())
        (connection,), (backend,) = plane.plane.connections, plane.primary.connections
        client.stop_reading()
        backend.transport.write(b"unread")
        plane.loop.run_ready()
        connection.drain()
        for _ in range(8):
            backend.transport.write(b"!")
            plane.wait(10)
        assert not plane.plane.connections
