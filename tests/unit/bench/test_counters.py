from bench.load.counters import pairs_in, requests_in

METRICS = """\
# TYPE shadow_mirrors_total counter
shadow_mirrors_total{service="a",endpoint="x",result="mirrored"} 90
shadow_mirrors_total{service="b",endpoint="x",result="mirrored"} 10.0
shadow_mirrors_total{service="a",endpoint="x",result="method"} 7
shadow_mirrors_created{service="a",endpoint="x",result="mirrored"} 1.7e9
shadow_comparisons_total{service="a",endpoint="x",verdict="tolerated"} 95
shadow_comparisons_total{service="a",endpoint="x",verdict="match"} 2
shadow_comparisons_total{service="a",endpoint="x",verdict="mismatch"} 0
shadow_dropped_total{service="a",reason="judge_full"} 3
"""


def test_pairs_are_summed_over_services_and_endpoints() -> None:
    seen = pairs_in(METRICS)
    assert (seen.requests, seen.mirrored, seen.compared, seen.dropped) == (107, 100, 97, 3)
    assert seen.verdicts == {"tolerated": 95, "match": 2}
    assert seen.drops == {"judge_full": 3}
    assert seen.not_mirrored == {"method": 7}


def test_pairs_settle_when_the_identity_balances() -> None:
    assert pairs_in(METRICS).settled
    assert not pairs_in(METRICS.replace('"judge_full"} 3', '"judge_full"} 2')).settled


def test_requests_are_the_third_count_of_stub_status() -> None:
    text = "Active connections: 2 \nserver accepts handled requests\n 10 10 4321 \nReading: 0 Writing: 1 Waiting: 1 \n"
    assert requests_in(text) == 4321
