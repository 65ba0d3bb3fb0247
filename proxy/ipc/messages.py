"""What processes tell each other, as JSON.

worker, judge → control    Hello at connect, then a Report about once a second, cumulative since start
control → worker           Snapshot at connect and at every change; a judge hears from its worker what it needs
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, TypeVar

import orjson

from proxy.config.models import Mode, Settings
from proxy.core.evidence import Report
from proxy.core.families import FAMILIES, Kind
from proxy.core.sketch import Sketch
from proxy.core.tally import Labels, Tally

T = TypeVar("T")

_MOST = 1 << 53
"""The largest count believed; sums of such still fit the 64 bits JSON is written with."""
_FARTHEST_BUCKET = 35_000
"""The bucket of 1e300: one farther away is a number no float holds."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a process: who it is. `incarnation` differs at every start."""

    process: str
    incarnation: str
    pid: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is in force: the configuration and the mode of each service, under one version number.

    `configuration` is the version under which the configuration was read: one that has not changed since was
    not read again either.
    """

    version: int
    settings: Settings
    modes: dict[str, Mode]
    configuration: int = 0


Message = Hello | Snapshot | Report


class MessageError(Exception):
    """The payload is none of our messages."""


def encode(message: Message) -> bytes:
    """The payload of a message."""
    match message:
        case Hello():
            body: dict[str, Any] = {
                "type": "hello",
                "process": message.process,
                "incarnation": message.incarnation,
                "pid": message.pid,
            }
        case Snapshot():
            body = {
                "type": "snapshot",
                "version": message.version,
                "configuration": message.configuration,
                "settings": message.settings.with_secrets(),
                "modes": message.modes,
            }
        case Report():
            body = {
                "type": "report",
                "process": message.process,
                "incarnation": message.incarnation,
                "tally": tally_to_json(message.tally),
            }
    return orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)


def decode(payload: bytes) -> Message:
    """The message of a payload. Raises MessageError."""
    try:
        body = orjson.loads(payload)
        match body["type"]:
            case "hello":
                return Hello(_text(body["process"]), _text(body["incarnation"]), _whole(body["pid"]))
            case "snapshot":
                modes = {service: Mode(mode) for service, mode in body["modes"].items()}
                settings = Settings.model_validate(body["settings"])
                return Snapshot(_whole(body["version"]), settings, modes, _whole(body["configuration"]))
            case "report":
                tally = tally_from_json(body["tally"])
                return Report(_text(body["process"]), _text(body["incarnation"]), tally)
            case other:
                raise MessageError(f"unknown message type {other!r}")
    except (KeyError, TypeError, ValueError, AttributeError) as wrong:
        raise MessageError(f"not a message: {wrong}") from wrong


def tally_to_json(tally: Tally) -> dict[str, Any]:
    """A tally as JSON rows: label sets are lists beside their value."""
    return {
        "counts": {name: [*table.items()] for name, table in tally.counts.items()},
        "sketches": {name: [*table.items()] for name, table in tally.sketches.items()},
        "gauges": {name: [*table.items()] for name, table in tally.gauges.items()},
    }


def tally_from_json(body: dict[str, Any]) -> Tally:
    """The tally of such rows. Families this version does not know are left out; ValueError for anything amiss."""
    return Tally(
        _tables(body["counts"], Kind.COUNTER, _whole),
        _tables(body["sketches"], Kind.SKETCH, _sketch_from_json),
        _tables(body["gauges"], Kind.GAUGE, _number),
    )


def _tables(body: dict[str, Any], kind: Kind, value_of: Callable[[Any], T]) -> dict[str, dict[Labels, T]]:
    tables: dict[str, dict[Labels, T]] = {}
    for name, rows in body.items():
        family = FAMILIES.get(name)
        if family is None or family.kind is not kind:
            continue
        table = tables[name] = {tuple(labels): value_of(value) for labels, value in rows}
        for labels in table:
            if len(labels) != len(family.labels) or not all(isinstance(label, str) for label in labels):
                raise ValueError(f"{name} has the labels {family.labels}, not {labels}")
    return tables


def _sketch_from_json(body: dict[str, Any]) -> Sketch:
    return Sketch(
        zero=_whole(body["zero"]),
        count=_whole(body["count"]),
        sum=_number(body["sum"]),
        low=inf if body["low"] is None else _number(body["low"]),
        high=_number(body["high"]),
        refused=_whole(body["refused"]),
        buckets={_bucket(index): _whole(count) for index, count in body["buckets"].items()},
    )


def _bucket(text: str) -> int:
    index = int(text)
    if abs(index) > _FARTHEST_BUCKET:
        raise ValueError(f"there is no bucket {index}")
    return index


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST:
        raise ValueError(f"{value!r} is not a count")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not a number")
    return float(value)
