"""Whole cases made by throwing dice: what is sent, how it is cut, what backends answer, what else happens."""

from itertools import pairwise
from random import Random

from tests.fuzz.case import SETTINGS, Case, Ending, Move, Reply, When
from tests.fuzz.grammar import Dice, answer, exchange, request, upgrade
from tests.fuzz.mutation import mutated

_MOVES = (
    Move.TURN, Move.TURN, Move.TURN, Move.PROBE, Move.PROBE, Move.LATE, Move.LATE, Move.WAIT, Move.STALL, Move.READ,
    Move.WAIT_LONG, Move.FIN, Move.RST,
)  # fmt: skip


def cast(seed: str) -> Case:
    """The case of this seed: the same for ever, as long as grammar and mutations are."""
    dice = Dice(Random(seed))
    spoils = dice.pick(("nothing", "client", "client", "primary", "primary", "both", "candidate"))
    count = 1 + dice.below(4)
    sent = b"".join(request(dice, number) for number in range(count))
    replies = _replies(dice, spoilt=spoils in {"primary", "both"})
    if dice.chance(0.06):
        asked, agreed = upgrade(dice, count)
        sent = sent * dice.below(2) + asked + sent * dice.below(2)
        replies = (Reply(tuple(_pieces(dice, agreed))),) if dice.chance(0.7) else replies
    if spoils in {"client", "both"}:
        sent = mutated(dice, sent, 1 + dice.below(3))
    return Case(
        tuple(_steps(dice, sent)),
        replies,
        _replies(dice, spoilt=spoils == "candidate"),
        dice.one("usual", 0.5, tuple(SETTINGS)),
    )


def valid(seed: str) -> Case:
    """One good exchange."""
    dice = Dice(Random(seed))
    asked, answered = exchange(dice)
    is_framed = b"\r\nContent-Length: " in answered or b"\r\nTransfer-Encoding: " in answered
    ending = Ending.KEEP if is_framed else Ending.FIN
    return Case(tuple(_pieces(dice, asked)), (Reply(tuple(_pieces(dice, answered)), ending=ending),))


def _steps(dice: Dice, sent: bytes) -> list[bytes | Move]:
    pieces: list[bytes | Move] = []
    pieces += _pieces(dice, sent)
    if dice.chance(0.3):
        for move in dice.some(_MOVES, 3):
            pieces.insert(dice.below(len(pieces) + 1), move)
    return pieces


def _pieces(dice: Dice, data: bytes) -> list[bytes]:
    how = dice.below(10)
    if how == 0 and len(data) < 1_000:
        return [data[at : at + 1] for at in range(len(data))]
    if how < 5:
        return [data] if data else []
    cuts = sorted({dice.below(len(data) + 1) for _ in range(1 + dice.below(4))}) if data else []
    edges = [0, *cuts, len(data)]
    return [data[start:end] for start, end in pairwise(edges) if start < end]


def _replies(dice: Dice, *, spoilt: bool) -> tuple[Reply, ...]:
    if not spoilt and dice.chance(0.5):
        return ()
    return tuple(_reply(dice, number, spoilt=spoilt) for number in range(1 + dice.below(4)))


def _reply(dice: Dice, number: int, *, spoilt: bool) -> Reply:
    data = answer(dice, number)
    if spoilt:
        data = mutated(dice, data, 1 + dice.below(2))
    if spoilt and dice.chance(0.1):
        data += answer(dice, 90 + number)
    pieces = tuple(_pieces(dice, data)) or (b"",)
    ending = dice.one(Ending.KEEP, 0.6, (Ending.FIN, Ending.FIN, Ending.RST))
    return Reply(pieces, dice.one(When.COMPLETE, 0.8, tuple(When)), ending)
