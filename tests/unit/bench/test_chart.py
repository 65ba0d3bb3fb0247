import math
import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.grid.cells import BASE, CELLS
from bench.grid.chart import Chart, Line, Point, render, spread, thinned, ticks
from bench.grid.plots import MEASURES, draw, rate_text, size_text, time_text

SVG = "{http://www.w3.org/2000/svg}"

positive = st.floats(1e-3, 1e7)
points = st.builds(Point, st.sampled_from([1.0, 32.0, 256.0, 1000.0]), positive, st.booleans())
lines = st.builds(
    Line, st.text("ab<&>\"'é", min_size=1, max_size=9), st.just("#123456"), st.lists(points, min_size=1, max_size=4)
)


def chart(*drawn: Line, title: str = "CPU") -> Chart:
    return Chart(title, "a < b", "connections", str, str, drawn, ["one & two"])


def texts(svg: str) -> list[str]:
    return ["".join(found.itertext()) for found in ET.fromstring(svg).iter(f"{SVG}text")]


@given(st.lists(lines, min_size=1, max_size=6))
def test_every_chart_is_well_formed_and_stays_on_its_canvas(drawn: list[Line]) -> None:
    root = ET.fromstring(render(chart(*drawn)))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for circle in root.iter(f"{SVG}circle"):
        assert 0 <= float(circle.attrib["cx"]) <= width
        assert 0 <= float(circle.attrib["cy"]) <= height


def test_words_are_escaped_and_shown() -> None:
    shown = texts(render(chart(Line("a<b", "#000000", [Point(1, 2)]), title="CPU & more")))
    assert "CPU & more" in shown
    assert "one & two" in shown
    assert any(text.startswith("a<b") for text in shown)


def test_what_is_not_whole_is_hollow() -> None:
    svg = render(chart(Line("ours", "#123456", [Point(1, 2), Point(32, 4, whole=False)])))
    assert re.findall(r'<circle [^>]*fill="([^"]+)"', svg) == ["#123456", "#ffffff"]


def test_the_strong_line_is_drawn_last() -> None:
    strong, weak = (
        Line(name, colour, [Point(1, 2)], strong=name == "us") for name, colour in (("us", "#1"), ("n", "#2"))
    )
    groups = re.findall(r'<g stroke="([^"]+)"', render(chart(strong, weak)))
    assert groups == ["#2", "#1"]


@given(positive, st.floats(1, 1e6))
def test_ticks_enclose_the_values_closely(low: float, factor: float) -> None:
    marks = ticks(low, low * factor)
    assert marks[0] <= low * 1.001
    assert marks[-1] >= low * factor * 0.999
    assert all(1.9 < after / before < 2.6 for before, after in pairwise(marks))
    assert len(marks) <= 3 * math.log10(factor) + 4


def test_many_ticks_are_thinned_to_powers_of_ten() -> None:
    assert thinned(ticks(100, 900)) == pytest.approx([100, 200, 500, 1000])
    assert thinned(ticks(20, 90_000)) == pytest.approx([100, 1000, 10_000, 100_000])


@given(st.lists(st.floats(0, 300), max_size=6))
def test_labels_keep_their_order_and_distance_within_bounds(wanted: list[float]) -> None:
    placed = spread(wanted, 17, 0, 300)
    ordered = sorted(range(len(wanted)), key=lambda index: wanted[index])
    assert all(placed[after] - placed[before] >= 17 - 1e-6 for before, after in pairwise(ordered))
    assert all(-1e-6 <= place <= 300 + 1e-6 for place in placed)


@pytest.mark.parametrize(
    ("time_us", "text"),
    [
        (0.5, "0.5 µs"),
        (20, "20 µs"),
        (99.97, "100 µs"),
        (999.7, "1 ms"),
        (1274, "1.27 ms"),
        (16_040, "16 ms"),
        (2e6, "2 s"),
    ],
)
def test_times_have_three_digits_and_a_unit(time_us: float, text: str) -> None:
    assert time_text(time_us) == text


def test_sizes_and_rates_are_written_in_decimal_units() -> None:
    assert [size_text(size) for size in (500, 10_000, 1_000_000)] == ["0.5 KB", "10 KB", "1 MB"]
    assert [rate_text(rate) for rate in (500, 999.6, 17_370)] == ["500/s", "1k/s", "17.4k/s"]


def document(*names: str) -> dict[str, object]:
    rows = [
        {"key": measure.key, "values": {"nginx": 5.0, "shadow-proxy": 4.0}, "partial": ["nginx"]}
        for measure in MEASURES
    ]
    return {"cells": [{"cell": {"name": name}, "rows": rows} for name in names]}


def test_a_chart_is_drawn_for_every_measure_along_every_line() -> None:
    drawn = draw(document(*(cell.name for cell in CELLS)))
    assert set(drawn) == {f"{one.name}-by-{axis}.svg" for one in MEASURES for axis in ("size", "connections")}
    assert any("Hollow" in text for text in texts(drawn["cpu-by-size.svg"]))
    assert any("1,000 / 1,000 / 200 / 20 requests" in text for text in texts(drawn["cpu-by-size.svg"]))
    assert any("Paced at 1,000 requests" in text for text in texts(drawn["p99-by-connections.svg"]))
    assert not any("Paced" in text for text in texts(drawn["throughput-by-size.svg"]))


def test_a_line_of_one_point_is_not_drawn() -> None:
    assert draw(document(BASE.name)) == {}
    assert all(name.endswith("-by-size.svg") for name in draw(document(BASE.name, "answer-10k")))
