import pytest

from bench.path import judge, worker


def test_every_request_on_the_workers_path_is_mirrored_and_offered() -> None:
    worker.run(120)


def test_a_request_that_is_not_mirrored_makes_a_figure_impossible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(worker.SERVICE, "endpoints", [{"name": "any", "match": "GET /{rest}", "mirror": False}])
    with pytest.raises(RuntimeError, match="of 3 requests"):
        worker.run(3)


def test_pairs_on_the_judges_path_have_a_verdict() -> None:
    judge.run(60)
