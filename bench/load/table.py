"""The rows as text for a terminal."""

from collections.abc import Sequence

from bench.load.contestants import NAMES
from bench.load.report import PEERS, TRUSTED_SHARE, Row

_LABEL_WIDTH = 27
_UNIT_WIDTH = 6
_VALUE_WIDTH = 13
_RATIO_WIDTH = 18


def render(rows: Sequence[Row], absent: dict[str, str]) -> str:
    """Return the table, and under it whatever must not be overlooked."""
    columns = [name.rjust(_VALUE_WIDTH) for name in NAMES]
    ratios = [f"ours / {peer}".rjust(_RATIO_WIDTH) for peer in PEERS]
    head = " ".join(["".ljust(_LABEL_WIDTH), "".ljust(_UNIT_WIDTH), *columns, *ratios, "  holds"])
    lines = [head, "-" * len(head), *(_line(row) for row in rows)]
    return "\n".join([*lines, *_warnings(rows), *(f"ABSENT {name}: {why}" for name, why in absent.items())])


def outcome(row: Row) -> str:
    """Return what a reader wants first: `yes`, `NO`, `INVALID`, or nothing to say."""
    if row.held and row.invalid:
        return "INVALID"
    if not row.held:
        return ""
    return "yes" if all(row.held.values()) else "NO"


def _line(row: Row) -> str:
    values = [_value(row, name).rjust(_VALUE_WIDTH) for name in NAMES]
    ratios = [_ratio(row, peer).rjust(_RATIO_WIDTH) for peer in PEERS]
    absolute = f" (<= {row.limits['limit']:g} {row.unit})" if "limit" in row.limits else ""
    ending = f"  {outcome(row)}{absolute}"
    return " ".join([row.label.ljust(_LABEL_WIDTH), row.unit.ljust(_UNIT_WIDTH), *values, *ratios, ending]).rstrip()


def _value(row: Row, name: str) -> str:
    if name not in row.values:
        return "-"
    return f"{row.values[name]:,.{row.decimals}f}{'!' if name in row.invalid else ''}"


def _ratio(row: Row, peer: str) -> str:
    shown = f"{row.ratios[peer]:.2f}" if peer in row.ratios else "-"
    return f"{shown} (limit {row.limits[peer]:.1f})" if peer in row.held else shown


def _warnings(rows: Sequence[Row]) -> list[str]:
    return [
        f"INVALID  {row.label}: {name} copied or compared less than {TRUSTED_SHARE:.0%}, or restarted a process"
        for row in rows
        for name in row.invalid
    ]
