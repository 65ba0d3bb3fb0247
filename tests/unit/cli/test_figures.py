import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cli.figures import bare_percent, counts, duration, many, milliseconds, percent


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0.00 %"), (1, "100.00 %"), (0.986, "98.60 %"), (0.999999, "> 99.99 %"), (0.000001, "< 0.01 %")],
)
def test_percentages(share: float, text: str) -> None:
    assert percent(share) == text


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_only_all_reads_100_and_only_none_reads_0(share: float) -> None:
    assert percent(share) not in {"100.00 %", "0.00 %"}
    assert bare_percent(share) in percent(share)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.00041, "0.41 ms"), (0.0413, "41.3 ms"), (0.412, "412 ms"), (12.4, "12,400 ms"), (0, "0.00 ms")],
)
def test_milliseconds(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(5.9, "5s"), (60, "1m"), (272, "4m"), (7500, "2h 5m"), (273_600, "3d 4h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_counts_are_the_largest_first_and_never_0() -> None:
    assert counts({"a": 1, "b": 2000, "c": 0, "d": 1}) == "2,000 b, 1 a, 1 d"


def test_one_has_no_plural() -> None:
    assert (many(1, "request"), many(2, "request")) == ("1 request", "2 requests")
