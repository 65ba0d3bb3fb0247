"""What no client waits for is done when clients have their bytes, and never much of it at once."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from proxy.core.families import MIRRORS
from proxy.core.reasons import MirrorResult
from proxy.worker.sweep import AT_ONCE
from tests.kit.memory_plane import MemoryBackend, MemoryPlane
from tests.kit.wire import Wire
from tests.wire.rig import GET


class Seen:
    """What happened, in its order."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def before(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, which is noted."""

        def noted(*arguments: Any, **named: Any) -> Any:
            self.names.append(name)
            return function(*arguments, **named)

        return noted


class Mute(MemoryBackend):
    """Takes requests and never answers."""

    def heard(self, wire: Wire) -> None:
        pass


def test_copies_that_are_overdue_together_end_a_few_in_each_turn() -> None:
    with MemoryPlane(candidate=Mute()) as plane:
        target = plane.plane.services[0].mirror
        for client in [plane.client() for _ in range(20)]:
            plane.say(client, GET)
        assert len(target.copies) == 20
        plane.loop.advance(target.settings.deadline)
        left = []
        plane.loop.call_soon(plane.plane.tick, plane.loop.time())
        while target.copies:
            plane.loop.run_turn()
            left.append(len(target.copies))
        assert left == [20 - AT_ONCE, 20 - 2 * AT_ONCE, 0]
        assert plane.tally.total(MIRRORS, result=MirrorResult.MIRRORED) == 20


def test_an_overdue_copy_that_has_ended_before_its_turn_stays_ended() -> None:
    with MemoryPlane(candidate=Mute()) as plane:
        target = plane.plane.services[0].mirror
        for client in [plane.client() for _ in range(20)]:
            plane.say(client, GET)
        plane.loop.advance(target.settings.deadline)
        plane.loop.call_soon(plane.plane.tick, plane.loop.time())
        plane.loop.run_turn()
        target.switch(plane.loop.time(), on=False)
        assert not target.copies
        plane.loop.run_ready()


def test_clients_that_are_idle_for_too_long_together_leave_a_few_in_each_turn() -> None:
    with MemoryPlane() as plane:
        for _ in range(20):
            plane.client()
        plane.loop.advance(plane.settings.timeouts.client_idle)
        left = []
        plane.loop.call_soon(plane.plane.tick, plane.loop.time())
        while plane.plane.connections:
            plane.loop.run_turn()
            left.append(len(plane.plane.connections))
        assert min(before - after for before, after in pairwise([20, *left])) >= 0
        assert max(before - after for before, after in pairwise([20, *left])) == AT_ONCE


@pytest.mark.interpreted
def test_a_request_leaves_before_its_copy_is_begun_and_an_answer_before_its_pair_is_made() -> None:
    with MemoryPlane() as plane:
        client = plane.client()
        plane.say(client, GET)  # connections to both are there
        service, seen = plane.plane.services[0], Seen()
        (near,) = plane.plane.connections
        (primary,), (candidate,) = service.serving.connections, service.mirror.upstream.connections
        ends: dict[str, Any] = {"answer": near, "request": primary, "copy": candidate}
        for name, connection in ends.items():
            transport = connection._transport
            transport.write = seen.before(name, transport.write)
        service.copy_head = seen.before("copy begun", service.copy_head)
        service.link.offer = seen.before("pair", service.link.offer)  # type: ignore[method-assign]
        plane.say(client, GET)
        assert seen.names == ["request", "copy begun", "copy", "answer", "pair"]
