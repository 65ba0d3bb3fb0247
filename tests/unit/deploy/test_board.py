import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana import board
from tests.unit.deploy.promtool import RULES, needs_promtool, promtool

DOCUMENT = board.document()
PANELS = [panel for panel in DOCUMENT["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
# What Grafana puts in before it asks.
VARIABLES = {"$__rate_interval": "1m", "$job": ".*", "$service": ".*", "$endpoint": ".*"}


def asked(query: str) -> str:
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    return query


def cells(place: dict[str, int]) -> set[tuple[int, int]]:
    columns = range(place["x"], place["x"] + place["w"])
    return {(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])}


def test_committed_board_is_what_the_script_writes() -> None:
    assert board.BOARD.read_text() == board.text(), "run: python deploy/grafana/board.py"


@needs_promtool
def test_every_query_is_promql(tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": asked(query)} for number, query in enumerate(QUERIES)]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": rules}]}))
    accepted, said = promtool("check", "rules", tmp_path / "queries.yml")
    assert accepted, said


def test_every_variable_of_a_query_is_on_the_board() -> None:
    offered = {variable["name"] for variable in DOCUMENT["templating"]["list"]} | {"__rate_interval"}
    used = {name for query in QUERIES for name in re.findall(r"\$(\w+)", query)}
    assert used <= offered


def test_every_recorded_series_of_a_query_is_recorded() -> None:
    recorded = {rule.get("record") for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
    used = {name for query in QUERIES for name in re.findall(r"\w+:\w+:\w+", query)}
    assert used
    assert used <= recorded


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panel_names_no_version(panel: dict[str, Any]) -> None:
    assert not re.search(r"\bv[12]\b", str(panel))


@pytest.mark.parametrize("query", QUERIES)
def test_query_divides_by_nothing_that_may_be_zero(query: str) -> None:
    assert query.count(" / ") == query.count(" > 0)")


def test_panels_do_not_overlap_and_stay_on_the_board() -> None:
    places = [cells(panel["gridPos"]) for panel in DOCUMENT["panels"]]
    assert sum(map(len, places)) == len(set().union(*places))
    assert all(0 <= x < board.WIDTH for place in places for x, _ in place)
