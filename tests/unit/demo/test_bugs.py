from dataclasses import replace
from typing import Any

import pytest

from proxy.demo import rows
from proxy.demo.bugs import BUGS, PLANTED, Bug, spoiled

ANSWER: dict[str, Any] = {
    "id": "p-1",
    "probability": 0.123456,
    "segments": [{"id": "mean", "probability": 0.2, "deviation": 1 / 3}],
}
BY_NAME = {bug.name: bug for bug in BUGS}


def always(bug: Bug) -> Bug:
    return replace(bug, every=1)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_each_bug_strikes_some_held_out_patients_and_spares_most(bug: Bug) -> None:
    struck = [row.id for row in rows.load() if bug.strikes(bug.method, row.id)]
    assert 0 < len(struck) < 228 / 2


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_stays_in_its_endpoint(bug: Bug) -> None:
    other = {"GET": "POST", "POST": "GET"}[bug.method]
    assert not any(bug.strikes(other, row.id) for row in rows.load())


def test_lost_patient_leaves_no_answer() -> None:
    assert spoiled(ANSWER, [always(BY_NAME["lost_patient"])], "GET") is None


def test_quoted_probability_changes_type_and_nothing_else() -> None:
    after = spoiled(ANSWER, [always(BY_NAME["quoted_probability"])], "POST")
    assert after == ANSWER | {"probability": "0.123456"}


def test_single_precision_moves_deviations_by_less_than_a_millionth() -> None:
    after = spoiled(ANSWER, [always(BY_NAME["single_precision"])], "POST")
    assert after is not None
    (segment,) = after["segments"]
    assert segment["deviation"] != 1 / 3
    assert segment["deviation"] == pytest.approx(1 / 3, rel=1e-6)
    assert segment["probability"] == 0.2


def test_without_bugs_an_answer_stays_as_it_is() -> None:
    assert spoiled(ANSWER, PLANTED["none"], "POST") == ANSWER


def test_a_spoiled_answer_leaves_the_original_alone() -> None:
    before = repr(ANSWER)
    spoiled(ANSWER, [always(bug) for bug in BUGS], "POST")
    assert repr(ANSWER) == before
