"""Messages made by throwing dice: mostly what clients and backends say, and often what they should not.

Every request and every answer carries a token of its own (`<q3>`, `<r3>`) in its fields and in its body, so
that bytes which end up in another message are seen.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from random import Random
from typing import TypeVar

from tests.fuzz.vocabulary import (
    ANSWER_FIELDS,
    BAD_FIELDS,
    BAD_STATUS_LINES,
    CODINGS,
    CONNECTIONS,
    EXTENSIONS,
    HOSTS,
    INTERIM_COUNTS,
    INTERIMS,
    METHODS,
    NUMBERS,
    ODD_ENDS,
    PASSING_FIELDS,
    RARE_FIELDS,
    REQUEST_FIELDS,
    STATUSES,
    TARGETS,
    TRAILERS,
    VERSIONS,
)

T = TypeVar("T")
CRLF = b"\r\n"


class Dice:
    """Throws: `dice.one(likely, 0.8, TABLE)` is `likely` in 8 of 10, otherwise anything of the table."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def chance(self, of: float) -> bool:
        return self.random.random() < of

    def below(self, end: int) -> int:
        return self.random.randrange(end)

    def pick(self, table: Sequence[T]) -> T:
        return table[self.random.randrange(len(table))]

    def one(self, likely: T, chance: float, table: Sequence[T]) -> T:
        return likely if self.chance(chance) else self.pick(table)

    def some(self, table: Sequence[T], most: int) -> list[T]:
        """Up to `most`, small numbers more often."""
        return [self.pick(table) for _ in range(min(self.below(most + 1), self.below(most + 1)))]

    def shuffled(self, items: Sequence[bytes]) -> list[bytes]:
        return self.random.sample(items, len(items))


class Odd(Enum):
    """The one thing that is odd about a message."""

    NOTHING = 0
    START = 1
    FIELD = 2
    FRAMING = 3
    CHUNKS = 4


def request(dice: Dice, number: int) -> bytes:
    """A request with at most one thing odd: that is where readers part."""
    token = b"<q%d>" % number
    odd = dice.one(Odd.NOTHING, 0.6, tuple(Odd))
    line = (
        _odd_line(dice)
        if odd is Odd.START
        else b"%b %b HTTP/1.1" % (dice.pick(METHODS[:6]), dice.one(b"/%b", 0.7, TARGETS[:5]))
    )
    framing, framed = _framed(dice, _content(dice, token), odd)
    fields = [b"X-Token: " + token, *framing, *dice.some(REQUEST_FIELDS, 5)]
    if odd is not Odd.FIELD or dice.chance(0.8):
        fields.append(b"Host: " + dice.one(b"a", 0.7, HOSTS[:4]))
    if dice.chance(0.3):
        fields.append(b"Connection: " + dice.one(_name_of(dice.pick(fields)), 0.3, CONNECTIONS))
    if odd is Odd.FIELD:
        fields.append(dice.pick((b"Host: " + dice.pick(HOSTS), dice.pick(RARE_FIELDS), dice.pick(BAD_FIELDS))))
    line = line.replace(b"%b", token.strip(b"<>")).replace(b"%%", b"%")
    return CRLF.join([line, *dice.shuffled(fields), b"", framed])


def _odd_line(dice: Dice) -> bytes:
    method, version = dice.one(b"GET", 0.5, METHODS), dice.one(VERSIONS[0], 0.5, VERSIONS)
    return b" ".join(part for part in (method, dice.pick(TARGETS), version) if part)


def exchange(dice: Dice) -> tuple[bytes, bytes]:
    """A request that any proxy would pass on and an answer that any would relay."""
    method = dice.pick(METHODS[:8])
    framing, framed = _framed(dice, _content(dice, b"<q0>"), Odd.NOTHING)
    fields = [b"Host: a", *framing, *dice.some(PASSING_FIELDS, 6)]
    asked = CRLF.join([method + b" /q0?x=%2B HTTP/1.1", *dice.shuffled(fields), b"", framed])
    framing, framed = _framed(dice, _content(dice, b"<r0>"), Odd.NOTHING)
    status = dice.pick((*STATUSES[:2], *STATUSES[4:6], STATUSES[7]))
    fields = [*framing, *dice.some(PASSING_FIELDS, 6)]
    answered = CRLF.join([b"HTTP/1.1 " + status, *dice.shuffled(fields), b"", b"" if method == b"HEAD" else framed])
    return asked, answered


def upgrade(dice: Dice, number: int) -> tuple[bytes, bytes]:
    """A request to go on with another protocol, and an answer that agrees; both with bytes of it right behind."""
    named = dice.pick(
        (
            b"websocket",
            b"websocket",
            b"WebSocket",
            b"websocket, h2c",
            b"h2c",
            b"websocket/13",
            b"x\r\nUpgrade: websocket",
        )
    )
    body = dice.one(b"", 0.9, (b"Content-Length: 0\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"))
    tokens = dice.pick((b"upgrade", b"Upgrade", b"keep-alive, Upgrade", b"upgrade, close", b"upgrade, te", b"x"))
    method = dice.one(b"GET", 0.9, METHODS)
    lines = [b"Host: a", b"Connection: " + tokens, b"Upgrade: " + named, *dice.some(REQUEST_FIELDS, 2)]
    request_head = b"%b /q%d HTTP/1.1\r\n%b%b\r\n\r\n" % (method, number, body, CRLF.join(dice.shuffled(lines)))
    agreed = dice.one(b"websocket", 0.8, (b"WebSocket", b"h2c", b"", b"websocket, h2c", b"websocket,"))
    lines = [b"Upgrade: " + agreed, b"Connection: upgrade", *dice.some(ANSWER_FIELDS, 2)]
    answer_head = b"HTTP/1.1 101 Switching\r\n%b\r\n\r\n" % CRLF.join(dice.shuffled(lines))
    return request_head + _content(dice, b"<q%d>" % number), answer_head + _content(dice, b"<r%d>" % number)


