from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparators import Kind, Limits, Reason, Response, Tree, Verdict, compare, compile_rules
from comparators.rules import EndpointSettings
from comparators.urls import URLS
from tests.unit.comparators.leaf_rule import LeafRule
from tests.unit.comparators.trees import rule, trees, walk

PRIMARY, CANDIDATE = "http://10.0.0.7:8001", "https://v2.example"
ENDPOINT = EndpointSettings(primary_origin=PRIMARY, candidate_origin=CANDIDATE)
(URL,) = URLS
LINK, ORDERED = LeafRule(URL, ENDPOINT), LeafRule(URL, ENDPOINT, query_order=True)

links = st.builds(
    "{}{}?{}".format,
    st.sampled_from([PRIMARY, CANDIDATE, "http://third.example", ""]),
    st.sampled_from(["", "/", "/a/b"]),
    st.lists(st.sampled_from(["a=1", "a=2", "b", "b=", "=", ""]), max_size=4).map("&".join),
)
strings = links | st.text("?&#=<>ab/ ", max_size=12) | st.text()


@pytest.mark.parametrize(
    ("primary", "candidate", "accepted"),
    [
        pytest.param(PRIMARY + "/a", CANDIDATE + "/a", True, id="each names itself"),
        pytest.param(PRIMARY, CANDIDATE, True, id="and nothing else"),
        pytest.param(PRIMARY.upper() + "/a", CANDIDATE + "/a", True, id="a host has no case"),
        pytest.param(PRIMARY + "/a", CANDIDATE + "/A", False, id="a path has"),
        pytest.param(PRIMARY + "/a", PRIMARY + "/a/", False, id="nothing is normalised"),
        pytest.param(PRIMARY + "/a", "/a", False, id="a relative link is another one"),
        pytest.param(CANDIDATE + "/a", PRIMARY + "/a", False, id="each names the other"),
        pytest.param(PRIMARY + "0/a", CANDIDATE + "0/a", False, id="another port"),
        pytest.param(PRIMARY + "/a", "http://third.example/a", False, id="a third party"),
        pytest.param("http://third.example/a", "http://third.example/b", False, id="another place there"),
        pytest.param(f"/?to={PRIMARY}/a", f"/?to={CANDIDATE}/a", True, id="inside a query"),
        pytest.param(f"<{PRIMARY}/a>; rel=next", f"<{CANDIDATE}/a>; rel=next", True, id="inside a value of links"),
    ],
)
def test_links_are_equal_once_the_own_origins_are_taken_out(primary: str, candidate: str, *, accepted: bool) -> None:
    assert LINK.kind(primary, candidate) is (None if accepted else Kind.VALUE)
    assert ORDERED.kind(primary, candidate) is (None if accepted else Kind.VALUE)


@pytest.mark.parametrize(
    ("primary", "candidate", "accepted"),
    [
        pytest.param("/a?x=1&y=2", "/a?y=2&x=1", True, id="parameters in another order"),
        pytest.param("/a?x=1&y=2#f", "/a?y=2&x=1#f", True, id="with a fragment behind them"),
        pytest.param("/a?x=1&y=2#f", "/a?y=2&x=1#g", False, id="which counts"),
        pytest.param("/a?x=1&x=2", "/a?x=2&x=1", False, id="one name twice is a list"),
        pytest.param("/a?x=1&y=2", "/a?x=1", False, id="one less"),
        pytest.param("/a?x=1", "/a?x=1&", False, id="even an empty one"),
        pytest.param("/a?x=1&y=2", "/a?x=2&y=1", False, id="other values"),
        pytest.param("/a&b=1?c", "/a&c?b=1", False, id="a path is no query"),
        pytest.param("/#/a?x=1&y=2", "/#/a?y=2&x=1", False, id="nor is a fragment"),
        pytest.param("</a?x&y>; rel=next, </b?z>", "</a?y&x>; rel=next, </b?z>", True, id="each link of a value"),
        pytest.param("</a?x>, </b?y>", "</a?y>, </b?x>", False, id="by itself"),
        pytest.param(f"/?a=1&to={PRIMARY}/", f"/?to={CANDIDATE}/&a=1", True, id="together with origins"),
    ],
)
def test_the_order_of_parameters_counts_if_the_rule_says_so(primary: str, candidate: str, *, accepted: bool) -> None:
    assert LINK.kind(primary, candidate) is (None if accepted else Kind.VALUE)
    assert ORDERED.kind(primary, candidate) is Kind.VALUE


def test_without_origins_a_link_is_itself() -> None:
    assert LeafRule(URL).kind(PRIMARY + "/a", CANDIDATE + "/a") is Kind.VALUE
    assert LeafRule(URL).accepts("/a?x&y", "/a?y&x")


@pytest.mark.parametrize(
    ("primary", "candidate", "kind"),
    [("/a", 1, Kind.TYPE), (1, 2, Kind.VALUE), (True, False, Kind.VALUE), ("/a", None, Kind.TYPE), (1, 1.0, None)],
)
def test_anything_but_strings_is_compared_exactly(primary: Tree, candidate: Tree, kind: Kind | None) -> None:
    assert LINK.kind(primary, candidate) is kind


def test_parameters_are_work() -> None:
    few = EndpointSettings(limits=Limits(leaves=100))
    rules = compile_rules([rule("$.x", "url")], settings=few)
    many = "/?" + "&" * 100
    response, other = (
        Response(200, b"content-type: application/json\r\n", b'{"x":"%s"}' % x) for x in (b"/", many.encode())
    )
    assert compare(response, other, rules).reason is Reason.LEAVES
    assert walk({"x": "/?a&b"}, {"x": "/?b&a"}, rules).verdict is Verdict.TOLERATED


def test_it_reads_headers() -> None:
    rules = compile_rules([rule("header:location", "url")], settings=ENDPOINT)
    ours, theirs, other = (
        Response(302, b"location: %s\r\n" % link.encode("latin-1"), b"")
        for link in (PRIMARY + "/\xe9?x&y", CANDIDATE + "/\xe9?y&x", CANDIDATE + "/\xe9?y")
    )
    assert compare(ours, theirs, rules).verdict is Verdict.TOLERATED
    assert compare(ours, other, rules).differences[0].kind is Kind.HEADER


@given(strings | trees, strings | trees, st.booleans())
def test_it_is_sound(primary: Tree, candidate: Tree, query_order: bool) -> None:  # noqa: FBT001  drawn
    LeafRule(URL, ENDPOINT, query_order=query_order).must_be_sound(primary, candidate)


@given(links, links)
def test_with_the_order_counting_fewer_are_accepted(one: str, other: str) -> None:
    assert LINK.accepts(one, other) or not ORDERED.accepts(one, other)


@given(strings, strings)
def test_without_origins_it_does_not_matter_which_side_is_which(one: str, other: str) -> None:
    plain = LeafRule(URLS[0])
    assert plain.accepts(one, other) is plain.accepts(other, one)


@given(st.permutations(["a=1", "b=2", "c", "d=/?x"]))
def test_any_order_is_as_good_as_any_other(parameters: list[str]) -> None:
    assert LINK.accepts(PRIMARY + "/?a=1&b=2&c&d=/?x", CANDIDATE + "/?" + "&".join(parameters))
