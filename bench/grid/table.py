"""A cell as text for a terminal."""

from collections.abc import Sequence

from bench.grid.figures import Row, ends
from bench.grid.measure import CONTESTANTS, Measured
from bench.load.contestants import ENVOY, NGINX

_LABEL = 27
_UNIT = 6
_WIDTH = 15
_PEERS = (NGINX, ENVOY)


def render(measured: Measured, rows: Sequence[Row]) -> str:
    """Return the cell's table; a figure for less than the whole work is marked `!`."""
    names = [name for name in CONTESTANTS if name in measured.turns]
    ratios = [f"ours / {peer}" for peer in _PEERS]
    head = measured.cell.name.ljust(_LABEL + _UNIT) + "".join(word.rjust(_WIDTH) for word in (*names, *ratios))
    return "\n".join(
        [
            "",
            head,
            "-" * len(head),
            *(_line(row, names) for row in rows),
            *(f"shadow-proxy's {name}: {counted}" for name, counted in ends(measured).items()),
            *(f"ABSENT {name}: {why}" for name, why in measured.missing.items()),
        ]
    )


def _line(row: Row, names: Sequence[str]) -> str:
    values = [f"{row.values[name]:,.1f}{'!' if name in row.partial else ''}" if name in row.values else "-"
              for name in names]  # fmt: skip
    ratios = [f"{row.ratios[peer]:.2f}" if peer in row.ratios else "-" for peer in _PEERS]
    return row.label.ljust(_LABEL) + row.unit.ljust(_UNIT) + "".join(word.rjust(_WIDTH) for word in (*values, *ratios))
