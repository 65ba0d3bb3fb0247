from collections import Counter

import orjson
import pytest

from proxy.demo import rows
from proxy.demo.load import Plan

PATIENTS = rows.load()
PLAN = Plan(PATIENTS)


def test_three_rounds_post_every_patient_twice_and_ask_for_it_once() -> None:
    requests = [PLAN.request(index) for index in range(3 * len(PATIENTS))]
    posted = Counter(orjson.loads(r.body)["id"] for r in requests if r.body is not None)
    asked = Counter(r.path.split("/")[2] for r in requests if r.method == "GET")
    assert posted == {row.id: 2 for row in PATIENTS}
    assert asked == {row.id: 1 for row in PATIENTS}


def test_one_in_three_is_a_get_within_any_stretch() -> None:
    methods = [PLAN.request(index).method for index in range(600)]
    shares = [methods[start : start + 30].count("GET") for start in range(570)]
    assert set(shares) <= {9, 10, 11}


def test_posted_measurements_are_the_patients() -> None:
    request = PLAN.request(1)
    assert request.body is not None
    assert orjson.loads(request.body) == {"id": PATIENTS[1].id, "features": PATIENTS[1].measurements}


def test_users_repeat_and_are_many() -> None:
    users = {PLAN.request(index).headers["x-user-id"] for index in range(1000)}
    assert len(users) == 100


@pytest.mark.parametrize("index", [0, 1, 10**9])
def test_the_same_index_is_the_same_request(index: int) -> None:
    assert PLAN.request(index) == Plan(PATIENTS).request(index)
