from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparators import normalised_path, render, signature
from comparators.path import Path, WideKey


@pytest.mark.parametrize(
    ("path", "rendered", "normalised"),
    [
        (("$",), "$", "$"),
        (("$", "items", 7, "score"), "$.items[7].score", "$.items[*].score"),
        (("$", "user-id"), "$['user-id']", "$['user-id']"),
        (("$", "1a"), "$['1a']", "$.{*}"),
        (("$", ""), "$['']", "$.{*}"),
        (("$", "naïve"), "$['naïve']", "$.{*}"),
        (("$", "it's\n"), "$['it\\'s\\n']", "$.{*}"),
        (("$", "k" * 101), "$." + "k" * 101, "$.{*}"),
        (("$", WideKey("ana"), "age"), "$.ana.age", "$.{*}.age"),
        (("$", *["abcdefghi"] * 30), "$" + ".abcdefghi" * 30, "<other>"),
        (("header:etag",), "header:etag", "header:etag"),
        (("header:set-cookie", "sid"), "header:set-cookie.sid", "header:set-cookie.sid"),
        (("status",), "status", "status"),
    ],
)
def test_rendering(path: Path, rendered: str, normalised: str) -> None:
    assert (render(path), normalised_path(path)) == (rendered, normalised)


def test_a_signature_groups_by_endpoint_normalised_path_and_kind() -> None:
    one = signature("POST /score", ("$", "items", 1), "value")
    assert one == signature("POST /score", ("$", "items", 2), "value")
    others = {
        signature("GET /score", ("$", "items", 1), "value"),
        signature("POST /score", ("$", "items"), "value"),
        signature("POST /score", ("$", "items", 1), "type"),
    }
    assert len(others | {one}) == 4
    assert len(one) == 16


@given(st.lists(st.text() | st.integers(0, 9), max_size=60))
def test_any_path_normalises_within_bounds(steps: list[str | int]) -> None:
    assert len(normalised_path(("$", *steps))) <= 200
    assert signature("e", ("$", *steps), "value")
