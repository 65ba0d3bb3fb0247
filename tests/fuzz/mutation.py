"""Bytes spoilt by throwing dice: what links, bugs and attackers do to messages."""

import re
from collections.abc import Callable, Sequence

from tests.fuzz.grammar import Dice
from tests.fuzz.vocabulary import BAD_FIELDS, CODINGS, NUMBERS, REQUEST_FIELDS

STRANGE = (
    b"\x00",
    b"\x0b",
    b"\x0c",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\x85",
    b"\xa0",
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b'"',
)
_LINE_ENDS = re.compile(rb"\r\n|\r|\n")
_NUMBER = re.compile(rb"[0-9a-fA-F]+")


def mutated(dice: Dice, data: bytes, times: int) -> bytes:
    """Spoilt this many times."""
    for _ in range(times):
        if data:
            data = dice.pick(_MUTATIONS)(dice, data)
    return data


def _flip(dice: Dice, data: bytes) -> bytes:
    at = dice.below(len(data))
    return data[:at] + bytes([data[at] ^ (1 << dice.below(8))]) + data[at + 1 :]


def _delete(dice: Dice, data: bytes) -> bytes:
    at = dice.below(len(data))
    return data[:at] + data[at + dice.pick((1, 1, 2, 5, 20)) :]


def _insert(dice: Dice, data: bytes) -> bytes:
    at = dice.below(len(data) + 1)
    return data[:at] + dice.pick(STRANGE) + data[at:]


def _insert_at_a_joint(dice: Dice, data: bytes) -> bytes:
    """Beside a line end, colon or comma, where parsers differ."""
    joints = [found.start() + dice.below(2) * len(found[0]) for found in re.finditer(rb"\r\n|:|,|;", data)]
    at = dice.pick(joints or [0])
    return data[:at] + dice.pick(STRANGE) + data[at:]


def _swap_line_end(dice: Dice, data: bytes) -> bytes:
    ends = list(_LINE_ENDS.finditer(data))
    if not ends:
        return data
    end = dice.pick(ends)
    return data[: end.start()] + dice.pick((b"\n", b"\r", b"\r\r\n", b"\n\r", b"", b"\r\n ")) + data[end.end() :]


def _repeat_line(dice: Dice, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    lines.insert(dice.below(len(lines) + 1), dice.pick(lines))
    return b"\r\n".join(lines)


def _drop_line(dice: Dice, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    del lines[dice.below(len(lines))]
    return b"\r\n".join(lines)


def _add_line(dice: Dice, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    coding = b"Transfer-Encoding: " + dice.pick(CODINGS)
    length = b"Content-Length: " + dice.pick(NUMBERS)
    line = dice.pick((coding, length, dice.pick(BAD_FIELDS), dice.pick(REQUEST_FIELDS), b""))
    lines.insert(dice.below(min(len(lines), 8) + 1), line)
    return b"\r\n".join(lines)


def _swap_lines(dice: Dice, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    one, other = dice.below(len(lines)), dice.below(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\r\n".join(lines)


def _change_number(dice: Dice, data: bytes) -> bytes:
    numbers = list(_NUMBER.finditer(data))
    if not numbers:
        return data
    number = dice.pick(numbers)
    return data[: number.start()] + dice.pick(NUMBERS) + data[number.end() :]


def _change_case(dice: Dice, data: bytes) -> bytes:
    at = dice.below(len(data))
    return data[:at] + data[at : at + 8].swapcase() + data[at + 8 :]


def _splice(dice: Dice, data: bytes) -> bytes:
    """A part of it once more, somewhere else: half of one request inside another."""
    start = dice.below(len(data))
    part = data[start : start + 1 + dice.below(80)]
    at = dice.below(len(data) + 1)
    return data[:at] + part + data[at:]


def _cut(dice: Dice, data: bytes) -> bytes:
    return data[: dice.below(len(data))]


_MUTATIONS: Sequence[Callable[[Dice, bytes], bytes]] = (
    _flip, _delete, _insert, _insert_at_a_joint, _insert_at_a_joint, _swap_line_end, _repeat_line, _drop_line,
    _add_line, _swap_lines, _change_number, _change_case, _splice, _cut,
)  # fmt: skip
