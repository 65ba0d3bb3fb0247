"""Noticing the reset of a paused connection is a help, and never stands in anybody's way."""

import asyncio
import socket

import pytest

from proxy.http.reset_watch import ResetWatch
from tests.wire.test_d_accepting import no_descriptors


@pytest.mark.usefixtures("any_loop")
async def test_without_a_descriptor_to_watch_with_nothing_is_watched_until_there_is_one() -> None:
    watch, left = ResetWatch(), asyncio.Event()
    one, other = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, one)
    peer, _ = await loop.connect_accepted_socket(asyncio.Protocol, other)
    transport.pause_reading()
    with no_descriptors():
        watch.watch(transport, left.set)
    watch.forget(transport)
    watch.watch(transport, left.set)
    peer.abort()
    await asyncio.wait_for(left.wait(), 5)
    transport.abort()
