"""Scores one patient in plain Python from parameters that were trained before: no numpy, no scikit-learn.

A model answers three things about thirty measurements of a cell sample:

* the probability that it is malignant, from one estimator over all thirty;
* the same per segment (`mean`, `error`, `worst`), each from a smaller estimator that sees only its ten;
* how far measurements lie from those of the training patients, in standard deviations.

An estimator is a logistic regression or a boosted sum of small trees. Both give log-odds, `sigmoid` makes
them a probability. The parameter files are written by `proxy.demo.train`.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Protocol, Self

import orjson

VERSIONS = ("v1", "v2")
UNUSUAL_COUNT = 3  # how many measurements an answer names as the furthest from the training patients

Tree = float | list[Any]  # a leaf's value, or [feature index, threshold, tree if <=, tree if >]


@dataclass(frozen=True, slots=True)
class Sample:
    """One patient's measurements in feature order, in the three forms estimators read."""

    values: Sequence[float]
    single: Sequence[float]  # rounded to 32 bits: trees were trained on those, a threshold may lie between
    deviations: Sequence[float]  # (value - mean) / scale of the training patients


class Estimator(Protocol):
    """Anything that turns a sample into the log-odds of malignant."""

    def log_odds(self, sample: Sample) -> float:
        """Natural logarithm of p / (1 - p)."""
        ...


@dataclass(frozen=True, slots=True)
class Logistic:
    """Logistic regression over standardised measurements: intercept + sum of weight x deviation."""

    intercept: float
    weights: tuple[tuple[int, float], ...]  # (feature index, weight)

    def log_odds(self, sample: Sample) -> float:
        """The linear score."""
        deviations = sample.deviations
        return self.intercept + sum(weight * deviations[index] for index, weight in self.weights)


@dataclass(frozen=True, slots=True)
class BoostedTrees:
    """Gradient boosting: base + rate x sum of what each tree's leaf says."""

    base: float
    rate: float
    trees: tuple[Tree, ...]

    def log_odds(self, sample: Sample) -> float:
        """The boosted score."""
        return self.base + self.rate * sum(leaf(tree, sample.single) for tree in self.trees)


def leaf(tree: Tree, values: Sequence[float]) -> float:
    """Value of the leaf that `values` fall into."""
    while isinstance(tree, list):
        index, threshold, at_most, above = tree
        tree = at_most if values[index] <= threshold else above
    return tree


def sigmoid(log_odds: float) -> float:
    """Probability in [0, 1]; written so that no finite input overflows."""
    if log_odds >= 0:
        return 1 / (1 + math.exp(-log_odds))
    return (odds := math.exp(log_odds)) / (1 + odds)


@dataclass(frozen=True, slots=True)
class Segment:
    """What ten of the thirty measurements say by themselves."""

    id: str
    probability: float
    deviation: float  # mean absolute deviation of its measurements, in standard deviations


@dataclass(frozen=True, slots=True)
class Score:
    """The model's answer about one patient."""

    label: str  # "malignant" or "benign"
    probability: float  # of malignant
    segments: tuple[Segment, ...]
    unusual: tuple[tuple[str, float], ...]  # (feature, deviation), furthest first


@dataclass(frozen=True, slots=True)
class Group:
    """A segment's estimator and the measurements it may see."""

    id: str
    indices: tuple[int, ...]
    estimator: Estimator


@dataclass(frozen=True, slots=True)
class Model:
    """One version of the scoring model, complete with the population it was trained on."""

    version: str
    features: tuple[str, ...]
    threshold: float
    means: tuple[float, ...]
    scales: tuple[float, ...]
    overall: Estimator
    groups: tuple[Group, ...]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Build from one parameter file's JSON; raises KeyError when a part is missing."""
        features = tuple(document["features"])
        index_of = {name: index for index, name in enumerate(features)}
        return cls(
            version=document["version"],
            features=features,
            threshold=document["threshold"],
            means=tuple(document["population"]["mean"]),
            scales=tuple(document["population"]["scale"]),
            overall=estimator(document["overall"], index_of),
            groups=tuple(
                Group(name, tuple(index_of[f] for f in part["features"]), estimator(part, index_of))
                for name, part in document["segments"].items()
            ),
        )

    def sample(self, values: Sequence[float]) -> Sample:
        """Measurements in feature order, made ready for the estimators."""
        deviations = [
            (value - mean) / scale for value, mean, scale in zip(values, self.means, self.scales, strict=True)
        ]
        return Sample(values, array("f", values), deviations)

    def probability(self, values: Sequence[float]) -> float:
        """Probability of malignant from all measurements, unrounded."""
        return sigmoid(self.overall.log_odds(self.sample(values)))

    def score(self, values: Sequence[float]) -> Score:
        """Everything an answer says about measurements given in feature order."""
        sample = self.sample(values)
        probability = sigmoid(self.overall.log_odds(sample))
        return Score(
            label="malignant" if probability > self.threshold else "benign",
            probability=probability,
            segments=tuple(segment(group, sample) for group in self.groups),
            unusual=self._unusual(sample.deviations),
        )

    def _unusual(self, deviations: Sequence[float]) -> tuple[tuple[str, float], ...]:
        furthest = sorted(zip(self.features, deviations, strict=True), key=lambda pair: -abs(pair[1]))
        return tuple(furthest[:UNUSUAL_COUNT])


def segment(group: Group, sample: Sample) -> Segment:
    """Score one group of measurements by its own estimator."""
    distance = sum(abs(sample.deviations[index]) for index in group.indices) / len(group.indices)
    return Segment(group.id, sigmoid(group.estimator.log_odds(sample)), distance)


def estimator(part: Mapping[str, Any], index_of: Mapping[str, int]) -> Estimator:
    """Build the estimator that a parameter file describes; its `kind` says which."""
    match part["kind"]:
        case "logistic":
            weights = zip(part["features"], part["weights"], strict=True)
            return Logistic(part["intercept"], tuple((index_of[name], weight) for name, weight in weights))
        case "boosted_trees":
            return BoostedTrees(part["base"], part["rate"], tuple(part["trees"]))
        case kind:
            raise ValueError(f"{kind!r} is no kind of estimator: logistic or boosted_trees")


def load(version: str) -> Model:
    """The committed model of `version` ("v1" or "v2"), read from the package."""
    text = files("proxy.demo").joinpath("parameters", f"{version}.json").read_bytes()
    return Model.from_document(orjson.loads(text))
