import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.deploy.promtool import DEPLOY, RULES, RULES_TEST, needs_promtool, promtool

ROOT = DEPLOY.parent
TEXT = RULES.read_text()

Replacement = Callable[[re.Match[str]], str]

# What a careless hand changes: each match is replaced, one at a time.
CARELESS: dict[str, tuple[str, Replacement]] = {
    "higher threshold": (r"(?<=[<>=] )\d+\.\d+", lambda found: str(float(found[0]) * 1.1)),
    "lower threshold": (r"(?<=[<>=] )\d+\.\d+", lambda found: str(float(found[0]) * 0.9)),
    "higher factor": (r"1\.2(?= \* service_side)", lambda _: "1.32"),
    "lower factor": (r"1\.2(?= \* service_side)", lambda _: "1.08"),
    "other quantile": (r"(?<=histogram_quantile\()0\.99", lambda _: "0.9"),
    "value not matched": (r'(?<=["|])[a-z0-9_]+(?=["|].*\})', lambda _: "nothing"),
    "label forgotten": (
        r"(?:(?<=by \()|(?<=without \()|(?<=ignoring \()|(?<=, ))[a-z]+(?=[a-z, ]*\) )",
        lambda _: "no",
    ),
    "shorter wait": (r"(?<=for: )(\d+)m", lambda found: f"{int(found[1]) * 60 - 30}s"),
    "longer wait": (r"(?<=for: )(\d+)m", lambda found: f"{int(found[1]) * 60 + 30}s"),
    "division by zero": (r" > 0\)", lambda _: ")"),
    "absent instead of 0": (r"(?<=or )0 \* .*", lambda _: "vector(0) < 0"),
}


def careless_edits() -> list[Any]:
    """Each edited text, with a name that says what was changed where."""
    return [
        pytest.param(
            TEXT[: found.start()] + replacement(found) + TEXT[found.end() :],
            id=f"line {TEXT.count(chr(10), 0, found.start()) + 1}: {edit}: {found[0].strip()}",
        )
        for edit, (pattern, replacement) in CARELESS.items()
        for found in re.finditer(pattern, TEXT)
    ]


@needs_promtool
def test_prometheus_accepts_its_configuration_and_the_rules() -> None:
    accepted, said = promtool("check", "config", DEPLOY / "prometheus/prometheus.yml")
    assert accepted, said


@needs_promtool
def test_rules_say_what_their_tests_expect() -> None:
    passed, said = promtool("test", "rules", RULES_TEST)
    assert passed, said


@pytest.mark.slow
@needs_promtool
@pytest.mark.parametrize("edited", careless_edits())
def test_careless_edit_of_a_rule_fails_the_rule_tests(edited: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(edited)
    (tmp_path / "rules_test.yml").write_text(RULES_TEST.read_text())
    passed, said = promtool("test", "rules", tmp_path / "rules_test.yml")
    assert not passed, said


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(TEXT)["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_alert_says_what_happens_and_where_the_runbook_is(alert: dict[str, Any]) -> None:
    assert alert["annotations"]["summary"]
    page, anchor = alert["annotations"]["runbook_url"].split("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor == alert["alert"].lower()
    assert alert["alert"] in headings
