"""A process that has no file descriptor left answers, and accepts again when it has some."""

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from proxy.worker.listener import Listener
from tests.kit.raw_client import RawClient
from tests.wire.rig import GET, Rig, problem, without_date


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Nothing can be opened inside: the limit is the lowest free descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_backend_that_cannot_be_dialled_for_want_of_descriptors_is_a_500(rig: Rig) -> None:
    await rig.start()
    client = await rig.client()
    with no_descriptors():
        await client.send(GET)
        answer = await client.read_response()
        await rig.quiet()
    assert without_date(answer.raw) == problem(500, "internal", "proxy_internal_error", close=False)
    assert rig.drops() == {"in_flight_full": 1}  # the copy's want is ours too, and no evidence
    assert rig.plane.services[0].serving.pool.open == 0
    await client.send(GET)
    assert (await client.read_response()).status == 200


async def test_a_listener_that_cannot_open_tries_again(rig: Rig) -> None:
    await rig.start()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)  # noqa: FBT003  the socket API
        listener = Listener(sock, rig.plane)
        with no_descriptors():
            await listener.tick()
            assert not listener._server
        await listener.tick()
        async with await RawClient.open(sock.getsockname()[1]) as client:
            await client.send(GET)
            assert (await client.read_response()).status == 200
        listener.close()
