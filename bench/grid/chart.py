"""A line chart as SVG: both axes logarithmic, every line labelled at its end. A pure function from values to text.

The background is white, so that a page shows it alike in its light and its dark form.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 720, 434
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 196, 72, 84
_LABEL_GAP = 17.0
_LABEL_INDENT = 20
_STEPS = (1, 2, 5)
_MOST_MARKS = 8


@dataclass(frozen=True, slots=True)
class Point:
    """A value above zero; one that is not `whole` is drawn hollow."""

    x: float
    y: float
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """One contestant's points, at least one, with x rising; a `strong` line is drawn above all others."""

    name: str
    colour: str
    points: Sequence[Point]
    strong: bool = False
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything a reader sees; `x_label` and `y_label` name the axes, the functions write a value with its unit."""

    title: str
    subtitle: str
    x_label: str
    x_text: Callable[[float], str]
    y_text: Callable[[float], str]
    lines: Sequence[Line]
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to pixels, logarithmically."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)


def ticks(low: float, high: float) -> list[float]:
    """Return the values 1, 2 and 5 times a power of ten that enclose both ends, rising, at least two."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    marks = [step * 10.0**power for power in powers for step in _STEPS]
    first = max(index for index, mark in enumerate(marks) if mark <= low * (1 + 1e-9))
    last = min(index for index, mark in enumerate(marks) if mark >= high * (1 - 1e-9))
    return marks[first : max(last, first + 1) + 1]


def thinned(marks: Sequence[float]) -> list[float]:
    """Return the powers of ten alone where all marks would be too many to read."""
    powers = [mark for mark in marks if math.log10(mark).is_integer()]
    return powers if len(marks) > _MOST_MARKS and len(powers) > 1 else list(marks)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return places at least `gap` apart and within the bounds if they fit, in the order of the wanted ones."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    placed = [0.0] * len(wanted)
    floor = low
    for index in order:
        placed[index] = max(wanted[index], floor)
        floor = placed[index] + gap
    ceiling = high
    for index in reversed(order):
        placed[index] = min(placed[index], ceiling)
        ceiling = placed[index] - gap
    return placed


def render(chart: Chart) -> str:
    """Return the SVG document."""
    xs = sorted({point.x for line in chart.lines for point in line.points})
    ys = [point.y for line in chart.lines for point in line.points]
    marks = ticks(min(ys), max(ys))
    across = _Scale(xs[0], max(xs[-1], xs[0] * 1.01), _LEFT + 14, _WIDTH - _RIGHT)
    up = _Scale(marks[0], marks[-1], _HEIGHT - _BOTTOM, _TOP)
    lines = sorted(chart.lines, key=lambda line: line.strong)
    parts = [
        *_frame(chart),
        *(_horizontal(mark, up, chart.y_text) for mark in thinned(marks)),
        *(_vertical(x, across, chart.x_text) for x in xs),
        *(_drawn(line, across, up) for line in lines),
        *_labels(chart, across, up),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _frame(chart: Chart) -> Iterable[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" role="img" font-family="system-ui, Helvetica, Arial, \'DejaVu Sans\', sans-serif" '
        f'font-size="12" fill="#374151">'
    )
    yield f"<title>{escape(chart.title)}: {escape(chart.subtitle)}</title>"
    yield f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="#ffffff"/>'
    yield f'<text x="24" y="32" font-size="17" font-weight="600" fill="#111827">{escape(chart.title)}</text>'
    yield f'<text x="24" y="52" fill="#4b5563">{escape(chart.subtitle)}</text>'
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    yield f'<path d="M{_LEFT} {_HEIGHT - _BOTTOM}H{_WIDTH - _RIGHT}" stroke="#9ca3af"/>'
    yield f'<text x="{middle:g}" y="{_HEIGHT - _BOTTOM + 40}" text-anchor="middle">{escape(chart.x_label)}</text>'
    for number, note in enumerate(reversed(chart.notes)):
        y = _HEIGHT - 12 - 15 * number
        yield f'<text x="24" y="{y}" font-size="11" fill="#6b7280">{escape(note)}</text>'


def _horizontal(mark: float, up: _Scale, text: Callable[[float], str]) -> str:
    y = up.at(mark)
    return (
        f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#e5e7eb"/>'
        f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(text(mark))}</text>'
    )


def _vertical(x: float, across: _Scale, text: Callable[[float], str]) -> str:
    at, bottom = across.at(x), _HEIGHT - _BOTTOM
    return (
        f'<path d="M{at:.1f} {bottom}v5" stroke="#9ca3af"/>'
        f'<text x="{at:.1f}" y="{bottom + 20}" text-anchor="middle">{escape(text(x))}</text>'
    )


def _drawn(line: Line, across: _Scale, up: _Scale) -> str:
    places = [(across.at(point.x), up.at(point.y), point.whole) for point in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
    width, radius = (3.2, 4.5) if line.strong else (1.7, 3.2)
    dashes = ' stroke-dasharray="5 4"' if line.dashed else ""
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{line.colour if whole else "#ffffff"}"/>'
        for x, y, whole in places
    )
    return (
        f'<g stroke="{line.colour}" stroke-width="{width}" stroke-linejoin="round">'
        f'<polyline points="{path}" fill="none"{dashes}/>{dots}</g>'
    )


def _labels(chart: Chart, across: _Scale, up: _Scale) -> Iterable[str]:
    """Write name and last value of each line at the right, with a thin lead from its end, which may come early."""
    wanted = [up.at(line.points[-1].y) for line in chart.lines]
    placed = spread(wanted, _LABEL_GAP, _TOP, _HEIGHT - _BOTTOM)
    for line, from_y, to_y in zip(chart.lines, wanted, placed, strict=True):
        x, end = across.at(line.points[-1].x), across.end + _LABEL_INDENT
        weight = ' font-weight="700"' if line.strong else ""
        yield f'<path d="M{x + 6:.1f} {from_y:.1f}L{end - 3:.1f} {to_y:.1f}" stroke="{line.colour}" opacity="0.6"/>'
        yield (
            f'<text x="{end:.1f}" y="{to_y + 4:.1f}" fill="{line.colour}"{weight}>{escape(line.name)}'
            f'<tspan dx="6" fill="#4b5563" font-weight="400">{escape(chart.y_text(line.points[-1].y))}</tspan></text>'
        )
