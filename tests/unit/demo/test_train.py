import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.demo import train

WRITTEN = ("parameters/v1.json", "parameters/v2.json", "rows.json")
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


def committed(name: str) -> Any:
    return json.loads(files("proxy.demo").joinpath(name).read_text(encoding="utf-8"))


def leaves(value: Any, path: str = "$") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in members:
            yield from leaves(part, f"{path}.{key}")
    else:
        yield path, value


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folders = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    for folder in folders:
        train.write(folder)
    return folders


@pytest.mark.parametrize("name", WRITTEN)
def test_training_again_writes_the_same_bytes(twice: tuple[Path, Path], name: str) -> None:
    first, second = twice
    assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.parametrize("name", WRITTEN)
def test_committed_files_are_what_training_gives(twice: tuple[Path, Path], name: str) -> None:
    trained_with = committed("parameters/v1.json")["trained"]["scikit_learn"]
    if trained_with != sklearn.__version__:
        pytest.skip(f"parameters were trained with scikit-learn {trained_with}, here is {sklearn.__version__}")
    fresh = dict(leaves(json.loads((twice[0] / name).read_text(encoding="utf-8"))))
    kept = dict(leaves(committed(name)))
    assert fresh.keys() == kept.keys()
    numeric = [path for path, value in kept.items() if isinstance(value, float)]
    assert [fresh[path] for path in numeric] == pytest.approx([kept[path] for path in numeric], rel=1e-8)
    assert [(p, fresh[p]) for p in kept.keys() - set(numeric)] == [(p, kept[p]) for p in kept.keys() - set(numeric)]


def test_no_patient_is_both_trained_on_and_held_out() -> None:
    data = train.study()
    assert not set(data.training.ids) & set(data.held_out.ids)
    assert len(data.training.ids) + len(data.held_out.ids) == 569


def test_segments_divide_the_features() -> None:
    data = train.study()
    columns = [index for name in train.SEGMENTS for index in data.columns(name)]
    assert sorted(columns) == list(range(30))


@settings(max_examples=30)
@given(JSON)
def test_layout_is_the_same_json(value: Any) -> None:
    assert json.loads(train.layout(value)) == value


def test_layout_gives_parts_of_a_long_list_their_own_lines() -> None:
    patients = [{"id": n, "values": [1.5] * 50} for n in range(3)]
    assert train.layout(patients).count("\n") == len(patients) + 1
