"""The exchange: one client request with the served outcome and, if mirrored, the mirrored outcome.

Theory of operation. An exchange has two sides that end in any order. A table per side says how it moves, a
joint table what happens once both have arrived. The worker reports events and carries out the commands it
gets back; why a copy was dropped travels beside the event. The tables know who serves and who mirrors,
never who is primary, so every mode uses this one machine.

    Serve    OPEN → DONE    the last byte is with the client, or we answered for the backend
             OPEN → GONE    the client left before that
    Mirror   OFF            nothing to mirror
             HELD → SENT → DONE     the copy waits for a complete request, runs, has an outcome
             HELD or SENT → DROPPED

A pair is offered exactly when the client was served and the mirror has an outcome; a copy that was held and
yields no pair is counted once as a drop. RELEASE is the last command of every run.
"""

from enum import IntEnum
from typing import Final


class Serve(IntEnum):
    """The side the client waits for."""

    OPEN = 0
    DONE = 1
    GONE = 2


class Mirror(IntEnum):
    """The side nobody waits for. Routing decides whether it starts OFF or HELD."""

    OFF = 0
    HELD = 1
    SENT = 2
    DONE = 3
    DROPPED = 4


class Event(IntEnum):
    """What the worker reports."""

    COPY_READY = 0
    SERVED = 1
    CLIENT_GONE = 2
    MIRRORED = 3
    MIRROR_DROPPED = 4


class Command(IntEnum):
    """What the worker must do."""

    SEND_MIRROR = 0
    OFFER_PAIR = 1
    COUNT_DROP = 2
    RELEASE = 3


SERVE_MOVES: Final = {
    (Serve.OPEN, Event.SERVED): Serve.DONE,  # the last byte is with the client, or a Failure was answered
    (Serve.OPEN, Event.CLIENT_GONE): Serve.GONE,
}
MIRROR_MOVES: Final = {
    (Mirror.HELD, Event.COPY_READY): Mirror.SENT,  # request complete and within the budget
    (Mirror.HELD, Event.MIRROR_DROPPED): Mirror.DROPPED,
    (Mirror.HELD, Event.CLIENT_GONE): Mirror.DROPPED,  # half a request is never mirrored
    (Mirror.SENT, Event.MIRRORED): Mirror.DONE,  # an outcome exists: a response or a Failure
    (Mirror.SENT, Event.MIRROR_DROPPED): Mirror.DROPPED,
}
ON_MOVE: dict[tuple[Mirror, Mirror], tuple[Command, ...]] = {(Mirror.HELD, Mirror.SENT): (Command.SEND_MIRROR,)}
ON_BOTH: dict[tuple[Serve, Mirror], tuple[Command, ...]] = {  # any other pair of states waits
    (Serve.DONE, Mirror.OFF): (Command.RELEASE,),
    (Serve.GONE, Mirror.OFF): (Command.RELEASE,),
    (Serve.DONE, Mirror.DONE): (Command.OFFER_PAIR, Command.RELEASE),
    (Serve.DONE, Mirror.DROPPED): (Command.COUNT_DROP, Command.RELEASE),
    (Serve.GONE, Mirror.DONE): (Command.COUNT_DROP, Command.RELEASE),
    (Serve.GONE, Mirror.DROPPED): (Command.COUNT_DROP, Command.RELEASE),
}


class IllegalEventError(Exception):
    """The worker reported what cannot happen: our bug, not a peer's."""


def _compiled() -> dict[tuple[Serve, Mirror, Event], tuple[Serve, Mirror, tuple[Command, ...]]]:
    """The tables above as one: a single look-up per event, since every request pays for three."""
    moves = {}
    for before_serve in Serve:
        for before in Mirror:
            for event in Event:
                serve = SERVE_MOVES.get((before_serve, event), before_serve)
                mirror = MIRROR_MOVES.get((before, event), before)
                if (serve, mirror) != (before_serve, before):
                    commands = ON_MOVE.get((before, mirror), ()) + ON_BOTH.get((serve, mirror), ())
                    moves[before_serve, before, event] = serve, mirror, commands
    return moves


_MOVES: Final = _compiled()


class Exchange:
    """The state of both sides."""

    __slots__ = ("mirror", "serve")

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror
        self.serve = Serve.OPEN

    def on(self, event: Event) -> tuple[Command, ...]:
        """Move, and say what to do. Raises IllegalEventError for an event no table allows."""
        move = _MOVES.get((self.serve, self.mirror, event))
        if move is None:
            raise IllegalEventError(self, event)
        self.serve, self.mirror, commands = move
        return commands

    def __repr__(self) -> str:
        """Both states, by name."""
        return f"<exchange {self.serve.name} {self.mirror.name}>"
