from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.models import Mode, Settings
from proxy.core.evidence import Report
from proxy.core.families import DELTA, REQUESTS
from proxy.core.tally import Tally
from proxy.ipc.messages import Hello, MessageError, Snapshot, decode, encode
from tests.unit.core.tallies import shape, tallies

SETTINGS = Settings.model_validate(
    {
        "listen": "[::1]:8080",
        "services": {
            "ranker": {
                "primary": {"version": "v1", "url": "http://127.0.0.1:9101"},
                "candidate": {"version": "v2", "url": "https://[::1]", "timeout": "250ms"},
                "endpoints": [{"name": "score", "match": "POST /v2/score", "read_only": True}],
                "rules": [
                    {"id": "r", "path": "$.score", "use": "numeric", "rel": 1e-6, "reason": "noise", "author": "me"}
                ],
            }
        },
    }
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def report(**changes: Any) -> dict[str, Any]:
    tally: dict[str, Any] = {"counts": {}, "sketches": {}, "gauges": {}}
    tally.update(changes)
    return {"type": "report", "process": "worker-0", "incarnation": "w1", "tally": tally}


def sketch(**changes: Any) -> dict[str, Any]:
    body = {"zero": 0, "count": 1, "sum": 1.0, "low": 1.0, "high": 1.0, "refused": 0, "buckets": {"0": 1}}
    return {**body, **changes}


@given(st.text(max_size=20), st.text(max_size=20), st.integers(0, 2**31))
def test_hello_survives_the_way(process: str, incarnation: str, pid: int) -> None:
    hello = Hello(process, incarnation, pid)
    assert decode(encode(hello)) == hello


@given(tallies)
def test_a_report_survives_the_way(tally: Tally) -> None:
    found = decode(encode(Report("judge-0", "j1", tally)))
    assert isinstance(found, Report)
    assert (found.process, found.incarnation, shape(found.tally)) == ("judge-0", "j1", shape(tally))


def test_a_snapshot_survives_the_way() -> None:
    snapshot = Snapshot(41, SETTINGS, {"ranker": Mode.SHADOW}, 40)
    assert decode(encode(snapshot)) == snapshot


def test_an_empty_sketch_survives_the_way() -> None:
    tally = Tally()
    tally.sketch(DELTA, ("ranker", "score"))
    found = decode(encode(Report("judge-0", "j1", tally)))
    assert isinstance(found, Report)
    assert found.tally.sketch(DELTA, ("ranker", "score")).quantile(0.5) is None


@given(st.binary(max_size=60) | json_values.map(orjson.dumps))
def test_anything_else_is_an_error_and_nothing_worse(payload: bytes) -> None:
    with pytest.raises(MessageError):
        decode(payload)


@given(json_values, st.sampled_from(["hello", "snapshot", "report"]), st.sampled_from(["process", "tally", "modes"]))
def test_what_is_taken_for_a_message_can_be_passed_on(value: Any, kind: str, part: str) -> None:
    body = {"type": kind, "process": "p", "incarnation": "i", "pid": 1, "version": 1, "modes": {}, "tally": {}}
    body[part] = value
    with suppress(MessageError):
        message = decode(orjson.dumps(body))
        assert decode(encode(message)) == message


@pytest.mark.parametrize(
    "body",
    [
        report(counts={REQUESTS.name: [[["ranker", "score", "v1"], 1]]}),
        report(counts={REQUESTS.name: [[["ranker", "score", "v1", 2], 1]]}),
        report(counts={REQUESTS.name: [[["ranker", "score", "v1", "2xx"], -1]]}),
        report(counts={REQUESTS.name: [[["ranker", "score", "v1", "2xx"], 1.5]]}),
        report(counts={REQUESTS.name: [[["ranker", "score", "v1", "2xx"], True]]}),
        report(counts={REQUESTS.name: [[["ranker", "score", "v1", "2xx"], 2**60]]}),
        report(sketches={DELTA.name: [[["ranker", "score"], sketch(count="1")]]}),
        report(sketches={DELTA.name: [[["ranker", "score"], sketch(sum=None)]]}),
        report(sketches={DELTA.name: [[["ranker", "score"], sketch(buckets={"99999999": 1})]]}),
        report(sketches={DELTA.name: [[["ranker", "score"], sketch(buckets={"x": 1})]]}),
    ],
    ids=["too few labels", "number label", "negative", "half", "truth", "huge", "text", "null", "far", "no bucket"],
)
def test_a_report_that_would_spoil_the_evidence_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(MessageError):
        decode(orjson.dumps(body))


def test_families_of_another_version_are_left_out() -> None:
    found = decode(orjson.dumps(report(counts={"shadow_of_things_to_come": [[["x"], 1]], DELTA.name: [[["x"], 1]]})))
    assert isinstance(found, Report)
    assert found.tally == Tally()
