"""The held-out patients: measurements no model has seen in training, committed with the package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

import orjson


@dataclass(frozen=True, slots=True)
class Row:
    """One held-out patient."""

    id: str  # "wdbc-017": position in the published data set
    measurements: Mapping[str, float]  # by feature name, in the models' feature order
    malignant: bool  # the diagnosis, which no request carries


def load() -> tuple[Row, ...]:
    """Every held-out patient, in the order of `rows.json`."""
    document = orjson.loads(files("proxy.demo").joinpath("rows.json").read_bytes())
    names = document["features"]
    return tuple(
        Row(row["id"], dict(zip(names, row["values"], strict=True)), row["malignant"]) for row in document["rows"]
    )
