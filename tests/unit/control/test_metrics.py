from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.models import Mode, Settings
from proxy.control.evidence_store import Published
from proxy.control.label_sets import bounded, known
from proxy.control.metrics import DELTA_EDGES, RATIO_EDGES, SECONDS_EDGES, Build, Exposition
from proxy.control.processes import Process, Processes
from proxy.control.reload import Reading
from proxy.core.families import (
    BACKEND_DURATION,
    COMPARISONS,
    DELTA,
    FAMILIES,
    LATENCY_RATIO,
    MIRROR_IN_FLIGHT,
    MIRRORS,
    REQUEST_DURATION,
    REQUESTS,
)
from proxy.core.reasons import Drop
from proxy.core.tally import Tally
from tests.kit.metrics import Metrics, balanced, parse
from tests.unit.control.settings import service, settings

UP = Processes(1.0, (Process("worker-0", "w1", up=True, restarts=0), Process("judge-0", "j1", up=False, restarts=3)))

READ = Reading(99.5)


def text(*tallies: Tally, accept: str = "", reading: Reading = READ) -> str:
    total = known(settings())
    for tally in tallies:
        total.add(tally)
    published, build = Published(total, UP), Build("0.1.0", "3.11.7", 12.0)
    scrape = Exposition(settings(), published, {"ranker": Mode.SHADOW}, reading, build)
    return scrape.render(accept)[0].decode()


def scraped(*tallies: Tally) -> Metrics:
    return parse(text(*tallies))


def compared(**verdicts: int) -> Tally:
    tally = Tally()
    for verdict, count in verdicts.items():
        tally.count(COMPARISONS, ("ranker", "score", verdict), count)
    return tally


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.samples[name][frozenset(labels.items())]


def test_every_exported_family_is_declared_with_its_suffix() -> None:
    names = scraped().samples.keys()
    for family in FAMILIES.values():
        if family.exported:
            suffix = "_total" if family.kind.value == "counter" else ""
            assert family.name + suffix in names
    assert not any("pairs_offered" in name or "difference_paths" in name for name in names)


@pytest.mark.parametrize(("reading", "successful"), [(READ, 1.0), (Reading(99.5, refusal="1 error"), 0.0)])
def test_it_is_told_whether_the_configuration_read_last_is_in_force(reading: Reading, successful: float) -> None:
    metrics = parse(text(reading=reading))
    assert metrics.total("shadow_config_last_reload_successful") == successful
    assert metrics.total("shadow_config_last_reload_timestamp_seconds") == 99.5


def test_label_sets_known_from_the_settings_are_there_at_zero() -> None:
    metrics = scraped()
    for endpoint in ("score", "other"):
        for verdict in (
            "match",
            "tolerated",
            "mismatch",
            "candidate_error",
            "primary_error",
            "both_error",
            "incomparable",
        ):
            labels = {"service": "ranker", "endpoint": endpoint, "verdict": verdict}
            assert value(metrics, "shadow_comparisons_total", **labels) == 0
            assert value(metrics, "shadow_warm_up_comparisons_total", **labels) == 0
    assert value(metrics, "shadow_dropped_total", service="ranker", reason="judge_lost") == 0
    assert value(metrics, "shadow_refused_requests_total", reason="framing") == 0
    assert balanced(text())


def test_reasons_that_nothing_gives_yet_have_no_series_until_something_does() -> None:
    mirrors, drops = (scraped().samples[name] for name in ("shadow_mirrors_total", "shadow_dropped_total"))
    assert {dict(labels)["result"] for labels in mirrors} == {
        "mirrored",
        "mode",
        "method",
        "endpoint_off",
        "not_sampled",
        "upgrade",
        "loop",
        "draining",
    }
    assert {dict(labels)["reason"] for labels in drops} == set(Drop)
    later = Tally()
    later.count(MIRRORS, ("ranker", "score", "excluded"), 3)
    labels = {"service": "ranker", "endpoint": "score", "result": "excluded"}
    assert value(scraped(later), "shadow_mirrors_total", **labels) == 3


def test_a_breaker_that_never_opened_is_0() -> None:
    assert value(scraped(), "shadow_breaker_open", service="ranker", backend="v2") == 0


@pytest.mark.parametrize(
    ("family", "labels", "edges"),
    [
        (BACKEND_DURATION, ("ranker", "score", "v1", "primary", "serve"), SECONDS_EDGES),
        (DELTA, ("ranker", "score"), DELTA_EDGES),
        (LATENCY_RATIO, ("ranker", "score"), RATIO_EDGES),
    ],
    ids=lambda part: getattr(part, "name", ""),
)
def test_sketches_become_cumulative_histograms_with_their_edges(
    family: object, labels: tuple[str, ...], edges: tuple[float, ...]
) -> None:
    assert family in FAMILIES.values()
    found = FAMILIES[family.name]  # type: ignore[attr-defined]  # it is one of them, see above
    tally = Tally()
    for number in (0.0, *(edge * 0.95 for edge in edges), edges[-1] * 10):
        tally.sketch(found, labels).add(number)
    metrics = scraped(tally)
    named = dict(zip(found.labels, labels, strict=True))
    buckets = {
        float(dict(key)["le"]): count
        for key, count in metrics.samples[f"{found.name}_bucket"].items()
        if named.items() <= key
    }
    assert sorted(buckets) == [*edges, float("inf")]
    assert [buckets[edge] for edge in sorted(buckets)] == [*range(2, len(edges) + 2), len(edges) + 2]
    assert value(metrics, f"{found.name}_count", **named) == len(edges) + 2


