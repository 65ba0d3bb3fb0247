import pytest

from tests.kit.metrics import assert_identities, balanced, identities, parse

BALANCED = """\
# TYPE shadow_requests_total counter
shadow_requests_total{service="s",code="2xx"} 7
shadow_requests_total{service="s",code="5xx"} 1
# TYPE shadow_mirrors_total counter
shadow_mirrors_total{service="s",result="mirrored"} 5
shadow_mirrors_total{service="s",result="method"} 3
# TYPE shadow_comparisons_total counter
shadow_comparisons_total{service="s",verdict="match"} 4
# TYPE shadow_dropped_total counter
shadow_dropped_total{service="s",reason="too_large"} 1
# TYPE shadow_mode gauge
shadow_mode{mode="shadow"} 1
# TYPE shadow_request_duration_seconds histogram
shadow_request_duration_seconds_bucket{le="+Inf"} 2
shadow_request_duration_seconds_sum 0.5
shadow_request_duration_seconds_count 2
"""
NO_TRAFFIC = "".join(f"# TYPE {line.split()[2]} counter\n" for line in BALANCED.splitlines() if "counter" in line)


def test_samples_are_found_by_name_and_labels() -> None:
    samples = parse(BALANCED).samples
    assert samples["shadow_mode"] == {frozenset({("mode", "shadow")}): 1.0}
    assert samples["shadow_request_duration_seconds_sum"] == {frozenset(): 0.5}


def test_total_sums_what_carries_the_labels() -> None:
    metrics = parse(BALANCED)
    assert metrics.total("shadow_requests_total") == 8.0
    assert metrics.total("shadow_requests_total", code="5xx", service="s") == 1.0
    assert metrics.total("shadow_requests_total", code="4xx") == 0.0


def test_unknown_name_is_an_error_and_not_zero() -> None:
    with pytest.raises(KeyError, match="shadow_request_total"):
        parse(BALANCED).total("shadow_request_total")


def test_declared_counter_without_samples_is_zero() -> None:
    assert parse(NO_TRAFFIC).total("shadow_dropped_total") == 0.0
    assert_identities(NO_TRAFFIC)


def test_identities_give_both_sides() -> None:
    requests, mirrored = identities(BALANCED)
    assert (requests.left, requests.right) == (8.0, 8.0)
    assert (mirrored.left, mirrored.right) == (5.0, 5.0)
    assert balanced(BALANCED)
    assert_identities(BALANCED)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ('shadow_requests_total{service="s",code="5xx"} 1', r"requests = mirrors: 7 ≠ 8 \(difference -1\)"),
        ('shadow_dropped_total{service="s",reason="too_large"} 1', r"comparisons \+ dropped: 5 ≠ 4 \(diff"),
    ],
    ids=["requests", "drops"],
)
def test_unbalanced_accounting_is_shown_with_its_samples(sample: str, message: str) -> None:
    text = BALANCED.replace(sample, "")
    assert not balanced(text)
    with pytest.raises(AssertionError, match=message) as caught:
        assert_identities(text)
    assert 'shadow_mirrors_total{service="s",result="method"} 3' in str(caught.value)
