"""Trains the demo's two models and writes their parameters: `python -m proxy.demo.train`, needs scikit-learn.

Data: scikit-learn's bundled copy of the Wisconsin diagnostic breast-cancer set, 569 patients with 30
measurements each: ten properties of the cell nuclei, given as mean, standard error and worst. 60 % train; 40
% are held out and become `rows.json`, the demo's traffic. One estimator over all measurements gives a
version's overall score, one per segment the segment's.

`v1` is a logistic regression; `v2` puts gradient boosting in its place and regularises the segments harder.
The recipe of `v2` was picked from a dozen for being a plausible successor that agrees on most patients, not
on all; how far the two agree is what training made of it.

Deterministic: a fixed split, seeded trees, Newton's method (it converges to the last digits, so that the
linear algebra library in use does not show) and 12 significant digits in the files.
"""

# ruff: noqa: PLC0415  scikit-learn is needed here only, so that importing this module needs nothing

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = "python -m proxy.demo.train"
SEED = 7
HELD_OUT = 0.4
THRESHOLD = 0.5
SEGMENTS = ("mean", "error", "worst")
SIGNIFICANT_DIGITS = 12
LINE = 320  # characters of a written line; a longer part is broken up, a list of plain values is not


@dataclass(frozen=True, slots=True)
class Cohort:
    """Patients as parallel arrays: ids, measurements (n x 30) and diagnoses (1 is malignant)."""

    ids: Sequence[str]
    values: Any
    malignant: Any


@dataclass(frozen=True, slots=True)
class Study:
    """The data set, split once and for all."""

    features: tuple[str, ...]
    training: Cohort
    held_out: Cohort

    def columns(self, segment: str) -> list[int]:
        """Positions of a segment's features."""
        return [index for index, name in enumerate(self.features) if segment in name.split("_")]


@dataclass(frozen=True, slots=True)
class Trained:
    """One version's fitted scikit-learn estimators; a segment's reads only its own columns."""

    overall: Any
    segments: Mapping[str, Any]


def logistic(strength: float) -> Any:
    """Logistic regression over standardised measurements; `strength` is C, the inverse of regularisation."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    regression = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    return make_pipeline(StandardScaler(), regression)


def boosting() -> Any:
    """Forty trees of depth two over the measurements as they are."""
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(n_estimators=40, max_depth=2, learning_rate=0.2, random_state=SEED)


RECIPES: Mapping[str, tuple[Callable[[], Any], Callable[[], Any]]] = {  # version: (overall, each segment)
    "v1": (lambda: logistic(1.0), lambda: logistic(1.0)),
    "v2": (boosting, lambda: logistic(0.3)),
}


def study() -> Study:
    """Read the bundled data set and split it."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    data = load_breast_cancer()
    ids = [f"wdbc-{number:03d}" for number in range(1, len(data.target) + 1)]
    malignant = 1 - data.target  # published as 0 = malignant
    ids_in, ids_out, values_in, values_out, malignant_in, malignant_out = train_test_split(
        ids, data.data, malignant, test_size=HELD_OUT, random_state=SEED, stratify=malignant
    )
    return Study(
        features=tuple(str(name).replace(" ", "_") for name in data.feature_names),
        training=Cohort(ids_in, values_in, malignant_in),
        held_out=Cohort(ids_out, values_out, malignant_out),
    )


def fit(version: str, data: Study) -> Trained:
    """Fit one version's estimators on the training patients."""
    overall, per_segment = RECIPES[version]
    values, malignant = data.training.values, data.training.malignant
    return Trained(
        overall=overall().fit(values, malignant),
        segments={name: per_segment().fit(values[:, data.columns(name)], malignant) for name in SEGMENTS},
    )


