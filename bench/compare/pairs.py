"""The pairs that are measured: prediction answers of four sizes, with header fields as a service sends them."""

from __future__ import annotations

import random
from copy import deepcopy
from typing import Any, Final
from uuid import UUID

import orjson

from comparators import Response, Rule, RuleSet, compile_rules

SIZES: Final = {"1 KB": 1_000, "10 KB": 10_000, "100 KB": 100_000, "1 MB": 1_000_000}
LABELS: Final = ("approve", "review", "reject")
JITTER: Final = 1e-7
ROOM: Final = 200
"""Bytes of one segment, less a few."""

RULES: Final[tuple[tuple[str, str, str, dict[str, Any]], ...]] = (
    ("request", "$.request_id", "format", {"as": "uuid"}),
    ("clock", "$.generated_at", "format", {"as": "timestamp"}),
    ("latency", "$.model.latency_ms", "ignore", {}),
    ("score", "$.segments[*].score", "probability", {"abs": 0.01}),
    ("probabilities", "$.segments[*].probabilities.*", "probability", {"abs": 0.01}),
)


def rules() -> RuleSet:
    """What a prediction endpoint needs: fresh values by format, floats as probabilities."""
    return compile_rules([Rule(name, path, use, settings, "benchmark", "bench") for name, path, use, settings in RULES])


def document(size: int) -> dict[str, Any]:
    """A prediction of about `size` bytes; the same one every time."""
    draw = random.Random(size)
    segments: list[dict[str, Any]] = []
    tree = {
        "request_id": str(UUID(int=draw.getrandbits(128), version=4)),
        "generated_at": "2026-11-20T10:11:12.345678Z",
        "model": {"name": "credit-risk", "version": "2.4.1", "trained_on": "2026-09-30", "latency_ms": 12.5},
        "thresholds": {"approve": 0.35, "reject": 0.72},
        "segments": segments,
    }
    while len(orjson.dumps(tree)) < size - ROOM:
        segments.append(_segment(draw, len(segments)))
    return tree


def _segment(draw: random.Random, place: int) -> dict[str, Any]:
    parts = [draw.random() for _ in LABELS]
    return {
        "id": f"seg-{place:05}",
        "label": draw.choice(LABELS),
        "description": draw.choice(("returning customers with an open account", "new customers, first purchase")),
        "members": draw.randrange(10_000),
        "active": draw.random() < 0.5,
        "score": draw.random() * 0.99,
        "probabilities": {label: part / sum(parts) for label, part in zip(LABELS, parts, strict=True)},
    }


def one_leaf_changed(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree with another label in the middle."""
    changed = deepcopy(tree)
    segments = changed["segments"]
    segments[len(segments) // 2]["label"] = "unknown"
    return changed


def many_leaves_changed(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree as another version of the service answers: fresh id and clock, every float a little off."""
    changed = tree | {"segments": _jittered(tree["segments"])}
    changed["request_id"] = "5f0c8e0a-52d0-4a53-9d2e-4c5a1f6f7f10"
    changed["generated_at"] = "2026-11-20T10:11:12.361204Z"
    return changed


def _jittered(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _jittered(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_jittered(value) for value in node]
    return node + JITTER if isinstance(node, float) else node


def answer(body: bytes, second: int) -> Response:
    """An answer around a body, with a date and an id of its own."""
    pairs = [
        ("Date", f"Fri, 20 Nov 2026 10:11:{second} GMT"),
        ("Server", "uvicorn"),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("X-Request-Id", f"8c2f41d0-{second}"),
        ("Cache-Control", "no-store"),
        ("Vary", "accept-encoding"),
        ("X-Model-Version", "credit-risk-2"),
    ]
    return Response.from_pairs(200, pairs, body)
