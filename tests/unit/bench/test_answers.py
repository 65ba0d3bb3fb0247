import json
import re
from typing import Any

import pytest

from bench.load.answers import SMALL, directives

SIZES = (SMALL, 10_000, 100_000, 1_000_000)


def answer(size_bytes: int, digit: int, *, number: int = 7) -> str:
    """Put an answer together as nginx does."""
    block = re.search(r"set \$s '([^']*)'", directives(size_bytes, digit))
    text = re.search(r"return 200 '([^']*)'", directives(size_bytes, digit))
    assert text is not None
    values = {"$s": block[1] if block else "", "$request_id": f"{number:032x}", "$msec": "1700000000.123"}
    values["$connection_requests"] = str(number)
    return re.sub(r"\$[a-z_]+", lambda found: values[found[0]], text[1])


def probabilities(document: dict[str, Any]) -> list[float]:
    return [segment["p"] for segment in document["segments"]]


@pytest.mark.parametrize("size_bytes", SIZES)
def test_answer_is_json_of_about_the_wanted_size(size_bytes: int) -> None:
    text = answer(size_bytes, 1)
    assert len(text) == pytest.approx(size_bytes, rel=0.12 if size_bytes == SMALL else 0.06)
    assert json.loads(text)["model"]["name"] == "ranker"


@pytest.mark.parametrize("size_bytes", SIZES[1:])
def test_every_float_of_a_long_answer_differs_between_backends_within_the_tolerance(size_bytes: int) -> None:
    primary, candidate = (probabilities(json.loads(answer(size_bytes, digit))) for digit in (1, 2))
    assert len(primary) == len(candidate) > 50
    assert all(0 < abs(ours - theirs) < 0.01 for ours, theirs in zip(primary, candidate, strict=True))


def test_every_float_of_a_short_answer_is_new_in_every_answer() -> None:
    earlier, later = (probabilities(json.loads(answer(SMALL, 1, number=number))) for number in (41, 42))
    assert all(before != after for before, after in zip(earlier, later, strict=True))


def test_longest_captured_body_holds_the_longest_answer() -> None:
    assert len(answer(1_000_000, 1, number=10**9)) < 1 << 20


def test_an_answer_that_nginx_cannot_be_told_is_refused() -> None:
    with pytest.raises(ValueError, match="longer directives than nginx reads"):
        directives(2_000_000, 1)
