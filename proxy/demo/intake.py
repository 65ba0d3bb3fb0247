"""Reads the body of `POST /v2/score`: bytes in, patient or refusal out.

Every fault is listed at once, each with its JSONPath, so that a client corrects its request in one go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

ID_LENGTH = 64  # characters
LARGEST = 1_000_000.0  # no measurement comes near; keeps every sum finite


@dataclass(frozen=True, slots=True)
class Patient:
    """A request that can be scored: measurements in the models' feature order."""

    id: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a body."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request gets no score: status 400 (not JSON) or 422 (not a patient)."""

    status: int
    title: str
    faults: tuple[Fault, ...] = ()


def read(body: bytes, features: Sequence[str]) -> Patient | Refusal:
    """The patient in `body`, `{"id": "...", "features": {name: number}}`, or why there is none."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Refusal(400, "The body is not JSON")
    faults = tuple(find_faults(document, features))
    if faults:
        return Refusal(422, "The body does not describe a patient", faults)
    return Patient(document["id"], [document["features"][name] for name in features])


def find_faults(document: Any, features: Sequence[str]) -> Iterator[Fault]:
    """Everything wrong in a decoded body; nothing if it can be scored."""
    if not isinstance(document, dict):
        yield Fault("$", "must be an object with id and features")
        return
    identity, measurements = document.get("id"), document.get("features")
    if not isinstance(identity, str) or not 0 < len(identity) <= ID_LENGTH:
        yield Fault("$.id", f"must be a text of 1 to {ID_LENGTH} characters")
    if not isinstance(measurements, dict):
        yield Fault("$.features", f"must be an object of {len(features)} numbers")
        return
    for name in features:
        if message := fault_of(measurements.get(name)):
            yield Fault(f"$.features.{name}", message)
    unknown = len(measurements.keys() - set(features))
    if unknown:
        yield Fault("$.features", f"holds {unknown} names that are no feature of this model")


def fault_of(value: Any) -> str | None:
    """What is wrong with one measurement; None if it can be scored."""
    if value is None:
        return "is missing"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "must be a number"
    if not 0 <= value <= LARGEST:
        return f"must lie between 0 and {LARGEST:,.0f}"
    return None
