from importlib.resources import files
from typing import Any

import pytest
import yaml

DOCUMENT = yaml.safe_load(files("proxy.demo").joinpath("shadow-proxy.yaml").read_text(encoding="utf-8"))
SERVICE = DOCUMENT["services"]["scoring"]
RULES: list[dict[str, Any]] = SERVICE["rules"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["id"])
def test_every_rule_says_why_and_who(rule: dict[str, Any]) -> None:
    assert rule["reason"]
    assert rule["author"]


def test_rule_ids_are_unique() -> None:
    assert len({rule["id"] for rule in RULES}) == len(RULES)


def test_rules_cover_what_differs_by_design_and_what_the_models_decide() -> None:
    assert {rule["path"] for rule in RULES} == {
        "$.request_id",
        "$.scored_at",
        "$.model_version",
        "$.probability",
        "$.segments[*].probability",
    }


def test_the_write_endpoint_is_marked_as_safe_to_mirror() -> None:
    assert [e["name"] for e in SERVICE["endpoints"] if e.get("read_only")] == ["score"]
