from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.demo import model, rows, train

LOG_ODDS = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture(scope="module", params=model.VERSIONS)
def pair(request: pytest.FixtureRequest) -> tuple[model.Model, train.Trained, train.Study]:
    """A model read back from written parameters, beside the estimators they were taken from."""
    data = train.study()
    trained = train.fit(request.param, data)
    written = train.layout(train.parameters(request.param, trained, data))
    return model.Model.from_document(orjson.loads(written)), trained, data


def everyone(data: train.Study) -> Any:
    return np.concatenate([data.training.values, data.held_out.values])


def test_probability_equals_what_scikit_learn_predicts(
    pair: tuple[model.Model, train.Trained, train.Study],
) -> None:
    plain, trained, data = pair
    values = everyone(data)
    expected = trained.overall.predict_proba(values)[:, 1].tolist()
    assert [plain.probability(row) for row in values.tolist()] == pytest.approx(expected, rel=0, abs=1e-9)


@pytest.mark.parametrize("position", range(3))
def test_each_segment_equals_what_scikit_learn_predicts(
    pair: tuple[model.Model, train.Trained, train.Study], position: int
) -> None:
    plain, trained, data = pair
    name, values = train.SEGMENTS[position], everyone(data)
    expected = trained.segments[name].predict_proba(values[:, data.columns(name)])[:, 1].tolist()
    segments = [plain.score(row).segments[position] for row in values.tolist()]
    assert {segment.id for segment in segments} == {name}
    assert [segment.probability for segment in segments] == pytest.approx(expected, rel=0, abs=1e-9)


def test_label_is_malignant_above_the_threshold_only() -> None:
    scorer = model.load("v1")
    scores = [scorer.score(list(row.measurements.values())) for row in rows.load()]
    assert {score.label for score in scores} == {"malignant", "benign"}
    assert all((score.label == "malignant") == (score.probability > scorer.threshold) for score in scores)


def test_most_held_out_patients_agree_between_the_versions_but_not_all() -> None:
    first, second = model.load("v1"), model.load("v2")
    patients = [list(row.measurements.values()) for row in rows.load()]
    pairs = [(first.score(values), second.score(values)) for values in patients]
    within = sum(abs(a.probability - b.probability) <= 0.05 for a, b in pairs)
    flips = sum(a.label != b.label for a, b in pairs)
    assert (len(pairs), within, flips) == (228, 193, 11)


def test_unusual_measurements_come_furthest_first() -> None:
    scorer = model.load("v1")
    middle = list(scorer.means)
    middle[4] += 2 * scorer.scales[4]
    middle[7] -= 5 * scorer.scales[7]
    (first, second, third) = scorer.score(middle).unusual
    assert (first[0], second[0]) == (scorer.features[7], scorer.features[4])
    assert (first[1], second[1], third[1]) == pytest.approx((-5, 2, 0))


def test_segment_deviation_is_the_mean_distance_of_its_measurements() -> None:
    scorer = model.load("v1")
    values = list(scorer.means)
    values[0] -= 3 * scorer.scales[0]
    assert [part.deviation for part in scorer.score(values).segments] == pytest.approx([0.3, 0, 0])


def test_wrong_number_of_measurements_is_refused() -> None:
    with pytest.raises(ValueError, match="longer"):
        model.load("v1").score([1.0])


@pytest.mark.parametrize(("value", "expected"), [(1.0, -1.0), (2.0, -1.0), (2.5, 7.0)])
def test_tree_sends_a_value_at_its_threshold_to_the_left(value: float, expected: float) -> None:
    assert model.leaf([0, 2.0, -1.0, [1, 0.5, 7.0, 8.0]], [value, 0.0]) == expected


def test_trees_read_measurements_in_single_precision() -> None:
    tenth_in_single = 0.10000000149011612
    stump = model.BoostedTrees(base=0.0, rate=1.0, trees=([0, 0.1, -1.0, 1.0],))
    sample = model.Sample([0.1], [tenth_in_single], [0.0])
    assert stump.log_odds(sample) == 1.0


def test_unknown_kind_of_estimator_is_named() -> None:
    with pytest.raises(ValueError, match="'forest' is no kind of estimator"):
        model.estimator({"kind": "forest"}, {})


@given(LOG_ODDS)
def test_sigmoid_is_a_probability_and_symmetric(log_odds: float) -> None:
    probability = model.sigmoid(log_odds)
    assert 0 <= probability <= 1
    assert probability + model.sigmoid(-log_odds) == pytest.approx(1)


@given(LOG_ODDS, LOG_ODDS)
def test_sigmoid_never_falls(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert model.sigmoid(low) <= model.sigmoid(high)