def answer(dice: Dice, number: int) -> bytes:
    """An answer with at most one thing odd, and with interim ones before it now and then."""
    token = b"<r%d>" % number
    odd = dice.one(Odd.NOTHING, 0.6, tuple(Odd))
    start = b"HTTP/1.1 " + dice.one(STATUSES[0], 0.7, STATUSES)
    if odd is Odd.START:
        start = dice.pick((b"HTTP/1.0" + start[8:], b"HTTP/1.4" + start[8:], dice.pick(BAD_STATUS_LINES)))
    framing, framed = _framed(dice, _content(dice, token), odd)
    fields = [b"X-Token: " + token, *framing, *dice.some(ANSWER_FIELDS, 5)]
    if dice.chance(0.2):
        fields.append(b"Connection: " + _name_of(dice.pick(fields)))
    if odd is Odd.FIELD:
        fields.append(dice.pick(BAD_FIELDS))
    final = CRLF.join([start, *dice.shuffled(fields), b"", framed])
    return b"".join([*(_interim(dice) for _ in range(dice.pick(INTERIM_COUNTS))), final])


def _interim(dice: Dice) -> bytes:
    fields = dice.some((*ANSWER_FIELDS, b"Link: <x>", b"Content-Length: 0", b"Transfer-Encoding: chunked"), 2)
    return CRLF.join([b"HTTP/1.1 " + dice.pick(INTERIMS), *fields, b"", b""])


def _name_of(line: bytes) -> bytes:
    return line.partition(b":")[0]


def _content(dice: Dice, token: bytes) -> bytes:
    inner: Sequence[Callable[[], bytes]] = (
        lambda: b"",
        lambda: token,
        lambda: token + b"\r\n0\r\n\r\n" + token,
        lambda: b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        lambda: token * (1 + dice.below(40)),
        lambda: bytes(dice.below(256) for _ in range(dice.below(12))),
        lambda: b"HTTP/1.1 200 Smuggled\r\nContent-Length: 0\r\n\r\n",
    )
    return dice.pick(inner)()


def _framed(dice: Dice, body: bytes, odd: Odd) -> tuple[list[bytes], bytes]:
    """The lines that declare a body, and the body so framed."""
    length = b"Content-Length: %d" % len(body)
    if odd is Odd.FRAMING:
        return _oddly_framed(dice, body, length)
    kind = 2 if odd is Odd.CHUNKS else dice.below(3)
    if kind == 0:
        return [], b""
    if kind == 1:
        return [length], body
    return [b"Transfer-Encoding: chunked"], chunked(dice, body, odd)


def _oddly_framed(dice: Dice, body: bytes, length: bytes) -> tuple[list[bytes], bytes]:
    kind = dice.below(5)
    chunks = chunked(dice, body, Odd.NOTHING)
    if kind == 0:
        return [length, b"Transfer-Encoding: " + dice.one(CODINGS[0], 0.5, CODINGS)], dice.pick((body, chunks))
    if kind == 1:
        return [b"Content-Length: " + dice.pick(NUMBERS)], body
    if kind == 2:
        return [b"Transfer-Encoding: " + dice.pick(CODINGS)], dice.pick((body, chunks, chunks))
    if kind == 3:
        return [length, dice.pick((length, b"content-length:%d" % len(body), b"Content-Length: 0"))], body
    return [b"Transfer-Encoding: chunked", b"transfer-encoding: " + dice.pick(CODINGS)], chunks


def chunked(dice: Dice, body: bytes, odd: Odd) -> bytes:
    """A body in chunks, with extensions and trailers now and then; if chunks are odd, one piece of it is."""
    pieces: list[bytes] = []
    while body:
        size = 1 + dice.below(len(body))
        pieces += [
            dice.pick((b"%x", b"%X", b"%04x", b"%x")) % size,
            dice.one(b"", 0.8, EXTENSIONS[:4]),
            CRLF,
            body[:size],
            CRLF,
        ]
        body = body[size:]
    trailers = dice.some(TRAILERS, 3) if dice.chance(0.3) else []
    if odd is Odd.CHUNKS and dice.chance(0.1):
        trailers.append(dice.pick(BAD_FIELDS))
    pieces += [b"0", b"", CRLF, *(line + CRLF for line in trailers), CRLF]
    if odd is Odd.CHUNKS:
        at = dice.below(len(pieces))
        piece = pieces[at]
        ends = (
            ODD_ENDS
            if piece == CRLF
            else EXTENSIONS
            if not piece
            else (b"+", b"-", b"0x", b" ", b"\n", b"0" * 16, b"g")
        )
        pieces[at] = dice.pick(ends) + (b"" if piece == CRLF else piece)
    return b"".join(pieces)
