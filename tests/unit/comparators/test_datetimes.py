from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparators import BUILT_IN, Kind, Response, RuleErrors, Tree, Verdict, compare, compile_rules
from comparators.datetimes import DATETIMES, parse_timestamp
from tests.unit.comparators.leaf_rule import LeafRule
from tests.unit.comparators.trees import rule, trees

(COMPARATOR,) = DATETIMES
NOON = "2026-11-20T12:00:00Z"


def leaf(**settings: Any) -> LeafRule:
    return LeafRule(COMPARATOR, **settings)


DEFAULT, SPELLING = leaf(), leaf(within=0)

zones = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=zones)  # noqa: DTZ001  they get theirs
stamps = instants.map(datetime.isoformat)
strings = stamps | st.sampled_from(["2026-11-20", "2026-02-30T00:00Z", "12", "-7.5", "1" * 30, NOON[:-1]]) | st.text()
seconds = st.sampled_from([0, 0.001, 1, 2.5, 86_400, 1e12])


@pytest.mark.parametrize(
    "spelling",
    [
        "2026-11-20T12:00:00+00:00",
        "2026-11-20T12:00:00-0000",
        "2026-11-20T13:00:00+01",
        "2026-11-20t12:00:00z",
        "2026-11-20 12:00:00Z",
        "2026-11-20T12:00Z",
        "2026-11-20T12:00:00.000000000000Z",
        "2026-11-20T12:00:00,0Z",
        "2026-11-20T17:30:00+05:30",
        "2026-11-20T17:30:00+0530",
        "2026-11-19T23:30:00-12:30",
        "2026-11-20T11:59:60Z",
    ],
)
def test_another_spelling_of_the_same_instant_is_accepted(spelling: str) -> None:
    assert SPELLING.accepts(NOON, spelling)


@pytest.mark.parametrize(
    ("within", "candidate", "accepted"),
    [
        pytest.param(2, "2026-11-20T12:00:02Z", True, id="the bound is inclusive"),
        pytest.param(2, "2026-11-20T11:59:58Z", True, id="earlier too"),
        pytest.param(2, "2026-11-20T12:00:02.000000000001Z", False, id="and no more, to the picosecond"),
        pytest.param("250ms", "2026-11-20T12:00:00.25Z", True, id="written as a duration"),
        pytest.param("250ms", "2026-11-20T12:00:00.251Z", False, id="of a unit"),
        pytest.param("1.5 h", "2026-11-20T13:30:00Z", True, id="with a fraction"),
        pytest.param("1d", "2026-11-21T12:00:00Z", True, id="as long as a day"),
        pytest.param(0.1, "2026-11-20T12:00:00.1Z", True, id="a float means the decimals it shows"),
        pytest.param(2, "2026-11-20T13:00:01+01:00", True, id="whatever the zone"),
        pytest.param(1, "2026-11-20T12:00:60Z", False, id="a leap second is 60 seconds from 0"),
    ],
)
def test_instants_may_be_so_far_apart(within: float | str, candidate: str, *, accepted: bool) -> None:
    assert leaf(within=within).accepts(NOON, candidate) is accepted


def test_a_leap_second_stands_next_to_midnight() -> None:
    assert SPELLING.accepts("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z")
    assert leaf(within=1).accepts("2016-12-31T23:59:59Z", "2016-12-31T23:59:60Z")


def test_two_seconds_are_the_default() -> None:
    assert DEFAULT.accepts(NOON, "2026-11-20T12:00:02Z")
    assert not DEFAULT.accepts(NOON, "2026-11-20T12:00:02.1Z")


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20",
        "12:00:00",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-11-20T24:00:00Z",
        "2026-11-20T12:60:00Z",
        "2026-11-20T12:00:61Z",
        "2026-11-20T12:00:00+24:00",
        "2026-11-20T12:00:00.Z",
        "2026-11-20T12:00:00.0000000000000Z",
        "2026-11-20T12:00:00Z\n",
        " 2026-11-20T12:00:00Z",
        "20261120T120000Z",
        "２026-11-20T12:00:00Z",
        "Fri, 20 Nov 2026 12:00:00 GMT",
        "n/a",
        "",
    ],
)
def test_what_is_no_timestamp_is_a_string(text: str) -> None:
    assert parse_timestamp(text) is None
    assert leaf(within="9999d").kind(NOON, text) is Kind.VALUE


def test_a_naive_timestamp_names_no_instant() -> None:
    assert DEFAULT.kind(NOON, NOON[:-1]) is Kind.TYPE
    assert DEFAULT.kind(NOON[:-1], NOON) is Kind.TYPE
    assert DEFAULT.kind(NOON[:-1], "2026-11-20T12:00:01") is Kind.VALUE
    assert DEFAULT.accepts(NOON[:-1], NOON[:-1])


def test_unless_it_is_said_to_be_utc() -> None:
    utc = leaf(naive="utc")
    assert utc.accepts(NOON, NOON[:-1])
    assert utc.accepts(NOON[:-1], "2026-11-20T12:00:01")
    assert utc.kind(NOON, "2026-11-20T12:00:03") is Kind.VALUE


