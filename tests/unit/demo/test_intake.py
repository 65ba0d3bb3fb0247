from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.demo import intake

FEATURES = ("radius", "area")
GOOD: dict[str, Any] = {"id": "p-1", "features": {"area": 2, "radius": 1.5}}


def faults(document: Any) -> list[tuple[str, str]]:
    refusal = intake.read(orjson.dumps(document), FEATURES)
    assert isinstance(refusal, intake.Refusal)
    assert refusal.status == 422
    return [(fault.path, fault.message) for fault in refusal.faults]


def test_measurements_come_out_in_feature_order() -> None:
    assert intake.read(orjson.dumps(GOOD), FEATURES) == intake.Patient("p-1", [1.5, 2])


@pytest.mark.parametrize("body", [b"", b"{", b'{"id": NaN}', b"\xff"])
def test_what_is_not_json_is_a_400(body: bytes) -> None:
    assert intake.read(body, FEATURES) == intake.Refusal(400, "The body is not JSON")


@pytest.mark.parametrize("document", [None, [], "x", 3])
def test_what_is_not_an_object_says_so(document: Any) -> None:
    assert faults(document) == [("$", "must be an object with id and features")]


@pytest.mark.parametrize("identity", [None, "", 7, "x" * 65])
def test_id_must_be_a_short_text(identity: Any) -> None:
    assert faults(GOOD | {"id": identity}) == [("$.id", "must be a text of 1 to 64 characters")]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "is missing"),
        ("1.5", "must be a number"),
        (True, "must be a number"),
        ([1], "must be a number"),
        (-0.1, "must lie between 0 and 1,000,000"),
        (1e300, "must lie between 0 and 1,000,000"),
    ],
)
def test_each_measurement_must_be_a_plausible_number(value: Any, message: str) -> None:
    assert faults({"id": "p", "features": {"radius": value, "area": 1}}) == [("$.features.radius", message)]


def test_all_faults_are_listed_at_once() -> None:
    assert faults({"features": {"radius": "x", "colour": 1, "taste": 2}}) == [
        ("$.id", "must be a text of 1 to 64 characters"),
        ("$.features.radius", "must be a number"),
        ("$.features.area", "is missing"),
        ("$.features", "holds 2 names that are no feature of this model"),
    ]


@pytest.mark.parametrize("features", [None, [1.5, 2], "radius"])
def test_features_must_be_an_object(features: Any) -> None:
    assert faults(GOOD | {"features": features}) == [("$.features", "must be an object of 2 numbers")]


@given(st.binary())
def test_any_bytes_end_in_a_refusal_with_a_status(body: bytes) -> None:
    refusal = intake.read(body, FEATURES)
    assert isinstance(refusal, intake.Refusal)
    assert refusal.status in {400, 422}
