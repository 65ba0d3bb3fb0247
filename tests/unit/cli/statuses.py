"""Answers of `GET /api/v1/status`."""

from typing import Any

BUSY: dict[str, Any] = {
    "service": "ranker",
    "mode": "shadow",
    "answers": {"v1": 1.0, "v2": 0.0},
    "requests": 5165,
    "mirrored": 5012,
    "not_mirrored": {"method": 150, "not_sampled": 3, "mode": 0},
    "compared": 5010,
    "agreement": 0.986,
    "interval": [0.9824, 0.9889],
    "agreement_raw": 0.91,
    "coverage": 0.97,
    "dropped": 2,
    "dropped_by": {"judge_full": 2},
    "verdicts": {"match": 4559, "tolerated": 381, "mismatch": 69, "candidate_error": 1},
    "differences": {"status": 61, "value": 9},
    "top": [
        {"endpoint": "item", "path": "status", "kind": "status", "exchanges": 61},
        {"endpoint": "score", "path": "$.scores[*].parts[*].weight", "kind": "value", "exchanges": 9},
    ],
    "latency": {
        "primary": {"p50": 0.0381, "p95": 0.0402, "p99": 0.041},
        "candidate": {"p50": 0.0362, "p95": 0.041, "p99": 0.044},
    },
    "next": "shadow-proxy status ranker --watch",
}

QUIET: dict[str, Any] = {
    **BUSY,
    "requests": 0,
    "mirrored": 0,
    "not_mirrored": {},
    "compared": 0,
    "agreement": None,
    "interval": None,
    "agreement_raw": None,
    "coverage": None,
    "dropped": 0,
    "dropped_by": {},
    "verdicts": {},
    "differences": {},
    "top": [],
    "latency": {
        "primary": {"p50": None, "p95": None, "p99": None},
        "candidate": {"p50": None, "p95": None, "p99": None},
    },
    "next": "curl http://127.0.0.1:8080/",
}


def status(*services: dict[str, Any]) -> dict[str, Any]:
    """The whole answer about these services."""
    processes = [{"process": "worker-0", "up": True}, {"process": "judge-0", "up": True}]
    return {"version": "0.1.0", "snapshot": 41, "uptime_s": 272.0, "processes": processes, "services": list(services)}
