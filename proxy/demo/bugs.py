"""The bugs planted in the candidate on request: three faults of the kind migrations really have.

A bug spoils an answer that was right. It strikes the same patients every time, chosen by a hash of the id.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bug:
    """One planted fault."""

    name: str
    shows: str  # kind and place of the difference it makes
    story: str
    method: str  # the endpoint it sits in
    every: int  # strikes one patient in so many
    spoil: Callable[[Answer], Answer | None]  # None: the patient is not found

    def strikes(self, method: str, patient: str) -> bool:
        """Whether a request about this patient meets the bug."""
        return method == self.method and crc32(f"{self.name} {patient}".encode()) % self.every == 0


def lose(_: Answer) -> None:
    """The patient was not copied to the new store."""


def quote(answer: Answer) -> Answer:
    """A number became text on its way through another serialiser."""
    return answer | {"probability": str(answer["probability"])}


def round_to_single(answer: Answer) -> Answer:
    """Deviations are computed in 32 instead of 64 bits: right to about seven digits."""
    segments = [part | {"deviation": single(part["deviation"])} for part in answer["segments"]]
    return answer | {"segments": segments}


def single(value: float) -> float:
    """The 32-bit float nearest to `value`."""
    nearest: float = struct.unpack("f", struct.pack("f", value))[0]
    return nearest


BUGS = (
    Bug("lost_patient", "status", "patients lost on the way to the new store", "GET", 12, lose),
    Bug("quoted_probability", "type at $.probability", "a number became text", "POST", 40, quote),
    Bug("single_precision", "value at $..deviation", "computed in 32 bits, not 64", "POST", 4, round_to_single),
)
PLANTED = {"none": (), "some": BUGS}  # by the value of --bugs


def spoiled(answer: Answer, bugs: Sequence[Bug], method: str) -> Answer | None:
    """`answer` after every planted bug that strikes its patient; None if the patient got lost."""
    for bug in bugs:
        if bug.strikes(method, answer["id"]):
            after = bug.spoil(answer)
            if after is None:
                return None
            answer = after
    return answer
