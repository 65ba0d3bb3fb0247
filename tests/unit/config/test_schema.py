from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from proxy.config.load import load
from proxy.config.schema import json_schema
from proxy.config.yaml_tree import parse

EXAMPLE = files("proxy.config").joinpath("example.yaml")


def test_the_example_loads_without_a_warning() -> None:
    assert load(Path(str(EXAMPLE)), None, {}).warnings == []


def test_the_example_fits_the_schema() -> None:
    jsonschema.validate(parse(EXAMPLE.read_bytes(), "example").tree, json_schema())


@pytest.mark.parametrize(
    "wrong",
    [{"listen": 8080}, {"timeouts": {"connect": "soon"}}, {"limits": {"header_bytes": "1MB"}}, {"lisen": "a:1"}],
)
def test_the_schema_refuses_what_loading_refuses(wrong: dict[str, object]) -> None:
    tree = {**parse(EXAMPLE.read_bytes(), "example").tree, **wrong}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tree, json_schema())


def test_every_setting_has_a_description_or_is_a_table() -> None:
    for name, table in json_schema()["$defs"].items():
        assert "description" in table, name


def test_defaults_are_written_as_people_write_them() -> None:
    assert json_schema()["properties"]["listen"]["default"] == "127.0.0.1:8080"
