"""Writes the Grafana board beside it: `python deploy/grafana/board.py`.

A board is JSON that nobody can review. This file says what each panel asks and how it is read; ids, places and
Grafana's boilerplate are computed. Tests write the board anew, compare, and let promtool parse every query.
"""

# ruff: noqa: INP001  a script beside what it writes, not a package

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BOARD = Path(__file__).with_name("shadow-proxy.json")
WIDTH = 24  # columns of a Grafana row
HERE = 'job=~"$job", service=~"$service"'
WINDOW = "$__rate_interval"
DATASOURCE = {"type": "prometheus", "uid": "$datasource"}


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression and the name of its series."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture: what it is called, why one looks at it, what it asks.

    `unit` is Grafana's (`percentunit` reads ratios 0-1); `steps` are (colour, from) pairs, the lowest first.
    """

    title: str
    why: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = WIDTH // 3
    height: int = 8
    steps: tuple[tuple[str, float | None], ...] = (("green", None),)
    stacked: bool = False
    names: bool = False  # a stat that shows which series there is, not its value
    limits: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """A heading with its panels, laid out from left to right."""

    title: str
    panels: tuple[Panel, ...]


RATIO = {"min": 0.0, "max": 1.0}


def quantiles(metric: str, by: str) -> tuple[Query, ...]:
    """p50, p95 and p99 of a histogram, per value of one label or over all (`by` empty)."""
    labels = f"{by}, le" if by else "le"
    name = f"{{{{{by}}}}} " if by else ""
    return tuple(
        Query(
            f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{HERE}}}[{WINDOW}])))",
            f"{name}p{round(share * 100)}",
        )
        for share in (0.5, 0.95, 0.99)
    )


def per_second(counter: str, by: str, where: str = HERE) -> tuple[Query, ...]:
    """A counter's rate, split by one label."""
    return (Query(f"sum by ({by}) (rate({counter}{{{where}}}[{WINDOW}]))", f"{{{{{by}}}}}"),)