def test_buckets_are_the_documented_ones() -> None:
    assert SECONDS_EDGES == (
        0.001,
        0.0025,
        0.005,
        0.01,
        0.025,
        0.05,
        0.075,
        0.1,
        0.25,
        0.5,
        0.75,
        1,
        2,
        2.5,
        5,
        7.5,
        10,
    )
    assert 'le="1.0"' in text()
    assert 'le="+Inf"' in text()


def test_ratios_are_absent_until_something_was_compared() -> None:
    metrics = scraped(compared(incomparable=5))
    assert metrics.samples["shadow_agreement_ratio"] == {}
    assert metrics.samples["shadow_coverage_ratio"] == {}


def test_ratios_are_per_endpoint_and_never_for_a_service_as_a_whole() -> None:
    requests = Tally()
    requests.count(REQUESTS, ("ranker", "score", "v1", "2xx"), 200)
    metrics = scraped(compared(match=90, tolerated=5, mismatch=4, candidate_error=1), requests)
    assert metrics.samples["shadow_agreement_ratio"] == {
        frozenset({("service", "ranker"), ("endpoint", "score")}): 0.95
    }
    assert value(metrics, "shadow_coverage_ratio", service="ranker", endpoint="score") == 0.5


def test_a_dead_candidate_shows_agreement_zero() -> None:
    metrics = scraped(compared(candidate_error=50))
    assert value(metrics, "shadow_agreement_ratio", service="ranker", endpoint="score") == 0.0


def test_one_mode_is_in_force() -> None:
    modes = scraped().samples["shadow_mode"]
    assert {dict(labels)["mode"]: on for labels, on in modes.items()} == {
        "primary": 0,
        "shadow": 1,
        "canary": 0,
        "candidate": 0,
        "retired": 0,
    }


def test_processes_build_and_start_are_shown() -> None:
    metrics = scraped()
    assert value(metrics, "shadow_process_up", process="worker-0") == 1
    assert value(metrics, "shadow_process_up", process="judge-0") == 0
    assert value(metrics, "shadow_build_info", version="0.1.0", python="3.11.7") == 1
    assert value(metrics, "process_start_time_seconds") == 12.0


def test_openmetrics_is_answered_to_those_who_ask_for_it() -> None:
    assert text(accept="application/openmetrics-text; version=1.0.0").endswith("# EOF\n")


def lines(names: Iterable[str]) -> int:
    return sum(not name.startswith("#") for name in names)


def test_the_number_of_series_depends_on_the_configuration_only() -> None:
    strange = Tally()
    for number in range(2):
        strange.count(REQUESTS, ("ranker", "score", "v1", "2xx"), number)
    for owner, endpoint, version in (("gone", "score", "v1"), ("ranker", "gone", "v1"), ("ranker", "score", "v0")):
        strange.count(REQUESTS, (owner, endpoint, version, "2xx"), 7)
        strange.sketch(REQUEST_DURATION, (owner, endpoint, version)).add(1.0)
    strange.gauge(MIRROR_IN_FLIGHT, ("gone",), 7.0)
    assert lines(text(strange).splitlines()) == lines(text().splitlines())
    assert scraped(strange).total("shadow_requests_total") == 1


def exposed(tally: Tally, configured: Settings) -> dict[tuple[str, ...], int]:
    return bounded(tally, configured).counts[REQUESTS.name]


def configured(*endpoints: str, version: str = "v1") -> Settings:
    matches = [{"name": name, "match": f"GET /{name}"} for name in endpoints]
    primary = {"version": version, "url": "http://127.0.0.1:9101"}
    return Settings.model_validate({"services": {"ranker": {**service(), "endpoints": matches, "primary": primary}}})


@given(
    st.dictionaries(
        st.tuples(st.just("ranker"), st.sampled_from("abc"), st.sampled_from(("v1", "v3", "proxy")), st.just("2xx")),
        st.integers(1, 9),
        min_size=1,
    ),
    st.lists(st.builds(configured, st.sampled_from("abc"), version=st.sampled_from(("v1", "v3"))), min_size=2),
)
def test_no_series_goes_back_whatever_is_configured_in_turn(
    counts: dict[tuple[str, ...], int], turns: list[Settings]
) -> None:
    tally = Tally(counts={REQUESTS.name: counts})
    shown: dict[tuple[str, ...], int] = {}
    for turn in turns:
        for labels, count in exposed(tally, turn).items():
            assert count >= shown.get(labels, 0)
            shown[labels] = count