@pytest.mark.parametrize(
    ("epoch", "primary", "candidate", "accepted"),
    [
        ("s", 1_790_000_000, 1_790_000_002, True),
        ("s", 1_790_000_000, 1_790_000_003, False),
        ("s", 1_790_000_000, 1_790_000_002.0, True),
        ("s", 1_790_000_000.25, 1_790_000_002.5, False),
        ("ms", 1_790_000_000_000, 1_790_000_002_000, True),
        ("ms", 1_790_000_000_000, 1_790_000_002_001, False),
        ("us", 1_790_000_000_000_000, 1_790_000_002_000_000, True),
        ("ns", 1_790_000_000_000_000_001, 1_790_000_002_000_000_001, True),
        ("ns", 1_790_000_000_000_000_001, 1_790_000_002_000_000_002, False),
        ("s", -1, 1, True),
        ("s", "1790000000", "1790000002.0", True),
        ("s", "1790000000", "1790000003", False),
        ("s", "0", "1970-01-01T00:00:01Z", True),
        ("ms", NOON, "2026-11-20T12:00:01Z", True),
    ],
)
def test_with_an_epoch_numbers_are_instants(epoch: str, primary: Tree, candidate: Tree, *, accepted: bool) -> None:
    assert leaf(epoch=epoch).accepts(primary, candidate) is accepted


def test_without_one_they_are_numbers() -> None:
    assert DEFAULT.kind(1_790_000_000, 1_790_000_001) is Kind.VALUE
    assert DEFAULT.kind("1790000000", "1790000001") is Kind.VALUE


@pytest.mark.parametrize(
    ("primary", "candidate", "kind"),
    [
        (10**20, 10**20 + 1, Kind.VALUE),
        (10**400, 10**400 + 1, Kind.VALUE),
        (float("inf"), 1.0, Kind.VALUE),
        (float("nan"), 1.0, Kind.VALUE),
        (float("nan"), float("nan"), None),
        (True, False, Kind.VALUE),
        (True, 1, Kind.TYPE),
        (1, 1.0, None),
        (NOON, 1_790_000_000, Kind.TYPE),
        (NOON, None, Kind.TYPE),
    ],
)
def test_what_is_no_instant_is_compared_exactly(primary: Tree, candidate: Tree, kind: Kind | None) -> None:
    assert leaf(epoch="s", within="9999d").kind(primary, candidate) is kind


def test_the_magnitude_is_in_seconds() -> None:
    assert DEFAULT.magnitude(NOON, "2026-11-20T12:01:00.5Z") == 60.5
    assert leaf(epoch="ms").magnitude(1_000, 11_000) == 10
    assert DEFAULT.magnitude(NOON, "n/a") is None


def test_it_reads_headers() -> None:
    rules = compile_rules(
        [rule("header:x-at", "datetime", {"epoch": "ms"})], comparators={**BUILT_IN, "datetime": COMPARATOR}
    )
    ours, theirs, late = (Response(200, b"x-at: 17900000%d\r\n" % ms, b"") for ms in (10_000, 12_000, 12_001))
    assert compare(ours, theirs, rules).verdict is Verdict.TOLERATED
    assert compare(ours, late, rules).differences[0].kind is Kind.HEADER


@pytest.mark.parametrize("value", [-1, float("inf"), float("nan"), "2", "2 weeks", "", "-1s", None, True])
def test_a_bound_that_is_no_duration_is_refused(value: Any) -> None:
    with pytest.raises(RuleErrors, match="setting 'within' must be"):
        leaf(within=value)


@pytest.mark.parametrize("settings", [{"epoch": "minutes"}, {"naive": "local"}])
def test_other_units_and_zones_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(RuleErrors, match="must be one of"):
        leaf(**settings)


@given(strings | trees, strings | trees, seconds, st.sampled_from([None, "s", "ns"]), st.sampled_from(["error", "utc"]))
def test_it_is_sound(primary: Tree, candidate: Tree, within: float, epoch: str | None, naive: str) -> None:
    leaf(within=within, naive=naive, **({"epoch": epoch} if epoch else {})).must_be_sound(primary, candidate)


@given(instants, st.timedeltas(timedelta(-2), timedelta(2)), zones, seconds)
def test_it_decides_as_datetime_does_whichever_side_is_which(
    one: datetime, apart: timedelta, zone: timezone, within: float
) -> None:
    other = (one + apart).astimezone(zone)
    expected = abs(other.astimezone(UTC) - one.astimezone(UTC)) <= timedelta(seconds=min(within, 10**9))
    near = leaf(within=within)
    assert near.accepts(one.isoformat(), other.isoformat()) is expected
    assert near.accepts(other.isoformat(), one.isoformat()) is expected


@given(strings, strings, seconds, seconds)
def test_a_wider_bound_accepts_what_a_narrower_one_does(one: str, other: str, within: float, more: float) -> None:
    if leaf(within=within).accepts(one, other):
        assert leaf(within=within + more).accepts(one, other)