def stat(title: str, why: str, query: Query, **look: Any) -> Panel:
    """One big number."""
    return Panel(title, why, (query,), kind="stat", width=WIDTH // 4, height=5, **look)


ANSWER = Row(
    "Can the candidate be trusted?",
    (
        stat(
            "Agreement",
            "Share of the compared answers that agree, within the tolerances. Read it beside coverage.",
            Query(f"service:shadow_agreement:ratio_rate5m{{{HERE}}}", "{{service}}"),
            unit="percentunit",
            steps=(("red", None), ("orange", 0.95), ("green", 0.99)),
            limits=RATIO,
        ),
        stat(
            "Coverage",
            "Share of the requests that were compared: what the agreement speaks for.",
            Query(f"service:shadow_coverage:ratio_rate5m{{{HERE}}}", "{{service}}"),
            unit="percentunit",
            steps=(("red", None), ("orange", 0.5), ("green", 0.9)),
            limits=RATIO,
        ),
        stat(
            "Mode",
            "Who answers clients.",
            Query(f"max by (service, mode) (shadow_mode{{{HERE}}}) == 1", "{{service}}: {{mode}}"),
            names=True,
        ),
        stat(
            "Processes down",
            "Workers, judges and control that the supervisor sees down.",
            Query('count(shadow_process_up{job=~"$job"} == 0) or vector(0)', "down"),
            steps=(("green", None), ("red", 1)),
        ),
    ),
)

AGREEMENT = Row(
    "Agreement",
    (
        Panel(
            "Agreement by endpoint",
            "Where the candidate differs.",
            (
                Query(
                    f'endpoint:shadow_agreement:ratio_rate5m{{{HERE}, endpoint=~"$endpoint"}}',
                    "{{service}} {{endpoint}}",
                ),
            ),
            unit="percentunit",
            limits=RATIO,
        ),
        Panel(
            "Verdicts",
            "What became of each compared exchange.",
            per_second("shadow_comparisons_total", "verdict", f'{HERE}, endpoint=~"$endpoint"'),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            "Differences by kind",
            "What the mismatches are made of.",
            per_second("shadow_differences_total", "kind", f'{HERE}, endpoint=~"$endpoint"'),
            unit="cps",
            stacked=True,
        ),
        Panel(
            "Relative delta of numbers",
            "Its mean and tail choose a tolerance.",
            (
                Query(f"service:shadow_prediction_delta_ratio:mean5m{{{HERE}}}", "{{service}} mean"),
                *quantiles("shadow_prediction_delta_ratio", ""),
            ),
            unit="percentunit",
        ),
    ),
)

SIDES = Row(
    "Primary against candidate",
    (
        Panel(
            "Latency",
            "From the request fully sent to the last answer byte: the same start and stop on both sides.",
            quantiles("shadow_backend_request_duration_seconds", "side"),
            unit="s",
        ),
        Panel(
            "Errors",
            "Share of the requests answered 5xx or not at all.",
            (
                Query(
                    f"service_side:shadow_backend_errors:ratio_rate5m{{{HERE}}}",
                    "{{service}} {{side}}",
                ),
            ),
            unit="percentunit",
        ),
        Panel(
            "Failures by kind",
            "How backends failed to answer; pool and internal are the proxy's own doing.",
            (
                Query(
                    f"sum by (side, kind) (rate(shadow_backend_failures_total{{{HERE}}}[{WINDOW}]))",
                    "{{side}} {{kind}}",
                ),
            ),
            unit="cps",
        ),
    ),
)

PROXY = Row(
    "The proxy itself",
    (
        Panel(
            "Mirrored, or why not",
            "Every client request once.",
            per_second("shadow_mirrors_total", "result", f'{HERE}, endpoint=~"$endpoint"'),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            "Dropped by reason",
            "Mirrored requests that end without a verdict. Clients do not notice.",
            per_second("shadow_dropped_total", "reason"),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            "Mirroring paused",
            "The kill switch is pulled, or workers send no copies: the candidate is silent, or they lack something.",
            (
                Query(
                    f"sum by (service, backend) (shadow_breaker_open{{{HERE}}})", "{{service}}: {{backend}} is silent"
                ),
                Query('sum by (cause) (shadow_mirroring_suspended{job=~"$job"})', "worker lacks: {{cause}}"),
                Query('max by (instance) (shadow_kill_switch{job=~"$job"})', "kill switch of {{instance}}"),
            ),
        ),
        Panel(
            "Left out of comparison",
            "Judges that leave out a rule or an endpoint, because three of them died of it.",
            (
                Query(f"sum by (service, rule) (shadow_rule_quarantined{{{HERE}}})", "{{service}}: rule {{rule}}"),
                Query(
                    f"sum by (service, endpoint) (shadow_endpoint_quarantined{{{HERE}}})",
                    "{{service}}: endpoint {{endpoint}}",
                ),
            ),
        ),
        Panel(
            "Start skew",
            "How far apart the served request and its copy are sent; what is large makes latencies incomparable.",
            quantiles("shadow_mirror_start_skew_seconds", ""),
            unit="s",
        ),
        Panel(
            "Added latency",
            "What the proxy adds to the backend's own time.",
            quantiles("shadow_added_latency_seconds", ""),
            unit="s",
        ),
        Panel(
            "Mirror memory",
            "Bytes held for mirrors and pairs, against their budget.",
            (
                Query('sum(shadow_mirror_bytes{job=~"$job"})', "held"),
                Query('sum(shadow_mirror_bytes_limit{job=~"$job"})', "budget"),
            ),
            unit="bytes",
        ),
        Panel(
            "Memory used",
            "Of the memory limit that is nearest; without one there is nothing to show.",
            (
                Query(
                    'max by (process) (shadow_memory_bytes{job=~"$job"} '
                    '/ (shadow_memory_bytes_limit{job=~"$job"} > 0))',
                    "{{process}}",
                ),
            ),
            unit="percentunit",
        ),
        Panel(
            "Event loop lag",
            "Late timer wake-ups, p99.",
            (
                Query(
                    "histogram_quantile(0.99, sum by (process, le) "
                    f'(rate(shadow_event_loop_lag_seconds_bucket{{job=~"$job"}}[{WINDOW}])))',
                    "{{process}}",
                ),
            ),
            unit="s",
        ),
        Panel(
            "Processes up",
            "As the supervisor sees them.",
            (Query('sum by (process) (shadow_process_up{job=~"$job"})', "{{process}}"),),
        ),
    ),
)

ROWS = (ANSWER, AGREEMENT, SIDES, PROXY)


def document() -> dict[str, Any]:
    """The board as Grafana reads it."""
    return {
        "uid": "shadow-proxy",
        "title": "shadow-proxy",
        "tags": ["shadow-proxy"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,  # one crosshair over all panels
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {"list": variables()},
        "panels": placed(ROWS),
    }


def variables() -> list[dict[str, Any]]:
    """The choices at the top of the board."""
    job = "label_values(shadow_build_info, job)"
    service = 'label_values(shadow_mode{job=~"$job"}, service)'
    endpoint = f"label_values(shadow_mirrors_total{{{HERE}}}, endpoint)"
    source = {"name": "datasource", "type": "datasource", "query": "prometheus"}
    return [source, *(choice(*pair) for pair in (("job", job), ("service", service), ("endpoint", endpoint)))]


def choice(name: str, query: str) -> dict[str, Any]:
    """A variable with the values of a label; all of them at first."""
    return {
        "name": name,
        "type": "query",
        "datasource": DATASOURCE,
        "query": query,
        "refresh": 2,  # when the time range changes
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def placed(rows: tuple[Row, ...]) -> list[dict[str, Any]]:
    """Headings and panels from top to bottom; a panel that does not fit beside the last begins a new line."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in rows:
        place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
        panels.append({"id": len(panels) + 1, "type": "row", "title": row.title, "gridPos": place, "panels": []})
        top, left, line = top + 1, 0, 0
        for panel in row.panels:
            if left + panel.width > WIDTH:
                top, left, line = top + line, 0, 0
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            panels.append({"id": len(panels) + 1, "gridPos": place, **drawn(panel)})
            left, line = left + panel.width, max(line, panel.height)
        top += line
    return panels


def drawn(panel: Panel) -> dict[str, Any]:
    """A panel without its place."""
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "thresholds": {
            "mode": "absolute",
            "steps": [{"color": colour, "value": start} for colour, start in panel.steps],
        },
        **panel.limits,
    }
    if panel.kind == "timeseries":
        mode = "normal" if panel.stacked else "none"
        defaults["custom"] = {"fillOpacity": 15 if panel.stacked else 0, "stacking": {"mode": mode}}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.why,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": OPTIONS[panel.kind] | ({"textMode": "name"} if panel.names else {}),
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": query.expression,
                "legendFormat": query.legend,
            }
            for index, query in enumerate(panel.queries)
        ],
    }


OPTIONS: dict[str, dict[str, Any]] = {
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"},
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
}


def text() -> str:
    """The board's file."""
    return json.dumps(document(), indent=1) + "\n"


if __name__ == "__main__":
    BOARD.write_text(text(), encoding="utf-8")
