"""The table of the matrix: whole, without names that nobody plays, and of configurations the proxy takes."""

from pathlib import Path

import pytest

from bench.faults.matrix import Plan
from bench.faults.meddling import HEAD_LIMIT_S
from bench.faults.rows import ELSEWHERE, ROWS, Row, chosen
from bench.faults.scene import SERVICE, Config
from bench.soak import rotation
from proxy.config.load import load
from proxy.config.models import Mode
from tests.kit.faults import FAULTS


def test_every_row_of_the_matrix_is_measured_here_or_tested_elsewhere() -> None:
    measured = {row.id for row in ROWS} - {"none"}
    assert measured.isdisjoint(ELSEWHERE)
    assert measured | set(ELSEWHERE) == {f"F{number}" for number in range(1, 35)}


def test_every_fault_is_one_the_backend_can_play() -> None:
    played = {row.candidate.name for row in ROWS} | {fault.name for fault in rotation.FAULTS}
    assert played - {""} <= set(FAULTS)


def test_a_row_plays_a_fault_of_its_own() -> None:
    for row in ROWS:
        fault = FAULTS.get(row.candidate.name)
        assert fault is None or fault.row in {row.id, "-"} or (row.id, fault.row) == ("F14", "F13")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.id}-{row.candidate.name}")
def test_its_configuration_is_valid_and_begins_without_mirroring(row: Row, tmp_path: Path) -> None:
    config = Config("http://127.0.0.1:1", "http://127.0.0.1:2", row.mirror, row.top)
    file = tmp_path / "shadow-proxy.yaml"
    file.write_text(config.written(3, 4, tmp_path / "state"))
    settings = load(file, environ={}).settings
    assert settings.services[SERVICE].mode is Mode.PRIMARY


def test_rows_are_chosen_by_id() -> None:
    assert [row.id for row in chosen({"F3", "F1"})] == ["F1", "F3"]
    assert chosen(None) == ROWS
    with pytest.raises(KeyError, match="F99"):
        chosen({"F1", "F99"})


@pytest.mark.parametrize("seconds", [0.5, 2.0, 10.0])
def test_a_turn_of_slow_heads_outlasts_the_time_they_have(seconds: float) -> None:
    plan = Plan(ROWS, rounds=1, seconds=seconds, requests=1)
    (crowds,) = chosen({"F26"})
    assert plan.load(crowds, rate_rps=100.0).requests >= 100 * (HEAD_LIMIT_S + 2.0)
    assert plan.load(crowds, rate_rps=100.0).requests >= 100 * seconds