def parameters(version: str, trained: Trained, data: Study) -> dict[str, Any]:
    """What `proxy.demo.model` needs to score like `trained`, and where it comes from."""
    import sklearn
    from sklearn.preprocessing import StandardScaler

    population = StandardScaler().fit(data.training.values)
    return {
        "version": version,
        "trained": {
            "command": COMMAND,
            "scikit_learn": sklearn.__version__,
            "data": "Wisconsin diagnostic breast cancer, sklearn.datasets.load_breast_cancer()",
            "training_patients": len(data.training.ids),
            "held_out_patients": len(data.held_out.ids),
        },
        "threshold": THRESHOLD,
        "features": list(data.features),
        "population": {"mean": numbers(population.mean_), "scale": numbers(population.scale_)},
        "overall": described(trained.overall, range(len(data.features)), data),
        "segments": {name: described(trained.segments[name], data.columns(name), data) for name in SEGMENTS},
    }


def described(fitted: Any, columns: Sequence[int], data: Study) -> dict[str, Any]:
    """One estimator's parameters with its accuracy on the held-out patients."""
    accuracy = fitted.score(data.held_out.values[:, columns], data.held_out.malignant)
    features = [data.features[index] for index in columns]
    return {"held_out_accuracy": number(accuracy), "features": features} | exported(fitted)


def exported(fitted: Any) -> dict[str, Any]:
    """The numbers of a fitted pipeline (logistic regression) or of a fitted gradient boosting."""
    from sklearn.pipeline import Pipeline

    if isinstance(fitted, Pipeline):
        regression = fitted[-1]
        return {
            "kind": "logistic",
            "intercept": number(regression.intercept_[0]),
            "weights": numbers(regression.coef_[0]),
        }
    benign, malignant = fitted.init_.class_prior_
    return {
        "kind": "boosted_trees",
        "base": number(math.log(malignant / benign)),
        "rate": fitted.learning_rate,
        "trees": [branch(regressor.tree_, 0) for (regressor,) in fitted.estimators_],
    }


def branch(tree: Any, node: int) -> float | list[Any]:
    """A fitted tree from `node` down, in the shape of `proxy.demo.model.Tree`."""
    at_most, above = tree.children_left[node], tree.children_right[node]
    if at_most == above:  # scikit-learn marks a leaf by -1 on both sides
        return number(tree.value[node][0][0])
    split = [int(tree.feature[node]), number(tree.threshold[node])]
    return [*split, branch(tree, at_most), branch(tree, above)]


def number(value: float) -> float:
    """Rounded to the digits that are reproducible."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def numbers(values: Iterable[float]) -> list[float]:
    """Each one rounded as by `number`."""
    return [number(value) for value in values]


def held_out_rows(data: Study) -> dict[str, Any]:
    """The held-out patients as `proxy.demo.rows` reads them."""
    patients = zip(data.held_out.ids, data.held_out.values, data.held_out.malignant, strict=True)
    rows = [
        {"id": identity, "malignant": bool(malignant), "values": values.tolist()}
        for identity, values, malignant in sorted(patients, key=lambda patient: patient[0])
    ]
    return {"features": list(data.features), "rows": rows}


def layout(value: Any, indent: str = "") -> str:
    """JSON with a line per patient, tree and estimator parameter, so that a change reads well in a diff."""
    flat = json.dumps(value)
    deeper = indent + "  "
    match value:
        case dict() if len(flat) > LINE:
            parts = [f"{json.dumps(key)}: {layout(part, deeper)}" for key, part in value.items()]
        case [dict() | list(), *_] if len(flat) > LINE:
            parts = [layout(part, deeper) for part in value]
        case _:
            return flat
    inside = ",\n".join(deeper + part for part in parts)
    return f"{flat[0]}\n{inside}\n{indent}{flat[-1]}"


def write(folder: Path) -> None:
    """Train every version; write `parameters/VERSION.json` and `rows.json` under `folder`."""
    data = study()
    (folder / "parameters").mkdir(exist_ok=True)
    for version in RECIPES:
        document = parameters(version, fit(version, data), data)
        (folder / "parameters" / f"{version}.json").write_text(layout(document) + "\n", encoding="utf-8")
    (folder / "rows.json").write_text(layout(held_out_rows(data)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).parent)
