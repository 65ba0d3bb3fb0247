"""Which lines of the grid are drawn, and how their numbers are written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.grid.cells import CELLS, Cell, along
from bench.grid.chart import Chart, Line, Point, render
from bench.grid.measure import CONTESTANTS
from bench.load.contestants import AIOHTTP_MIRROR, DIFFY_STYLE, DIRECT, ENVOY, NGINX, SHADOW_PROXY

_COLOURS = {
    SHADOW_PROXY: "#c2410c",
    NGINX: "#15803d",
    ENVOY: "#6d28d9",
    AIOHTTP_MIRROR: "#0369a1",
    DIFFY_STYLE: "#a16207",
    DIRECT: "#6b7280",
}
_HOLLOW = "Hollow: less than 99 % of the requests were copied and, by shadow-proxy, compared."
_PACED = "Paced at {} requests a second; a slow proxy in Python at half of what it does."


@dataclass(frozen=True, slots=True)
class Axis:
    """A line of the grid, as it is written under the chart."""

    name: str
    attribute: str
    label: str
    text: Callable[[float], str]
    fixed: str


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure, as it is written over the chart."""

    name: str
    key: str
    title: str
    detail: str
    text: Callable[[float], str]
    is_paced: bool = False


def size_text(size_bytes: float) -> str:
    """Write a size in decimal units: 0.5 KB, 10 KB, 1 MB."""
    return f"{size_bytes / 1e6:g} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:g} KB"


def time_text(time_us: float) -> str:
    """Write a time with three digits at most: 20 µs, 1.27 ms, 2 s."""
    for unit, factor in (("s", 1e6), ("ms", 1e3)):
        if time_us >= factor * 0.9995:
            return f"{_digits(time_us / factor)} {unit}"
    return f"{_digits(time_us)} µs"


def rate_text(rate_rps: float) -> str:
    """Write requests per second: 500/s, 17.4k/s."""
    return f"{_digits(rate_rps / 1e3)}k/s" if rate_rps >= 999.5 else f"{_digits(rate_rps)}/s"


AXES = (
    Axis("size", "answer_bytes", "size of the answer", size_text, "32 connections, every request mirrored"),
    Axis("connections", "connections", "client connections", lambda count: f"{count:,.0f}",
         "GET, 0.5 KB answers, every request mirrored"),
)  # fmt: skip
MEASURES = (
    Measure("cpu", "cpu_us", "CPU per request", "all processes of the proxy", time_text, is_paced=True),
    Measure("cpu-saturated", "cpu_saturated_us", "CPU per request, saturated", "all processes of the proxy", time_text),
    Measure("throughput", "throughput_rps", "Requests per second, saturated", "one worker", rate_text),
    Measure("p99", "p99_us", "Latency, 99th percentile", "open loop", time_text, is_paced=True),
)


def draw(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the SVGs of a result document by file name; a line of which one point was measured is left out."""
    seen = {cell["cell"]["name"]: cell for cell in document["cells"]}
    drawn = {}
    for axis in AXES:
        line = [cell for cell in along(axis.attribute, CELLS) if cell.name in seen]
        for measure in MEASURES:
            if len(line) > 1:
                chart = _chart(axis, measure, line, seen)
                drawn[f"{measure.name}-by-{axis.name}.svg"] = render(chart)
    return drawn


def _chart(axis: Axis, measure: Measure, cells: Sequence[Cell], seen: Mapping[str, Any]) -> Chart:
    lines = [
        Line(name, _COLOURS[name], points, strong=name == SHADOW_PROXY, dashed=name == DIRECT)
        for name in CONTESTANTS
        if (points := _points(name, axis, measure, cells, seen))
    ]
    hollow = any(not point.whole for line in lines for point in line.points)
    notes = [*([_paced(cells)] if measure.is_paced else []), *([_HOLLOW] if hollow else [])]
    return Chart(
        title=f"{measure.title}, by {axis.label}",
        subtitle=f"{axis.fixed}; {measure.detail}",
        x_label=axis.label,
        x_text=axis.text,
        y_text=measure.text,
        lines=lines,
        notes=notes,
    )


def _paced(cells: Sequence[Cell]) -> str:
    rates = [f"{cell.rate_rps:,.0f}" for cell in cells]
    return _PACED.format(" / ".join(rates if len(set(rates)) > 1 else rates[:1]))


def _points(name: str, axis: Axis, measure: Measure, cells: Sequence[Cell], seen: Mapping[str, Any]) -> list[Point]:
    points = []
    for cell in cells:
        row = next(row for row in seen[cell.name]["rows"] if row["key"] == measure.key)
        if (value := row["values"].get(name, 0)) > 0:
            points.append(Point(getattr(cell, axis.attribute), value, name not in row["partial"]))
    return points


def _digits(value: float) -> str:
    """Write three significant digits, and no zeros that say nothing."""
    decimals = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
