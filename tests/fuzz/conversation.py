"""A case played on the data plane in memory, and the record of every byte that anybody saw."""

from dataclasses import dataclass
from itertools import zip_longest

from proxy.core.families import REFUSED, REQUESTS
from proxy.ipc.pairs import Pair
from tests.fuzz.backend import PROBE, FuzzBackend
from tests.fuzz.case import Case, Move, setting
from tests.fuzz.reading import Finding
from tests.kit.memory_plane import MemoryPlane
from tests.kit.wire import Wire


@dataclass(slots=True)
class Played:
    """All that was seen: by the client, by both backends, by the judge (`pairs`), and by other clients (`probed`).

    `reset` is how the client's connection ended, `left` whether the client ended it; `requests` and `refused` are
    what the proxy counted, or -1.
    """

    case: Case
    received: bytes
    primary: FuzzBackend
    candidate: FuzzBackend
    probed: list[bytes]
    pairs: list[Pair]
    reset: bool = False
    left: bool = False
    requests: int = -1
    refused: int = -1


def play(case: Case) -> Played:
    """Play it. Raises Finding for what the plane or a backend must never see."""
    primary, candidate = FuzzBackend(case.replies), FuzzBackend(case.copies)
    plane = MemoryPlane(setting(case.setting), primary=primary, candidate=candidate)
    primary.loop = candidate.loop = plane.loop
    try:
        with plane:
            played = _converse(case, plane, primary, candidate)
    except Finding:
        raise
    except AssertionError as error:
        raise Finding(str(error).split(":")[0].split("\n")[0], error) from error
    tally = plane.tally
    played.requests, played.refused = tally.total(REQUESTS), tally.total(REFUSED)
    return played


def _converse(case: Case, plane: MemoryPlane, primary: FuzzBackend, candidate: FuzzBackend) -> Played:
    client = plane.client()
    probers: list[Wire] = []
    left = False
    for step, following in zip_longest(case.client, case.client[1:]):
        if step is Move.PROBE:
            probers.append(_probe(plane))
        elif isinstance(step, Move):
            left = _move(step, plane, client, primary, candidate) or left
        elif not left:
            _send(client, step)
        plane.loop.run_turn() if following is Move.TURN else plane.loop.run_ready()
    for backend in (primary, candidate):
        backend.late()
    plane.loop.run_ready()
    _raise_first(plane)
    probers.append(_probe(plane))
    if not client.lost and not client.transport.is_closing():
        client.transport.resume_reading()
    plane.wait_for(lambda: client.over or client.transport.is_closing(), "the client's connection to end")
    _raise_first(plane)
    reset = client.error is not None or Move.RST in case.moves
    probed = [bytes(prober.received) for prober in probers]
    return Played(case, bytes(client.received), primary, candidate, probed, plane.pairs, reset=reset, left=left)


def _probe(plane: MemoryPlane) -> Wire:
    """Another client, which asks once."""
    prober = plane.client()
    plane.say(prober, PROBE)
    _raise_first(plane)
    return prober


def _raise_first(plane: MemoryPlane) -> None:
    """What a protocol raised comes out of the loop, as a finding."""
    for error in plane.loop.raised:
        if isinstance(error, Finding):
            raise error
        raise Finding("a callback raised", repr(error)) from (error if isinstance(error, Exception) else None)


def _send(client: Wire, piece: bytes) -> None:
    if not client.lost and not client.transport.is_closing():
        client.transport.write(piece)


def _move(step: Move, plane: MemoryPlane, client: Wire, *backends: FuzzBackend) -> bool:
    """Whether the client can send no more."""
    if step is Move.LATE:
        for backend in backends:
            backend.late()
    elif step in {Move.WAIT, Move.WAIT_LONG}:
        plane.wait(1.0 if step is Move.WAIT else 60.0)
    elif not client.lost and not client.transport.is_closing():
        if step is Move.STALL:
            client.stop_reading()
        elif step is Move.READ:
            client.resume_reading()
        elif step is Move.FIN:
            client.half_close()
        elif step is Move.RST:
            client.transport.abort()
    return step in {Move.FIN, Move.RST}
