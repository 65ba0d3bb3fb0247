import re

import pytest
import yaml

from deploy.grafana import board
from proxy.config.models import Settings
from proxy.control.evidence_store import Published
from proxy.control.label_sets import known
from proxy.control.metrics import Build, Exposition
from proxy.control.processes import Processes
from proxy.control.reload import Reading
from tests.unit.deploy.promtool import DEPLOY, RULES

ROOT = DEPLOY.parent
SETTINGS = Settings.model_validate(yaml.safe_load((DEPLOY / "compose/shadow-proxy.yaml").read_text()))
SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"], "gauge": [""]}
# Where names of metrics are written outside the code.
WRITTEN = {
    "rules": RULES.read_text(),
    "board": board.text(),
    "operations": (ROOT / "docs/operations.md").read_text(),
    "architecture": (ROOT / "docs/architecture.md").read_text(),
    "readme": (ROOT / "README.md").read_text(),
}


def exported() -> set[str]:
    """Every name that `/metrics` can show."""
    scrape = Exposition(SETTINGS, Published(known(SETTINGS), Processes()), {}, Reading(0.0), Build("0", "3", 0.0))
    return {metric.name + suffix for metric in scrape.collect() for suffix in SUFFIXES[metric.type]}


def asked(text: str) -> set[str]:
    """The metrics a text names; `level:metric:operation` is a recorded series made of them, files are not metrics."""
    return set(re.findall(r"(?<![\w:/.])shadow_\w+\b(?![:/])", text))


@pytest.mark.parametrize("place", WRITTEN)
def test_every_metric_named_outside_the_code_is_exported(place: str) -> None:
    assert asked(WRITTEN[place]) <= exported()


def test_rules_and_board_name_metrics_at_all() -> None:
    assert "shadow_comparisons_total" in asked(WRITTEN["rules"]) & asked(WRITTEN["board"]) & exported()
    assert "shadow_requests_totals" not in exported()
