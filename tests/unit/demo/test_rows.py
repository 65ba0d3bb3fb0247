import json
import math
from importlib.resources import files

import pytest

from proxy.demo import model, rows


def test_ids_are_unique() -> None:
    ids = [row.id for row in rows.load()]
    assert len(set(ids)) == len(ids) == 228


@pytest.mark.parametrize("version", model.VERSIONS)
def test_measurements_stand_in_the_models_feature_order(version: str) -> None:
    features = model.load(version).features
    assert {tuple(row.measurements) for row in rows.load()} == {features}


def test_every_measurement_is_a_finite_number() -> None:
    assert all(math.isfinite(value) for row in rows.load() for value in row.measurements.values())


@pytest.mark.parametrize(("version", "right"), [("v1", 221), ("v2", 214)])
def test_held_out_accuracy_is_what_scikit_learn_measured(version: str, right: int) -> None:
    parameters = json.loads(files("proxy.demo").joinpath("parameters", f"{version}.json").read_bytes())
    scorer, patients = model.load(version), rows.load()
    labels = [scorer.score(list(row.measurements.values())).label for row in patients]
    hits = [(label == "malignant") == row.malignant for label, row in zip(labels, patients, strict=True)]
    assert sum(hits) == right
    assert parameters["overall"]["held_out_accuracy"] == pytest.approx(right / len(patients))
