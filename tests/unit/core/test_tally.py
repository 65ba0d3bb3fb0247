from hypothesis import given

from proxy.core.families import COMPARISONS, DELTA, MIRROR_IN_FLIGHT, REQUESTS
from proxy.core.tally import Tally
from tests.unit.core.tallies import added, shape, tallies


@given(tallies, tallies, tallies)
def test_adding_does_not_depend_on_order_or_grouping(a: Tally, b: Tally, c: Tally) -> None:
    assert shape(added(added(a, b), c)) == shape(added(a, added(b, c))) == shape(added(c, a, b))


@given(tallies, tallies)
def test_adding_leaves_the_added_alone(a: Tally, b: Tally) -> None:
    before = shape(added(b))
    total = added(a, b)
    total.add(b)
    assert shape(added(b)) == before


@given(tallies)
def test_nothing_is_neutral(a: Tally) -> None:
    assert shape(added(Tally(), a, Tally())) == shape(added(a))


@given(tallies)
def test_totals_by_label_add_up_to_the_total(a: Tally) -> None:
    assert sum(a.by(REQUESTS, "code").values()) == a.total(REQUESTS)
    assert sum(a.by(REQUESTS, "code", service="a").values()) == a.total(REQUESTS, service="a")


def test_totals_select_by_labels() -> None:
    tally = Tally()
    tally.count(COMPARISONS, ("ranker", "score", "match"), 3)
    tally.count(COMPARISONS, ("ranker", "items", "match"), 2)
    tally.count(COMPARISONS, ("ranker", "items", "mismatch"))
    tally.count(COMPARISONS, ("search", "items", "mismatch"), 7)
    assert tally.total(COMPARISONS) == 13
    assert tally.total(COMPARISONS, service="ranker") == 6
    assert tally.total(COMPARISONS, service="ranker", verdict="match") == 5
    assert tally.total(COMPARISONS, service="nobody") == 0
    assert tally.by(COMPARISONS, "verdict", service="ranker") == {"match": 5, "mismatch": 1}
    assert tally.by(COMPARISONS, "verdict", service="nobody") == {"match": 0, "mismatch": 0}


def test_counting_zero_makes_a_label_set_exist() -> None:
    tally = Tally()
    tally.count(COMPARISONS, ("ranker", "score", "match"), 0)
    assert tally.by(COMPARISONS, "verdict") == {"match": 0}


def test_levels_of_several_processes_add_up_and_the_last_of_one_holds() -> None:
    one, other = Tally(), Tally()
    one.gauge(MIRROR_IN_FLIGHT, ("ranker",), 9)
    one.gauge(MIRROR_IN_FLIGHT, ("ranker",), 2)
    other.gauge(MIRROR_IN_FLIGHT, ("ranker",), 3)
    assert added(one, other).gauges == {MIRROR_IN_FLIGHT.name: {("ranker",): 5}}


def test_levels_end_with_their_process_and_sums_stay() -> None:
    tally = Tally()
    tally.gauge(MIRROR_IN_FLIGHT, ("ranker",), 2)
    tally.count(REQUESTS, ("ranker", "score", "v1", "2xx"))
    tally.sketch(DELTA, ("ranker", "score")).add(0.5)
    kept = tally.without_gauges()
    assert kept.gauges == {}
    assert kept.total(REQUESTS) == 1
    assert kept.sketch(DELTA, ("ranker", "score")).count == 1
