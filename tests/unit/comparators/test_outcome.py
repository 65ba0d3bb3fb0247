from __future__ import annotations

import pytest

from comparators import Response


def test_a_response_is_built_from_pairs_in_order() -> None:
    made = Response.from_pairs(200, [("A", "1"), ("b", "ü")], b"x")
    assert made == Response(200, b"A: 1\r\nb: \xfc\r\n", b"x")


@pytest.mark.parametrize("pair", [("a\r\nb", "1"), ("a", "1\nb: 2")])
def test_a_line_break_cannot_smuggle_a_field(pair: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="line break"):
        Response.from_pairs(200, [pair])
